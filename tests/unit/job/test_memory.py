"""What gates have spent, across runs of one output."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from harvester.errors import RateLimitError
from harvester.fetch import Account
from harvester.job.memory import UNSEEN_S, GateMemory
from harvester.journal import Journal
from harvester.journal.gates import spent_by
from harvester.model import Rate, Secret, Source
from harvester.providers import get_provider
from harvester.testing import START, FakeClock
from harvester.transport.gate import Gate

HOUR = Rate(3, 3600.0)


def account(clock: FakeClock, name: str, gate: Gate | None = None) -> Account:
    """An account whose pace is too fast to matter, with three requests an hour."""
    source = Source(
        name=name, provider="bimpe", base_url="http://127.0.0.1:9", credentials={"api_key": Secret("sandbox")}
    )
    return Account(source, get_provider("bimpe"), gate or Gate(clock, (Rate(10**9, 1.0), HOUR)))


async def send(one: Account, times: int) -> None:
    for _ in range(times):
        await one.gate.spend()
        one.gate.settle(one.gate.sent())


async def run(root: Path, clock: FakeClock, one: Account, times: int, *, was_killed: bool = False) -> float:
    """Send in a run of its own, and return how long the next request has to wait then."""
    journal = await Journal.open(root, holder="test")
    try:
        memory = GateMemory(clock)
        await memory.open([one], journal, was_killed=was_killed)
        await send(one, times)
        wait_s = one.gate.wait_s()
        await memory.save()
    finally:
        await journal.aclose()
    return wait_s


async def test_budget_of_an_hour_is_not_new_after_a_restart(tmp_path: Path) -> None:
    """Two of three were sent before: one is left, and the next waits until the oldest is an hour old."""
    clock = FakeClock()
    assert await run(tmp_path, clock, account(clock, "a"), 2) == 0
    later = FakeClock(START + timedelta(minutes=10))
    wait_s = await run(tmp_path, later, account(later, "a"), 1)
    assert 2_990 < wait_s <= 3_000.1


async def test_budget_is_whole_again_after_its_hour(tmp_path: Path) -> None:
    """What is older than the window counts no more."""
    clock = FakeClock()
    await run(tmp_path, clock, account(clock, "a"), 3)
    later = FakeClock(START + timedelta(minutes=61))
    assert await run(tmp_path, later, account(later, "a"), 2) == 0


async def test_key_of_two_sources_has_one_account(tmp_path: Path) -> None:
    """What one of them sent counts for the other, whichever stands first in the config."""
    clock = FakeClock()
    await run(tmp_path, clock, account(clock, "a"), 3)
    later = FakeClock(START + timedelta(minutes=1))
    second = account(later, "b")
    journal = await Journal.open(tmp_path, holder="test")
    accounts = [second, account(later, "a", second.gate)]
    await GateMemory(later).open(accounts, journal, was_killed=False)
    await journal.aclose()
    assert second.gate.wait_s() > 3_500


async def test_killed_run_may_have_sent_what_it_did_not_enter(tmp_path: Path) -> None:
    """As many as the limit allows in the time between two entries count as sent."""
    clock = FakeClock()
    gate = Gate(clock, (Rate(4, 1.0), Rate(10, 3600.0)))
    await run(tmp_path, clock, account(clock, "a", gate), 1)
    later = FakeClock(START + timedelta(seconds=30))
    gate = Gate(later, (Rate(4, 1.0), Rate(10, 3600.0)))
    journal = await Journal.open(tmp_path, holder="test")
    await GateMemory(later).open([account(later, "a", gate)], journal, was_killed=True)
    await journal.aclose()
    assert UNSEEN_S * 4 == 2
    assert [count.wait_s(later.monotonic()) > 0 for count in gate._counts] == [False]
    assert len(gate._counts[0]._answered_at) == 3


async def test_second_export_of_one_object_counts_nothing_twice(tmp_path: Path) -> None:
    """A gate that lives on knows what it sent; the journal's account of that is not added to it."""
    clock = FakeClock()
    one, memory = account(clock, "a"), GateMemory(clock)
    for _ in range(2):
        journal = await Journal.open(tmp_path, holder="test")
        await memory.open([one], journal, was_killed=False)
        await send(one, 1)
        await memory.save()
        await journal.aclose()
        clock.advance(60)
    assert one.gate.wait_s() == 0


async def test_pause_outlasts_its_run(tmp_path: Path) -> None:
    """The hour that a refusal names holds for the next run too, whether the gate counts anything or not."""
    clock = FakeClock()
    first = account(clock, "a", Gate(clock, ()))
    await first.gate.spend()
    first.gate.settle(error=RateLimitError("slow", retry_after_s=3600.0))
    await run(tmp_path, clock, first, 0)
    later = FakeClock(START + timedelta(minutes=20))
    wait_s = await run(tmp_path, later, account(later, "a", Gate(later, ())), 0)
    assert wait_s == pytest.approx(2_400, abs=1)


async def test_pause_is_entered_once(tmp_path: Path) -> None:
    """An hour's pause is not written again with each look; a longer one that follows is."""
    clock = FakeClock()
    one, memory, entered = account(clock, "a", Gate(clock, ())), GateMemory(clock), []
    journal = await Journal.open(tmp_path, holder="test")
    await memory.open([one], journal, was_killed=False)
    for pause_s in (1.0, 3600.0, 3600.0, 7200.0):
        one.gate.settle(error=RateLimitError("slow", retry_after_s=pause_s))
        await memory.save()
        entered.append(await journal.run(spent_by, ["a"], clock.now()))
        clock.advance(0.5)
    await journal.aclose()
    assert [until for _, until in entered] == [
        None,
        *[START + timedelta(seconds=0.5 + 3600.0)] * 2,
        START + timedelta(seconds=1.5 + 7200.0),
    ]
