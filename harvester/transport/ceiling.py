"""How high one quantity may go: requests within a second, within a minute, or at once. Pure: time is an argument.

A quantity is refused at a height. Heights that have worked cannot be the reason for a refusal; a height that never
worked can. So each refusal is put to the quantities in turn, and the first that stands at such a height is held there.
"""

from __future__ import annotations

from enum import Enum

CUTS = (0.95, 0.9, 0.8, 0.7)
"""What is taken off, one after another, where a held quantity is refused all the same: a server that counts by the
calendar or fills a bucket lets more pass at first than it goes on with. Together they halve it, which is the most that
a calendar can mislead by."""

CLOSE = 0.9
"""Refused so close to what is held, it was held a little too high: the height itself is the better measure."""

EMPTY = 0.1
"""A quantity that is refused at so small a part of its height as well is not the reason."""

PROBE_PER_S2 = 0.01
SMALL = 10.0
"""A probe rises by 1 % times the square of its seconds: slowly past the limit as it is believed, then fast. Below ten
requests that is too slow, and to have held one of them for nothing costs most: there it comes sooner and rises more."""

BEYOND = 1.05
BEYOND_BY = 1.5
"""So much above where it was refused is no error of counting: the limit is elsewhere, or gone."""

CERTAIN = 0.05
"""Refusals have a reason if the chance that they have none is smaller than this."""

SURE = 0.002
"""The same where being wrong costs more."""

MIXED_UP = 0.02
MIXED_UP_FEW = 0.06
"""Arrivals shift by milliseconds on the way, so that a count is not exact: of many by 2 %, and one of fewer than fifty
by one, but for the smallest."""


def reaches(height: float, other: float) -> bool:
    """Return whether a height is as high as another, as far as can be told."""
    return height >= other - max(other * MIXED_UP, min(other * MIXED_UP_FEW, 1))


class Verdict(Enum):
    """What a quantity says of a refusal."""

    MINE = "mine"
    """It was this one, and what had to be done about it is done."""

    MAYBE = "maybe"
    """It may have been, and is believed at the next of the same height."""

    NOT_MINE = "not mine"
    """It has worked at this height."""

    CLEARED = "cleared"
    """It was held for earlier refusals, but holding did not help: they come whatever is done."""


class Ceiling:
    """What is known of one quantity.

    Args:
        certain: Refusals are this one's doing if the chance of so many in a row is smaller.
        hold_s: How long a height is kept before more is tried.
        cut_every_s: Refusals within so many seconds count as one.
        in_a_row: Suspicion ends with the next request that gets through, at whatever height.
    """

    def __init__(self, *, certain: float, hold_s: float, cut_every_s: float, in_a_row: bool = False) -> None:
        self.limit: float | None = None
        self.best: float = 0.0
        self.is_confirmed: bool = False
        self._certain = certain
        self._first_hold_s = self._hold_s = hold_s
        self._cut_every_s = cut_every_s
        self._in_a_row = in_a_row
        self._held_at = 0.0
        self._cut_at = 0.0
        self._cuts = 0
        self._refused_at = 0.0
        self._strikes = 0

    def allowed(self, now: float) -> float | None:
        """Return the height that is allowed: where it was refused, and a little more while probing; None for any."""
        if self.limit is None:
            return None
        probing_s = max(now - self._held_at - self._hold_s, 0.0)
        return self.limit * (1 + PROBE_PER_S2 * max(SMALL / self.limit, 1) * probing_s**2)

    def is_probing(self, now: float) -> bool:
        """Return whether more than the limit is tried."""
        return self.limit is not None and now > self._held_at + self._hold_s

    def is_at(self, height: float) -> bool:
        """Return whether a height is that which is held, or above."""
        return self.limit is not None and reaches(height, self.limit)

    def is_empty(self, height: float) -> bool:
        """Return whether a height is next to nothing beside what has worked."""
        return height <= self.best * EMPTY

    def worked(self, height: float, *, in_a_row: bool = False) -> bool:
        """Learn that a request got through at this height; return whether that lifts the limit."""
        self.best = max(self.best, height)
        if height > self._refused_at or in_a_row or self._in_a_row:
            self._strikes = 0
        if self.limit is None or height <= self.limit * BEYOND + BEYOND_BY:
            return False
        self.lift()
        return True

    def hold(self, height: float, now: float) -> None:
        """Keep to a height that was measured."""
        self.best = height
        self._hold(height, now, 0.0, times=1)

    def lift(self) -> None:
        """Forget the limit, not what has worked."""
        self.limit = None
        self._cuts = 0
        self._hold_s = self._first_hold_s
        self.is_confirmed = False

    def restore(self) -> None:
        """Take back the cuts: the refusals had another reason."""
        if self.limit is not None and self._cuts:
            self.limit = max(self.limit, self.best)
            self._cuts = 0

    def judge(self, height: float, now: float, *, chance: float, pause_s: float) -> Verdict:
        """Judge a refusal.

        Args:
            height: Where the quantity stood, the refused request not counted.
            now: The moment.
            chance: The share of requests that are refused for no reason at all.
            pause_s: What a refusal costs: the longer, the longer it is until one is risked again.
        """
        if self.limit is None:
            return self._suspect(height, now, chance, pause_s)
        if self.is_probing(now) and self.is_at(height):
            self._hold(max(height, self.limit), now, pause_s, times=2)
            self.is_confirmed = True
            return Verdict.MINE
        if self.is_empty(height):
            return Verdict.NOT_MINE
        return self._cut(height, now)

    def _suspect(self, height: float, now: float, chance: float, pause_s: float) -> Verdict:
        if height < 1 or not reaches(height, self.best):
            return Verdict.NOT_MINE
        self._strikes = self._strikes + 1 if reaches(height, self._refused_at) else 1
        self._refused_at = height
        if chance**self._strikes > self._certain:
            return Verdict.MAYBE
        self._hold_s = self._first_hold_s * min(height / SMALL, 1)
        self._hold(height, now, pause_s, times=1)
        return Verdict.MINE

    def _hold(self, height: float, now: float, pause_s: float, *, times: int) -> None:
        self.limit = height
        self.best = max(self.best, height)
        self._strikes = 0
        self._held_at, self._cut_at = now + pause_s, now
        self._hold_s *= times

    def _cut(self, height: float, now: float) -> Verdict:
        assert self.limit is not None
        if now < self._cut_at + self._cut_every_s:
            return Verdict.MINE
        if self._cuts == len(CUTS):
            self.lift()
            return Verdict.CLEARED
        self.limit = max(height, 1) if height >= self.limit * CLOSE else self.limit * CUTS[self._cuts]
        self._cuts += 1
        self._cut_at = self._held_at = now
        return Verdict.MINE
