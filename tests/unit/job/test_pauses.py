"""Long pauses, on a clock that does not wait: shown, kept, cut short, and gone on with in another run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from harvester.job.report import Report, SourceProgress
from harvester.model import Rate, Source
from harvester.testing import reply

from .apis import Api, Bench, source
from .servers import calls

FAST = Rate(10**9, 1.0)
LENGTHS = pytest.mark.parametrize("pause_s", [300.0, pytest.param(3600.0, marks=pytest.mark.slow)])


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **apis: Bench(tmp_path / "out", **apis)


async def _watched(
    b: Bench, *sources: Source, stop_after_s: float | None = None
) -> tuple[Report, list[Sequence[SourceProgress]]]:
    """Export and look now and then, as a view does; stop as a signal does."""
    seen: list[Sequence[SourceProgress]] = []

    async def watch() -> None:
        for _ in range(2_000):
            await b.clock.sleep(20)
            seen.append(harvester.progress())
            if stop_after_s is not None and b.clock.monotonic() >= stop_after_s:
                harvester.stop("a test")
                return

    async with b.open(*sources) as harvester, anyio.create_task_group() as beside:
        beside.start_soon(watch)
        report = await harvester.export(sink=b.output)
        beside.cancel_scope.cancel()
    return report, seen


@LENGTHS
async def test_limit_that_is_used_up_is_shown_and_waited_for(
    bench: Callable[..., Bench], pause_s: float
) -> None:
    """A limit of an hour that is used up is told as a pause with its end; it is never exceeded, and all calls come."""
    b = bench(sales=Api("bimpe", {"a": calls(1_100)}))
    report, seen = await _watched(b, source(rates=(FAST, Rate(5, pause_s))))
    assert (report.outcome, report.totals.throttled, len(b.ids())) == ("complete", 0, 1_100)
    assert b.clock.monotonic() > 2 * pause_s
    sent = b.transport.sent_at
    assert all(late - early >= pause_s for early, late in zip(sent, sent[5:], strict=False))
    paused = [row for rows in seen for row in rows if row.state == "paused"]
    assert len(paused) > len(seen) / 2
    assert len({row.paused_until for row in paused}) == 2


@LENGTHS
async def test_pause_the_provider_asks_for_is_shown_and_holds_no_other(
    bench: Callable[..., Bench], pause_s: float
) -> None:
    """One source is paused for the hour that its 429 names, the other is done meanwhile."""
    slow, fast = Api("bimpe", {"a": calls(300)}), Api("bimpe", {"a": calls(300)})
    slow.fault = lambda _t, _r, n: (
        reply({}, status=429, headers={"Retry-After": f"{pause_s:.0f}"}) if n == 2 else None
    )
    b = bench(slow=slow, fast=fast)
    report, seen = await _watched(b, source(name="slow"), source(name="fast", key="other"))
    assert (report.outcome, report.totals.written) == ("complete", 600)
    states = [tuple(row.state for row in rows) for rows in seen]
    assert states.count(("paused", "done")) >= len(states) - 2
    assert pause_s <= max(b.transport.sent_at) < pause_s + 10


async def test_dead_source_holds_up_no_other(bench: Callable[..., Bench]) -> None:
    """One that answers nothing but errors is given up and named; the other's requests never wait for it."""
    dead, well = Api("bimpe", {"a": calls(300)}), Api("bimpe", {"a": calls(2_000)})
    dead.fault = lambda *_: reply({}, status=503)
    b = bench(dead=dead, well=well)
    asked_at: list[float] = []
    well.fault = lambda *_: asked_at.append(b.clock.monotonic())
    report = await b.export(source(name="dead"), source(name="well", key="other"))
    assert [one.outcome for one in report.sources] == ["failed", "complete"]
    assert len(b.ids("well")) == 2_000
    assert max(late - early for early, late in pairwise(asked_at)) < 1


@LENGTHS
@pytest.mark.parametrize("is_asked_for", [True, False], ids=["a pause", "a budget"])
async def test_pause_is_interruptible_and_goes_on_in_the_next_run(
    bench: Callable[..., Bench], pause_s: float, *, is_asked_for: bool
) -> None:
    """Stopped in the middle of the hour an export ends at once; the next one waits the rest of it, and no more."""
    api = Api("bimpe", {"a": calls(1_000)})
    rates = () if is_asked_for else (FAST, Rate(6, pause_s))
    if is_asked_for:
        api.fault = lambda _t, _r, n: (
            reply({}, status=429, headers={"Retry-After": f"{pause_s:.0f}"}) if n == 7 else None
        )
    b = bench(sales=api)
    report, _ = await _watched(b, source(rates=rates), stop_after_s=pause_s / 3)
    assert report.outcome == "interrupted"
    assert b.clock.monotonic() < pause_s / 2
    before = len(api.asked)
    report, _ = await _watched(b, source(rates=rates))
    assert (report.outcome, sorted(b.ids())) == ("complete", sorted(call.id for call in calls(1_000)))
    assert b.transport.sent_at[before] == pytest.approx(pause_s, abs=10)
    assert len(api.asked) == 11 + is_asked_for
