"""What a page of a list waits with: its rows, what they have so far, and what they are owed. Plain data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from harvester.journal import AnswerKey, Digest, NewAnswer
from harvester.model import Gap

from .shape import Extra, Page

if TYPE_CHECKING:
    from .window import OpenWindow

Owed = Literal["detail", "recording"]


class Dossier(msgspec.Struct, eq=False):
    """A page and what its new rows have so far.

    `new` are the indices of its new rows, as are the keys of `extras` and what is `held_back`. `left` counts what is
    still to come; `size` is what it holds in memory, in bytes, counted by the enricher while it `is_waiting`. `details`
    are the calls whose details the journal need not keep once its rows are in a segment, `owing` the rows for which
    something is to be asked again. `owed` says that it is a single row of an earlier run, and for what it is asked for
    again.
    """

    opened: OpenWindow
    key: AnswerKey
    page: Page
    new: Sequence[int]
    received_at: datetime
    owed: Owed | None = None
    left: int = 0
    size: int = 0
    is_waiting: bool = False
    extras: dict[int, Extra] = {}
    gaps: list[Gap] = []
    details: list[str] = []
    held_back: set[int] = set()
    owing: list[NewAnswer] = []

    def beside(self, index: int) -> Extra:
        """Return what there is beside a row."""
        return self.extras.setdefault(index, Extra())


class Task(msgspec.Struct, eq=False):
    """A row's detail that is to be asked for; with a place for the recording it links, if that is wanted."""

    dossier: Dossier
    index: int
    has_place: bool = False

    @property
    def call_id(self) -> str:
        """The call."""
        return self.dossier.page.ids[self.index]


class RecordingTask(msgspec.Struct, eq=False):
    """A recording that is to be fetched, and whose row it is for; without a link there is nothing left to fetch."""

    task: Task
    link: str


def owed_answer(job_id: int, dossier: Dossier, index: int, what: Owed) -> NewAnswer:
    """Return a row as an answer of its own, by which the next run asks for what it lacks."""
    page, window_id = dossier.page, dossier.opened.stored.id
    call_id = page.ids[index]
    key = AnswerKey(window_id, 0, 0, 0, part=f"{what} {call_id}")
    written = int(what == "detail")
    digest = Digest(
        None, None, None, None, [call_id], [page.moments[index]], [], written, dossier.received_at
    )
    return NewAnswer(job_id, key, digest, bytes(page.listing.rows[index]))


def what_is_owed(key: AnswerKey) -> Owed | None:
    """Return what an answer in the journal is kept for, None for a page of a list."""
    if key.pass_number:
        return None
    return "detail" if key.part.startswith("detail ") else "recording"
