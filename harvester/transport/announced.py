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

TOLERANCE = 0.2
"""How wrong a bound may be: windows differ by more, and a request that is late on the way by less."""

OUTVOTED = 2.0
FORGET = 0.97
"""A window is out of the question when the last three answers in a row are against it; one alone is a delay."""

LONG_S = 10.0
CLEAR = 0.9
"""From ten seconds on a reset is exact enough: one that is nine tenths of a window away tells which it is."""

ENOUGH_ANSWERS = 20
ENOUGH_PERIODS = 3
"""A window that fitted so many answers over so many times its length is taken for known."""

UNSURE_SHARE = 0.5
"""While the window is not known no more than half of what it might allow is used."""

FOREIGN = 0.1
FOREIGN_FEW = 2
"""Requests that count there and not here, as a share of the limit or at least so many: beyond it someone else uses the
key."""


class Votes:
    """What answers say of one window: too short to be the one, or too long. The latest count most."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.too_short: float = 0.0
        self.too_long: float = 0.0

    def count(self, shortest_s: float, longest_s: float) -> None:
        """Count one answer, by which the window has at least so many seconds, and at most so many."""
        self.too_short = self.too_short * FORGET + (shortest_s > self.period_s * (1 + TOLERANCE))
        self.too_long = self.too_long * FORGET + (longest_s < self.period_s * (1 - TOLERANCE))


class Announced:
    """What the headers of one key came to.

    Args:
        periods_s: Windows that are documented or configured: they come into question too.
    """

    def __init__(self, periods_s: Iterable[float] = ()) -> None:
        self.limit: int | None = None
        self.period_s: float | None = None
        self.is_known: bool = False
        self._votes = [Votes(period_s) for period_s in sorted({*PERIODS_S, *periods_s})]
        self._is_calendar = False
        self._answers = 0
        self._since = 0.0

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
        self.limit = hint.limit
        reset_s = max((hint.reset_s or 0.0) - ROUNDED_S, 0.0)
        shortest_s, longest_s = reset_s, float("inf")
        if hint.remaining is not None and hint.remaining <= hint.limit:
            used = hint.limit - hint.remaining
            oldest, before = ledger.newest(used, sent_at), ledger.newest(used + 1, sent_at)
            shortest_s = max(shortest_s, 0.0 if oldest is None else sent_at - oldest)
            longest_s = longest_s if before is None else sent_at - before
        for votes in self._votes:
            votes.count(shortest_s, longest_s)
        self._decide(reset_s, sent_at)

    def _decide(self, reset_s: float, now: float) -> None:
        possible = [votes for votes in self._votes if votes.too_short <= OUTVOTED] or self._votes[-1:]
        fitting = [votes for votes in possible if votes.too_long <= OUTVOTED]
        self._is_calendar = not fitting
        period_s = (fitting or possible)[0].period_s
        if period_s != self.period_s:
            self.period_s, self.is_known, self._answers, self._since = period_s, False, 0, now
        self._answers += 1
        is_clear = period_s >= LONG_S and reset_s >= period_s * CLEAR
        has_lasted = self._answers >= ENOUGH_ANSWERS and now - self._since >= period_s * ENOUGH_PERIODS
        self.is_known = self.is_known or is_clear or has_lasted or len(fitting) == 1

    def is_used_up(self, hint: Hint, sent_at: float, ledger: Ledger) -> bool:
        """Say whether nothing more may be sent until the reset.

        Where the window is known and its count here is the server's, the count says when the next may go, and better.
        """
        if hint.remaining is None or hint.remaining > ledger.count(sent_at, float("inf")):
            return False
        if self.rate is None or self._is_calendar or hint.limit is None:
            return True
        here = ledger.count(sent_at - self.rate.period_s, sent_at)
        return hint.limit - hint.remaining > here + max(FOREIGN_FEW, hint.limit * FOREIGN)
