"""One window, complete: which pages to ask for, in passes, until the provider's own account of it is met.

Offset and page-number lists move while they are read: new calls push rows to later pages (seen twice), deletions pull
rows to earlier pages (never seen), and pages fetched at once or out of order lose rows either way. So a window is
walked in passes. It is complete when

1. every page of a pass told the same total, as many distinct ids arrived, and no row can have come in that makes up in
   number for one that was lost: a row at or after `until` may, unless the list cannot show new calls; or
2. a later pass brought no id of the window that was not known, the provider does not steadily claim more rows than
   it ever gave, and the list stood still meanwhile: two passes lose the same row where it moves alike in both, so
   one that moved has to be followed by another that brings nothing.

After `MAX_PASSES`, or where it does so claim, it is a gap. A walk does no I/O: it says what to ask next (`next`), is
told what came (`take`) or that nothing will (`lose`), and can be driven by any number of askers at once.

Where the list has an order but no filter by range (`by_order`), a window that is a small part of a long list is found
by bisection. The claim of an order is believed only as far as what arrives bears it out; else the list is read whole.
Such a list grows at its end, which moves no row: the rows that were looked at first have to be in their places when the
pass is over (`_anchors`), and then nothing ahead of them was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal, cast

from harvester.model import Cursor, Gap, Window

from .locate import Bisection, is_worth_it
from .nouns import Answer, Ask, Sifted, gap_in

MAX_PASSES = 8

MAX_ABANDONED = 2
"""Passes given up because the list grew shorter under the bisection; then it is read whole, which takes no harm."""

Phase = Literal["first", "locate", "pages", "check", "done"]


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
        self.passes: int = 0
        self.total: int | None = None
        self.unread: int = 0
        self.gaps: list[Gap] = []
        self._page_size = page_size
        self._ends_now = ends_now
        self._shows_inserts = by_order or ends_now
        self._can_locate = by_order
        self._abandoned = 0
        self._was_quiet = False
        self._distinct_before = -1
        self._widest = 0
        self._out = 0
        self.given: int = 0
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

    @property
    def page_size(self) -> int:
        """Rows that are asked for at once."""
        return self._page_size

    @property
    def ends_now(self) -> bool:
        """The window ends about when the walk began."""
        return self._ends_now

    @property
    def has_lost(self) -> bool:
        """There are pages of this pass that could not be had."""
        return bool(self._lost)

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
            self._listed_again += answer.sifted.repeated if answer.sifted.distinct else 0
            self._widest = max(self._widest, len(answer.listing.rows))
        if ask.is_probe:
            self._take_probe(ask.cursor.page, answer)
        elif self._phase == "first":
            self._take_first(answer)
        else:
            self._take_page(ask.cursor.page, answer)
        self._advance()

    def lose(self, ask: Ask, message: str) -> None:
        """Take that there will be no answer."""
        self._out -= 1
        if ask.is_probe:
            self._abandon(is_ordered=False)
        else:
            self._lost.append(self._gap(f"page {ask.cursor.page + 1} of the list: {message}"))
            self._phase = "pages" if self._phase == "first" else self._phase
        self._advance()

    def _begin_pass(self) -> None:
        self.passes += 1
        self.seen: Sifted = Sifted()
        self._listed_again = 0
        self._doubt = ""
        self._is_short = False
        self._widest = 0
        self._short_page = self._idle_page = -1
        self._anchors: dict[int, str] = {}
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
            # Nothing says that there is more, and fewer rows than were asked for may be all a server gives at once.
            self._size = min(rows, self._size) or self._size
            self._end_page = 2 if self._goes_on(0, answer) else 1
            return
        self._end_page = -(-listing.total // self._size)
        if self._can_locate and is_worth_it(listing.total, self._end_page):
            self._locate(listing.total, answer)
        elif self._end_page <= 1 and self._goes_on(0, answer):
            self._end_page = 2

    def _take_page(self, page: int, answer: Answer) -> None:
        listing = answer.listing
        if self._bisection is not None:
            self._check_order(page, answer)
            return
        if listing.total is not None:
            self._end_page = max(self._end_page, -(-listing.total // self._size))
            # By what this answer itself counts there are more rows in its place; a list that moves has full pages, too.
            self._is_short |= len(listing.rows) < min(self._size, listing.total - page * self._size)
        elif answer.sifted.distinct and self._short_page not in {-1, page}:
            self._doubt = "a page in the middle of the list came short; whether rows are missing is not said"
        if len(listing.rows) < self._size:
            self._short_page = page
        if page == self._end_page - 1 and self._goes_on(page, answer):
            self._end_page += 1

    def _goes_on(self, page: int, answer: Answer) -> bool:
        """Return whether there may be a page after what looks like the last one."""
        listing, rows = answer.listing, len(answer.listing.rows)
        is_full = rows >= self._size
        if not answer.sifted.distinct:
            # A page seen before, or none: rows may follow an empty one, if the server says so, but no two of them.
            if listing.total is None and rows == self._page_size:
                self._doubt = "the list gives the same page again and again; what comes after it is not known"
            is_first_idle, self._idle_page = self._idle_page != page - 1 or not page, page
            return listing.total is None and listing.has_more is True and not rows and is_first_idle
        if listing.total is not None and not listing.has_more:
            # More rows than it counts: then others may follow a full page.
            return is_full and page * self._size + rows > listing.total
        return listing.has_more is not False

    # A part of a list in order: its ends are found first, and believed only as far as the rows bear them out.

    def _locate(self, total: int, answer: Answer) -> None:
        moments = answer.moments
        first_at = moments[-1] if moments else None
        if first_at is None or not _is_ascending(moments):
            self._can_locate = False
            return
        since = self.window.since
        if self._ends_now and (since is None or first_at >= since):
            return
        self._phase = "locate"
        self._bisection = Bisection(self.window, total=total, first_at=first_at, first_size=len(moments))
        if since is None or first_at >= since:
            self._anchors[len(moments) - 1] = answer.ids[-1]
        self._probe(total - 1)

    def _take_probe(self, index: int, answer: Answer) -> None:
        bisection = self._bisection
        if bisection is None or self._is_abandoned:
            return
        call_id = answer.ids[0] if answer.ids else None
        if self._phase == "check":
            self._has_moved |= call_id != self._anchors.pop(index)
            if not self._anchors:
                self._end_pass()
            return
        if call_id is None or self._has_shrunk(answer):
            self._abandon(is_ordered=True)
            return
        created_at = answer.moments[0]
        if created_at is None or not bisection.learn(created_at):
            self._abandon(is_ordered=False)
            return
        if index == (self.total or 0) - 1:
            self._anchors[index] = call_id
        if bisection.index is not None:
            self._probe(bisection.index)
        else:
            self._read_between(bisection.begin, bisection.end)

    def _has_shrunk(self, answer: Answer) -> bool:
        return self.total is None or answer.listing.total is None or answer.listing.total < self.total

    def _read_between(self, begin: int, end: int) -> None:
        self._phase = "pages"
        self._first_page = self._next_page = max(begin // self._size, 1)
        self._end_page = max(-(-end // self._size), self._next_page)

    def _check_order(self, page: int, answer: Answer) -> None:
        assert self.total is not None
        if len(answer.moments) < min(self._size, self.total - page * self._size):
            self._doubt = "a page in the middle of the list comes short, pass after pass"
        if not self._is_in_order(page, answer.moments):
            self._abandon(is_ordered=self._has_shrunk(answer))

    def _is_in_order(self, page: int, moments: Sequence[datetime | None]) -> bool:
        if not _is_ascending(moments):
            return False
        if not moments:
            return True  # it is short, and this pass no proof
        first, last, since = moments[0], moments[-1], self.window.since
        assert first is not None
        assert last is not None
        if since is not None and page > self._first_page and first < since:
            return False
        return page == self._end_page - 1 or last < self.window.until

    def _probe(self, index: int, *, is_check: bool = False) -> None:
        self._queue.append(Ask(Cursor(index, 1), is_probe=True, is_check=is_check))

    def _abandon(self, *, is_ordered: bool) -> None:
        """Give up this pass: the list moved under the bisection, or its order does not hold and it is read whole."""
        self._abandoned += 1
        self._can_locate = self._can_locate and is_ordered and self._abandoned < MAX_ABANDONED
        self._is_abandoned = True
        self._queue.clear()
        self._phase = "pages"
        self._next_page = self._end_page

    # The end of a pass.

    def _advance(self) -> None:
        if self._out or self._queue or self._phase != "pages" or self._next_page < self._end_page:
            return
        if self._bisection is not None and not self._is_abandoned:
            # Pages between two ends cannot show that rows moved past them; the rows looked at first can.
            self._phase = "check"
            for index in self._anchors:
                self._probe(index, is_check=True)
        else:
            self._end_pass()

    def _end_pass(self) -> None:
        self.unread = self._rows_unread()
        self.given += self.seen.first
        is_quiet = self.seen.unknown == 0 and not self._is_abandoned
        if self._lost and not self._is_abandoned:
            self.gaps = self._lost
        elif not self._is_proven():
            if self.passes == MAX_PASSES:
                self.gaps = [self._gap(f"the list kept changing: not complete after {MAX_PASSES} passes")]
            elif self.passes > 2 and is_quiet and (self._doubt or self._is_short or self.missing > 0):
                counted = f"the provider counts {self.missing} more calls than it lists, pass after pass"
                short = "pages in the middle of the list come short, pass after pass"
                self.gaps = [self._gap(self._doubt or (counted if self.missing > 0 else short))]
            else:
                self._was_quiet, self._distinct_before = is_quiet, self.seen.distinct
                if self.missing > 0 and 0 < self._widest < self._page_size:
                    # A server that gives less than is asked, and does not say so.
                    self._page_size = self._widest
                self._begin_pass()
                return
        self._phase = "done"

    def _is_proven(self) -> bool:
        if self._is_abandoned or self._doubt:
            return False
        is_quiet = self.passes > 1 and self.seen.unknown == 0 and not self._is_short
        if is_quiet and self.missing <= 0 and self._stood_still:
            return True
        told = self._steady_total
        if told is None or self._has_moved:
            return False
        if self._bisection is not None:
            return self.seen.distinct >= told - self.unread
        is_one_answer = self._end_page <= 1
        is_whole = told - self.unread == self.seen.distinct
        return is_whole and (is_one_answer or not self._shows_inserts or self.seen.above == 0)

    @property
    def _stood_still(self) -> bool:
        """Nothing shows that the list moved in this pass, or it is the second in a row that brought nothing."""
        if self._was_quiet:
            return True
        if self._bisection is not None:
            return not self._has_moved
        return len(self._told) == 1 and (
            None not in self._told or self.seen.distinct == self._distinct_before
        )

    @property
    def _steady_total(self) -> int | None:
        """What every page of this pass told, None where they did not agree or told nothing."""
        if self._bisection is not None:
            return None if self._is_abandoned else self.total
        return next(iter(self._told)) if len(self._told) == 1 else None

    @property
    def missing(self) -> int:
        """Rows that the provider steadily counts and never gave.

        One that it lists twice, pass after pass and beside others on its page, it counts twice as well.
        """
        told = self._steady_total
        twice = self._listed_again if self.passes > 2 and self._was_quiet else 0
        return 0 if told is None else told - self.unread - self.given - twice

    def _rows_unread(self) -> int:
        """Rows of the list that lie beyond the window's located ends."""
        if self._bisection is None or self.total is None or self._is_abandoned:
            return 0
        read = min(self._end_page * self._size, self.total) - self._first_page * self._size
        return self.total - self._size - max(read, 0)

    def _gap(self, message: str) -> Gap:
        return gap_in(self.window, "page", message)


def _is_ascending(moments: Sequence[datetime | None]) -> bool:
    """Return whether all moments are known and none is before the one ahead of it."""
    if None in moments:
        return False
    return all(a <= b for a, b in pairwise(cast("Sequence[datetime]", moments)))
