"""Envelopes, filters and errors of each provider, as its document has them."""

import json
from functools import partial
from typing import Any

import pytest

from harvester.sandbox import PROVIDERS, Quirks
from harvester.sandbox.apis.selection import Found

WRONG = {"Authorization": "Bearer wrong", "x-api-key": "wrong", "x-organization-id": "org"}


def rows(answer: Any) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["data"]
    return found


AGENTS = {
    "talkover": "api/v1/agents",
    "agentvoice": "api/calls",
    "talkpilot": "v1/agents",
    "bimpe": "api/v1/console/agents",
}
REFUSED = {
    "talkover": '"message":"Unauthorized"',
    "agentvoice": '"error":"Authentication failed"',
    "talkpilot": '"code":"UNAUTHORIZED"',
    "bimpe": '"code":"api_key_invalid","statusCode":401',
}


@pytest.mark.parametrize("headers", [{}, WRONG])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_wrong_credentials_are_401(counter: Any, provider: str, headers: dict[str, str]) -> None:
    """No or a wrong credential is refused in the provider's own shape."""
    answer = counter(provider).ask(AGENTS[provider], headers=headers)
    assert answer.status == 401
    assert REFUSED[provider] in answer.body.decode()


def test_agentvoice_wants_an_organization(counter: Any) -> None:
    """A good key without an organization is refused."""
    assert counter("agentvoice").ask("api/calls", headers={"x-api-key": "sandbox"}).status == 401


def test_bimpe_takes_the_key_from_either_header(counter: Any) -> None:
    """Bearer and X-Api-Key are the same."""
    for headers in ({"Authorization": "Bearer sandbox-x"}, {"X-Api-Key": "sandbox-x"}):
        assert counter("bimpe").ask("api/v1/console/agents", headers=headers).status == 200


def test_talkpilot_health_needs_no_key(counter: Any) -> None:
    """Health answers anybody, with a key and without."""
    desk = counter("talkpilot")
    assert desk.ask("v1/health", headers={}).status == desk.ask("v1/health").status == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_unknown_things_are_404(counter: Any, provider: str) -> None:
    """Unknown paths, agents and calls are 404 in the provider's shape."""
    desk = counter(provider)
    paths = {
        "talkover": ["api/v1/agents/nobody/calls"],
        "agentvoice": ["api/calls/nothing"],
        "talkpilot": ["v1/agents/nobody/calls", "v1/agents/{agent}/calls/nothing"],
        "bimpe": ["api/v1/console/agents/nobody/calls", "api/v1/console/agents/{agent}/calls/nothing"],
    }
    for path in [*paths[provider], "api/v1/nowhere"]:
        answer = desk.ask(path)
        assert answer.status == 404
        assert isinstance(answer.json, dict)
    assert desk.violations() == ["GET /api/v1/nowhere is not documented"]


def test_talkpilot_denies_agents_as_new_servers_do(counter: Any) -> None:
    """An agent out of reach is 403 AGENT_NOT_ACCESSIBLE on newer servers."""
    answer = counter("talkpilot", quirks=Quirks(agent_denied_status=403)).ask("v1/agents/nobody/calls")
    assert (answer.status, answer.json["error"]["code"]) == (403, "AGENT_NOT_ACCESSIBLE")


def test_details_belong_to_their_agent(counter: Any) -> None:
    """A call is not found under another agent."""
    for provider, lead in (("talkpilot", "v1"), ("bimpe", "api/v1/console")):
        desk = counter(provider)
        call = next(desk.account.rows(desk.agents[0].id)).call_id
        assert desk.ask(f"{lead}/agents/{desk.agents[0].id}/calls/{call}").status == 200
        assert desk.ask(f"{lead}/agents/{desk.agents[1].id}/calls/{call}").status == 404


def test_talkover_envelopes(counter: Any) -> None:
    """Calls come with `pagination` of six keys, agents with `meta` of four; past the end is empty."""
    desk = counter("talkover", calls=45)
    answer = desk.calls(page=3).json
    assert answer["success"] is True
    assert answer["pagination"] == {
        "current_page": 3, "last_page": 3, "per_page": 20, "total": 45, "from": 41, "to": 45,
    }  # fmt: skip
    beyond = desk.calls(page=9).json
    assert beyond["data"] == []
    assert (beyond["pagination"]["from"], beyond["pagination"]["to"]) == (None, None)
    meta = desk.ask("api/v1/agents", per_page=3).json["meta"]
    assert meta == {"current_page": 1, "last_page": 2, "per_page": 3, "total": 4}
    empty = counter("talkover", calls=0).calls().json["pagination"]
    assert (empty["last_page"], empty["total"]) == (1, 0)
    other = counter("talkover", quirks=Quirks(meta_for_calls=True)).calls().json
    assert set(other["meta"]) == {"current_page", "last_page", "per_page", "total"}


def test_talkover_filters(counter: Any) -> None:
    """Status, direction, search, agent and whole days leave out what does not match."""
    desk = counter("talkover", calls=600)
    everything = [json.loads(row.raw) for row in desk.account.rows()]
    one = everything[77]

    def expect(kept: list[dict[str, Any]], **query: Any) -> None:
        got = desk.calls(per_page=100, **query).json
        assert got["pagination"]["total"] == len(kept)
        assert [row["id"] for row in got["data"]] == [row["id"] for row in kept][:100]

    expect([row for row in everything if row["status"] == "failed"], status="failed")
    expect([row for row in everything if row["direction"] == "inbound"], direction="inbound")
    expect([one], search=one["sid"])
    expect([row for row in everything if one["to"] in (row["to"], row["from"])], search=one["to"])
    agent = desk.agents[2].id
    expect([row for row in everything if row["agent"]["id"] == agent], agent_id=agent)
    expect([], agent_id="nobody")
    days = {"date_from": "2026-02-10", "date_to": "2026-02-12"}
    expect([row for row in everything if "2026-02-10" <= row["created_at"] < "2026-02-13"], **days)
    assert desk.violations() == []


def test_talkover_days_can_be_read_otherwise(counter: Any) -> None:
    """`date_to` may leave its day out, and days may begin in another zone."""
    days = {"date_from": "2026-02-10", "date_to": "2026-02-12"}
    whole = counter("talkover").calls(**days).json["pagination"]["total"]
    short = (
        counter("talkover", quirks=Quirks(exclusive_date_to=True)).calls(**days).json["pagination"]["total"]
    )
    assert 0 < short < whole
    moved = counter("talkover", quirks=Quirks(date_zone_h=5)).calls(per_page=100, **days).json["data"]
    assert moved[0]["created_at"] < "2026-02-12T19:00:00Z"
    assert moved[-1]["created_at"] >= "2026-02-09T19:00:00Z"


def test_talkover_validation_names_each_field(counter: Any) -> None:
    """A wrong query is 422 with a message for each field, and a violation."""
    desk = counter("talkover")
    answer = desk.calls(status="nice", direction="up", date_from="yesterday", page="one", per_page=0)
    assert answer.status == 422
    assert answer.json["errors"] == {
        "page": ["The page must be an integer."],
        "per_page": ["The per page must be at least 1."],
        "status": ["The selected status is invalid."],
        "direction": ["The selected direction is invalid."],
        "date_from": ["The date from must be a valid date."],
    }
    assert len(desk.violations()) == 5
    assert desk.ask("api/v1/agents", page=0).status == 422


def test_agentvoice_envelope_and_clamp(counter: Any) -> None:
    """`pagination` says what was given: a limit above 100 is cut, and noted."""
    desk = counter("agentvoice", calls=130)
    answer = desk.calls(limit=500)
    assert answer.json["pagination"] == {"total": 130, "limit": 100, "offset": 0, "has_more": True}
    assert desk.calls(limit=100, offset=100).json["pagination"]["has_more"] is False
    assert desk.calls(offset=999).json["data"] == []
    assert desk.violations() == ["limit above 100"]


@pytest.mark.parametrize("by", ["started_at", "ended_at", "created_at"])
def test_agentvoice_orders(counter: Any, by: str) -> None:
    """Rows ascend by the chosen time with null last; descending is the reverse."""
    desk = counter("agentvoice", calls=300)
    up = [json.loads(raw) for raw in desk.walk("api/calls", order_by=by, order="asc")]
    down = [json.loads(raw)["id"] for raw in desk.walk("api/calls", order_by=by)]
    times = [row[by] or "9" for row in up]
    assert times == sorted(times)
    assert [row["id"] for row in up] == down[::-1]
    assert len(set(down)) == 300


def test_agentvoice_times_leave_out_what_never_started(counter: Any) -> None:
    """`from` and `to` act on started_at, and a call without one matches neither."""
    desk = counter("agentvoice", calls=900)
    everything = [json.loads(row.raw) for row in desk.account.rows()]
    assert any(row["started_at"] is None for row in everything)
    assert any(row["started_at"] and row["started_at"][:10] > row["created_at"][:10] for row in everything)
    low, high = "2026-02-01T00:00:00.000Z", "2026-02-20T00:00:00.000Z"
    wanted = {row["id"] for row in everything if row["started_at"] and low < row["started_at"] < high}
    got = {json.loads(raw)["id"] for raw in desk.walk("api/calls", from_=low, to=high)}
    assert got == wanted
    assert {
        json.loads(raw)["id"] for raw in desk.walk("api/calls", order_by="created_at", from_=low, to=high)
    } == wanted


def test_agentvoice_filters(counter: Any) -> None:
    """Each filter keeps exactly the rows that say the same."""
    desk = counter("agentvoice", calls=600)
    everything = [json.loads(row.raw) for row in desk.account.rows()]
    one = next(row for row in everything if row["contact_id"] and row["campaign_id"])
    for name in ("phone_number", "contact_id", "agent_id", "campaign_id", "status", "call_type"):
        wanted = {row["id"] for row in everything if row[name] == one[name]}
        got = {json.loads(raw)["id"] for raw in desk.walk("api/calls", **{name: one[name]})}
        assert got == wanted, name
    assert desk.calls(agent_id="nobody").json["data"] == []
    assert desk.violations() == []


def test_agentvoice_payloads(counter: Any) -> None:
    """`fields` and `include` add the documented fields, none twice."""
    desk = counter("agentvoice", calls=60)
    light = rows(desk.calls())[0]
    assert len(light) == 21
    full = rows(desk.calls(fields="full"))[0]
    assert len(full) == 32
    some = rows(desk.calls(include="transcript,metrics"))[0]
    assert set(some) - set(light) == {
        "transcript", "transcript_formatted", "quality_metrics", "latency_metrics", "audio_metrics",
    }  # fmt: skip
    everything = desk.calls(fields="full", include="transcript,metrics,diagnostics,actions")
    assert len(rows(everything)[0]) == 37
    assert everything.body.count(b'"transcript":') == len(rows(everything))


def test_agentvoice_most_recent(counter: Any) -> None:
    """`most_recent` answers one bare object, or 404."""
    desk = counter("agentvoice", calls=200)
    newest = desk.calls(most_recent="true").json
    starts = [json.loads(row.raw)["started_at"] for row in desk.account.rows()]
    assert newest["started_at"] == max(start for start in starts if start)
    last = desk.calls(most_recent="true", order_by="created_at", fields="full")
    assert last.body == next(desk.account.rows(shape="full")).raw
    none = desk.calls(most_recent="true", phone_number="+15550000")
    assert (none.status, none.json) == (404, {"error": "No calls found matching criteria"})


def test_agentvoice_errors(counter: Any) -> None:
    """Wrong parameters are 400 with the documented text."""
    desk = counter("agentvoice")
    assert desk.calls(order_by="mood").json == {"error": "Invalid order_by parameter"}
    assert desk.calls(include="everything").json == {"error": "Invalid include parameter"}
    assert desk.calls(most_recent="perhaps").status == 400
    assert desk.ask("api/calls/nothing", include="x").status == 400


def test_talkpilot_envelope(counter: Any) -> None:
    """Calls and agents come with page, limit, total and pages."""
    desk = counter("talkpilot", calls=400, agents=4)
    kept = desk.agents[0].calls - desk.agents[0].calls // 97
    assert desk.calls(limit=30, page=2).json["pagination"] == {
        "page": 2,
        "limit": 30,
        "total": kept,
        "pages": 4,
    }
    assert desk.ask("v1/agents", limit=3).json["pagination"] == {
        "page": 1,
        "limit": 3,
        "total": 4,
        "pages": 2,
    }


def test_talkpilot_detail_has_more_than_the_list(counter: Any) -> None:
    """The detail adds transcript, recording and score; the transcript is JSON in a string."""
    desk = counter("talkpilot", calls=800)
    agent = desk.agents[0].id
    listed = {row.call_id: json.loads(row.raw) for row in desk.account.rows(agent)}
    turns = 0
    for row in desk.account.rows(agent, "detail"):
        detail = json.loads(row.raw)
        assert set(detail) - set(listed[row.call_id]) == {"transcript", "audio_file_url", "final_score"}
        assert {name: detail[name] for name in listed[row.call_id]} == listed[row.call_id]
        if detail["transcript"] is not None:
            turns += len(json.loads(detail["transcript"]))
        if detail["is_purged"]:
            assert detail["transcript"] is detail["audio_file_url"] is detail["phone_number"] is None
    assert turns > 1000


def test_talkpilot_filters(counter: Any) -> None:
    """done, phone_number, search and include_deleted keep exactly the rows that match."""
    desk = counter("talkpilot", calls=1600)
    agent = desk.agents[0].id
    path = f"v1/agents/{agent}/calls"
    everything = [json.loads(row.raw) for row in desk.account.rows(agent, include_deleted=True)]
    alive = [row for row in everything if not row.get("deleted_at")]
    one = next(row for row in alive if row["phone_number"])

    def expect(kept: list[dict[str, Any]], **query: str) -> None:
        assert [json.loads(raw)["id"] for raw in desk.walk(path, **query)] == [row["id"] for row in kept]

    assert len(everything) - len(alive) == 4
    expect(everything, include_deleted="true")
    expect(alive, include_deleted="false")
    expect([row for row in alive if row["done"] is False], done="false")
    expect(
        [row for row in alive if row["phone_number"] == one["phone_number"]], phone_number=one["phone_number"]
    )
    expect([row for row in alive if "donnerstag" in (row["call_summary"] or "").lower()], search="DONNERSTAG")
    assert desk.violations() == []


@pytest.mark.parametrize("inclusive", [False, True])
def test_talkpilot_times_at_the_edge(counter: Any, inclusive: bool) -> None:
    """`from` and `to` are after and before; a quirk includes the edges."""
    desk = counter("talkpilot", quirks=Quirks(inclusive_edges=inclusive))
    everything = [json.loads(row.raw)["created_at"] for row in desk.account.rows(desk.agents[0].id)]
    low, high = everything[150], everything[20]
    path = "v1/agents/{agent}/calls"
    got = [json.loads(raw)["created_at"] for raw in desk.walk(path, from_=low, to=high)]
    assert got == [at for at in everything if low < at < high or (inclusive and at in {low, high})]


def test_talkpilot_validation(counter: Any) -> None:
    """A wrong query is a VALIDATION_ERROR that names its fields."""
    desk = counter("talkpilot")
    answer = desk.calls(done="maybe", from_="soon", limit="many")
    assert answer.status == 400
    assert answer.json["error"]["code"] == "VALIDATION_ERROR"
    assert set(answer.json["error"]["details"]) == {"done", "from", "limit"}
    assert desk.ask("v1/agents", page=-1).status == 400


def test_bimpe_envelope_and_sort(counter: Any) -> None:
    """`meta` has six keys; sort works by both names of creation, newest first without one."""
    desk = counter("bimpe", calls=200, agents=2)
    meta = desk.calls(limit=30, page=4).json["meta"]
    assert meta == {
        "total_count": 100, "page_count": 4, "current_page": 4, "limit": 30,
        "has_next_page": False, "has_previous_page": True,
    }  # fmt: skip
    newest = [row["id"] for row in rows(desk.calls(limit=100))]
    for name in ("created_on", "created_at"):
        assert [row["id"] for row in rows(desk.calls(limit=100, sort=f"-{name}"))] == newest
        assert [row["id"] for row in rows(desk.calls(limit=100, sort=name))] == newest[::-1]


def test_bimpe_filters(counter: Any) -> None:
    """status, is_test_call and search keep exactly the rows that match; agents are searched by name."""
    desk = counter("bimpe", calls=800, agents=2)
    agent = desk.agents[0].id
    path = f"api/v1/console/agents/{agent}/calls"
    everything = [json.loads(row.raw) for row in desk.account.rows(agent)]

    def expect(kept: list[dict[str, Any]], **query: str) -> None:
        assert kept
        assert [json.loads(raw)["id"] for raw in desk.walk(path, **query)] == [row["id"] for row in kept]

    expect([row for row in everything if row["status"] == "busy"], status="busy")
    expect([row for row in everything if row["is_test_call"]], is_test_call="true")
    number = everything[3]["destination"]
    expect([row for row in everything if number in (row["source"], row["destination"])], search=number)
    found = desk.ask("api/v1/console/agents", search="sales").json["data"]
    assert [agent["id"] for agent in found] == [desk.agents[1].id]


def test_bimpe_validation(counter: Any) -> None:
    """A wrong query is a validation_error whose message is a list."""
    desk = counter("bimpe")
    answer = desk.calls(status="done", is_test_call="yes", sort="mood")
    assert answer.status == 400
    assert answer.json["code"] == "validation_error"
    assert answer.json["message"] == ["sort: choice", "status: choice", "is_test_call: boolean"]
    assert desk.ask("api/v1/console/agents", limit="x").status == 400


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("api_key=sandbox", "credential in the query (api_key)"),
        ("colour=blue", "unknown parameter colour"),
        ("search=+15550100", "'+' of a number not percent-encoded"),
        ("page=1&page=2", "page twice"),
        ("per_page=101", "per_page above 100"),
    ],
)
def test_violations_are_noted(counter: Any, query: str, said: str) -> None:
    """What no document allows is answered and noted."""
    desk = counter("talkover")
    guest = desk.desk.guest({"Authorization": "Bearer sandbox"})
    verdict = desk.desk.judge("GET", ["api", "v1", "calls"], query, guest, now=0.0, wall=0.0)
    assert verdict.reply.status == 200
    assert said in desk.violations()


def test_violations_of_strangers_and_methods(counter: Any) -> None:
    """A credential in the query of a refused request, other methods and naive times are noted too."""
    desk = counter("talkpilot")
    assert desk.ask("v1/agents", headers={}, key="sandbox").status == 401
    guest = desk.desk.guest({"X-API-Key": "sandbox"})
    assert desk.desk.judge("POST", ["v1", "agents"], "", guest, now=0.0, wall=0.0).reply.status == 405
    assert desk.calls(from_="2026-02-01T00:00:00").status == 200
    assert desk.violations() == ["POST agents", "from without a zone", "credential in the query (key)"]


def test_searches_are_kept_within_bounds() -> None:
    """The least recently used search is forgotten when there is no room."""
    found = Found(max_kept=5)
    asked: list[str] = []

    def look_for(name: str) -> list[int]:
        asked.append(name)
        return [1, 2]

    for name in ("a", "b", "a", "c", "a", "b"):
        assert list(found.get(name, partial(look_for, name))) == [1, 2]
    assert asked == ["a", "b", "c", "b"]
