"""What a walk asks for, what it needs of an answer, and what is missing of its window. Plain data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import msgspec

from harvester.model import Cursor, Gap, GapKind, Listing, Part, Window


class Ask(msgspec.Struct, frozen=True):
    """One list request of a walk. A probe asks for a single row, which is looked at and not written.

    `is_check`: for a row that was looked at before, to see whether it moved; an earlier look is no answer to that.
    `part`: the stretch of the window that is asked for.
    """

    cursor: Cursor
    is_probe: bool = False
    is_check: bool = False
    part: Part = Part()


class Sifted(msgspec.Struct):
    """What rows are to their window; all but `repeated` count rows not yet seen in this pass.

    `distinct` in all, of them `above` at or after `until`; `first` seen in no pass of this walk before, `added` in no
    walk of the window in this run, `unknown` those of the window that no run knew, `nameless` those of the window that
    are no calls. `repeated` were seen in this pass already.
    """

    distinct: int = 0
    above: int = 0
    first: int = 0
    added: int = 0
    unknown: int = 0
    nameless: int = 0
    repeated: int = 0

    @classmethod
    def all_new(cls, count: int) -> Self:
        """Return the counts of rows of the window that nobody saw before."""
        return cls(distinct=count, first=count, added=count, unknown=count)

    def add(self, other: Sifted) -> None:
        """Add the counts of another page."""
        self.distinct += other.distinct
        self.above += other.above
        self.first += other.first
        self.added += other.added
        self.unknown += other.unknown
        self.nameless += other.nameless
        self.repeated += other.repeated


class Answer(msgspec.Struct, frozen=True):
    """What a walk needs of an answer: what it says of itself, and the ids and moments (UTC) of its rows in order."""

    listing: Listing
    ids: Sequence[str]
    moments: Sequence[datetime | None]
    sifted: Sifted


def gap_in(
    window: Window, kind: GapKind, message: str, *, call_id: str | None = None, final: bool = False
) -> Gap:
    """Return that something of a window is missing."""
    return Gap(
        kind=kind,
        agent_id=window.agent_id,
        since=window.since,
        until=window.until,
        call_id=call_id,
        message=message,
        final=final,
    )
