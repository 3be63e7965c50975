"""Which rows a page has: order, quirks of paging and totals, for all providers alike.

A list is a sequence of call numbers, oldest first, of which only the rows of one page are ever looked up.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from math import gcd
from typing import Literal

from msgspec import Struct

from harvester.sandbox.quirks import Quirks
from harvester.sandbox.seed import mix

Order = Literal["newest", "oldest"]
_GOLDEN_SECTION = 0.6180339887498949


class Cut(Struct, frozen=True):
    """One page.

    Attributes:
        picks: The calls on it.
        total: Number of rows in the list as the server tells it; None for null.
        has_total: The server tells a total at all.
        size: The page size as the server tells it.
        pages: Number of pages, at least `least_pages` of the caller; None where there is no total.
        has_more: More rows follow, as the server tells it.
        is_beyond: The page lies behind the end of what the server gives.
    """

    picks: list[int]
    total: int | None
    has_total: bool
    size: int
    pages: int | None
    has_more: bool
    is_beyond: bool


class Listing:
    """One list in the order it is served."""

    def __init__(
        self,
        calls: Sequence[int],
        order: Order,
        quirks: Quirks,
        salt: int = 0,
        *,
        time_of: Callable[[int], int] | None = None,
        turn: int = 0,
    ) -> None:
        self.turn = turn
        self._calls = calls
        self._order = order if quirks.order == "documented" else quirks.order
        self._every = quirks.duplicates
        self._misplaced = quirks.misplaced
        self._time_of = time_of if quirks.ties_move else None
        self._stride = self._start = 0
        if self._order in {"random", "unstable"} and calls:
            self._stride = _coprime(len(calls))
            self._start = mix(salt + (turn if self._order == "unstable" else 0)) % len(calls)

    def __len__(self) -> int:
        plain = len(self._calls)
        return plain + plain // self._every if self._every else plain

    def take(self, offset: int, count: int) -> list[int]:
        """Give the calls at these places."""
        total = len(self)
        places = range(min(offset, total), min(offset + count, total))
        if self._every:
            # Every n-th row comes once more, right behind itself.
            step = self._every + 1
            unique = [place // step * self._every + min(place % step, self._every - 1) for place in places]
        else:
            unique = list(places)
        return [self._calls[place] for place in self._ascending(unique)]

    def _ascending(self, places: list[int]) -> list[int]:
        """Give the places in ascending order of what stands at these places of the list as it is served."""
        count = len(self._calls)
        if self._order == "newest":
            places = [count - 1 - place for place in places]
        elif self._order != "oldest":
            places = [(place * self._stride + self._start) % count for place in places]
        if self._misplaced:
            places = [_mirrored(place, self._misplaced, count) for place in places]
        if self._time_of is not None:
            places = [self._moved(place, self._time_of) for place in places]
        return places

    def _moved(self, place: int, time_of: Callable[[int], int]) -> int:
        """Give the place that takes this one's among those of the same time, in this turn."""
        at = time_of(self._calls[place])
        low = bisect_left(self._calls, at, key=time_of)
        ties = bisect_right(self._calls, at, key=time_of) - low
        return low + (place - low + mix(self.turn)) % ties


def _mirrored(place: int, every: int, count: int) -> int:
    """Turn the order of one place in `every` around; the others stay."""
    number, rest = divmod(place, every)
    return (count // every - 1 - number) * every + rest if rest == every - 1 else place


def _coprime(count: int) -> int:
    """Give a stride with which a walk over `count` places visits each once, far from neighbours."""
    stride = int(count * _GOLDEN_SECTION) | 1
    while gcd(stride, count) != 1:
        stride += 1
    return stride


def cut(listing: Listing, offset: int, asked: int, quirks: Quirks, *, asked_before: int = 0) -> Cut:
    """Cut one page out of a list.

    Args:
        listing: All rows.
        offset: Rows before the page if no quirk shrinks pages; a multiple of `asked` for numbered pages.
        asked: The page size that was asked for, already within the documented limit.
        quirks: What the server does otherwise.
        asked_before: How often this page was asked for.
    """
    size = min(asked, quirks.clamp) if quirks.clamp else asked
    length = len(listing)
    reach = min(length, quirks.window) if quirks.window else length
    number = offset // size + 1
    is_ill = not quirks.heals_after or asked_before < quirks.heals_after
    first = 0 if quirks.same_page else offset
    if is_ill and number in quirks.repeated_pages:
        first = max(0, offset - size)
    count = max(0, min(size, reach - first))
    picks = listing.take(first, count)
    end = first + len(picks)
    if is_ill:
        if number in quirks.empty_pages:
            picks = []
        elif number in quirks.short_pages:
            picks = picks[: len(picks) // 2]
    total = _told_total(reach if quirks.window_total else length, quirks, listing.turn)
    pages = None if total is None else -(-total // size)
    if quirks.more_for_ever and pages is not None:
        pages = max(pages, number + 1)
    return Cut(
        picks=picks,
        total=total,
        has_total=quirks.total != "absent",
        size=asked if quirks.clamp_hidden else size,
        pages=pages,
        has_more=quirks.more_for_ever or quirks.same_page or end < reach,
        is_beyond=bool(quirks.window) and offset >= quirks.window,
    )


def _told_total(length: int, quirks: Quirks, turn: int) -> int | None:
    if quirks.total == "off":
        return max(0, length + quirks.total_off)
    if quirks.total == "wobbles":
        most = abs(quirks.total_off)
        return max(0, length - most + mix(turn) % (2 * most + 1))
    return length if quirks.total == "right" else None


def page_offset(page: int, asked: int, quirks: Quirks) -> int:
    """Give the rows before a numbered page, its size cut to what the server gives."""
    return (page - 1) * (min(asked, quirks.clamp) if quirks.clamp else asked)


def members(*pairs: tuple[str, object]) -> str:
    """Write members of a JSON object whose values are numbers, booleans, None or already JSON."""
    return ",".join(f'"{name}":{_literal(value)}' for name, value in pairs)


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
