"""One list, read for its newest calls: as far as is needed where it comes in order, else whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from harvester.errors import RejectedError
from harvester.model import Agent, Cursor, Listing, Request

from .asker import Answer, Asker, Row

PASSES = 8
"""How often a list is read whole whose rows are fewer than it says: one without an order shows others each time."""

SPARE = 16
"""Calls beyond those that are wanted, for those that turn out to be gone when their details are asked for."""

_OLDEST = datetime.min.replace(tzinfo=UTC)
_log = logging.getLogger("harvester")


class Newest:
    """The newest of the calls that it is shown, each once: the newest first, ties as they came, undated ones last.

    Args:
        count: How many are wanted; a few more are kept.
        is_wanted: Which calls count at all.
    """

    def __init__(self, count: int, is_wanted: Callable[[Row], bool] = lambda _row: True) -> None:
        self._count = count
        self._is_wanted = is_wanted
        self._rows: list[Row] = []
        self._known: set[str] = set()
        self._dated = 0

    @property
    def rows(self) -> list[Row]:
        """The newest so far."""
        self._settle()
        return self._rows

    def empty(self) -> Newest:
        """Return one that wants the same and was shown nothing."""
        return Newest(self._count, self._is_wanted)

    def take(self, rows: Iterable[Row]) -> None:
        """Look at more calls."""
        for row in rows:
            if row.call.id not in self._known and self._is_wanted(row):
                self._known.add(row.call.id)
                self._rows.append(row)
                self._dated += row.at is not None
        if len(self._rows) > 2 * (self._count + SPARE):
            self._settle()  # now and then, so that what is too old does not pile up

    def is_full(self, since: datetime | None = None) -> bool:
        """Say whether there are as many as wanted that have a date, from `since` on."""
        if since is None:
            return self._dated >= self._count
        return sum(row.at is not None and row.at >= since for row in self.rows) >= self._count

    def _settle(self) -> None:
        self._rows.sort(key=lambda row: row.at or _OLDEST, reverse=True)  # stable, also in reverse
        del self._rows[self._count + SPARE :]


class ListReader:
    """Shows the rows of one list to a `Newest`.

    The order of a list is looked at and never trusted: as soon as a row is newer than one before it, the list is read
    to its end. Rows without a date say nothing: some servers put them first.

    Args:
        asker: Asks the source.
        request: Makes the request for a page.
        read: Cuts an answer into rows.
        newest: What the rows are shown to.
        agent: Whose list it is; None for the account's.
        size: Rows of a page to ask for.
        is_ordered: Whether the newest should come first.
    """

    def __init__(
        self,
        asker: Asker,
        request: Callable[[Cursor], Request],
        read: Callable[[bytes], Listing],
        newest: Newest,
        *,
        agent: Agent | None,
        size: int,
        is_ordered: bool,
    ) -> None:
        self._asker = asker
        self._request = request
        self._read = read
        self._newest = newest
        self._agent = agent
        self._size = size
        self._most = asker.provider.capabilities.max_page_size
        self._is_ordered = is_ordered
        self._last: datetime | None = None
        self._total: int | None = None
        self._seen: set[str | bytes] = set()

    async def run(self) -> None:
        """Read the list, again where it brought fewer rows than it says and the last time brought new ones.

        Raises:
            ProviderError: A page did not come.
        """
        for _ in range(PASSES):
            known = len(self._seen)
            if await self._is_enough() or self._total is None or len(self._seen) >= self._total:
                return
            if len(self._seen) == known:
                break
        _log.warning(
            "%s: a list counts %d calls and shows %d: there may be newer ones",
            self._asker.account.source.name, self._total, len(self._seen),
        )  # fmt: skip

    async def _is_enough(self) -> bool:
        """Read the list once; return whether that ended before its end, because no newer ones can follow."""
        cursor, met = Cursor(0, self._size), set[str | bytes]()
        self._last = None
        while True:
            answer = await self._page(cursor)
            if answer is None:
                return False
            is_new = not met.issuperset(answer.keys)
            met.update(answer.keys)
            self._take(answer)
            if self._is_ordered and self._newest.is_full():
                return True
            if not self._is_ordered and self._size < self._most:
                # All of it in pages of the few that are wanted would be many.
                cursor, self._size = Cursor(0, self._most), self._most
                met.clear()
                continue
            # A page that brings nothing new is the end, whatever the server says.
            if not is_new or answer.listing.has_more is False:
                return False
            cursor = _next(cursor, answer.listing)

    async def _page(self, cursor: Cursor) -> Answer | None:
        """Return a page; None beyond the end, which some servers call not found."""
        request = self._request(cursor)
        try:
            return await self._asker.ask(request, self._read, self._asker.provider.call_type, self._agent)
        except RejectedError as error:
            if cursor.page == 0 or not error.is_gone:
                raise
            return None

    def _take(self, answer: Answer) -> None:
        self._seen.update(answer.keys)
        self._total = answer.listing.total
        for at in (row.at for row in answer.rows):
            if at is not None:
                self._is_ordered = self._is_ordered and (self._last is None or at <= self._last)
                self._last = at
        self._newest.take(answer.rows)


def _next(cursor: Cursor, listing: Listing) -> Cursor:
    """Return the next page, in steps of what the first one gave: a server may give less than it is asked for."""
    size = cursor.size
    if cursor.page == 0:
        size = min(size, listing.size or size, len(listing.rows) or size)
    return Cursor(cursor.page + 1, size)
