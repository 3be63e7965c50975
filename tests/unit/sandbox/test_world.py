"""The made-up accounts: deterministic, ordered, cheap, and served byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox import PROVIDERS, Limits, Overrides, Quirks, SandboxConfig, World
from harvester.sandbox.config import parse_rate
from harvester.sandbox.ledger import DELETED_EVERY, Thinned
from harvester.sandbox.seed import Ids
from harvester.sandbox.stamps import from_us, make_stamp, to_us

AGENT_LISTS = {
    "talkover": "api/v1/agents/{agent}/calls",
    "talkpilot": "v1/agents/{agent}/calls",
    "bimpe": "api/v1/console/agents/{agent}/calls",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_world_repeats_by_seed(provider: str) -> None:
    """The same seed gives the same bytes, another one others."""
    first, again, other = (
        list(World(SandboxConfig(seed=seed, calls=50)).account(provider).rows()) for seed in (1, 1, 2)
    )
    assert first == again
    assert not {row.call_id for row in first} & {row.call_id for row in other}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_world_gives_each_credential_its_own_account(provider: str) -> None:
    """Two credentials share no call."""
    world = World(SandboxConfig(calls=50))
    one, two = (
        {row.call_id for row in world.account(provider, name).rows()} for name in ("sandbox", "sandbox-2")
    )
    assert not one & two


@pytest.mark.parametrize("provider", ["talkover", "talkpilot", "bimpe"])
def test_agent_lists_serve_the_truth(counter: Any, provider: str) -> None:
    """All pages of every agent, put together, are the truth's rows, byte for byte and in order."""
    desk = counter(provider, calls=900, agents=3)
    for agent in desk.agents:
        truth = [row.raw for row in desk.account.rows(agent.id)]
        assert desk.walk(AGENT_LISTS[provider].replace("{agent}", agent.id)) == truth
    assert desk.violations() == []


def test_talkover_account_list_serves_the_truth(counter: Any) -> None:
    """The list of all calls has the agent's object in every row, the agent's own list has not."""
    desk = counter("talkover", calls=900)
    truth = [row.raw for row in desk.account.rows()]
    assert desk.walk("api/v1/calls") == truth
    assert all(b'"agent":{' in raw for raw in truth)
    assert not any(b'"agent":{' in row.raw for row in desk.account.rows(desk.agents[0].id))


@pytest.mark.parametrize("fields", ["light", "full"])
def test_agentvoice_list_serves_the_truth(counter: Any, fields: str) -> None:
    """Both payloads of AgentVoice's list are the truth's, ascending order its reverse."""
    desk = counter("agentvoice", calls=500)
    truth = [row.raw for row in desk.account.rows(shape="list" if fields == "light" else "full")]
    path = "api/calls"
    assert desk.walk(path, fields=fields, order_by="created_at") == truth
    assert desk.walk(path, fields=fields, order_by="created_at", order="asc") == truth[::-1]


def test_details_serve_the_truth(counter: Any) -> None:
    """Every detail holds the truth's detail, byte for byte."""
    for provider, lead in (("talkpilot", "v1/agents"), ("bimpe", "api/v1/console/agents")):
        desk = counter(provider, calls=300, agents=2)
        for agent in desk.agents:
            for row in desk.account.rows(agent.id, "detail", include_deleted=True):
                answer = desk.ask(f"{lead}/{agent.id}/calls/{row.call_id}")
                assert answer.status == 200
                assert row.raw in answer.body
    desk = counter("agentvoice", calls=100)
    for row in desk.account.rows(shape="full"):
        assert desk.ask(f"api/calls/{row.call_id}", fields="full").body == row.raw


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rows_say_what_the_truth_says(provider: str) -> None:
    """Id and creation in the JSON are those of the truth, and creation falls from row to row."""
    created = "created_on" if provider == "bimpe" else "created_at"
    account = World(SandboxConfig(calls=400)).account(provider)
    last = None
    for row in account.rows(account.agents()[1].id):
        read = json.loads(row.raw)
        assert row.created_at is not None
        assert read["id"] == row.call_id
        assert read[created].replace("Z", "+00:00")[:19] == row.created_at.isoformat()[:19]
        assert last is None or row.created_at <= last
        last = row.created_at


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rows_are_full_of_life(provider: str) -> None:
    """Many scripts, nulls, ties in time and several statuses occur within a thousand calls."""
    account = World(SandboxConfig(calls=1000)).account(provider)
    rows = list(account.rows(shape="list" if provider == "talkover" else "detail"))
    text = b"".join(row.raw for row in rows).decode()
    times = [row.created_at for row in rows]
    assert len(set(times)) < len(times) - 100
    if provider != "talkover":
        assert "null" in text
        assert all(sign in text for sign in ("ü", "م", "ש", "न", "您", "お", "요", "т", "\\u", "\\n", "𠀋"))


def test_agents_share_the_calls() -> None:
    """Agents have equal shares, or half in the first, and idle agents have none."""
    world = World(SandboxConfig(calls=1000, agents=6, idle_agents=1, half_in_first=True))
    agents = world.account("bimpe").agents()
    assert [agent.calls for agent in agents] == [500, 125, 125, 125, 125, 0]
    rows = list(world.account("bimpe").rows())
    assert len({row.call_id for row in rows}) == 1000
    ledger = world.account("bimpe").ledger
    assert {ledger.agent_of(call) for call in ledger.calls_of(3)} == {3}


def test_large_accounts_cost_nothing_to_open(counter: Any) -> None:
    """A million calls of ten thousand agents are paged at the far end without walking there."""
    desk = counter("talkover", calls=1_000_000, agents=10_000)
    answer = desk.calls(page=10_000, per_page=100)
    assert len(answer.json["data"]) == 100
    assert desk.ask("api/v1/agents", page=100, per_page=100).json["meta"]["last_page"] == 100


def test_truth_knows_no_such_things() -> None:
    """Unknown providers, agents and shapes are refused."""
    world = World(SandboxConfig(calls=10))
    with pytest.raises(ValueError, match="unknown provider"):
        world.account("nobody")
    with pytest.raises(KeyError):
        list(world.account("bimpe").rows("no-agent"))
    with pytest.raises(ValueError, match="unknown shape"):
        list(world.account("bimpe").rows(shape="round"))
    with pytest.raises(ValueError, match="lists only"):
        list(world.account("talkover").rows(shape="detail"))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_ids_lead_back_to_their_number(key: int, number: int) -> None:
    """An id gives the number it was made of."""
    ids = Ids(key)
    assert ids.number(ids.of(number)) == number


def test_foreign_ids_are_unknown() -> None:
    """A text that only looks like an id finds nothing."""
    ledger = World(SandboxConfig(calls=10)).account("bimpe").ledger
    good = ledger.call_id(3)
    assert ledger.call_number(good) == 3
    assert ledger.call_number("x" + good) is None
    assert ledger.call_number("nonsense") is None
    assert ledger.call_number(ledger.call_id(10)) is None
    assert ledger.agent_number(good) is None


@given(st.integers(0, 4_000_000_000_000_000))
def test_stamps_write_what_datetime_writes(us: int) -> None:
    """Every style is the ISO 8601 of the same instant."""
    plain = from_us(us).replace(tzinfo=None)
    assert to_us(from_us(us)) == us
    assert make_stamp(0, "z")(us) == f'"{plain.isoformat(timespec="seconds")}Z"'
    assert make_stamp(3, "z")(us) == f'"{plain.isoformat(timespec="milliseconds")}Z"'
    assert make_stamp(0, "naive")(us) == f'"{plain.isoformat(timespec="seconds")}"'
    assert make_stamp(3, "micros")(us) == f'"{plain.isoformat(timespec="microseconds")}Z"'
    later = from_us(us + 7_200_000_000).replace(tzinfo=None)
    assert make_stamp(0, "offset")(us) == f'"{later.isoformat(timespec="seconds")}+02:00"'


@given(st.integers(0, 1000))
def test_deleted_calls_are_left_out_by_arithmetic(count: int) -> None:
    """The sequence without deleted calls is the filtered one."""
    calls = range(5, 5 + 3 * count, 3)
    kept = [call for place, call in enumerate(calls) if place % DELETED_EVERY != DELETED_EVERY - 1]
    assert list(Thinned(calls, DELETED_EVERY)) == kept


@given(st.integers(1, 3000), st.integers(0, 200), st.integers(0, 10**9))
def test_creation_never_falls(calls: int, tied: int, seed: int) -> None:
    """Calls are numbered in order of creation, within the range of the config."""
    config = SandboxConfig(calls=calls, tied_calls=tied, seed=seed)
    ledger = World(config).account("agentvoice").ledger
    times = [ledger.created_us(call) for call in range(calls)]
    assert times == sorted(times)
    assert to_us(config.since) <= times[0]
    assert times[-1] < to_us(config.until)


def test_config_refuses_nonsense() -> None:
    """Mistakes in a config are errors when it is made."""
    for wrong in ({"agents": 1, "idle_agents": 1}, {"providers": {"nobody": Overrides()}}, {"calls": -1}):
        with pytest.raises(ValueError, match=r"sandbox needs|unknown provider"):
            SandboxConfig(**wrong)
    with pytest.raises(ValueError, match="zone"):
        SandboxConfig(since=from_us(0).replace(tzinfo=None))
    with pytest.raises(ValueError, match="no limit"):
        Limits(rates=("fast",))
    assert [parse_rate(text) for text in ("20/s", "5/10s", "60/min")] == [(20, 1.0), (5, 10.0), (60, 60.0)]


def test_overrides_apply_to_their_provider_only() -> None:
    """A provider's overrides replace single values, the rest is shared."""
    config = SandboxConfig(calls=7, agents=2, providers={"bimpe": Overrides(calls=3, quirks=Quirks(clamp=1))})
    assert (config.of("bimpe").calls, config.of("bimpe").agents, config.of("bimpe").quirks.clamp) == (3, 2, 1)
    assert (config.of("talkover").calls, config.of("talkover").quirks) == (7, Quirks())
