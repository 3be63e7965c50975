"""Who may send now: one gate per credential, for all sources that use it.

A gate never waits. It answers how long a sender has to wait (`wait_s`), counts what is sent (`spend`) and learns from
what comes back (`settle`); whoever holds the work decides what to do meanwhile. So a paused gate costs no task and no
place in flight, and thousands of gates cost only their bytes.

1. A pause the provider asked for closes the gate for the whole key until it is over.
2. The shortest known limit is spaced evenly by a leaky bucket, a little below the limit: exactly at it the server's own
   window and the network's jitter make refusals.
3. Longer limits are an exact sliding count. A request keeps its place until one period after its answer, because the
   server counts arrivals and we cannot see those.
4. Without a known limit nothing is spaced: what the provider announces or refuses decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from aiolimiter import AsyncLimiter

from harvester.clock import Clock
from harvester.errors import ProviderError, RateLimitError
from harvester.model import Rate

from .hints import NOTHING, Hint

SLOW_PER_S = 30.0
"""Up to this rate a bucket of one never lets too many into a second; above it timers are too coarse for one at a time,
and a bucket of two at 0.95 never did (measured at a server that counts)."""

SLOW_SHARE = 0.97
FAST_SHARE = 0.95
UNNAMED_PAUSE_S = 1.0
"""How long a refusal that names no wait closes the gate."""


class Pace:
    """The shortest limit, spaced evenly by aiolimiter's leaky bucket.

    The bucket decides; when to look at it again is reckoned here, because waiting inside it spins under uvloop.
    """

    def __init__(self, rate: Rate) -> None:
        per_s = rate.per_second
        burst, share = (1, SLOW_SHARE) if per_s <= SLOW_PER_S else (2, FAST_SHARE)
        self._interval_s = 1 / (per_s * share)
        self._bucket = AsyncLimiter(burst, burst * self._interval_s)
        self._spent_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return 0 where a request may go, else how long until the bucket has leaked one."""
        if self._bucket.has_capacity():
            return 0.0
        return max(self._spent_at + self._interval_s - now, 0.001)

    async def spend(self, now: float) -> None:
        """Count a request; returns at once after `wait_s` was 0."""
        self._spent_at = now
        await self._bucket.acquire()


class Count:
    """A longer limit, counted exactly."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._in_flight = 0
        self._answered_at: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Return 0 where a request may go, else when the oldest of the count leaves it."""
        while self._answered_at and self._answered_at[0] <= now - self.rate.period_s:
            self._answered_at.popleft()
        if self._in_flight + len(self._answered_at) < self.rate.limit:
            return 0.0
        if not self._answered_at:
            return 0.05  # all of them are on their way: an answer is what to wait for
        return self._answered_at[0] + self.rate.period_s - now

    def spend(self) -> None:
        """Count a request on its way."""
        self._in_flight += 1

    def settle(self, now: float) -> None:
        """Count its answer, or that there will be none."""
        self._in_flight -= 1
        self._answered_at.append(now)

    def remember(self, ages_s: Iterable[float], now: float) -> None:
        """Count what an earlier run sent, each so many seconds ago, the oldest first."""
        self._answered_at.extend(now - age for age in ages_s)


class Gate:
    """Who may send with one credential.

    Args:
        clock: The time that pauses and counts go by.
        configured: The user's limits; None where nothing was said, empty for unlimited.
        documented: The provider's own, for the windows that its answers do not announce.
    """

    def __init__(
        self, clock: Clock, configured: Sequence[Rate] | None, documented: Sequence[Rate] = ()
    ) -> None:
        self._clock = clock
        self._configured = configured
        self._rates: tuple[Rate, ...] = ()
        self._pace: Pace | None = None
        self._counts: list[Count] = []
        self._closed_until = 0.0
        self.throttled = 0
        self._set_rates(tuple(documented if configured is None else configured))

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The limits in force, the shortest period first."""
        return self._rates

    @property
    def paused_s(self) -> float:
        """How long the provider's own pause still lasts; 0 where there is none."""
        return max(self._closed_until - self._clock.monotonic(), 0.0)

    def wait_s(self) -> float:
        """Return 0 where a request may be sent now, else how long to wait before asking again."""
        now = self._clock.monotonic()
        wait = self._closed_until - now
        for count in self._counts:
            wait = max(wait, count.wait_s(now))
        if wait <= 0 and self._pace is not None:
            wait = self._pace.wait_s(now)
        return max(wait, 0.0)

    async def spend(self) -> None:
        """Count a request that is sent now; call it when `wait_s` was 0, with no await between."""
        for count in self._counts:
            count.spend()
        if self._pace is not None:
            await self._pace.spend(self._clock.monotonic())

    def settle(self, *, hint: Hint = NOTHING, error: ProviderError | None = None) -> None:
        """Learn from an answer, or from there being none."""
        now = self._clock.monotonic()
        for count in self._counts:
            count.settle(now)
        if isinstance(error, RateLimitError):
            self._refused(error, now)
        elif hint.remaining == 0 and hint.reset_s and self._configured != ():
            self._closed_until = max(self._closed_until, now + hint.reset_s)

    def _refused(self, error: RateLimitError, now: float) -> None:
        """Close for everyone with this key. A wait named is kept in full."""
        self.throttled += 1
        pause_s = UNNAMED_PAUSE_S if error.retry_after_s is None else error.retry_after_s
        self._closed_until = max(self._closed_until, now + pause_s)

    def tighten(self, rates: Sequence[Rate]) -> None:
        """Take the stricter of two sources' limits that share this key; call it before the first request."""
        self._set_rates(_strictest([*self._rates, *rates]))

    def _set_rates(self, rates: tuple[Rate, ...]) -> None:
        self._rates = tuple(sorted(rates, key=lambda rate: (rate.period_s, rate.limit)))
        self._pace = Pace(self._rates[0]) if self._rates else None
        self._counts = [Count(rate) for rate in self._rates[1:]]


def _strictest(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """Keep the smallest limit of each period."""
    best: dict[float, Rate] = {}
    for rate in rates:
        known = best.get(rate.period_s)
        if known is None or rate.limit < known.limit:
            best[rate.period_s] = rate
    return tuple(best.values())
