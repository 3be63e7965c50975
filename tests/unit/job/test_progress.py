"""How far a run is, for whoever looks."""

from __future__ import annotations

from typing import Any, cast

import pytest

from harvester.errors import RateLimitError
from harvester.fetch import Account
from harvester.job.lane import Lane
from harvester.job.progress import Progress
from harvester.model import Rate
from harvester.providers import get_provider
from harvester.testing import FakeClock
from harvester.transport.gate import Gate

from .apis import source


class Sight:
    """What can be seen of a lane."""

    page_size = 100

    def __init__(self, clock: FakeClock, *, rates: tuple[Rate, ...] = ()) -> None:
        self.account = Account(source(), get_provider("bimpe"), Gate(clock, rates))
        self.outcome: str | None = None
        self.in_flight = 0
        self.written = 0
        self.written_now = 0
        self.expected: int | None = None
        self.stored: dict[int, Any] = {}

    def write(self, count: int) -> None:
        self.written += count
        self.written_now += count


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def looking(clock: FakeClock, sight: Sight) -> Progress:
    return Progress([cast("Lane", sight)], clock)


async def test_states_of_a_source(clock: FakeClock) -> None:
    """It waits, lists its agents, runs, is paused by its provider, and ends."""
    sight = Sight(clock)
    progress = looking(clock, sight)
    states = [progress.look()[0].state]
    sight.account.requests = 1
    states.append(progress.look()[0].state)
    sight.stored[1] = None
    states.append(progress.look()[0].state)
    await sight.account.gate.spend()
    sight.account.gate.settle(error=RateLimitError("slow", retry_after_s=90.0))
    paused = progress.look()[0]
    states.append(paused.state)
    for outcome in ("complete", "gaps", "failed"):
        sight.outcome = outcome
        states.append(progress.look()[0].state)
    assert states == ["waiting", "listing agents", "running", "paused", "done", "done", "failed"]
    assert paused.paused_until is not None
    assert (paused.paused_until - clock.now()).total_seconds() == 90


def test_rate_is_that_of_late(clock: FakeClock) -> None:
    """The first look measures, later ones follow with the inertia of some seconds; two at once change nothing."""
    sight = Sight(clock)
    progress = looking(clock, sight)
    assert progress.look()[0].rate == 0
    rates = []
    for count in (100, 100, 0, 0, 0):
        clock.advance(2)
        sight.write(count)
        rates.append(progress.look()[0].rate)
    assert rates[:2] == [50.0, 50.0]
    assert rates[1] > rates[2] > rates[3] > rates[4] > 0
    assert progress.look()[0].rate == rates[4]
    clock.advance(60)
    assert progress.look()[0].rate == 0


def test_time_left_is_of_the_rate_and_the_limit(clock: FakeClock) -> None:
    """What is left by the rate of late, but no less than the limit allows; unknown where either is."""
    sight = Sight(clock, rates=(Rate(1, 10.0),))
    progress = looking(clock, sight)
    assert progress.look()[0].eta_s is None
    sight.expected = 1_100
    clock.advance(1)
    sight.write(100)
    assert progress.look()[0].eta_s == pytest.approx(100, abs=20)
    sight.outcome = "complete"
    assert progress.look()[0].eta_s is None


def test_time_left_is_unknown_without_rate_and_limit(clock: FakeClock) -> None:
    """Nothing written yet and no limit known: nobody can say."""
    sight = Sight(clock)
    sight.expected = 100
    assert looking(clock, sight).look()[0].eta_s is None
