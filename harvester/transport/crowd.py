"""How many may be in flight: from refusals, and from latency that grows with the number. Pure: time is an argument."""

from __future__ import annotations

from .ceiling import CERTAIN, SURE, Verdict

FEW = 5
"""So few at once prove nothing by a single refusal: any refusal meets one or two."""

NEAR = 0.8
"""A number so near to the highest that worked may be too high all the same: an answer on its way back still counts
here and no longer there."""

HOLD_S = 15.0
CUT_EVERY_S = 1.0
MAX_CUTS = 3
SAME = 0.05
"""A second refusal after as many requests in a second as the first speaks for a limit on those."""

ENOUGH = 10
"""So many that got through above the cap raise it by one."""

ROUND_S = 0.25
ROUND_ANSWERS = 8
CROWDED = 2.0
CROWDED_BY_S = 0.05
"""Latency is that of a crowd if it is twice what it was, and so much longer that it is none of our own doing."""

HELPED = 0.8
"""Taking some off helped if latency is down to so much; a queue would be down to far less."""

LEAST = 4
"""Latency alone never leaves fewer in flight."""


class Crowd:
    """The cap on requests in flight of one key."""

    def __init__(self) -> None:
        self.latency_s: float = 0.0
        self.is_crowded: bool = False
        self._cap: int | None = None
        self._best = 0
        self._strikes = 0
        self._refused_at = 0
        self._cuts = 0
        self._cut_at = 0.0
        self._held_until = 0.0
        self._hold_s = HOLD_S
        self._is_confirmed = False
        self._above = 0
        self._in_last_s = 0
        self._queue = Queue()

    @property
    def cap(self) -> int | None:
        """How many refusals leave, None for any number."""
        return self._cap

    def allowed(self, now: float) -> int | None:
        """Return how many may be in flight, one more than the cap while probing; None for any number."""
        caps = [] if self._queue.cap is None else [self._queue.cap]
        if self._cap is not None:
            caps.append(self._cap + (now >= self._held_until))
        return min(caps, default=None)

    def answered(self, in_flight: int, latency_s: float, now: float) -> None:
        """Learn that a request got through that was one of so many."""
        self._queue.answered(in_flight, latency_s, now)
        self.latency_s, self.is_crowded = self._queue.latency_s, self._queue.is_crowded
        if self._cap is None:
            self._best = max(self._best, in_flight)
            if in_flight >= self._refused_at:
                self._strikes = 0
        elif in_flight > self._cap:
            self._above += 1
            if self._above >= ENOUGH:
                self._best = self._cap = self._cap + 1
                self._above = 0

    def judge(self, in_flight: int, now: float, *, chance: float, pause_s: float, in_last_s: int) -> Verdict:
        """Judge a refusal of a request that was one of so many; and so many got through in the second before."""
        if self._cap is None:
            self._in_last_s = in_last_s
            return self._suspect(in_flight, now, chance, pause_s)
        if not self._is_confirmed and abs(in_last_s - self._in_last_s) <= SAME * in_last_s:
            return Verdict.NOT_MINE
        if in_flight > self._cap:
            self._hold_s = max(self._hold_s * 2, pause_s)
            self._is_confirmed = True
        elif in_flight < self._cap * NEAR:
            return Verdict.NOT_MINE
        elif now >= self._cut_at + CUT_EVERY_S:
            self._cuts += 1
            if self._cuts > MAX_CUTS:
                self._lift()
                return Verdict.NOT_MINE
            self._cap = max(min(self._cap, in_flight) - 1, 1)
            self._cut_at = now
        self._above = 0
        self._held_until = now + self._hold_s
        return Verdict.MINE

    def forgive(self) -> None:
        """Lift a cap that was only suspected: the refusals had another reason."""
        if not self._is_confirmed:
            self._lift()

    def _suspect(self, in_flight: int, now: float, chance: float, pause_s: float) -> Verdict:
        if in_flight < max(self._best * NEAR, 2):
            return Verdict.NOT_MINE
        self._strikes += 1
        self._refused_at = in_flight
        if chance**self._strikes > (CERTAIN if in_flight >= FEW else SURE):
            return Verdict.MAYBE
        self._cap = max(min(in_flight - 1, self._best), 1)
        self._hold_s = max(HOLD_S, pause_s)
        self._cut_at, self._held_until = now, now + self._hold_s
        self._above = self._cuts = self._strikes = 0
        return Verdict.MINE

    def _lift(self) -> None:
        self._cap = None
        self._is_confirmed = False
        self._above = self._cuts = self._strikes = 0


class Queue:
    """Latency that grows with the number in flight: the server is busy, and more at once only wait there.

    By Little's law a queue holds (latency - what it was) / latency of those in flight; they are taken off. Where that
    does not bring the latency down it was no queue but slower answers, as of late pages: then that is what latency is.
    The thought is that of Netflix's concurrency-limits and of TCP Vegas.
    """

    def __init__(self) -> None:
        self.latency_s: float = 0.0
        self.is_crowded: bool = False
        self.cap: int | None = None
        self._base_s = float("inf")
        self._tried_s: float | None = None
        self._round_at: float | None = None
        self._answers = 0
        self._sum_s = 0.0
        self._most = 0
        self._is_changing = False

    def answered(self, in_flight: int, latency_s: float, now: float) -> None:
        """Learn from an answer; a round of them ends after a while."""
        if self._round_at is None:
            self._round_at = now
        self._answers += 1
        self._sum_s += latency_s
        self._most = max(self._most, in_flight)
        if self._answers == 1 and not self.latency_s:
            self.latency_s = latency_s
        if self._answers >= ROUND_ANSWERS and now >= self._round_at + max(ROUND_S, latency_s):
            self.latency_s = self._sum_s / self._answers
            self._judge(self._most)
            self._round_at, self._answers, self._sum_s, self._most = now, 0, 0.0, 0

    def _judge(self, most: int) -> None:
        latency_s = self.latency_s
        self._base_s = min(self._base_s, latency_s)
        self.is_crowded = latency_s > self._base_s * CROWDED + CROWDED_BY_S
        if self._is_changing:
            self._is_changing = False  # half of this round was sent under the old cap
        elif not self.is_crowded:
            self._tried_s = None
            if self.cap is not None and most >= self.cap:
                self.cap += 1
        elif self._tried_s is not None and latency_s > self._tried_s * HELPED:
            self._base_s, self._tried_s, self.cap = latency_s, None, None
        else:
            self._tried_s, self._is_changing = latency_s, True
            self.cap = max(int(most * self._base_s * CROWDED / latency_s), LEAST)
