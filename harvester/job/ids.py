"""Which calls of a window are known, in bounded memory.

A page whose span of `created_at` no other shares is new as a whole, and kept by that span alone: so the pages of a list
in order come. Ids are kept only of hours in which that did not do, by hour, for their moments do not change: the pages
that were kept by their spans there are read again from the journal when another page has a row in it. Of these hours
those longest unused go to a scratch file of the journal once there are more than `max_ids` in memory, and come back
when a row of theirs does. What an earlier run knew of a window is put in again from the digests of its answers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

import anyio

from harvester.journal import AnswerKey, Digest

from .spans import SpannedPage, Spans

MAX_IDS = 20_000
"""About 3.5 MB of ids, as Python keeps them."""

BUCKET_COST = 4
"""What an hour costs beside its ids, in ids."""

MOST_HOURS = 24
"""What a page that is kept by its span may span: of more, to look at each hour costs what to look at each row does."""

RECENT_PAGES = 64
"""Pages kept by their spans whose ids stay in memory: those that touch come soon after one another, before the journal
has made them durable."""

_PAGES_AT_ONCE = 64

Bucket = dict[str, int]
"""Id to the pass that saw it last; or an earlier run, or a part of the window that it does not belong to."""

_Rows = tuple[Sequence[str], Sequence[datetime | None]]


class IdJournal(Protocol):
    """Where ids go that are not in memory."""

    async def load_ids(self, window_id: int, hours: Sequence[int]) -> dict[int, Bucket]:
        """Take back what was spilled of these hours."""
        ...

    async def spill_ids(self, buckets: dict[tuple[int, int], Bucket]) -> None:
        """Keep buckets by (window, hour) until they are loaded or the window is forgotten."""
        ...

    async def digests(self, keys: Sequence[AnswerKey]) -> list[Digest]:
        """Return the digests of answers that were handed over."""
        ...


class Keys(Protocol):
    """What of a page's rows decides whether they are new: `hours` say by which hour each id is kept."""

    @property
    def ids(self) -> Sequence[str]:
        """The rows' ids; those of rows without one are numbered in place where they are copies."""
        ...

    @property
    def moments(self) -> Sequence[datetime | None]:
        """Their `created_at`, UTC."""
        ...

    @property
    def hours(self) -> Sequence[int]:
        """As `hour_of` counts them, or the journal's DATELESS or NAMELESS."""
        ...

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The first and the last moment where every row has one; None also where that was not looked at."""
        ...

    @property
    def is_distinct(self) -> bool:
        """No two rows have the same id; False also where that was not looked at."""
        ...


class IdStore:
    """The ids of all open windows.

    Args:
        journal: Where they go that are not in memory.
        max_ids: How many are.
        recent_pages: Of how many pages that are kept by their spans the ids are in memory as well.
    """

    def __init__(
        self, journal: IdJournal, *, max_ids: int = MAX_IDS, recent_pages: int = RECENT_PAGES
    ) -> None:
        self._journal = journal
        self._max_ids = max_ids
        self._recent_pages = recent_pages
        self._count = 0
        self._elsewhere: dict[int, set[int]] = {}
        self._loading = anyio.Lock()
        self._buckets: OrderedDict[tuple[int, int], Bucket] = OrderedDict()
        self._hours: dict[int, set[int]] = {}
        self._spans: dict[int, Spans] = {}
        self._recent: OrderedDict[AnswerKey, _Rows] = OrderedDict()

    def keep_by_span(self, key: AnswerKey, page: Keys, number: int) -> bool:
        """Keep a page of new rows by its span alone, where that shows that they are; return whether it does.

        Args:
            key: Its answer, which is handed to the journal before the next call that awaits; no other has this key.
            page: Its keys, distinct.
            number: Of the pass.
        """
        if page.span is None:
            return False
        first, last = page.span
        hours = range(hour_of(first), hour_of(last) + 1)
        window_id = key.window_id
        elsewhere = self._elsewhere.get(window_id, ())
        if len(hours) > MOST_HOURS or any(
            (window_id, hour) in self._buckets or hour in elsewhere for hour in hours
        ):
            return False
        spans = self._spans.get(window_id)
        if spans is None:
            spans = self._spans[window_id] = Spans(window_id)
        for other, shares_one_moment in spans.touching(first, last):
            rows = self._recent.get(other.key)
            if rows is None or not shares_one_moment or not set(page.ids).isdisjoint(rows[0]):
                return False
        spans.add(SpannedPage(key, number), first, last)
        self._recent[key] = page.ids, page.moments
        if len(self._recent) > self._recent_pages:
            self._recent.popitem(last=False)
        return True

    async def open(self, window_id: int, hours: Collection[int]) -> dict[int, Bucket]:
        """Return the buckets of these hours, in memory from now until the next call that awaits.

        Args:
            window_id: The journal's number of the window.
            hours: Hours as `hour_of` counts them, or the journal's DATELESS or NAMELESS.
        """
        while self._missing(window_id, hours) or self._to_open(window_id, hours):
            # One at a time: what another has taken back, and perhaps spilled again, must not be taken for nothing.
            async with self._loading:
                if missing := self._missing(window_id, hours):
                    loaded = await self._journal.load_ids(window_id, missing)
                    self._elsewhere.get(window_id, set()).difference_update(missing)
                    for hour in missing:
                        self._put(window_id, hour, loaded[hour])
                if to_open := self._to_open(window_id, hours):
                    await self._read_spanned(window_id, to_open)
        found: dict[int, Bucket] = {}
        for hour in hours:
            if (window_id, hour) not in self._buckets:
                self._put(window_id, hour, {})
            self._buckets.move_to_end((window_id, hour))
            found[hour] = self._buckets[window_id, hour]
        return found

    def _missing(self, window_id: int, hours: Collection[int]) -> list[int]:
        elsewhere = self._elsewhere.get(window_id)
        return [hour for hour in hours if hour in elsewhere] if elsewhere else []

    def _to_open(self, window_id: int, hours: Collection[int]) -> list[int]:
        """Return the hours that have no bucket yet, but pages that are kept by their spans."""
        spans = self._spans.get(window_id)
        if spans is None:
            return []
        elsewhere = self._elsewhere.get(window_id, ())
        return [
            hour
            for hour in hours
            if (window_id, hour) not in self._buckets
            and hour not in elsewhere
            and next(spans.of_hour(hour), None) is not None
        ]

    async def _read_spanned(self, window_id: int, hours: Collection[int]) -> None:
        """Make buckets of these hours from the pages whose spans reach into them.

        More of them may come while these are read, so that it is over only when none has.
        """
        spans = self._spans[window_id]
        buckets: dict[int, Bucket] = {hour: {} for hour in hours}
        opened: set[SpannedPage] = set()
        while pages := {page for hour in hours for page in spans.of_hour(hour)} - opened:
            # More or less as they came: the journal reads many that came together at once.
            ordered = sorted(pages, key=lambda page: (page.number, page.key.page))
            for begin in range(0, len(ordered), _PAGES_AT_ONCE):
                some = ordered[begin : begin + _PAGES_AT_ONCE]
                for page, (ids, moments) in zip(some, await self._rows_of(some), strict=True):
                    for call_id, at in zip(ids, moments, strict=True):
                        if at is not None and (bucket := buckets.get(hour_of(at))) is not None:
                            bucket[call_id] = page.number
            opened |= pages
        for hour, bucket in buckets.items():
            self._put(window_id, hour, bucket)

    async def _rows_of(self, pages: Sequence[SpannedPage]) -> list[_Rows]:
        """Return the ids and moments of the rows of pages, some of which are here still."""
        found = {page.key: self._recent[page.key] for page in pages if page.key in self._recent}
        wanted = [page.key for page in pages if page.key not in found]
        if wanted:
            for key, digest in zip(wanted, await self._journal.digests(wanted), strict=True):
                found[key] = digest.ids, digest.moments
        return [found[page.key] for page in pages]

    async def settle(self, added: int) -> None:
        """Count ids added to buckets; spill the longest unused where there are too many."""
        self._count += added
        if self._count <= self._max_ids:
            return
        spilled: dict[tuple[int, int], Bucket] = {}
        while self._count > self._max_ids // 2 and len(self._buckets) > 1:
            key, bucket = self._buckets.popitem(last=False)
            self._hours[key[0]].discard(key[1])
            self._elsewhere.setdefault(key[0], set()).add(key[1])
            self._count -= len(bucket) + BUCKET_COST
            spilled[key] = bucket
        await self._journal.spill_ids(spilled)

    def forget(self, window_id: int) -> None:
        """Drop a window that is done."""
        self._spans.pop(window_id, None)
        self._elsewhere.pop(window_id, None)
        for hour in self._hours.pop(window_id, ()):
            self._count -= len(self._buckets.pop((window_id, hour))) + BUCKET_COST

    def _put(self, window_id: int, hour: int, bucket: Bucket) -> None:
        self._buckets[window_id, hour] = bucket
        self._hours.setdefault(window_id, set()).add(hour)
        self._count += len(bucket) + BUCKET_COST


def hour_of(moment: datetime) -> int:
    """Return the hour of a UTC moment, counted from the first day of the calendar."""
    return moment.toordinal() * 24 + moment.hour
