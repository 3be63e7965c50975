"""Which rows of a page are new to the output, and what all of them are to their window. It does no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, MutableSequence, Sequence
from datetime import datetime
from typing import cast

from harvester.journal import NAMELESS
from harvester.model import Window

from .ids import Bucket, Keys
from .nouns import Sifted
from .plan import Range

PASSES = 100
"""Numbers that a walk may give its passes, from the sieve's `base` on."""

EARLIER_RUN = 0
ELSEWHERE = -1


class Sieve:
    """Tells a window's new rows from the others.

    Args:
        window: The window.
        dateless: Ids of the source's rows without a moment, by the number of the window they were written for.
        covered: Ranges already complete, by agent; a walk of the whole account leaves their rows out.
        window_id: The journal's number of the window.
        own: The range of the part of the window that is sifted; None for all of it. What the provider lists in
            another part than we would is taken where it comes, and passes are told apart here alone.
        base: Below the numbers of this sieve's passes, which no other sieve of the window has.
    """

    def __init__(
        self,
        window: Window,
        window_id: int,
        *,
        dateless: dict[str, int],
        covered: Mapping[str, Sequence[Range]] | None = None,
        own: Range | None = None,
        base: int = 0,
    ) -> None:
        self._since = window.since
        self._until = window.until
        self._own = own
        self._base = base
        self._others: dict[str, int] = {}
        self._window_id = window_id
        self._dateless = dateless
        self._covered = covered or {}
        self._copies: tuple[int, Counter[str]] = (0, Counter())

    @property
    def has_covered(self) -> bool:
        """Rows of some agents are left out, so that the agents of rows matter."""
        return bool(self._covered)

    def sift(
        self,
        page: Keys,
        agents: Sequence[str | None] | None,
        buckets: dict[int, Bucket],
        pass_number: int,
    ) -> tuple[Sequence[int], Sifted]:
        """Return the indices of the rows that are new to the output, and what all of them are to the window.

        Args:
            page: The keys of its rows.
            agents: The agents that the rows name, where some of them are covered.
            buckets: The ids known, by hour, of the rows' hours alone; those of the rows are added.
            pass_number: Counts from 1.
        """
        count, number = len(page.ids), self.number_of(pass_number)
        if agents is None and count and self._is_inside(page):
            fresh = dict.fromkeys(page.ids, number)
            if len(fresh) == count and all(bucket.keys().isdisjoint(fresh) for bucket in buckets.values()):
                # All are new: the usual case.
                if len(buckets) == 1:
                    (bucket,) = buckets.values()
                    bucket.update(fresh)
                else:
                    for call_id, hour in zip(page.ids, page.hours, strict=True):
                        buckets[hour][call_id] = number
                return range(count), Sifted.all_new(count)
        return self._sift_each(page, agents, buckets, number)

    def know(self, page: Keys, buckets: dict[int, Bucket]) -> int:
        """Put in the rows of an answer that an earlier run saw, as known; return how many ids were added."""
        added = 0
        for call_id, at, hour in zip(page.ids, page.moments, page.hours, strict=True):
            if at is None:
                self._is_ours(call_id)
            if call_id not in buckets[hour]:
                buckets[hour][call_id] = EARLIER_RUN
                added += 1
        return added

    def is_plain(self, page: Keys) -> bool:
        """Say whether all rows are distinct and of the window: where none is known, all of them are new."""
        return page.is_distinct and not self._covered and self._is_inside(page)

    def number_of(self, pass_number: int) -> int:
        """Return what a pass is called, which no pass of another sieve of the window is."""
        return self._base + pass_number

    def _is_inside(self, page: Keys) -> bool:
        """Return whether all rows have a moment, and one in the window."""
        if page.span is None:
            return False
        since, until = self._own or (self._since, self._until)
        first, last = page.span
        return last < until and (since is None or first >= since)

    def _sift_each(
        self,
        page: Keys,
        agents: Sequence[str | None] | None,
        buckets: dict[int, Bucket],
        pass_number: int,
    ) -> tuple[list[int], Sifted]:
        new: list[int] = []
        sifted = Sifted()
        for index, (call_id, at, hour) in enumerate(zip(page.ids, page.moments, page.hours, strict=True)):
            bucket = buckets[hour]
            if hour == NAMELESS:
                call_id = self._numbered(call_id, pass_number)  # noqa: PLW2901 - the copy's id
                cast("MutableSequence[str]", page.ids)[index] = call_id
            known = bucket.get(call_id)
            passes, mark = self._passes_of(at, bucket)
            last_pass = passes.get(call_id)
            if last_pass == pass_number:
                sifted.repeated += 1
                continue
            passes[call_id] = pass_number
            sifted.distinct += 1
            sifted.above += at is not None and at >= self._until
            if last_pass is not None and self._base < last_pass < self._base + PASSES:
                continue
            sifted.first += 1
            if not known:
                bucket[call_id] = mark or pass_number
                sifted.added += 1
                sifted.nameless += hour == NAMELESS and self._is_ours(call_id)
            agent_id = agents[index] if agents is not None else None
            if known is None and self._is_in(call_id, at, agent_id):
                new.append(index)
        sifted.unknown = len(new)
        return new, sifted

    def _passes_of(self, at: datetime | None, bucket: Bucket) -> tuple[Bucket, int | None]:
        """Return where it is kept which pass saw a row, and how the window's ids are to know it otherwise."""
        if self._own is None:
            return bucket, None
        since, until = self._own
        if at is not None and at < until and (since is None or at >= since):
            return bucket, None
        return self._others, ELSEWHERE

    def _numbered(self, call_id: str, pass_number: int) -> str:
        """Tell copies of a row without an id apart by their number in the pass: each is a row of the list."""
        if self._copies[0] != pass_number:
            self._copies = (pass_number, Counter())
        copies = self._copies[1]
        copies[call_id] += 1
        return call_id if copies[call_id] == 1 else f"{call_id}#{copies[call_id]}"

    def _is_in(self, call_id: str, at: datetime | None, agent_id: str | None) -> bool:
        if at is None:
            return self._is_ours(call_id)
        if at >= self._until or (self._since is not None and at < self._since):
            return False
        return agent_id is None or not self._is_covered(agent_id, at)

    def _is_ours(self, call_id: str) -> bool:
        """A row without a moment is of the window that wrote it first."""
        return self._dateless.setdefault(call_id, self._window_id) == self._window_id

    def _is_covered(self, agent_id: str, at: datetime) -> bool:
        ranges = self._covered.get(agent_id, ())
        return any((since is None or at >= since) and at < until for since, until in ranges)
