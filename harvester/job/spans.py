"""Pages of a window that are new by their time alone: of each it is known when it begins and ends, and which it was.

A call's `created_at` does not change. So a row that two pages have lies in the spans of both, and a page whose span no
other touches has no row of another. Its ids need neither be looked at nor kept here: the journal has them. Where one
ends in the moment that the next begins with, as in a list in order of seconds, that moment's rows are to be told apart.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime

import msgspec

from harvester.journal import AnswerKey

_HOURS_A_DAY = 24
_HOUR_S = 3600.0
_EPOCH_DAY = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - `timestamp` counts from it in UTC


class SpannedPage(msgspec.Struct, frozen=True):
    """A page that is kept by its span: its answer, and the number that its pass has among those of all sieves."""

    key: AnswerKey
    number: int


class Spans:
    """The pages of a window that are kept by their spans, no two of which share more than a moment.

    Where many come a day a page takes 40 bytes, where one does some hundreds.

    Args:
        window_id: The journal's number of the window.
    """

    def __init__(self, window_id: int) -> None:
        self._window_id = window_id
        self._days: dict[int, _Day] = {}
        self._passes: dict[int, tuple[int, str]] = {}

    def touching(self, first: datetime, last: datetime) -> Iterator[tuple[SpannedPage, bool]]:
        """Yield the pages that have a moment in common with this span (UTC), and whether no more than that."""
        begin, end = first.timestamp(), last.timestamp()
        for one in _days(first, last):
            if (day := self._days.get(one)) is not None:
                for its_begin, its_end, which in day.touching(begin, end):
                    yield self._page(which), its_end == begin or its_begin == end

    def add(self, page: SpannedPage, first: datetime, last: datetime) -> None:
        """Add a page that shares no more than a moment with any other."""
        key = page.key
        self._passes[page.number] = key.pass_number, key.part
        for one in _days(first, last):
            day = self._days.get(one)
            if day is None:
                day = self._days[one] = _Day()
            day.add(first.timestamp(), last.timestamp(), (page.number, key.page, key.size))

    def of_hour(self, hour: int) -> Iterator[SpannedPage]:
        """Yield the pages whose spans reach into an hour, as `ids.hour_of` counts them."""
        day = self._days.get(hour // _HOURS_A_DAY)
        if day is None:
            return
        begin = (hour - _EPOCH_DAY * _HOURS_A_DAY) * _HOUR_S
        for _, _, which in day.touching(begin, begin + _HOUR_S):
            yield self._page(which)

    def _page(self, which: array[int]) -> SpannedPage:
        number, page, size = which
        pass_number, part = self._passes[number]
        return SpannedPage(AnswerKey(self._window_id, pass_number, page, size, part=part), number)


class _Day:
    """The pages that reach into one day, in the order of time."""

    __slots__ = ("_firsts", "_lasts", "_which")

    def __init__(self) -> None:
        self._firsts = array("d")
        self._lasts = array("d")
        self._which = array("q")  # of each its pass's number, its page and size

    def add(self, first: float, last: float, which: tuple[int, int, int]) -> None:
        # One that is a moment stands before one that begins with it: so their ends are in order as well.
        at = (bisect_left if first == last else bisect_right)(self._firsts, first)
        self._firsts.insert(at, first)
        self._lasts.insert(at, last)
        self._which[3 * at : 3 * at] = array("q", which)

    def touching(self, first: float, last: float) -> Iterator[tuple[float, float, array[int]]]:
        at = bisect_right(self._firsts, last) - 1
        while at >= 0 and self._lasts[at] >= first:
            yield self._firsts[at], self._lasts[at], self._which[3 * at : 3 * at + 3]
            at -= 1


def _days(first: datetime, last: datetime) -> range:
    return range(first.toordinal(), last.toordinal() + 1)
