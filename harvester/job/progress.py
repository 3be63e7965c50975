"""How far the lanes of a run are, for whoever looks."""

from __future__ import annotations

from datetime import timedelta

from harvester.clock import Clock

from .lane import Lane
from .report import ProgressState, SourceProgress

SMOOTHING_S = 5.0
"""The rate shown is that of about the last so many seconds."""

BUDGET_SHOWN_S = 30.0
"""From so long on a wait for a limit that is used up is shown as a pause; shorter ones come all the time."""

_ENDS: dict[str, ProgressState] = {"failed": "failed", "interrupted": "waiting"}


class Progress:
    """Looks at lanes; each look updates the rates.

    Args:
        lanes: The sources.
        clock: The time that rates go by.
    """

    def __init__(self, lanes: list[Lane], clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock
        self._looked_at = clock.monotonic()
        self._before = [lane.written for lane in lanes]
        self._rates: list[float | None] = [None] * len(lanes)

    def look(self) -> list[SourceProgress]:
        """Return how far each source is, in the order of the config."""
        now = self._clock.monotonic()
        passed_s, self._looked_at = now - self._looked_at, now
        rows: list[SourceProgress] = []
        for index, lane in enumerate(self._lanes):
            fresh, self._before[index] = lane.written - self._before[index], lane.written
            rate = _smoothed(self._rates[index], fresh, passed_s)
            self._rates[index] = rate
            rows.append(self._row(lane, rate or 0.0))
        return rows

    def _row(self, lane: Lane, rate: float) -> SourceProgress:
        paused_s = _paused_s(lane)
        state = _state(lane, paused_s)
        expected = lane.expected
        return SourceProgress(
            name=lane.account.source.name,
            provider=lane.account.provider.capabilities.name,
            state=state,
            written=lane.written,
            expected=expected,
            rate=rate,
            requests=lane.account.requests,
            paused_until=self._clock.now() + timedelta(seconds=paused_s) if state == "paused" else None,
            eta_s=_eta_s(lane, expected, rate, paused_s),
        )


def _smoothed(rate: float | None, fresh: int, passed_s: float) -> float | None:
    if passed_s <= 0:
        return rate
    measured = fresh / passed_s
    if rate is None:
        return measured
    weight = min(passed_s / SMOOTHING_S, 1.0)
    return rate + (measured - rate) * weight


def _paused_s(lane: Lane) -> float:
    gate = lane.account.gate
    held_s = gate.held_s
    return held_s if held_s >= BUDGET_SHOWN_S else gate.paused_s


def _state(lane: Lane, paused_s: float) -> ProgressState:
    if lane.outcome is not None:
        return _ENDS.get(lane.outcome, "done")
    if paused_s > 1 and not lane.in_flight:
        return "paused"
    if not lane.account.requests:
        return "waiting"
    return "running" if lane.stored else "listing agents"


def _eta_s(lane: Lane, expected: int | None, rate: float, paused_s: float) -> float | None:
    """Return what is left by the rate of late, but no less than the limit allows."""
    if expected is None or lane.outcome is not None:
        return None
    left = max(expected - lane.written, 0)
    by_rate = left / rate if rate > 0 else None
    limits = [left / lane.page_size / limit.per_second for limit in lane.account.gate.rates]
    by_limit = max(limits, default=0.0)
    if by_rate is None and not limits:
        return None
    return max(by_rate or 0.0, by_limit) + paused_s
