"""One call by its id: whom it is asked of, and what is said where it is not there."""

from __future__ import annotations

import json
from functools import partial

import pytest

from harvester.errors import (
    AccessError,
    MalformedError,
    RejectedError,
    ServerError,
    UnsupportedError,
    UsageError,
)
from harvester.model import Request, Response
from harvester.single import get
from harvester.testing import START, reply

from .desk import Desk, call


async def test_call_comes_in_both_shapes() -> None:
    """The record has the detail as `raw`, byte for byte, an empty run, and the moment of the answer."""
    d = Desk("bimpe", {"a": [call("bimpe", 1, status="ended")]})
    found = await get(d.asker, "c1", agent_id="a")
    assert json.loads(found.raw) == {**d.agents["a"][0], "whole": True}
    assert found.record.raw == found.raw.decode()
    record = found.record
    assert (record.source, record.call_id, record.agent_id, record.status) == (
        "sales", "c1", "a", "completed",
    )  # fmt: skip
    assert (record.run_id, record.version, record.fetched_at, record.raw_list) == ("", 1, START, None)
    assert found.agent_id == "a"
    assert d.asked == ["get call a"]


async def test_agents_are_asked_until_one_has_it() -> None:
    """Without an agent those of the list are asked in its order, a few at a time, and no further than needed."""
    d = Desk("bimpe", {f"a{n}": [call("bimpe", n)] for n in range(12)})
    found = await get(d.asker, "c5")
    assert (found.record.agent_id, found.record.agent_name) == ("a5", "A5")
    assert d.asked == ["list agents", *(f"get call a{n}" for n in range(8))]
    assert d.transport.most_in_flight == 4


async def test_agents_of_the_config_come_first() -> None:
    """A source that names its agents asks them, and lists none."""
    d = Desk("talkpilot", {"a": [], "b": [call("talkpilot", 1)], "c": []}, agents=("c", "b"), concurrency=1)
    assert (await get(d.asker, "c1")).record.agent_id == "b"
    assert d.asked == ["get call c", "get call b"]
    assert d.transport.most_in_flight == 1


async def test_account_with_one_list_needs_no_agent() -> None:
    """AgentVoice finds a call by its id alone; an agent that is not the call's has no such call."""
    d = Desk("agentvoice", {"a": [call("agentvoice", 1, agent_id="a")]})
    found = await get(d.asker, "c1")
    assert (found.record.agent_id, found.agent_id) == ("a", None)
    with pytest.raises(RejectedError, match="sales: get call: there is no such call of this agent"):
        await get(d.asker, "c1", agent_id="b")


@pytest.mark.parametrize("provider", ["bimpe", "talkpilot", "agentvoice"])
@pytest.mark.parametrize("agent", [None, "a"])
async def test_call_that_nobody_has_is_gone(provider: str, agent: str | None) -> None:
    """What is not there is one error, whoever was asked, and is not asked for again."""
    d = Desk(provider, {"a": [], "b": []})
    with pytest.raises(RejectedError, match="sales: get call: there is no such call") as caught:
        await get(d.asker, "../a?b\n", agent_id=agent)
    assert caught.value.is_gone
    assert not any({"..", "a?b", "\n"} & {*one.path.split("/"), one.path[-1]} for one in d.transport.requests)
    assert len([one for one in d.asked if one.startswith("get")]) == (
        2 if agent is None and provider != "agentvoice" else 1
    )


async def test_agent_out_of_reach_is_passed_over() -> None:
    """A 403 about one agent says that it is not there; asked of that agent alone it is told as it is."""

    def fault(request: Request, _number: int) -> Response | None:
        denied = {"error": {"code": "AGENT_NOT_ACCESSIBLE"}}
        return reply(denied, status=403) if request.agent_id == "a" else None

    d = Desk("talkpilot", {"a": [], "b": [call("talkpilot", 1)]}, fault=fault)
    assert (await get(d.asker, "c1")).record.agent_id == "b"
    with pytest.raises(RejectedError, match="does not reach this agent"):
        await get(d.asker, "c1", agent_id="a")


async def test_agent_that_fails_leaves_the_question_open() -> None:
    """Its error is told only where no other has the call: nobody knows whether there is one."""

    def fault(request: Request, _number: int) -> Response | None:
        status = {"a": 500, "z": 501}.get(request.agent_id or "")
        return None if status is None else reply({}, status=status)

    d = Desk("bimpe", {"a": [], "b": [call("bimpe", 1)]}, fault=fault, agents=("a", "b"))
    assert (await get(d.asker, "c1")).record.agent_id == "b"
    with pytest.raises(ServerError, match="after 8 attempts"):
        await get(d.asker, "c2")
    hopeless = Desk("bimpe", {"z": [], **{f"b{n}": [] for n in range(9)}}, fault=fault)
    with pytest.raises(ServerError):
        await get(hopeless.asker, "c1")
    assert len(hopeless.asked) <= 5


async def test_account_that_is_down_is_not_asked_agent_by_agent() -> None:
    """What fails for the first agents ends it, as does a credential that is refused."""
    for status, kind in ((401, AccessError), (500, ServerError)):
        answer = reply({}, status=status)
        d = Desk("bimpe", {}, fault=partial(_always, answer), agents=tuple(f"a{n}" for n in range(40)))
        with pytest.raises(kind):
            await get(d.asker, "c1")
        assert len({one.path for one in d.transport.requests}) <= 4


def _always(answer: Response, _request: Request, _number: int) -> Response:
    return answer


async def test_what_cannot_be_asked_is_told_before_the_first_request() -> None:
    """No route, no id, no text: nothing is sent."""
    for provider, call_id, agent, kind in (
        ("talkover", "c1", None, UnsupportedError),
        ("bimpe", "", None, UsageError),
        ("bimpe", "\udcff", None, UsageError),
        ("bimpe", "c1", "", UsageError),
        ("agentvoice", "c1", "\udcff", UsageError),
    ):
        d = Desk(provider, {"a": []})
        with pytest.raises(kind):
            await get(d.asker, call_id, agent_id=agent)
        assert d.asked == []


async def test_other_call_than_the_one_asked_for_is_none() -> None:
    """An id may come back in other letters, as UUIDs do; another call is no answer."""
    d = Desk("agentvoice", {}, fault=lambda _request, _number: reply({"id": "ab-1"}))
    assert (await get(d.asker, "AB-1")).record.call_id == "ab-1"
    with pytest.raises(MalformedError, match="sales: get call: the answer is not the call"):
        await get(d.asker, "ab-2")


async def test_value_that_does_not_fit_is_null_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """The call is there, the value is in `raw`, and the log says which; a row without an id is no call."""
    answers = [reply({"id": "c1", "call_duration": "long"}), reply({"id": None, "data": {"x": 1}})]
    d = Desk("agentvoice", {}, fault=lambda _request, number: answers[number])
    found = await get(d.asker, "c1")
    assert (found.record.duration_s, '"long"' in (found.record.raw or "")) == (None, True)
    assert "sales: call_duration of call c1 does not fit" in caplog.text
    with pytest.raises(MalformedError):
        await get(d.asker, "c1")
    assert "is no call and left out: no id" in caplog.text


async def test_record_leaves_the_json_out_where_the_config_does() -> None:
    """With `raw = false` the column is null; the bytes are there all the same."""
    d = Desk("agentvoice", {"a": [call("agentvoice", 1)]}, keep_raw=False)
    found = await get(d.asker, "c1")
    assert (found.record.raw, found.raw[:1]) == (None, b"{")
