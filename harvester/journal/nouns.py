"""What the journal is told and tells: plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from harvester.model import Gap, Segment, Window

WindowState = Literal["open", "complete", "gap", "owed"]
"""A window that is `owed` was walked to its end; details or recordings of some of its calls are to be asked again."""
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
    """A source's job.

    `until` is the moment it first started; `is_listed`: its agents were listed to the end, else `agent_pages` pages of
    their list were read; `round_id`: the round of `--fresh` it was begun in, or empty.
    """

    id: int
    source: str
    state: JobState
    spec: JobSpec
    until: datetime
    is_listed: bool
    run_id: str | None
    outcome: str | None
    gaps: list[Gap]
    round_id: str = ""
    agent_pages: int = 0


class AnswerKey(msgspec.Struct, frozen=True):
    """Which list answer: of a window, in a pass of its walk, at a cursor; a probe is of a single row.

    `part`: the stretch of the window that was asked for, as text; empty for all of it. Passes count from 1; 0 is a
    single row that is owed something, and `part` says what and by the call's id.
    """

    window_id: int
    pass_number: int
    page: int
    size: int
    is_probe: bool = False
    part: str = ""


class Digest(msgspec.Struct, frozen=True, array_like=True):
    """What a walk needs of an answer, without its body.

    `nameless` are the indices of rows that are no calls; `written` counts the calls of it that were new to the output,
    `brought` are their indices, None for all: once it is covered these are in segments, and none of the others need be.
    """

    total: int | None
    size: int | None
    page: int | None
    has_more: bool | None
    ids: list[str]
    moments: list[datetime | None]
    nameless: list[int]
    written: int
    received_at: datetime
    brought: list[int] | None = None


class PackedDigest(msgspec.Struct, frozen=True, array_like=True):
    """A digest whose ids and moments are MessagePack already; in the journal it is a Digest, whose fields it has."""

    total: int | None
    size: int | None
    page: int | None
    has_more: bool | None
    ids: msgspec.Raw
    moments: msgspec.Raw
    nameless: list[int]
    written: int
    received_at: datetime
    brought: list[int] | None = None


class KeptAnswer(msgspec.Struct):
    """An answer of an open window in the journal; `place` None: its rows are in a committed segment."""

    key: AnswerKey
    place: tuple[int, int, int] | None


class NewAnswer(msgspec.Struct):
    """An answer on its way to the journal; a probe's body is not needed again."""

    job_id: int
    key: AnswerKey
    digest: Digest | PackedDigest
    body: bytes


class NewDetail(msgspec.Struct):
    """The answer to "get call" on its way to the journal; without a body `message` says why there is none for good."""

    job_id: int
    window_id: int
    call_id: str
    received_at: datetime
    body: bytes = b""
    message: str = ""


class KeptDetail(msgspec.Struct, frozen=True):
    """A detail that an earlier run had, or was told that there is none."""

    received_at: datetime
    body: bytes
    message: str


class KeptRecording(msgspec.Struct, frozen=True):
    """A recording that is in place; `path` is relative to the output."""

    path: str
    bytes: int
    sha256: str


class Commit(msgspec.Struct):
    """What becomes true in one transaction.

    `answers` are those whose rows are all in segments from now on, `windows` those that ended, `dateless` the ids of
    rows without a moment that were written, by window. `details` are no longer needed, by window and call; `owed` are
    rows of those answers for which something is still to be asked.
    """

    segments: list[Segment] = []
    answers: list[AnswerKey] = []
    windows: list[StoredWindow] = []
    dateless: dict[str, int] = {}
    details: list[tuple[int, str]] = []
    owed: list[NewAnswer] = []
