"""The limit that headers tell of: how many, and in how long a time, which they do not say. Pure: time is an argument.

`Remaining` says how many requests count at this moment. The oldest of them was sent within the window, the one before
it was not: so each answer bounds the window from both sides. Where windows begin by the calendar, the upper bound is
wrong, as the next answers show, and is given up. A reset is never further away than a window is long.
"""

from __future__ import annotations

from collections.abc import Iterable

from harvester.model import Rate

from .hints import Hint
from .ledger import Ledger

PERIODS_S = (
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    86400.0,
)
"""Windows that servers have."""

ROUNDED_S = 1.0
"""A reset in whole seconds is up to so much later than the window's end."""

TOLERANCE = 0.02
LONG_S = 10.0
CLEAR = 0.9
"""From ten seconds on a reset is exact enough: one that is nine tenths of a window away tells which it is."""

UNSURE_SHARE = 0.5
"""While the window is not known no more than half of what it might allow is used."""

FOREIGN = 0.05
"""Requests that count there and not here, as a share of the limit: beyond it someone else uses the key."""


class Announced:
    """What the headers of one key came to.

    Args:
        periods_s: Windows that are documented or configured: they come into question too.
    """

    def __init__(self, periods_s: Iterable[float] = ()) -> None:
        self.limit: int | None = None
        self.period_s: float | None = None
        self.is_known = False
        self._periods_s = sorted({*PERIODS_S, *periods_s})
        self._lower_s = 0.0
        self._upper_s = float("inf")
        self._is_calendar = False

    @property
    def rate(self) -> Rate | None:
        """Return the limit with its window, None while there is none or its window is not known."""
        if self.limit is None or self.period_s is None or not self.is_known:
            return None
        return Rate(self.limit, self.period_s)

    @property
    def per_s(self) -> float | None:
        """Return the rate that is safe while the window is not known; None where it is, or where nothing was told."""
        if self.limit is None or self.period_s is None or self.is_known:
            return None
        return self.limit / self.period_s * UNSURE_SHARE

    def learn(self, hint: Hint, sent_at: float, ledger: Ledger) -> None:
        """Take what an answer says; the ledger has what was sent and not refused."""
        if hint.limit is None:
            return
        if hint.limit != self.limit:
            self.limit, self._lower_s, self._upper_s = hint.limit, 0.0, float("inf")
        if hint.reset_s is not None:
            self._lower_s = max(self._lower_s, hint.reset_s - ROUNDED_S)
        if hint.remaining is not None and hint.remaining <= hint.limit:
            self._bound(hint.limit - hint.remaining, sent_at, ledger)
        self._decide()

    def _bound(self, used: int, sent_at: float, ledger: Ledger) -> None:
        oldest = ledger.newest(used, sent_at)
        if oldest is not None:
            self._lower_s = max(self._lower_s, sent_at - oldest)
        before = ledger.newest(used + 1, sent_at)
        if before is not None and not self._is_calendar:
            self._upper_s = min(self._upper_s, sent_at - before)

    def _decide(self) -> None:
        if self._lower_s * (1 - TOLERANCE) > self._upper_s * (1 + TOLERANCE):
            self._is_calendar, self._upper_s = True, float("inf")
        shortest_s, longest_s = self._lower_s * (1 - TOLERANCE), self._upper_s * (1 + TOLERANCE)
        fitting = [one for one in self._periods_s if shortest_s <= one <= longest_s]
        if not fitting:  # no window that anybody is known to have: the bounds are all there is
            fitting = [self._lower_s if self._upper_s == float("inf") else self._upper_s]
        self.period_s = fitting[0]
        is_clear = self._lower_s >= self.period_s * CLEAR and (self.period_s >= LONG_S or self._is_calendar)
        self.is_known = is_clear or len(fitting) == 1

    def is_used_up(self, hint: Hint, sent_at: float, ledger: Ledger) -> bool:
        """Say whether nothing more may be sent until the reset.

        Where the window is known and its count here is the server's, the count says when the next may go, and better.
        """
        if hint.remaining is None or hint.remaining > ledger.count(sent_at, float("inf")):
            return False
        if self.rate is None or self._is_calendar or hint.limit is None:
            return True
        here = ledger.count(sent_at - self.rate.period_s, sent_at)
        return hint.limit - hint.remaining > here + max(1, hint.limit * FOREIGN)
