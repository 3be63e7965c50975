"""What rows need beside their list: details and recordings, fetched while the list goes on.

A page whose rows need something is a dossier until it has all of it; then its rows go to the writer together, so that
what a segment covers stays a set of answers. A detail is asked for through the source's own gate; with a recording to
come from it, only once there is a free place for that, so that no link waits in a queue. A recording has a task of its
own: slow or dead storage holds back the pages it belongs to and nothing else, up to `MAX_WAITING_BYTES` of them.

What cannot be had for good leaves the row of the list and a final gap. What could not be had this time is owed: a row
is held back for its detail, never for its recording, and the next run asks again for just that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from harvester.errors import ProviderError, RecordingError
from harvester.fetch import Account, Fetcher
from harvester.journal import Journal, KeptDetail, KeptRecording, NewDetail
from harvester.journal.extras import details, enter_recording, published_recordings, recordings
from harvester.model import Gap, Request
from harvester.recordings import Counts, RecordingFetcher
from harvester.sinks.audio import Recordings

from .dossier import Dossier, Owed, RecordingTask, Task, owed_answer
from .nouns import gap_in
from .shape import Detail, Shaper

PLACES = 8
"""Recordings of one source that are fetched at a time."""

ALL_PLACES = 64
"""Recordings of all sources that are; one of each source at least."""

MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_WAITING_PAGES = 256
"""Of dossiers: beyond this the lists wait, for memory does not grow with slow storage."""


class Media(msgspec.Struct, frozen=True):
    """What fetches recordings, where they go, and what asks for a link once more."""

    fetcher: RecordingFetcher
    place: Recordings
    asker: Fetcher


class Enricher:
    """Fetches what the rows of one source need beside their list.

    Args:
        account: How the source is asked.
        job_id: The journal's number of its job.
        shaper: Reads its answers.
        journal: What keeps details and recordings.
        media: What fetches recordings; None where none are wanted.
        places: How many at a time.
    """

    def __init__(
        self,
        account: Account,
        job_id: int,
        shaper: Shaper,
        journal: Journal,
        media: Media | None,
        *,
        places: int = PLACES,
    ) -> None:
        capabilities, source = account.provider.capabilities, account.source
        self.counts: Counts = Counts()
        self.fetched: int = 0
        self.running: int = 0
        self._taken = 0
        self._account = account
        self._job_id = job_id
        self._shaper = shaper
        self._journal = journal
        self._media = media
        self._places = places
        self._by_request = capabilities.details == "request"
        self._wants_details = self._by_request and (bool(source.details) or source.recordings)
        self._links = capabilities.recordings if source.recordings else "none"
        self._tasks: deque[Task] = deque()
        self._ready: deque[RecordingTask] = deque()
        self._pages = 0
        self._bytes = 0

    @property
    def is_needed(self) -> bool:
        """Rows of this source may need something."""
        return self._wants_details or self._links != "none"

    @property
    def is_full(self) -> bool:
        """So much waits that the lists have to."""
        return self._bytes >= MAX_WAITING_BYTES or self._pages >= MAX_WAITING_PAGES

    @property
    def waiting(self) -> int:
        """Details that are still to be asked for."""
        return len(self._tasks)

    # What a page needs.

    async def take(self, dossier: Dossier, *, is_resumed: bool) -> None:
        """Line up what the new rows of a page need; where that is nothing, nothing is left of it.

        Args:
            dossier: The page.
            is_resumed: An earlier run may have some of it.
        """
        calls = dossier.page.calls
        wanted = [i for i in dossier.new if calls[i] is not None]
        ids = [dossier.page.ids[i] for i in wanted]
        known: dict[str, KeptDetail] = {}
        if self._wants_details and is_resumed:
            known = await self._journal.run(details, dossier.opened.stored.id, ids)
        kept: dict[str, KeptRecording] = {}
        if self._links != "none":
            kept = await self._in_place(await self._journal.run(recordings, self._account.source.name, ids))
        dossier.size = sum(len(row) for row in dossier.page.listing.rows)
        for index, call_id in zip(wanted, ids, strict=True):
            if (recording := kept.get(call_id)) is not None:
                dossier.beside(index).recording = recording
            self._line_up(Task(dossier, index), calls[index], known.get(call_id))
        if dossier.owed is not None and not dossier.left:  # it came before the last run was cut short
            dossier.left = 1
            self._ready.append(RecordingTask(Task(dossier, 0), ""))
        if dossier.left:
            dossier.is_waiting = True
            self._pages += 1
            self._bytes += dossier.size

    async def _in_place(self, kept: dict[str, KeptRecording]) -> dict[str, KeptRecording]:
        """Return the recordings whose files are where they were put; the others are fetched again."""
        if not kept:
            return kept
        assert self._media is not None
        root = self._media.place.root
        gone = await anyio.to_thread.run_sync(_gone, root, kept)
        return {call_id: recording for call_id, recording in kept.items() if call_id not in gone}

    def _line_up(self, task: Task, call: Any, known: KeptDetail | None) -> None:
        dossier, index = task.dossier, task.index
        if self._wants_details and not self._account.provider.has_no_detail(call):
            if known is not None and known.message:
                self._lose_for_good(task, known.message)
            elif known is not None:
                self._take_known(task, known)
            elif dossier.owed != "recording" or dossier.beside(index).recording is None:
                dossier.left += 1
                self._tasks.append(task)
        elif self._links == "list":
            self._link(task, call)

    def _take_known(self, task: Task, known: KeptDetail) -> None:
        """Take a detail that an earlier run had; its link may have died since, and is renewed then."""
        task.dossier.details.append(task.call_id)
        try:
            detail = self._shaper.read_detail(known.body, task.call_id, known.received_at)
        except ProviderError:
            task.dossier.left += 1
            self._tasks.append(task)
            return
        self._have(task, detail, len(known.body))
        if self._links == "detail":
            self._link(task, detail.call)

    def _link(self, task: Task, call: Any) -> None:
        """Line up the recording that a row or a detail links, if there is one and it is not here yet."""
        link = self._account.provider.recording_of(call)
        if link and task.dossier.beside(task.index).recording is None:
            task.dossier.left += 1
            # With its place behind one that waits for a place, neither would ever go on.
            line_up = self._ready.appendleft if task.has_place else self._ready.append
            line_up(RecordingTask(task, link))

    def _have(self, task: Task, detail: Detail, size: int) -> None:
        task.dossier.beside(task.index).detail = detail
        task.dossier.size += size
        if task.dossier.is_waiting:
            self._bytes += size

    # Details.

    def next_detail(self) -> Task | None:
        """Return the next detail to ask for, None where there is none, or no place for its recording."""
        if not self._tasks:
            return None
        if self._links == "detail":
            if self._taken >= self._places:
                return None
            self._taken += 1
            self._tasks[0].has_place = True
        return self._tasks.popleft()

    def request(self, task: Task) -> Request:
        """Return the request for a call's detail."""
        page, index = task.dossier.page, task.index
        agent_id = task.dossier.opened.stored.window.agent_id
        if agent_id is None:
            agent_id = self._account.provider.agent_of(page.calls[index])
        return self._account.provider.detail_request(agent_id, page.ids[index])

    async def receive(self, task: Task, body: bytes, received_at: datetime) -> Dossier | None:
        """Take a detail; return its dossier if that is complete with it.

        Raises:
            MalformedError: It is not what the documents say; nothing was taken.
            RejectedError: It says that there is no such call.
        """
        detail = self._shaper.read_detail(body, task.call_id, received_at)
        await self._journal.keep(self._new_detail(task, received_at, body=body))
        self._have(task, detail, len(body))
        if self._links == "detail":
            had = task.dossier.left
            self._link(task, detail.call)
            if task.dossier.left > had:
                task.dossier.left -= 1  # the recording is what is left instead of the detail
                return None
        return self._release(task)

    async def lose(self, task: Task, error: ProviderError, received_at: datetime) -> Dossier | None:
        """Take that there will be no detail; return the dossier if nothing else is missing."""
        if error.is_gone:
            message = f"the provider no longer has this call ({error.status})"
            await self._journal.keep(self._new_detail(task, received_at, message=message))
            self._lose_for_good(task, message)
        else:
            self._owe(task, "detail", str(error))
        return self._release(task)

    def _lose_for_good(self, task: Task, message: str) -> None:
        task.dossier.details.append(task.call_id)
        task.dossier.gaps.append(self._gap(task, "detail", message, is_final=True))

    def _new_detail(
        self, task: Task, received_at: datetime, *, body: bytes = b"", message: str = ""
    ) -> NewDetail:
        task.dossier.details.append(task.call_id)
        window_id = task.dossier.opened.stored.id
        return NewDetail(self._job_id, window_id, task.call_id, received_at, body, message)

    def _release(self, task: Task) -> Dossier | None:
        """Give back the place of a row that needs no recording, and settle it."""
        if task.has_place:
            task.has_place = False
            self._taken -= 1
        return self._settle(task.dossier)

    def _settle(self, dossier: Dossier) -> Dossier | None:
        dossier.left -= 1
        if dossier.left:
            return None
        self._pages -= 1
        self._bytes -= dossier.size
        return dossier

    # Recordings.

    def next_recording(self) -> RecordingTask | None:
        """Return the next recording to fetch; whoever gets it calls `record`."""
        if not self._ready:
            return None
        if not self._ready[0].task.has_place:
            if self._taken >= self._places:
                return None
            self._taken += 1
            self._ready[0].task.has_place = True
        self.running += 1
        return self._ready.popleft()

    async def fetch(self, due: RecordingTask) -> KeptRecording | ProviderError | None:
        """Fetch a recording and put it in place, or return why it is not there; None where none is to be fetched.

        Raises:
            OutputError: It cannot be written.
        """
        if not due.link:
            return None
        assert self._media is not None
        task, name = due.task, self._account.source.name
        created_at = task.dossier.page.moments[task.index]
        try:
            async with self._media.place.open(name, task.call_id, created_at) as into:
                recording = await self._media.fetcher.fetch(
                    due.link,
                    into=into,
                    renew=lambda: self._renewed(task),
                    trusted=self._account.base_url,
                    counts=self.counts,
                )
        except ProviderError as error:
            return error
        kept = KeptRecording(recording.path, recording.bytes, recording.sha256)
        with anyio.CancelScope(shield=True):  # what is whole is not fetched again
            await self._journal.run(enter_recording, name, task.call_id, recording.aside, kept)
            await self._media.place.publish(recording)
            await self._journal.run(published_recordings, [(name, task.call_id)])
        return kept

    async def _renewed(self, task: Task) -> str | None:
        """Ask for the detail once more, for its link alone."""
        provider = self._account.provider

        def read(body: bytes) -> str | None:
            return provider.recording_of(
                self._shaper.read_detail(body, task.call_id, task.dossier.received_at).call
            )

        assert self._media is not None
        return await self._media.asker.fetch(self._account, self.request(task), read)

    def recorded(self, due: RecordingTask, outcome: KeptRecording | ProviderError | None) -> Dossier | None:
        """Take what became of a recording; return the dossier if nothing else is missing."""
        task = due.task
        if isinstance(outcome, KeptRecording):
            self.fetched += 1
            task.dossier.beside(task.index).recording = outcome
        elif outcome is None:
            pass
        elif outcome.is_gone or (isinstance(outcome, RecordingError) and outcome.is_final):
            task.dossier.gaps.append(self._gap(task, "recording", outcome.message, is_final=True))
        else:
            self._owe(task, "recording", outcome.message)
        return self._release(task)

    # What is owed.

    def _owe(self, task: Task, what: Owed, message: str) -> None:
        """Note what is to be asked for again; a row that was written already is not written again."""
        dossier, index = task.dossier, task.index
        gap = self._gap(task, what, message, is_final=False)
        dossier.gaps.append(gap)
        if gap.kind in {"detail", dossier.owed}:
            dossier.held_back.add(index)
        if gap.kind != dossier.owed:
            dossier.owing.append(owed_answer(self._job_id, dossier, index, what))

    def _gap(self, task: Task, kind: Owed, message: str, *, is_final: bool) -> Gap:
        window = task.dossier.opened.stored.window
        if task.dossier.owed == "recording":  # its row is written already
            kind = "recording"
        return gap_in(window, kind, message, call_id=task.call_id, final=is_final)


def _gone(root: Path, kept: Mapping[str, KeptRecording]) -> set[str]:
    """Return the calls whose recordings are not there any more, or not in their size; in a worker thread."""
    return {call_id for call_id, one in kept.items() if not _has_size(root / one.path, one.bytes)}


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
