"""Who may send now: pauses, counts and what several sources with one key share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import RateLimitError, ServerError
from harvester.model import Rate
from harvester.testing import FakeClock
from harvester.transport.gate import Count, Gate
from harvester.transport.hints import Hint


async def send(gate: Gate, clock: FakeClock, *, takes_s: float = 0.0, **answer: object) -> float:
    """Wait for the gate, send, and settle; return when it was sent."""
    while (wait_s := gate.wait_s()) > 0:
        await clock.sleep(wait_s)
    sent_at = clock.monotonic()
    await gate.spend()
    sent = gate.sent()
    await clock.sleep(takes_s)
    gate.settle(sent, **answer)  # type: ignore[arg-type]
    return sent_at


async def test_refusal_closes_the_gate_for_as_long_as_it_names() -> None:
    """Nobody sends before the wait is over, and the pause can be shown; an answer that got through ends it."""
    clock = FakeClock()
    gate = Gate(clock, ())
    await send(gate, clock, error=RateLimitError("slow", retry_after_s=3600.0))
    assert (gate.paused_s, gate.throttled) == (3600.0, 1)
    assert await send(gate, clock) == 3600.0
    assert gate.paused_s == 0


async def test_limit_that_is_used_up_holds_the_gate() -> None:
    """Until when an hour's budget holds can be shown like a pause, though nobody asked for one."""
    clock = FakeClock()
    gate = Gate(clock, (Rate(10**9, 1.0), Rate(3, 3600.0)))
    assert gate.held_s == 0
    for _ in range(3):
        await send(gate, clock, takes_s=1.0)
    assert gate.held_s == pytest.approx(3598.0)
    assert gate.paused_s == 0
    gate.settle(error=RateLimitError("slow", retry_after_s=7200.0))
    assert gate.held_s == gate.paused_s == 7200.0


async def test_unlimited_still_keeps_a_pause() -> None:
    """`unlimited` means that nothing is spaced, not that a refusal is ignored; headers are."""
    clock = FakeClock()
    gate = Gate(clock, (), documented=(Rate(1, 3600.0),))
    for _ in range(50):
        assert await send(gate, clock, hint=Hint(60, 0, 60.0)) == 0.0
    await send(gate, clock, error=RateLimitError("slow", retry_after_s=9.0))
    assert await send(gate, clock) >= 9.0


async def test_refusal_that_names_nothing_closes_the_gate_longer_each_time() -> None:
    """Without a wait the pause is short, and doubles as long as nothing gets through."""
    clock = FakeClock()
    gate = Gate(clock, ())
    sent = [await send(gate, clock, error=RateLimitError("slow")) for _ in range(12)]
    waits = [after - before for before, after in pairwise(sent)]
    assert waits == sorted(waits)
    assert 0 < waits[0] < 1
    assert 30 <= waits[-1] <= 60


async def test_error_of_another_kind_closes_nothing() -> None:
    """A server that fails is the request's matter, not that of all with this key."""
    clock = FakeClock()
    gate = Gate(clock, ())
    await send(gate, clock, error=ServerError("busy", status=503, retry_after_s=60.0))
    assert gate.wait_s() == 0


async def test_refusals_in_flight_do_not_add_up() -> None:
    """Requests that were refused together close the gate once, for the longest of their waits."""
    clock = FakeClock()
    gate = Gate(clock, ())
    for _ in range(5):
        await gate.spend()
    for wait_s in (3.0, 9.0, 1.0, 9.0, 2.0):
        gate.settle(error=RateLimitError("slow", retry_after_s=wait_s))
    assert gate.paused_s == 9.0


def arrivals(counts: Sequence[Count], latencies: Sequence[float], askers: int) -> list[float]:
    """Send as soon as all counts allow; return when the server saw each request, somewhere on its way."""
    now, seen, on_way = 0.0, list[float](), list[float]()
    for number, latency_s in enumerate(latencies):
        while (wait_s := max(count.wait_s(now) for count in counts)) > 0 or len(on_way) == askers:
            next_at = min(on_way, default=now + wait_s)
            now = next_at if len(on_way) == askers else min(next_at, now + wait_s)
            for answered_at in [at for at in on_way if at <= now]:
                on_way.remove(answered_at)
                for count in counts:
                    count.settle(now)
        for count in counts:
            count.spend()
        seen.append(now + latency_s * (number % 3) / 2)
        on_way.append(now + latency_s)
    return sorted(seen)


@given(st.integers(1, 12), st.integers(13, 25), st.lists(st.floats(0, 30), max_size=60), st.integers(1, 6))
def test_long_windows_are_never_exceeded(few: int, many: int, latencies: list[float], askers: int) -> None:
    """However long answers take, and wherever on their way the server counts them, no window holds too many."""
    rates = (Rate(few, 60.0), Rate(many, 600.0))
    seen = arrivals([Count(rate) for rate in rates], latencies, askers)
    for rate in rates:
        for first, last in zip(seen, seen[rate.limit :], strict=False):
            assert last - first >= rate.period_s - 1e-6


@given(st.floats(0, 1e6), st.floats(1e-3, 1e5))
def test_count_that_is_full_names_a_wait(answered_at: float, period_s: float) -> None:
    """At no moment is a request that still counts told as a wait of nothing, whatever sums are rounded to."""
    count = Count(Rate(1, period_s))
    count.spend()
    count.settle(answered_at)
    now = answered_at + count.wait_s(answered_at)
    while (wait_s := count.wait_s(now)) > 0:
        now = max(now + wait_s, math.nextafter(now, math.inf))
    assert now - answered_at == pytest.approx(period_s, abs=1e-6)
    count.spend()
    assert count.wait_s(now) > 0


async def test_long_window_may_be_used_at_once() -> None:
    """An hour's budget is not spread over the hour: a job within it waits for nothing."""
    clock = FakeClock()
    gate = Gate(clock, (Rate(1_000_000, 0.001), Rate(40, 3600.0)))
    assert {await send(gate, clock) for _ in range(40)} == {0.0}
    assert gate.wait_s() == 3600.0


def test_count_forgets_after_a_period() -> None:
    """A request keeps its place until one period after its answer; with all of them on their way that is not known."""
    count = Count(Rate(2, 10.0))
    count.spend()
    count.spend()
    assert 0 < count.wait_s(0.0) < 1
    count.settle(4.0)
    assert count.wait_s(5.0) == 9.0
    assert count.wait_s(14.0) == 0.0


async def test_what_an_earlier_run_sent_is_remembered() -> None:
    """An hour's budget does not start anew because the process did."""
    clock = FakeClock()
    gate = Gate(clock, (Rate(1_000_000, 0.001), Rate(3, 3600.0)))
    assert gate.memory_s == 3600.0
    gate.remember([5000.0, 3000.0, 600.0, 1.0], paused_s=7.0)
    assert gate.wait_s() == 600.0
    assert gate.paused_s == 7.0


async def test_sources_with_one_key_share_its_budget() -> None:
    """The stricter of two limits for the same window holds, and each window that one of them names."""
    clock = FakeClock()
    gate = Gate(clock, (Rate(100, 60.0),))
    gate.tighten((Rate(10, 60.0), Rate(15, 3600.0)))
    gate.tighten((Rate(50, 60.0),))
    assert gate.rates == (Rate(10, 60.0), Rate(15, 3600.0))


async def test_configured_limits_take_the_place_of_documented_ones() -> None:
    """What the user says holds; where nothing is said the documents do; the shortest window comes first."""
    documented = (Rate(1000, 3600.0), Rate(60, 60.0))
    assert Gate(FakeClock(), None, documented).rates == documented[::-1]
    assert Gate(FakeClock(), (Rate(5, 1.0),), documented).rates == (Rate(5, 1.0),)
    assert Gate(FakeClock(), (), documented).rates == ()
