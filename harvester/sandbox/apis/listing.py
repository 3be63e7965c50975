"""Which rows a page has: order, quirks of paging and totals, for all providers alike.

A list is a sequence of call numbers, oldest first, of which only the rows of one page are ever looked up.
"""

from collections.abc import Sequence
from math import gcd
from typing import Literal

from msgspec import Struct

from harvester.sandbox.config import Quirks
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

    def __init__(self, calls: Sequence[int], order: Order, quirks: Quirks, salt: int = 0) -> None:
        self._calls = calls
        self._order = order if quirks.order == "documented" else quirks.order
        self._every = quirks.duplicates
        self._stride = self._start = 0
        if self._order == "random" and calls:
            self._stride = _coprime(len(calls))
            self._start = mix(salt) % len(calls)

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
        calls, last = self._calls, len(self._calls) - 1
        if self._order == "newest":
            return [calls[last - place] for place in unique]
        if self._order == "oldest":
            return [calls[place] for place in unique]
        return [calls[(place * self._stride + self._start) % len(calls)] for place in unique]


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
    first = 0 if quirks.same_page else offset
    count = max(0, min(size, reach - first))
    picks = listing.take(first, count)
    end = first + len(picks)
    number = offset // size + 1
    if not quirks.heals_after or asked_before < quirks.heals_after:
        if number in quirks.empty_pages:
            picks = []
        elif number in quirks.short_pages:
            picks = picks[: len(picks) // 2]
    total = _told_total(reach if quirks.window_total else length, quirks)
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


def _told_total(length: int, quirks: Quirks) -> int | None:
    if quirks.total == "off":
        return max(0, length + quirks.total_off)
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
