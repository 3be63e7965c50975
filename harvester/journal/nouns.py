"""What the journal is told and tells: plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from harvester.model import Gap, Segment, Window

WindowState = Literal["open", "complete", "gap"]
JobState = Literal["current", "fresh"]

DATELESS = -1
NAMELESS = -2
"""Two hours beside the real ones: rows without a moment, and rows without an id (by a hash of their bytes)."""


class Counts(msgspec.Struct):
    """What a window came to. `listed` and `outside` are None where the provider tells no total."""

    listed: int | None = None
    outside: int = 0
    written: int = 0
    duplicates: int = 0
    quarantined: int = 0
    passes: int = 0

    @property
    def expected(self) -> int | None:
        """Rows that should be in the output, None where the provider tells no total."""
        return None if self.listed is None else max(self.listed - self.outside, 0)

    @property
    def missing(self) -> int:
        """Rows that should be and are not."""
        return max((self.expected or 0) - self.written - self.quarantined, 0)


class JobSpec(msgspec.Struct, frozen=True):
    """What a source asks of an output, beside its ranges and agents: these add up, any change here is another job."""

    provider: str
    base_url: str
    filters: dict[str, str]
    details: tuple[str, ...]
    recordings: bool
    shape: str
    format: str
    raw: bool


class StoredWindow(msgspec.Struct):
    """A window as the journal knows it."""

    id: int
    window: Window
    state: WindowState
    counts: Counts
    gaps: list[Gap]


class Job(msgspec.Struct):
    """A source's job. `until` is the moment it first started; `is_listed`: its agents were listed to the end."""

    id: int
    source: str
    state: JobState
    spec: JobSpec
    until: datetime
    is_listed: bool
    run_id: str | None
    outcome: str | None
    gaps: list[Gap]


class Commit(msgspec.Struct):
    """What becomes true in one transaction.

    `ids` are of windows that stay open: (window, hour) to the ids written. `windows` are those that ended.
    """

    segments: list[Segment] = []
    ids: dict[tuple[int, int], list[str]] = {}
    windows: list[StoredWindow] = []
