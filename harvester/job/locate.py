"""Where a window begins and ends in a list that has an order but no filter by range. Pure."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from itertools import pairwise

from harvester.model import Window


class Bisection:
    """Finds a window's rows in a list ordered by creation, oldest first, by looking at one row at a time.

    Args:
        window: The range looked for.
        total: The rows of the list.
        first_at: The moment of the last row on its first page, which was read anyway.
        first_size: The rows of that page.
    """

    def __init__(self, window: Window, *, total: int, first_at: datetime, first_size: int) -> None:
        self._window = window
        self._total = total
        self._first_at = first_at
        self._first_size = first_size
        self._looked = first_at
        self._known = {first_size - 1: first_at}
        self._steps = self._search()
        self.begin: int = 0
        self.end: int = total
        self.index: int | None = next(self._steps)

    def learn(self, created_at: datetime) -> bool:
        """Take the row at `index`; then `index` is the next to look at, None once both ends are found.

        Returns:
            False where the rows looked at so far are in no order.
        """
        assert self.index is not None
        self._known[self.index] = self._looked = created_at
        self.index = next(self._steps, None)
        found = [at for _, at in sorted(self._known.items())]
        return all(a <= b for a, b in pairwise(found))

    def _search(self) -> Generator[int, None, None]:
        yield self._total - 1
        tail_at = self._looked
        since, until = self._window.since, self._window.until
        if since is not None and self._first_at < since:
            self.begin = yield from self._first_at_or_after(since, self._first_size)
        if tail_at >= until:
            self.end = yield from self._first_at_or_after(until, self.begin)

    def _first_at_or_after(self, moment: datetime, lo: int) -> Generator[int, None, int]:
        hi = self._total
        while lo < hi:
            middle = (lo + hi) // 2
            yield middle
            if self._looked >= moment:
                hi = middle
            else:
                lo = middle + 1
        return lo


def is_worth_it(total: int, pages: int) -> bool:
    """Return whether bisecting, which asks one row after another, can save more than it costs."""
    return pages > 2 * total.bit_length() + 2
