"""Accounts in which calls come, change and go: what is served is what the history says."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from harvester.sandbox import PROVIDERS, Churn, History, Life, Overrides, Quirks, SandboxConfig, World

WALL = 1_700_000_000.0
# Before `WALL`, so that what is inserted is newer.
PAST: dict[str, Any] = {
    "since": datetime(2023, 10, 1, tzinfo=UTC),
    "until": datetime(2023, 11, 1, tzinfo=UTC),
}
BUSY = Churn(inserts_per_s=30, late_inserts_per_s=5, deletes_per_s=15, changes_per_s=20, purges_per_s=5)
LEADS = {"talkpilot": "v1/agents/{agent}/calls/", "bimpe": "api/v1/console/agents/{agent}/calls/"}
LISTS = {
    "talkover": "api/v1/agents/{agent}/calls",
    "agentvoice": "api/calls",
    "talkpilot": "v1/agents/{agent}/calls",
    "bimpe": "api/v1/console/agents/{agent}/calls",
}
TOTALS = {
    "talkover": ("pagination", "total"),
    "agentvoice": ("pagination", "total"),
    "talkpilot": ("pagination", "total"),
    "bimpe": ("meta", "total_count"),
}


def desk_of(counter: Any, provider: str, churn: Churn = BUSY, **config: Any) -> Any:
    return counter(provider, **{"calls": 600, "churn": churn, **PAST, **config})


def ids(account: Any, agent: str | None = None, **how: Any) -> list[str]:
    return [row.call_id for row in account.rows(agent, **how)]


def walk(desk: Any, at: float, **query: Any) -> list[bytes]:
    """Read all pages of the first agent's list, or of AgentVoice's only one, at one moment."""
    order = {"order_by": "created_at"} if desk.provider == "agentvoice" else {}
    rows: list[bytes] = desk.walk(LISTS[desk.provider], at=at, **order, **query)
    return rows


@pytest.mark.parametrize("provider", PROVIDERS)
def test_lists_serve_what_is_there_at_the_moment(counter: Any, provider: str) -> None:
    """At any moment the pages, put together, are the truth of that moment, and the total counts it."""
    desk = desk_of(counter, provider)
    agent = None if provider == "agentvoice" else desk.agents[0].id
    seen = set()
    for at in (0.0, 0.5, 2.0, 7.25):
        rows = walk(desk, at)
        assert rows == [row.raw for row in desk.account.rows(agent)]
        place, total = TOTALS[provider]
        assert desk.ask(LISTS[provider], at=at).json[place][total] == len(rows)
        seen.add(tuple(rows))
    assert len(seen) == 4
    assert desk.violations() == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_events_follow_from_seed_and_time(counter: Any, provider: str) -> None:
    """Asked often or once, the account has lived through the same; another seed has another story."""
    often, once, other = (desk_of(counter, provider, seed=seed) for seed in (1, 1, 2))
    for step in range(31):
        often.calls(at=step / 10)
    for desk in (once, other):
        desk.calls(at=0.0)
        desk.calls(at=3.0)
    assert often.account.history() == once.account.history() != other.account.history()
    assert list(often.account.rows()) == list(once.account.rows())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rates_are_kept(counter: Any, provider: str) -> None:
    """In ten seconds so many come and go as the rates say, from the first request on."""
    desk = desk_of(counter, provider)
    desk.calls(at=1000.0)
    assert desk.account.history() == History(1000.0, 1000.0, {})
    desk.calls(at=1010.0)
    lives = desk.account.history().lives.values()
    assert abs(sum(life.inserted_at is not None for life in lives) - 350) <= 2
    gone = sum((life.deleted_at is not None) + (life.hidden_at is not None) for life in lives)
    assert abs(gone - 150) <= 1
    changes = sum(len(life.changed_at) for life in lives)
    assert abs(changes - (250 if provider == "talkpilot" else 200)) <= 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_inserted_calls_are_created_at_that_moment(counter: Any, provider: str) -> None:
    """New calls are the newest, in order of their arrival; late ones lie within the range of the data."""
    desk = desk_of(counter, provider, Churn(inserts_per_s=4, late_inserts_per_s=4))
    desk.calls(at=0.0)
    before = set(ids(desk.account))
    desk.calls(at=10.0)
    lives = desk.account.history().lives
    new = [row for row in desk.account.rows() if row.call_id not in before]
    assert {row.call_id for row in new} == set(lives)
    fresh = [row for row in new if row.created_at >= datetime.fromtimestamp(WALL, UTC)]
    late = [row for row in new if row not in fresh]
    assert abs(len(fresh) - 40) <= 1
    assert abs(len(late) - 40) <= 1
    assert all(PAST["since"] <= row.created_at < PAST["until"] for row in late)
    for row in fresh:
        arrived = WALL + (lives[row.call_id].inserted_at or 0.0)
        assert 0 <= arrived - row.created_at.timestamp() < 1
    assert all(
        json.loads(row.raw)["created_on" if provider == "bimpe" else "created_at"][:19]
        == row.created_at.isoformat()[:19]
        for row in new
    )


@pytest.mark.parametrize("provider", LEADS)
def test_details_go_with_their_calls(counter: Any, provider: str) -> None:
    """The detail of an inserted call is served, that of a deleted one is 404."""
    desk = desk_of(counter, provider, agents=1)
    desk.calls(at=0.0)
    desk.calls(at=5.0)
    now = {row.call_id: row.raw for row in desk.account.rows(shape="detail", include_deleted=True)}
    for call, life in desk.account.history().lives.items():
        answer = desk.ask(LEADS[provider] + call, at=5.0)
        assert answer.status == (404 if life.deleted_at else 200)
        assert (call in now) is (life.deleted_at is None)
        assert life.deleted_at or now[call] in answer.body


def test_agentvoice_details_go_with_their_calls(counter: Any) -> None:
    """AgentVoice's get-one answer and its newest call follow, too."""
    desk = desk_of(counter, "agentvoice")
    desk.calls(at=0.0)
    desk.calls(at=5.0)
    for call, life in desk.account.history().lives.items():
        assert desk.ask(f"api/calls/{call}", at=5.0).status == (404 if life.deleted_at else 200)
    newest = desk.calls(at=5.0, most_recent="true", order_by="created_at").json["id"]
    assert newest == next(desk.account.rows()).call_id
    orders = [json.loads(raw) for raw in desk.walk("api/calls", order_by="started_at", order="asc")]
    assert len(orders) == len(ids(desk.account))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_changes_spare_what_names_a_call(provider: str) -> None:
    """A change alters what is said of a call, never its names, numbers or creation; every version is kept."""
    account = World(SandboxConfig(calls=60, churn=Churn(changes_per_s=10), **PAST)).account(provider)
    account.advance(0.0, WALL)
    account.advance(40.0, WALL + 40)
    shape = "list" if provider == "talkover" else "detail"
    lasting = {
        "id", "sid", "call_id", "to", "from", "direction", "created_at", "created_on", "agent_id", "contact_id",
        "phone_number", "source", "destination", "campaign_id", "is_testing", "is_test_call", "customer_name",
    }  # fmt: skip
    present = {row.call_id: row for row in account.rows(shape=shape)}
    differing = set()
    for call, life in account.history().lives.items():
        versions = account.versions(call, shape)
        assert len(versions) == 1 + len(life.changed_at)
        assert call not in present or versions[-1] == present[call]
        first, last = json.loads(versions[0].raw), json.loads(versions[-1].raw)
        assert {name: first.get(name) for name in lasting} == {name: last.get(name) for name in lasting}
        differing |= {name for name in last if first.get(name) != last[name]}
        if "updated_at" in last:
            assert last["updated_at"] >= "2023-11-14T22:13:20Z"
    assert (
        differing
        >= {
            "talkover": {"status", "duration", "updated_at"},
            "agentvoice": {"status", "call_duration", "ended_at"},
            "talkpilot": {"disconnection_reason", "duration", "call_summary", "updated_at"},
            "bimpe": {"status", "duration_seconds", "end_reason"},
        }[provider]
    )


def test_talkpilot_deletes_softly_and_purges(counter: Any) -> None:
    """A share of deleted calls stays with `deleted_at`; purged ones lose what is sensitive."""
    desk = desk_of(counter, "talkpilot", Churn(deletes_per_s=10, soft_deletes=0.5, purges_per_s=10), agents=2)
    path = f"v1/agents/{desk.agents[0].id}/calls"
    desk.calls(at=0.0)
    desk.calls(at=20.0)
    lives = desk.account.history().lives
    kinds = [(life.hidden_at is not None, life.deleted_at is not None) for life in lives.values()]
    assert kinds.count((True, False)) > 60
    assert kinds.count((False, True)) > 60
    listed = {json.loads(row)["id"]: json.loads(row) for row in walk(desk, 20.0)}
    every = {json.loads(row)["id"]: json.loads(row) for row in walk(desk, 20.0, include_deleted="true")}
    assert not any(row.get("deleted_at") for row in listed.values())
    for call, row in every.items():
        life = lives.get(call, Life())
        assert bool(row.get("deleted_at")) is (call not in listed)
        if life.hidden_at is not None:
            assert row["deleted_at"] >= "2023-11-14T22:13:20Z"
        if life.changed_at:
            detail = desk.ask(f"{path}/{call}", at=20.0).json
            assert detail["is_purged"] is True
            assert detail["transcript"] is detail["audio_file_url"] is detail["phone_number"] is None


@pytest.mark.parametrize("provider", ["agentvoice", "talkpilot", "bimpe"])
def test_calls_go_on_for_a_while(provider: str) -> None:
    """Inserted and unfinished calls have no transcript and no recording at first, and get them in the end."""
    churn = Churn(inserts_per_s=2, live_s=30, unfinished=10, ends_after_s=5)
    account = World(SandboxConfig(calls=50, churn=churn, **PAST)).account(provider)
    name = "conversation_logs" if provider == "bimpe" else "transcript"

    def spoken() -> int:
        return sum(bool(json.loads(row.raw)[name]) for row in list(account.rows(shape="detail"))[:20])

    first = [row.call_id for row in account.rows()]
    account.advance(0.0, WALL)
    account.advance(6.0, WALL + 6)
    assert abs(len(ids(account)) - 60) <= 1
    assert len(set(ids(account)) - set(first)) >= 9
    fresh = [row for row in account.rows(shape="detail") if row.call_id not in first]
    assert not any(json.loads(row.raw)[name] for row in fresh)
    account.advance(36.0, WALL + 36)
    done = {row.call_id for row in fresh}
    assert any(json.loads(row.raw)[name] for row in account.rows(shape="detail") if row.call_id in done)
    assert sum(bool(life.changed_at) for life in account.history().lives.values()) >= 18
    account.advance(1000.0, WALL + 1000)
    assert account.history().last_at == 1000.0
    assert spoken() > 0


def test_an_unfinished_call_may_change_or_go_first(counter: Any) -> None:
    """A call that was changed or deleted before its end is not touched by the end."""
    churn = Churn(live_s=50, unfinished=40, changes_per_s=2, deletes_per_s=1, ends_after_s=40)
    desk = desk_of(counter, "talkover", churn, calls=40)
    assert {row["status"] for row in desk.calls(at=0.0, per_page=100).json["data"]} == {"in-progress"}
    desk.calls(at=60.0)
    assert "in-progress" not in {row["status"] for row in desk.calls(at=60.0, per_page=100).json["data"]}
    for life in desk.account.history().lives.values():
        assert not life.deleted_at or all(at < life.deleted_at for at in life.changed_at)


def test_nothing_happens_after_the_end(counter: Any) -> None:
    """With `ends_after_s` the account comes to rest."""
    desk = desk_of(counter, "talkover", msgspec.structs.replace(BUSY, ends_after_s=2.0))
    for at in (0.0, 2.0):
        desk.calls(at=at)
    rest = desk.account.history().lives
    desk.calls(at=500.0)
    assert desk.account.history().lives == rest
    assert rest


@pytest.mark.parametrize("provider", PROVIDERS)
def test_history_tells_what_existed_throughout(counter: Any, provider: str) -> None:
    """Calls that existed throughout are those found at every moment in between."""
    desk = desk_of(counter, provider, calls=90)
    desk.calls(at=0.0)
    found = []
    for step in range(9):
        desk.calls(at=1 + step / 4)
        found.append(set(ids(desk.account)))
    desk.calls(at=9.0)
    throughout = {row.call_id for row in desk.account.rows_throughout(1.0, 3.0)}
    assert throughout <= set.intersection(*found)
    # Between two looks at a list a call cannot come and go.
    assert throughout >= set.intersection(*found) - {
        call for call, life in desk.account.history().lives.items() if not life.existed(1.0, 3.0)
    }
    assert any(life.inserted_at and call in throughout for call, life in desk.account.history().lives.items())
    agent = desk.agents[1].id
    assert {row.call_id for row in desk.account.rows_throughout(9.0, 9.0, agent)} == set(
        ids(desk.account, agent)
    )
    everything = desk.account.rows_throughout(9.0, 9.0, agent, include_deleted=True)
    assert {row.call_id for row in everything} == set(ids(desk.account, agent, include_deleted=True))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_filters_see_the_present(counter: Any, provider: str) -> None:
    """A search is made anew when something has changed, and an answer is never taken from the cache."""
    desk = desk_of(counter, provider, cache_mb=1, agents=1)
    name, value = {
        "talkover": ("status", "busy"),
        "agentvoice": ("status", "no-answer"),
        "talkpilot": ("search", "donnerstag"),
        "bimpe": ("status", "busy"),
    }[provider]
    field = "call_summary" if provider == "talkpilot" else name
    for at in (0.0, 30.0):
        got = walk(desk, at, **{name: value})
        rows = desk.account.rows(None if provider == "agentvoice" else desk.agents[0].id)
        kept = [row.raw for row in rows if value in str(json.loads(row.raw)[field]).lower()]
        assert got == kept
        assert got


def test_talkpilot_times_see_what_is_inserted(counter: Any) -> None:
    """A range of time is cut out of what is there now."""
    desk = desk_of(counter, "talkpilot", agents=1)
    desk.calls(at=0.0)
    low, high = "2023-10-05T00:00:00Z", "2023-10-20T00:00:00Z"
    got = [json.loads(row)["created_at"] for row in walk(desk, 20.0, from_=low, to=high)]
    every = [json.loads(row.raw)["created_at"] for row in desk.account.rows()]
    assert got == [at for at in every if low < at < high]
    assert sum(life.inserted_at is not None for life in desk.account.history().lives.values()) > 600


def test_large_accounts_stay_cheap(counter: Any) -> None:
    """A page in the middle of a million calls is found without walking there, whatever has happened."""
    desk = desk_of(counter, "talkover", calls=1_000_000, agents=1000)
    desk.calls(at=0.0)
    answer = desk.calls(at=20.0, page=5000, per_page=100)
    assert abs(answer.json["pagination"]["total"] - 1_000_400) <= 3
    assert len(answer.json["data"]) == 100


def test_an_account_may_run_empty(counter: Any) -> None:
    """When everything is deleted nothing more can be, changed or purged."""
    churn = Churn(deletes_per_s=10, soft_deletes=0.9, changes_per_s=1, purges_per_s=3)
    desk = desk_of(counter, "talkpilot", churn, calls=20, agents=1)
    desk.calls(at=0.0)
    assert desk.calls(at=30.0).json["pagination"]["total"] == 0
    assert ids(desk.account, include_deleted=True) == []
    assert len(list(desk.account.rows_throughout(0.0, 0.0))) == 20


@pytest.mark.parametrize("provider", PROVIDERS)
def test_damage_reaches_inserted_calls(counter: Any, provider: str) -> None:
    """Quirks of rows and of paging go on while calls come and go."""
    quirks = Quirks(no_id=9, odd_ids=7, duplicates=11, times="micros", order="oldest")
    desk = desk_of(counter, provider, quirks=quirks, pretty=True)
    desk.calls(at=0.0)
    answer = desk.calls(at=20.0)
    assert answer.status == 200
    place, total = TOTALS[provider]
    agent = None if provider in {"talkover", "agentvoice"} else desk.agents[0].id
    count = len(ids(desk.account, agent))
    assert answer.json[place][total] == count + count // 11
    known = [row.call_id for row in desk.account.rows(agent) if row.call_id]
    assert all(desk.account.ledger.call_number(call) is not None for call in known)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_churn_nothing_happens(counter: Any, provider: str) -> None:
    """There is no history, and every call exists throughout in one version."""
    desk = counter(provider, calls=300)
    before = list(desk.account.rows())
    desk.calls(at=1e9)
    assert list(desk.account.rows()) == before
    assert desk.account.history() == History(None, None, {})
    throughout = list(desk.account.rows_throughout(0.0, 1e9))
    assert sorted(throughout) == sorted(before)
    assert [row.raw for row in desk.account.versions(before[0].call_id)] == [before[0].raw]
    with pytest.raises(KeyError):
        desk.account.versions("nothing")


def test_churn_belongs_to_its_provider() -> None:
    """Overrides let one provider live and the others rest."""
    config = SandboxConfig(calls=9, providers={"bimpe": Overrides(churn=Churn(inserts_per_s=1))}, **PAST)
    world = World(config)
    for provider in PROVIDERS:
        account = world.account(provider)
        account.advance(0.0, WALL)
        account.advance(10.0, WALL + 10)
        assert (len(ids(account)) > 9) is (provider == "bimpe")
    with pytest.raises(KeyError):
        world.account("bimpe").versions("nothing")


@pytest.mark.parametrize(
    "wrong", [{"inserts_per_s": -1}, {"soft_deletes": 1.5}, {"unfinished": 3}, {"live_s": -0.5}]
)
def test_churn_refuses_nonsense(wrong: dict[str, Any]) -> None:
    """Mistakes are errors when the config is made."""
    with pytest.raises(ValueError, match=r"churn needs|unfinished calls need"):
        Churn(**wrong)
