"""The shortest limit, spaced evenly."""

from __future__ import annotations

from harvester.model import Rate

SLOW_PER_S = 30.0
"""Up to this rate a bucket of about one never lets too many into a second; above it timers are too coarse for one at a
time, and a bucket of two at 0.95 never did (measured at a server that counts)."""

CATCH_UP = 0.01
MOST_CATCH_UP = 0.2
"""A timer that is late loses its time for good in a bucket of one: 20 a second became 18.7 beside other work. So it
holds a third of the margin more, at most a fifth of a request."""

SLOW_SHARE = 0.97
FAST_SHARE = 0.95


class Pace:
    """The shortest limit, spaced evenly by aiolimiter's leaky bucket.

    The bucket decides; when to look at it again is reckoned here, because waiting inside it spins under uvloop.

    Args:
        rate: The limit.
        before: The pace whose place it takes: a new bucket is empty, and its first request comes no sooner for that.
    """

    def __init__(self, rate: Rate, before: Pace | None = None) -> None:
        from aiolimiter import AsyncLimiter  # noqa: PLC0415 - 12 ms that no run without a limit pays

        per_s = rate.per_second
        burst, share = 1 + min(rate.limit * CATCH_UP, MOST_CATCH_UP), SLOW_SHARE
        if per_s > SLOW_PER_S:
            burst, share = max(2.0, per_s * CATCH_UP), FAST_SHARE
        self._interval_s = 1 / (per_s * share)
        self._spare_s = (burst - 1) * self._interval_s
        self._bucket = AsyncLimiter(burst, burst * self._interval_s)
        self._due_at = float("-inf") if before is None else before.next_at + self._spare_s

    @property
    def next_at(self) -> float:
        """When the next request is due, had none been late."""
        return self._due_at

    def wait_s(self, now: float) -> float:
        """Return 0 where a request may go, else how long until the bucket has leaked one."""
        wait_s = self._due_at - self._spare_s - now
        if wait_s <= 0 and self._bucket.has_capacity():
            return 0.0
        return max(wait_s, 0.001)

    async def spend(self, now: float) -> None:
        """Count a request; returns at once after `wait_s` was 0."""
        self._due_at = max(self._due_at, now) + self._interval_s
        await self._bucket.acquire()
