"""Which requests go wrong; how they do so on the wire is in test_server.py."""

import json
from typing import Any

import pytest

from harvester.sandbox import PROVIDERS, FaultRule, Faults


def test_chance_repeats(counter: Any) -> None:
    """The same requests fail in every run, about as many as the rates say."""
    rates = {"500": 0.1, "half_json": 0.1, "reset": 0.05}
    runs = [
        [(answer.status, answer.fault) for answer in (desk.calls(limit=1) for _ in range(400))]
        for desk in (counter("bimpe", faults=Faults(rates=rates)) for _ in range(2))
    ]
    assert runs[0] == runs[1]
    assert 20 < runs[0].count((500, "")) < 65
    assert 20 < runs[0].count((200, "half_json")) < 65
    assert 5 < runs[0].count((200, "reset")) < 40


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_statuses_have_the_providers_shape(counter: Any, provider: str, status: int) -> None:
    """Every status can be had, as JSON of the provider's kind."""
    desk = counter(provider, faults=Faults(rules=(FaultRule(str(status)),)))
    answer = desk.calls()
    assert answer.status == status
    keys = {
        "talkover": {"message", "error"},
        "agentvoice": {"error"},
        "talkpilot": {"error"},
        "bimpe": {"code"},
    }
    assert keys[provider] & set(answer.json)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_failure_with_a_good_status(counter: Any, provider: str) -> None:
    """A 200 may say that it failed, without rows."""
    answer = counter(provider, faults=Faults(rules=(FaultRule("success_false"),))).calls()
    assert answer.status == 200
    assert "data" not in answer.json
    assert provider != "talkover" or answer.json["success"] is False


def test_503_can_name_a_wait(counter: Any) -> None:
    """`retry_after_s` goes with 503 and 429 faults only."""
    for status, told in (("503", {"Retry-After": "5"}), ("500", {})):
        desk = counter("bimpe", faults=Faults(rules=(FaultRule(status),), retry_after_s=5))
        assert desk.calls().headers == told


def test_the_nth_request_fails(counter: Any) -> None:
    """A rule can mean one request of a credential."""
    desk = counter("talkover", faults=Faults(rules=(FaultRule("500", request=3),)))
    assert [desk.calls().status for _ in range(5)] == [200, 200, 500, 200, 200]


def test_a_page_of_an_agent_fails(counter: Any) -> None:
    """A rule can mean a page of an agent, named by place or id, and end after some times."""
    for name in ("1", None):
        desk = counter("talkpilot")
        agent = name or desk.agents[1].id
        rules = (FaultRule("502", endpoint="agent_calls", agent=agent, page=2, times=2),)
        desk = counter("talkpilot", faults=Faults(rules=rules))
        path = f"v1/agents/{desk.agents[1].id}/calls"
        assert [desk.ask(path, page=page).status for page in (1, 2, 2, 2)] == [200, 502, 502, 200]
        assert desk.calls(page=2).status == 200


def test_agentvoice_pages_are_counted_by_offset(counter: Any) -> None:
    """The second page of AgentVoice is the one at offset `limit`."""
    desk = counter("agentvoice", faults=Faults(rules=(FaultRule("500", page=2),)))
    assert [desk.calls(limit=10, offset=offset).status for offset in (0, 10, 20)] == [200, 500, 200]
    assert desk.calls(limit="ten", offset=10).status == 400


@pytest.mark.parametrize("provider", PROVIDERS)
def test_deep_offsets_time_out(counter: Any, provider: str) -> None:
    """A rule can mean all pages that begin behind so many rows."""
    desk = counter(provider, faults=Faults(rules=(FaultRule("504", deeper_than=100),)))
    size = "per_page" if provider == "talkover" else "limit"
    for before, status in ((0, 200), (100, 200), (150, 504), (200, 504)):
        place = {"offset": before} if provider == "agentvoice" else {"page": before // 50 + 1}
        assert desk.calls(**{size: 50}, **place).status == status


def test_the_detail_of_a_call_fails(counter: Any) -> None:
    """A rule can mean the detail of one call."""
    desk = counter("bimpe")
    first, second = (row.call_id for row in list(desk.account.rows(desk.agents[0].id))[:2])
    desk = counter("bimpe", faults=Faults(rules=(FaultRule("404", call_id=first),)))
    path = "api/v1/console/agents/{agent}/calls/"
    assert [desk.ask(path + call).status for call in (first, second)] == [404, 200]
    assert desk.desk.stats()["keys"][0]["faults"] == {"404": 1}


def test_unknown_faults_are_refused() -> None:
    """A fault nobody knows is an error of the config."""
    with pytest.raises(ValueError, match="unknown fault"):
        FaultRule("gremlins")
    with pytest.raises(ValueError, match="unknown fault"):
        Faults(rates={"299": 1.0})
    assert json.dumps(PROVIDERS)
