"""The most recent calls: which lists are read, how far, and what is made of what comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harvester.errors import RejectedError, ServerError, UnsupportedError, UsageError
from harvester.model import Request, Response
from harvester.single import Call, latest
from harvester.testing import reply

from .desk import Desk, call


def ids(calls: list[Call]) -> list[str]:
    return [one.record.call_id for one in calls]


def rows(provider: str, *numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [call(provider, number, **more) for number in numbers]


@pytest.mark.parametrize("provider", ["talkpilot", "bimpe"])
async def test_newest_of_all_agents_come_in_full(provider: str) -> None:
    """One page of each agent, merged by creation; then the details of those that were asked for, and no others."""
    d = Desk(provider, {"a": rows(provider, 2, 3, 9), "b": rows(provider, 1, 8), "c": []})
    calls = await latest(d.asker, count=3)
    assert ids(calls) == ["c1", "c2", "c3"]
    assert [(one.record.agent_id, one.record.agent_name) for one in calls] == [
        ("b", "B"), ("a", "A"), ("a", "A"),
    ]  # fmt: skip
    assert all(json.loads(one.raw)["whole"] for one in calls)
    assert all("whole" not in json.loads(one.record.raw_list or "") for one in calls)
    assert sorted(d.asked) == ["get call a"] * 2 + ["get call b", "list agents"] + [
        f"list calls {agent}" for agent in "abc"
    ]


async def test_purged_call_has_no_detail_to_ask_for() -> None:
    """What the list says is all there is."""
    d = Desk("talkpilot", {"a": rows("talkpilot", 1, is_purged=True)})
    (found,) = await latest(d.asker, agent_id="a")
    assert (found.record.is_purged, found.record.raw_list) == (True, None)
    assert d.asked == ["list calls a"]


async def test_call_that_is_gone_makes_room_for_the_next() -> None:
    """Deleted between its list and its detail it is no longer the most recent; other errors come out."""

    def fault(request: Request, _number: int) -> Response | None:
        gone = request.endpoint == "get call" and request.path.endswith(("c1", "c2"))
        return reply({}, status=410) if gone else None

    d = Desk("bimpe", {"a": rows("bimpe", 1, 2, 3, 4)}, fault=fault)
    assert ids(await latest(d.asker, count=2)) == ["c3", "c4"]
    d = Desk(
        "bimpe", {"a": rows("bimpe", 1)}, agents=("a",),
        fault=lambda request, _n: reply({}, status=422) if request.endpoint == "get call" else None,
    )  # fmt: skip
    with pytest.raises(RejectedError, match="422"):
        await latest(d.asker)


@pytest.mark.parametrize("order", [(3, 1, 2), (9, 8, 7), (2, 3, 1)])
async def test_list_out_of_order_is_read_whole(order: tuple[int, ...]) -> None:
    """A row newer than one before it tells that the sort was not heeded: the newest may be anywhere."""
    numbers = [*order, *range(50, 300), 0]
    d = Desk("bimpe", {"a": rows("bimpe", *numbers)}, agents=("a",))
    assert ids(await latest(d.asker)) == ["c0"]
    assert d.asked == ["list calls a"] * 3 + ["get call a"]
    few = Desk("agentvoice", {"a": rows("agentvoice", *numbers)})
    assert ids(await latest(few.asker, count=3)) == ["c0", *sorted(f"c{n}" for n in order)[:2]]
    assert [dict(one.query)["limit"] for one in few.transport.requests] == ["3", "100", "100", "100"]
    ordered = Desk("bimpe", {"a": rows("bimpe", *range(300))}, agents=("a",))
    assert ids(await latest(ordered.asker)) == ["c0"]
    assert ordered.asked == ["list calls a", "get call a"]


async def test_calls_without_a_date_are_last() -> None:
    """Some servers put them first, so that they say nothing of the order, and do not stand for dated ones."""
    undated = [call("bimpe", n, days=None) for n in range(500, 620)]
    d = Desk("bimpe", {"a": [*undated, *rows("bimpe", 1, 2)]}, agents=("a",))
    assert ids(await latest(d.asker, count=3)) == ["c1", "c2", "c500"]
    assert d.asked.count("list calls a") == 2


async def test_ties_stay_as_they_came() -> None:
    """Calls of one instant are in the order of agents and pages."""
    tied = [dict(call("bimpe", 1), id=name) for name in "wxyz"]
    d = Desk("bimpe", {"a": tied[:2], "b": tied[2:]})
    assert ids(await latest(d.asker, count=4)) == ["w", "x", "y", "z"]


@pytest.mark.parametrize("provider", ["agentvoice", "talkpilot"])
@pytest.mark.parametrize("clamp", [100, 50, 7])
async def test_many_are_read_page_by_page(provider: str, clamp: int) -> None:
    """As many pages as are needed, in steps of what the server gives."""
    d = Desk(provider, {"a": rows(provider, *range(400), is_purged=True)}, agents=("a",), clamp=clamp)
    assert ids(await latest(d.asker, count=230)) == [f"c{n}" for n in range(230)]
    assert len(d.asked) == -(-230 // clamp)


async def test_api_picks_the_newest_itself() -> None:
    """AgentVoice is asked for one call, and for a page where what it picks is no call; none is none."""
    d = Desk("agentvoice", {"a": rows("agentvoice", 1, 2)})
    assert ids(await latest(d.asker)) == ["c1"]
    assert dict(d.transport.requests[0].query)["most_recent"] == "true"
    assert await latest(Desk("agentvoice", {"a": []}).asker) == []
    broken = Desk(
        "agentvoice", {"a": rows("agentvoice", 1, 2)},
        fault=lambda _request, number: reply({"data": [{"id": None}]}) if number == 0 else None,
    )  # fmt: skip
    assert ids(await latest(broken.asker)) == ["c1"]
    assert len(broken.asked) == 2


async def test_several_agents_of_an_account_are_merged() -> None:
    """Agents that the config names are asked one by one where there is a list for all; the others' calls are not."""
    d = Desk(
        "agentvoice", {"a": rows("agentvoice", 3), "b": rows("agentvoice", 2), "c": rows("agentvoice", 1)}
    )
    assert ids(await latest(d.asker, agent_id="a", count=2)) == ["c3"]
    d = Desk("agentvoice", d.agents, agents=("a", "b"))
    assert ids(await latest(d.asker)) == ["c2"]


@pytest.mark.parametrize(("days", "lists"), [(0, 1), (5, 2), (20, 3), (200, 4), (4000, 5)])
async def test_ranges_lead_back_until_there_is_a_call(days: int, lists: int) -> None:
    """Talkover's days are read whole, as their order is not known; further back only where they hold too few."""
    d = Desk("talkover", {"a": rows("talkover", 4, 2, 3, days=days), "b": rows("talkover", 7, days=5000)})
    assert ids(await latest(d.asker)) == ["c2"]
    assert d.asked == ["list calls"] * lists


async def test_ranges_that_are_full_are_read_to_their_end() -> None:
    """Every page of the last days, and those of each agent where the source names them."""
    numbers = [*range(1, 250), 0]
    d = Desk("talkover", {"a": rows("talkover", *numbers), "b": rows("talkover", 300)}, agents=("a", "b"))
    assert ids(await latest(d.asker, count=2)) == ["c0", "c1"]
    assert sorted(d.asked) == ["list calls a"] * 3 + ["list calls b"]
    assert await latest(Desk("talkover", {"a": []}).asker) == []


async def test_list_shorter_than_it_says_is_read_again(caplog: pytest.LogCaptureFixture) -> None:
    """One without an order may show other rows the next time; what stays away is named."""
    pages = [["c5", "c6"], ["c5", "c6"], ["c5", "c1"], ["c6", "c5"], ["c1", "c6"], ["c5", "c6"]]

    def fault(_request: Request, number: int) -> Response:
        page = {"current_page": number % 2 + 1, "last_page": 2, "total": 4}
        found = [call("talkover", int(name[1:])) for name in pages[number]]
        return reply({"data": found, "pagination": page})

    d = Desk("talkover", {}, fault=fault)
    assert ids(await latest(d.asker)) == ["c1"]
    assert len(d.asked) == len(pages)
    assert "a list counts 4 calls and shows 3: there may be newer ones" in caplog.text


async def test_server_that_always_has_more_is_left() -> None:
    """A page that brings nothing new is the end, and one beyond it may be not found."""
    found = rows("bimpe", 1, 2)
    same = Desk(
        "bimpe", {}, agents=("a",), fault=lambda request, _n: reply({"data": found, "meta": {"has_next_page": True}})
        if request.endpoint == "list calls" else reply({"data": found[0]}),
    )  # fmt: skip
    assert ids(await latest(same.asker, count=1)) == ["c1"]
    answers = [reply(found), reply({"message": "no"}, status=404)]
    bare = Desk("agentvoice", {}, fault=lambda _request, number: answers[number])
    assert ids(await latest(bare.asker, count=3)) == ["c1", "c2"]
    endless = Desk(
        "talkover", {}, fault=lambda _r, _n: reply({"data": found, "pagination": {"current_page": 1, "last_page": 9}})
    )  # fmt: skip
    assert len(await latest(endless.asker, count=5)) == 2
    assert len(endless.asked) == 10


async def test_phone_number_is_looked_for() -> None:
    """The provider's filter does it; what else a search finds, or a filter that is ignored lets through, is not it."""
    mine, other = "+15550100", "+15550101"
    d = Desk(
        "talkpilot",
        {"a": [*rows("talkpilot", 1, phone_number=other), *rows("talkpilot", 2, phone_number=mine)]},
    )
    assert ids(await latest(d.asker, phone="+1 (555) 01-00")) == ["c2"]
    found = [
        call("talkover", 1) | {"from": other, "to": other, "sid": f"CA{mine}"},
        call("talkover", 2) | {"from": other, "to": mine},
        call("talkover", 3) | {"from": mine + "9", "to": other},
    ]
    d = Desk("talkover", {"a": found})
    assert ids(await latest(d.asker, phone=mine, count=3)) == ["c2"]
    assert dict(d.transport.requests[0].query)["search"] == mine
    deaf = Desk("agentvoice", {}, fault=lambda _r, _n: reply(call("agentvoice", 1, phone_number=other)))
    assert await latest(deaf.asker, phone=mine) == []


async def test_what_is_wrong_is_told_at_once_and_without_the_number() -> None:
    """Every mistake, before the first request; a provider that cannot look for a number says so."""
    d = Desk("talkpilot", {"a": []})
    with pytest.raises(UsageError) as caught:
        await latest(d.asker, count=0, agent_id="", phone="+1555O100")
    assert len(caught.value.problems) == 3
    assert "555" not in str(caught.value)
    b = Desk("bimpe", {"a": []})
    with pytest.raises(UnsupportedError, match='source "sales": phone: BimpeAI has no filter'):
        await latest(b.asker, phone="+15550100")
    assert d.asked == b.asked == []


async def test_agent_that_is_gone_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """The others' calls are told; where none is left the refusal is."""
    d = Desk("bimpe", {"a": rows("bimpe", 1)}, agents=("gone", "a"))
    assert ids(await latest(d.asker)) == ["c1"]
    assert "agent gone is left out" in caplog.text
    with pytest.raises(RejectedError, match="sales: list calls: not found"):
        await latest(d.asker, agent_id="gone")


async def test_list_that_does_not_come_is_an_error() -> None:
    """An answer that might be wrong is none."""

    def fault(request: Request, _number: int) -> Response | None:
        return {"b": reply({}, status=500), "c": reply({}, status=422)}.get(request.agent_id or "")

    for agents, kind in ((("a", "b"), ServerError), (("a", "c"), RejectedError)):
        d = Desk("bimpe", {"a": rows("bimpe", 1)}, fault=fault, agents=agents)
        with pytest.raises(kind):
            await latest(d.asker)


async def test_account_without_calls_has_none() -> None:
    """No agents, or none with a call: an empty list, and no request for a detail."""
    assert await latest(Desk("bimpe", {}).asker) == []
    d = Desk("talkpilot", {"a": []})
    assert await latest(d.asker, count=5) == []
    assert d.asked == ["list agents", "list calls a"]


async def test_list_that_never_settles_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Each time other rows, and never all of them: after some passes that is said."""

    def fault(_request: Request, number: int) -> Response:
        page = {"current_page": 1, "last_page": 1, "total": 100}
        return reply({"data": rows("talkover", 9 - number), "pagination": page})

    d = Desk("talkover", {}, fault=fault)
    assert ids(await latest(d.asker)) == ["c2"]
    assert "counts 100 calls and shows 8" in caplog.text
