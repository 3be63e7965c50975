"""Who may send now: one gate per credential, for all sources that use it.

A gate never waits. It answers how long a sender has to wait (`wait_s`), counts what is sent (`spend`) and learns from
what comes back (`settle`); whoever holds the work decides what to do meanwhile. So a paused gate costs no task and no
place in flight, and thousands of gates cost only their bytes.

1. A pause the provider asked for closes the gate for the whole key until it is over.
2. The shortest known limit is spaced evenly by a leaky bucket, a little below the limit: exactly at it the server's own
   window and the network's jitter make refusals.
3. Longer limits are an exact sliding count. A request keeps its place until one period after its answer, because the
   server counts arrivals and we cannot see those.
4. What headers announce takes the place of what is documented for the same window, also upwards; what the user
   configured it only tightens.
5. Without a known limit, and where one does not explain what is refused, the finder looks for it: rate and number in
   flight. A full house is told as a wait of a twentieth of a second: the board asks again at each answer of the lane
   anyway, and another lane of the same key is late by no more than that.
6. After a refusal one request goes first, and the others when it got through: nobody comes back as a herd.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from aiolimiter import AsyncLimiter

from harvester.clock import Clock
from harvester.errors import ProviderError, RateLimitError
from harvester.model import Rate

from .announced import Announced
from .finder import LOOK_AGAIN_S, START_PER_S, Finder, Sent
from .hints import NOTHING, Hint
from .ledger import Ledger

SLOW_PER_S = 30.0
"""Up to this rate a bucket of about one never lets too many into a second; above it timers are too coarse for one at a
time, and a bucket of two at 0.95 never did (measured at a server that counts)."""

CATCH_UP = 0.01
MOST_CATCH_UP = 0.2
"""A timer that is late loses its time for good in a bucket of one: 20 a second became 18.7 beside other work. So it
holds a third of the margin more, at most a fifth of a request."""

SLOW_SHARE = 0.97
FAST_SHARE = 0.95
UNNAMED_PAUSE_S = 0.1
"""How long a refusal that names no wait closes the gate; twice as long each time that nothing got through between.

Short, because the finder holds what was too much: the pause itself only has to be noticed. A tenth of 1,000 requests
refused by chance costs ten seconds so, and a second each would cost two minutes."""

LONGEST_UNNAMED_PAUSE_S = 60.0
TRIAL_S = 5.0
"""How long the others wait for the first request after a pause; one that takes longer says nothing of limits."""


class Pace:
    """The shortest limit, spaced evenly by aiolimiter's leaky bucket.

    The bucket decides; when to look at it again is reckoned here, because waiting inside it spins under uvloop.

    Args:
        rate: The limit.
        before: The pace whose place it takes: a new bucket is empty, and its first request comes no sooner for that.
    """

    def __init__(self, rate: Rate, before: Pace | None = None) -> None:
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


class Count:
    """A longer limit, counted exactly."""

    def __init__(self, rate: Rate, *, in_flight: int = 0) -> None:
        self.rate = rate
        self._in_flight = in_flight
        self._answered_at: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Return 0 where a request may go, else when the oldest of the count leaves it."""
        # By the same sum as below: a request that has not left must not be told as a wait of nothing.
        while self._answered_at and self._answered_at[0] + self.rate.period_s <= now:
            self._answered_at.popleft()
        if self._in_flight + len(self._answered_at) < self.rate.limit:
            return 0.0
        if not self._answered_at:
            return LOOK_AGAIN_S  # all of them are on their way: an answer is what to wait for
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


class Closing:
    """Why nobody may send for a while: a refusal, or a window that is used up. Pure: time is an argument."""

    def __init__(self) -> None:
        self.until = 0.0
        self._refused_at = float("-inf")
        self._in_a_row = 0
        self._is_trial = False
        self._trial_at: float | None = None

    def wait_s(self, now: float) -> float:
        """Return 0 where a request may go, else how long until it may."""
        if now < self.until:
            return self.until - now
        if self._is_trial and self._trial_at is not None and now < self._trial_at + TRIAL_S:
            return LOOK_AGAIN_S
        return 0.0

    def spend(self, now: float) -> None:
        """Count a request: the first after a pause is the one that the others wait for."""
        if self._is_trial:
            self._trial_at = now

    def settle(self, sent_at: float, *, is_answer: bool) -> None:
        """Let the others follow where the first got through."""
        if not self._is_trial or self._trial_at is None or sent_at < self._trial_at:
            return
        self._trial_at = None
        if is_answer:
            self._is_trial, self._in_a_row = False, 0

    def refused(self, named_s: float | None, sent_at: float, now: float) -> float:
        """Close for what the refusal names, in full; return how long that is."""
        if sent_at >= self._refused_at:
            self._in_a_row += 1
            self._refused_at = now
        pause_s = named_s or min(UNNAMED_PAUSE_S * 2.0 ** min(self._in_a_row - 1, 16), LONGEST_UNNAMED_PAUSE_S)
        self.close(now + pause_s)
        self._is_trial, self._trial_at = True, None
        return pause_s

    def close(self, until: float) -> None:
        """Close until then, or for as long as it was closed before."""
        self.until = max(self.until, until)


class Gate:
    """Who may send with one credential.

    Args:
        clock: The time that pauses and counts go by.
        configured: The user's limits; None where nothing was said, empty for unlimited: then pauses are kept, but
            neither are headers heeded nor limits looked for.
        documented: The provider's own, for the windows that its answers do not announce.
    """

    def __init__(
        self, clock: Clock, configured: Sequence[Rate] | None, documented: Sequence[Rate] = ()
    ) -> None:
        self._clock = clock
        self._configured = tuple(configured or ())
        self._documented = tuple(documented) if configured is None else ()
        self._rates: tuple[Rate, ...] = ()
        self._pace: Pace | None = None
        self._counts: list[Count] = []
        self._closing = Closing()
        self._in_flight = 0
        self._moments = Ledger(0.0)
        self.throttled = 0
        self._announced = Announced(rate.period_s for rate in (*self._configured, *self._documented))
        self._finder: Finder | None = None
        self._set_rates()
        if configured is None or configured:
            self._finder = Finder(None if self._rates else START_PER_S)

    # What is asked.

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The limits in force, the shortest period first; those that were found too."""
        found = [] if self._finder is None else self._finder.limits
        return _strictest([*self._rates, *(Rate(max(int(limit), 1), period_s) for limit, period_s in found)])

    @property
    def paused_s(self) -> float:
        """How long the provider's own pause still lasts; 0 where there is none."""
        return max(self._closing.until - self._clock.monotonic(), 0.0)

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return self._in_flight

    @property
    def max_in_flight(self) -> int | None:
        """How many may be on their way; None where no such limit was found."""
        return None if self._finder is None else self._finder.crowd.allowed(self._clock.monotonic())

    def wait_s(self) -> float:
        """Return 0 where a request may be sent now, else how long to wait before asking again."""
        now = self._clock.monotonic()
        wait = self._closing.wait_s(now)
        for count in self._counts:
            wait = max(wait, count.wait_s(now))
        if wait <= 0 and self._finder is not None:
            wait = self._finder.wait_s(now, self._in_flight)
        if wait <= 0 and self._pace is not None:
            wait = self._pace.wait_s(now)
        return max(wait, 0.0)

    async def spend(self) -> None:
        """Count a request that is sent now; call it when `wait_s` was 0, with no await between."""
        now = self._clock.monotonic()
        self._in_flight += 1
        self._closing.spend(now)
        for count in self._counts:
            count.spend()
        if self._counts:
            self._moments.add(now)
        if self._finder is not None:
            self._finder.sent(now)
        if self._pace is not None:
            await self._pace.spend(now)

    def sent(self) -> Sent:
        """Return what `settle` has to know of the request that was counted last."""
        return Sent(self._clock.monotonic() if self._finder is None else self._finder.sent_at, self._in_flight)

    # What is learnt.

    def settle(
        self, sent: Sent | None = None, *, hint: Hint = NOTHING, error: ProviderError | None = None, is_lost: bool = False
    ) -> None:
        """Learn from an answer, or from there being none.

        Args:
            sent: What `sent` returned when it went; None where nobody knows.
            hint: What its headers say.
            error: What it means, None for a success.
            is_lost: No complete answer came: nothing is known but that it is over.
        """
        now = self._clock.monotonic()
        sent = sent or Sent(now, self._in_flight)
        self._in_flight = max(self._in_flight - 1, 0)
        for count in self._counts:
            count.settle(now)
        if isinstance(error, RateLimitError):
            self._refused(error, sent, now)
        else:
            self._closing.settle(sent.at, is_answer=not is_lost)
            if self._finder is not None and not is_lost:
                self._finder.answered(sent, now)
        if self._finder is not None and hint is not NOTHING:
            self._heed(self._finder, hint, sent, now)

    def _refused(self, error: RateLimitError, sent: Sent, now: float) -> None:
        """Close for everyone with this key. A wait named is kept in full."""
        self.throttled += 1
        pause_s = self._closing.refused(error.retry_after_s, sent.at, now)
        if self._finder is not None:
            self._finder.refused(sent, now, pause_s=pause_s, named_s=error.retry_after_s)

    def _heed(self, finder: Finder, hint: Hint, sent: Sent, now: float) -> None:
        """Take what headers say: the limit itself, and that it is used up."""
        announced, before = self._announced, self._announced.rate
        announced.learn(hint, sent.at, finder.ledger)
        if announced.rate != before:
            self._set_rates()
        if announced.limit is not None:
            finder.told(None if self._rates else announced.per_s)
        if hint.reset_s and announced.is_used_up(hint, sent.at, finder.ledger):
            self._closing.close(now + hint.reset_s)

    def tighten(self, rates: Sequence[Rate]) -> None:
        """Take the stricter of two sources' limits that share this key; call it before the first request."""
        self._configured = (*self._configured, *rates)
        self._set_rates()
        if self._finder is None:
            self._finder = Finder(None)
        self._finder.told(None)

    # What is remembered.

    @property
    def memory_s(self) -> float:
        """How long what was sent has to be remembered: the longest window that is counted; 0 where none is."""
        return max((count.rate.period_s for count in self._counts), default=0.0)

    def spent(self, since: float) -> list[float]:
        """Return when requests were sent after a moment of the clock, the oldest first, as far as that matters."""
        return self._moments.since(since)

    def remember(self, ages_s: Iterable[float], *, paused_s: float = 0.0) -> None:
        """Count what an earlier run sent; call it before the first request.

        Args:
            ages_s: How many seconds ago each was sent, the oldest first; one that may have been sent is one.
            paused_s: How long the pause still lasts in which that run ended.
        """
        now, ages = self._clock.monotonic(), list(ages_s)
        for count in self._counts:
            count.remember((age for age in ages if age < count.rate.period_s), now)
        self._closing.close(now + paused_s)

    def _set_rates(self) -> None:
        announced = self._announced.rate
        documented = self._documented
        if announced is not None:
            documented = (*(rate for rate in documented if rate.period_s != announced.period_s), announced)
        self._rates = _strictest([*self._configured, *documented])
        self._pace = Pace(self._rates[0], self._pace) if self._rates else None
        self._counts = [self._count(rate) for rate in self._rates[1:]]

    def _count(self, rate: Rate) -> Count:
        """Return the count of a window: the one that is kept already, or one of what was sent so far."""
        for count in self._counts:
            if count.rate.period_s == rate.period_s:
                count.rate = rate
                return count
        count, now = Count(rate, in_flight=self._in_flight), self._clock.monotonic()
        self._moments.keep_s = max(self._moments.keep_s, rate.period_s)
        if self._finder is not None:
            self._finder.ledger.keep_s = max(self._finder.ledger.keep_s, rate.period_s)
            sent = self._finder.ledger.since(now - rate.period_s)
            count.remember((now - at for at in sent[: len(sent) - self._in_flight]), now)
        return count


def _strictest(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """Keep the smallest limit of each period, the shortest period first."""
    best: dict[float, Rate] = {}
    for rate in rates:
        known = best.get(rate.period_s)
        if known is None or rate.limit < known.limit:
            best[rate.period_s] = rate
    return tuple(sorted(best.values(), key=lambda rate: (rate.period_s, rate.limit)))
