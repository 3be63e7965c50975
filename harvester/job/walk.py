"""One window, complete: which pages to ask for, in passes, until the provider's own account of it is met.

Offset and page-number lists move while they are read: new calls push rows to later pages (seen twice), deletions pull
rows to earlier pages (never seen), and pages fetched at once or out of order lose rows either way. So a window is
walked in passes. It is complete when

1. every page of a pass told the same total, as many distinct ids arrived, and no row can have come in that makes up in
   number for one that was lost: a row at or after `until` may, unless the list cannot show new calls; or
2. a later pass brought no id of the window that was not known, and the provider does not steadily claim more rows
   than it ever gave.

After `MAX_PASSES`, or where it does so claim, it is a gap. A walk does no I/O: it says what to ask next (`next`), is
told what came (`take`) or that nothing will (`lose`), and can be driven by any number of askers at once.

Where the list has an order but no filter by range (`by_order`), a window that is a small part of a long list is found
by bisection. The claim of an order is believed only as far as what arrives bears it out; else the list is read whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal, cast

import msgspec

from harvester.model import Cursor, Gap, Listing, Window

from .locate import Bisection, is_worth_it

MAX_PASSES = 8

Phase = Literal["first", "locate", "pages", "check", "done"]


class Ask(msgspec.Struct, frozen=True):
    """One list request of a walk. A probe asks for a single row, which is looked at and not written."""

    cursor: Cursor
    is_probe: bool = False


class Sifted(msgspec.Struct):
    """What rows are to their window; all but `repeated` count rows not yet seen in this pass.

    `distinct` in all, of them `above` at or after `until`; `first` seen in no pass of this walk before, `unknown` those
    of the window that no run knew. `repeated` were seen in this pass already.
    """

    distinct: int = 0
    above: int = 0
    first: int = 0
    unknown: int = 0
    repeated: int = 0

    def add(self, other: Sifted) -> None:
        """Add the counts of another page."""
        self.distinct += other.distinct
        self.above += other.above
        self.first += other.first
        self.unknown += other.unknown
        self.repeated += other.repeated


class Answer(msgspec.Struct, frozen=True):
    """What a walk needs of an answer: what it says of itself, and the ids and moments (UTC) of its rows in order."""

    listing: Listing
    ids: Sequence[str]
    moments: Sequence[datetime | None]
    sifted: Sifted


class Walk:
    """The state of one window's walk.

    Args:
        window: Whose calls.
        page_size: Rows to ask for; what the server says it gave counts from then on.
        by_order: The list is ordered by creation, oldest first, and has no filter by range.
        ends_now: The window ends about when the walk begins, so that a list with a filter shows new calls too.
    """

    def __init__(
        self, window: Window, *, page_size: int, by_order: bool = False, ends_now: bool = True
    ) -> None:
        self.window = window
        self.passes = 0
        self.total: int | None = None
        self.unread = 0
        self.gaps: list[Gap] = []
        self._page_size = page_size
        self._ends_now = ends_now
        self._shows_inserts = by_order or ends_now
        self._can_locate = by_order
        self._out = 0
        self.given = 0
        self._phase: Phase = "first"
        self._begin_pass()

    @property
    def is_done(self) -> bool:
        """Nothing is left to ask and nothing is on its way."""
        return self._phase == "done"

    @property
    def pages_left(self) -> int:
        """Requests of this pass that `next` would give one after another, as far as is known."""
        ahead = self._end_page - self._next_page if self._phase == "pages" else 0
        return len(self._queue) + max(ahead, 0)

    def next(self) -> Ask | None:
        """Return what to ask next, None where that depends on an answer on its way, or nothing is left."""
        if self._queue:
            self._out += 1
            return self._queue.pop()
        if self._phase == "pages" and self._next_page < self._end_page:
            self._out += 1
            self._next_page += 1
            return Ask(Cursor(self._next_page - 1, self._size))
        return None

    def take(self, ask: Ask, answer: Answer) -> None:
        """Take the answer to what `next` returned."""
        self._out -= 1
        if not ask.is_probe:
            self._told.add(answer.listing.total)
            self.seen.add(answer.sifted)
        if ask.is_probe:
            self._take_probe(answer)
        elif self._phase == "first":
            self._take_first(answer)
        else:
            self._take_page(ask.cursor.page, answer)
        self._advance()

    def lose(self, ask: Ask, message: str) -> None:
        """Take that there will be no answer."""
        self._out -= 1
        if ask.is_probe:
            self._read_whole()
        else:
            self._lost.append(self._gap(f"page {ask.cursor.page + 1} of the list: {message}"))
            self._phase = "pages" if self._phase == "first" else self._phase
        self._advance()

    def _begin_pass(self) -> None:
        self.passes += 1
        self.seen = Sifted()
        self._phase = "first"
        self._queue = [Ask(Cursor(0, self._page_size))]
        self._told: set[int | None] = set()
        self._lost: list[Gap] = []
        self._size = self._page_size
        self._first_page = self._next_page = self._end_page = 1
        self._bisection: Bisection | None = None
        self._has_moved = False
        self._is_abandoned = False

    def _take_first(self, answer: Answer) -> None:
        """Page one tells how long the list is and how long its pages are."""
        listing, rows = answer.listing, len(answer.listing.rows)
        self.total = listing.total
        self._size = max(min(listing.size or self._page_size, self._page_size), 1)
        self._phase = "pages"
        if listing.total is None:
            self._end_page = 2 if rows and listing.has_more is not False else 1
            return
        self._end_page = -(-listing.total // self._size)
        if self._can_locate and is_worth_it(listing.total, self._end_page):
            self._locate(listing.total, answer.moments)
        elif self._end_page == 1 and listing.has_more and rows:
            self._end_page = 2

    def _take_page(self, page: int, answer: Answer) -> None:
        listing = answer.listing
        if self._bisection is not None:
            if not self._is_in_order(page, answer.moments):
                self._read_whole()
            return
        if listing.total is not None:
            self._end_page = max(self._end_page, -(-listing.total // self._size))
        is_end_known = listing.total is not None and not listing.has_more
        has_more = listing.has_more is not False and answer.sifted.distinct > 0
        if page == self._end_page - 1 and has_more and not is_end_known:
            self._end_page += 1

    # A part of a list in order: its ends are found first, and believed only as far as the rows bear them out.

    def _locate(self, total: int, moments: Sequence[datetime | None]) -> None:
        first_at = moments[-1] if moments else None
        if first_at is None or not _is_ascending(moments):
            self._can_locate = False
            return
        since = self.window.since
        if self._ends_now and (since is None or first_at >= since):
            return
        self._phase = "locate"
        self._bisection = Bisection(self.window, total=total, first_at=first_at, first_size=len(moments))
        self._probe(total - 1)

    def _take_probe(self, answer: Answer) -> None:
        bisection = self._bisection
        if bisection is None or self._is_abandoned:
            return
        created_at = answer.moments[0] if answer.moments else None
        if created_at is None or answer.listing.total != self.total:
            self._read_whole()
        elif self._phase == "check":
            self._has_moved = answer.ids[0] != bisection.tail_id
            self._end_pass()
        else:
            bisection.learn(answer.ids[0], created_at)
            if bisection.index is not None:
                self._probe(bisection.index)
            else:
                self._read_between(bisection.begin, bisection.end)

    def _read_between(self, begin: int, end: int) -> None:
        self._phase = "pages"
        self._first_page = self._next_page = max(begin // self._size, 1)
        self._end_page = max(-(-end // self._size), self._next_page)

    def _is_in_order(self, page: int, moments: Sequence[datetime | None]) -> bool:
        if not _is_ascending(moments) or not moments:
            return False
        first, last, since = moments[0], moments[-1], self.window.since
        assert first is not None
        assert last is not None
        if since is not None and page > self._first_page and first < since:
            return False
        return page == self._end_page - 1 or last < self.window.until

    def _probe(self, index: int) -> None:
        self._queue.append(Ask(Cursor(index, 1), is_probe=True))

    def _read_whole(self) -> None:
        """Give up this pass: the order does not hold, or the list moved under the bisection."""
        self._can_locate = False
        self._is_abandoned = True
        self._queue.clear()
        self._phase = "pages"
        self._next_page = self._end_page

    # The end of a pass.

    def _advance(self) -> None:
        if self._out or self._queue or self._phase != "pages" or self._next_page < self._end_page:
            return
        if self._is_abandoned:
            self.passes -= 1
            self._begin_pass()
        elif self._bisection is not None and self.total is not None:
            # Pages between two ends cannot show that rows moved past them; the last row of the list can.
            self._phase = "check"
            self._probe(self.total - 1)
        else:
            self._end_pass()

    def _end_pass(self) -> None:
        self.unread = self._rows_unread()
        self.given += self.seen.first
        if self._lost:
            self.gaps = self._lost
        elif self.passes == MAX_PASSES:
            self.gaps = [self._gap(f"the list kept changing: not complete after {MAX_PASSES} passes")]
        elif self.passes > 2 and self.seen.unknown == 0 and self.missing > 0:
            self.gaps = [
                self._gap(f"the provider counts {self.missing} more calls than it lists, pass after pass")
            ]
        elif not self._is_proven():
            self._begin_pass()
            return
        self._phase = "done"

    def _is_proven(self) -> bool:
        if self.passes > 1 and self.seen.unknown == 0 and self.missing <= 0:
            return True
        told = self._steady_total
        if told is None or told - self.unread != self.seen.distinct or self._has_moved:
            return False
        is_one_answer = self._end_page <= 1
        return is_one_answer or self._bisection is not None or not self._shows_inserts or self.seen.above == 0

    @property
    def _steady_total(self) -> int | None:
        """What every page of this pass told, None where they did not agree or told nothing."""
        return next(iter(self._told)) if len(self._told) == 1 else None

    @property
    def missing(self) -> int:
        """Rows that the provider steadily counts and never gave."""
        told = self._steady_total
        return 0 if told is None else told - self.unread - self.given

    def _rows_unread(self) -> int:
        """Rows of the list that lie beyond the window's located ends."""
        if self._bisection is None or self.total is None:
            return 0
        read = min(self._end_page * self._size, self.total) - self._first_page * self._size
        return self.total - self._size - max(read, 0)

    def _gap(self, message: str) -> Gap:
        window = self.window
        return Gap(
            kind="page", agent_id=window.agent_id, since=window.since, until=window.until, message=message
        )


def _is_ascending(moments: Sequence[datetime | None]) -> bool:
    """Return whether all moments are known and none is before the one ahead of it."""
    if None in moments:
        return False
    return all(a <= b for a, b in pairwise(cast("Sequence[datetime]", moments)))
