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

from harvester.clock import Clock
from harvester.errors import ProviderError, RateLimitError
from harvester.model import Rate

from .announced import Announced
from .closing import Closing
from .finder import LOOK_AGAIN_S, START_PER_S, Finder, Sent
from .hints import NOTHING, Hint
from .ledger import Ledger
from .pace import Pace

COUNTED_S = 10.0
"""From so long a window on the shortest is counted too: what went before it was known is then more than the margin."""


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
        self.throttled: int = 0
        self._announced = Announced(rate.period_s for rate in (*self._configured, *self._documented))
        self._finder: Finder | None = None
        self._set_rates()
        is_unlimited = configured is not None and not configured
        if not is_unlimited:
            self._finder = Finder(None if self._configured or self._documented else START_PER_S)

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
    def held_s(self) -> float:
        """How long nobody may send at all: the provider's pause, or a longer limit that is used up."""
        now = self._clock.monotonic()
        return max(self.paused_s, *(count.wait_s(now) for count in self._counts), 0.0)

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
        return Sent(
            self._clock.monotonic() if self._finder is None else self._finder.sent_at, self._in_flight
        )

    # What is learnt.

    def settle(
        self,
        sent: Sent | None = None,
        *,
        hint: Hint = NOTHING,
        error: ProviderError | None = None,
        is_lost: bool = False,
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
        self._counts = [
            self._count(rate)
            for rate in self._rates
            if rate is not self._rates[0] or rate.period_s >= COUNTED_S
        ]

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
            took_s = self._finder.crowd.latency_s
            count.remember((max(now - at - took_s, 0.0) for at in sent[: len(sent) - self._in_flight]), now)
        return count


def _strictest(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """Keep the smallest limit of each period, the shortest period first."""
    best: dict[float, Rate] = {}
    for rate in rates:
        known = best.get(rate.period_s)
        if known is None or rate.limit < known.limit:
            best[rate.period_s] = rate
    return tuple(sorted(best.values(), key=lambda rate: (rate.period_s, rate.limit)))
