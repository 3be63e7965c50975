"""`Harvester.get` and `Harvester.latest` against the sandbox, whatever it does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harvester.app import Harvester
from harvester.cli.calls import line_of
from harvester.cli.options import ShapeName
from harvester.config import load_config
from harvester.errors import RejectedError, UnsupportedError, UsageError
from harvester.sandbox import (
    PROVIDERS,
    Account,
    FaultRule,
    Faults,
    Quirks,
    Sandbox,
    SandboxConfig,
    open_sandbox,
)

from .exporting import (
    PROMPT,
    StandingClock,
    document,
    source,
    violations_of,
)

NOW = datetime(2026, 4, 1, tzinfo=UTC)
CALLS = 420
GETTING = ("agentvoice", "talkpilot", "bimpe")


def open_harvester(sandbox: Sandbox, *providers: str, **keys: Any) -> Harvester:
    text = document([source(name, sandbox.url, **keys) for name in providers or PROVIDERS])
    config = load_config(text, folder=Path(), environ={}, now=NOW)
    return Harvester(config, clock=StandingClock(NOW), policy=PROMPT)


def newest(
    account: Account, count: int, *, agent: str | None = None, shape: str = "list"
) -> list[tuple[str, bytes]]:
    """Return the newest calls of an account, as they are served."""
    dated = [(row.created_at, row.call_id, row.raw) for row in account.rows(agent, shape)]
    found = [(at, call_id, raw) for at, call_id, raw in dated if at is not None and call_id is not None]
    found.sort(key=lambda row: row[0], reverse=True)
    return [(call_id, raw) for _, call_id, raw in found[:count]]


def shape_of(provider: str) -> str:
    return "list" if provider == "talkover" else "detail"


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(),
        Quirks(order="oldest"),
        Quirks(order="random"),
        Quirks(order="unstable"),
        Quirks(clamp=30, clamp_hidden=True),
        Quirks(clamp=30, bare_array=True),
        Quirks(total="null", more_for_ever=True),
        Quirks(total="off", total_off=-9, duplicates=7),
        Quirks(short_pages=(1,), repeated_pages=(2,)),
        Quirks(times="offset", extra_fields=True, odd_ids=3, wrapped_detail=True),
        Quirks(date_zone_h=14, exclusive_date_to=True),
        Quirks(ignore_times=True, inclusive_edges=True, meta_for_calls=True),
    ],
)
async def test_newest_calls_are_found_whatever_the_server_does(provider: str, quirks: Quirks) -> None:
    """One, several and more than a page of them, each in full and byte for byte."""
    # AgentVoice picks one itself, so that its order cannot be looked at; no call shares its instant with another.
    async with (
        open_sandbox(SandboxConfig(calls=CALLS, tied_calls=0, quirks=quirks)) as sandbox,
        open_harvester(sandbox, provider) as h,
    ):
        account = sandbox.world.account(provider)
        for count in (1, 7, 130):
            if quirks.short_pages and count > 1:
                continue  # what a server hides in an ordered list it does not count cannot be known
            found = await h.latest(provider, count=count)
            wanted = newest(account, count)
            assert [one.record.call_id for one in found] == [call_id for call_id, _ in wanted]
        (one,) = await h.latest(provider)
        assert one.raw.startswith(b"{")
        assert one.record.raw == one.raw.decode()
        assert violations_of(sandbox.stats()) == []


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_call_is_the_providers_own(provider: str) -> None:
    """`latest` gives the detail where there is one, and `get` the same, with and without its agent."""
    async with (
        open_sandbox(SandboxConfig(calls=60, tied_calls=0)) as sandbox,
        open_harvester(sandbox, provider) as h,
    ):
        account = sandbox.world.account(provider)
        ((call_id, raw),) = newest(account, 1, shape=shape_of(provider))
        (found,) = await h.latest(provider)
        assert (found.record.call_id, found.raw) == (call_id, raw)
        assert (found.record.source, found.record.run_id, found.record.fetched_at) == (provider, "", NOW)
        if provider == "talkover":
            with pytest.raises(UnsupportedError):
                await h.get(provider, call_id)
            return
        assert found.record.transcript is not None or found.record.is_purged or provider == "talkpilot"
        for agent_id in (None, found.record.agent_id):
            same = await h.get(provider, call_id, agent_id=agent_id)
            assert same.raw == raw
            assert same.record.transcript == found.record.transcript


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_agent_and_agents_narrow_it(provider: str) -> None:
    """The newest of one agent, and of those that the source names."""
    async with open_sandbox(SandboxConfig(calls=60, tied_calls=0)) as sandbox:
        account = sandbox.world.account(provider)
        last, first = account.agents()[-1].id, account.agents()[0].id
        async with open_harvester(sandbox, provider) as h:
            found = await h.latest(provider, agent_id=last, count=3)
            wanted = newest(account, 3, agent=last)
            assert [one.record.call_id for one in found] == [call_id for call_id, _ in wanted]
            assert {one.record.agent_id for one in found} == {last}
        async with open_harvester(sandbox, provider, agents=[first, last]) as h:
            both = {call_id for agent in (first, last) for call_id, _ in newest(account, 99, agent=agent)}
            wanted = [row for row in newest(account, 60) if row[0] in both][:5]
            found = await h.latest(provider, count=5)
            assert [one.record.call_id for one in found] == [call_id for call_id, _ in wanted]


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["talkover", "agentvoice", "talkpilot"])
async def test_phone_number_narrows_it(provider: str) -> None:
    """The newest calls with a number, in one account with a thousand numbers."""
    async with open_sandbox(SandboxConfig(calls=900)) as sandbox, open_harvester(sandbox, provider) as h:
        calls = await h.latest(provider, count=900)
        number = next(one.record.customer_number for one in reversed(calls) if one.record.customer_number)
        wanted = [one.record.call_id for one in calls if one.record.customer_number == number]
        found = await h.latest(provider, count=9, phone=number)
        assert sorted(one.record.call_id for one in found) == sorted(wanted[:9])
        assert await h.latest(provider, phone="+15550199") == []


@pytest.mark.slow
@pytest.mark.parametrize("days", [0, 3, 20, 300, 3000])
async def test_talkover_is_read_back_until_there_are_calls(days: int) -> None:
    """However long ago the last call was, it is found, in five lists at most where each is a page."""
    until = NOW - timedelta(days=days)
    config = SandboxConfig(calls=90, tied_calls=0, since=until - timedelta(days=30), until=until)
    async with open_sandbox(config) as sandbox, open_harvester(sandbox, "talkover") as h:
        (found,) = await h.latest("talkover")
        assert found.record.call_id == newest(sandbox.world.account("talkover"), 1)[0][0]
        asked = sandbox.stats()["talkover"]["keys"][0]["requests"]
        assert sum(asked.values()) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_damaged_calls_are_told_as_far_as_they_can_be(provider: str) -> None:
    """Half characters, wrong types and missing dates spoil their values alone; what is no call is left out."""
    quirks = Quirks(lone_surrogates=3, wrong_types=4, null_created=5, absent_created=7, no_id=6, no_object=11)
    async with (
        open_sandbox(SandboxConfig(calls=130, tied_calls=0, quirks=quirks)) as sandbox,
        open_harvester(sandbox, provider) as h,
    ):
        account = sandbox.world.account(provider)
        wanted = newest(account, 130)
        found = await h.latest(provider, count=130)
        assert [one.record.call_id for one in found][: len(wanted)] == [call_id for call_id, _ in wanted]
        everything = {row.call_id for row in account.rows() if row.call_id}
        assert {one.record.call_id for one in found} == everything
        for one in found:
            for shape in ShapeName:
                assert json.loads(line_of(one, shape))


async def test_faults_are_lived_through() -> None:
    """A page that fails, is cut short or refused comes the next time; a call that is gone is not there."""
    rules = tuple(
        FaultRule(kind, endpoint=name, times=1)
        for kind in ("503", "reset")
        for name in ("calls", "call", "agent_calls")
    )
    async with (
        open_sandbox(SandboxConfig(calls=40, faults=Faults(rules=rules))) as sandbox,
        open_harvester(sandbox) as h,
    ):
        for provider in PROVIDERS:
            assert len(await h.latest(provider, count=3)) == 3
        for provider in GETTING:
            with pytest.raises(RejectedError, match=f"{provider}: get call: there is no such call"):
                await h.get(provider, "../../agents?x=1")
        with pytest.raises(
            UsageError, match="no source is called 'bimp' in the config; did you mean \"bimpe\""
        ):
            await h.get("bimp", "x")
