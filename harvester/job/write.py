"""The one writer: rows to segments to journal, exactly once.

The order in `_commit` is the whole of it: seal aside, enter in the journal, publish. A run that stops between any two
of these steps is finished by the next one (`Files.recover`): what the journal knows is put in place, whatever else lies
aside is deleted, and answers whose rows are in no segment are read again from the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.to_thread
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream

from harvester.errors import OutputError
from harvester.journal import AnswerKey, Commit, Journal, NewAnswer, Store, StoredWindow
from harvester.journal.extras import entered_recordings, forget_recording, published_recordings
from harvester.model import Lines, Quarantined, Segment
from harvester.sinks.audio import Recording
from harvester.sinks.base import LineSink, Sink, SinkFactory
from harvester.sinks.files import ASIDE, publish, translated
from harvester.sinks.partial import notes_in

from .shape import NewRows


class Limits(msgspec.Struct, frozen=True):
    """How large a segment gets, in rows and bytes, and how many bytes wait in all open segments together."""

    segment_rows: int = 1_000_000
    segment_bytes: int = 128 * 1024 * 1024
    waiting_bytes: int = 64 * 1024 * 1024


class Batch(msgspec.Struct):
    """What one answer brings: its new rows on their way to the sink, and its key, which they are covered by.

    `dateless` are the ids of new rows without a moment; `details` of those whose details are written with it; `owed`
    are rows of the answer for which something is still to be asked.
    """

    desk: Desk
    key: AnswerKey
    rows: Sequence[NewRows]
    quarantined: Sequence[Quarantined]
    dateless: Sequence[str] = ()
    details: Sequence[str] = ()
    owed: Sequence[NewAnswer] = ()


class Ended(msgspec.Struct):
    """A window whose last rows have been handed over."""

    desk: Desk
    window: StoredWindow


class Closing(msgspec.Struct):
    """A source that has handed over everything.

    `is_whole`: it came to an end, so that it leaves a segment even if it has no calls; `is_exchange`: its fresh job
    takes the place of the old one.
    """

    desk: Desk
    is_exchange: bool = False
    is_whole: bool = True


Message: TypeAlias = Batch | Ended | Closing


class Desk:
    """What the writer holds of one source: its open segments and what they will cover.

    Args:
        source: The source's name.
        job_id: The journal's number of its job.
        is_aside: Segments stay aside until the job as a whole takes another's place.
        open_sink: Opens the source's sinks.
    """

    def __init__(self, source: str, job_id: int, *, is_aside: bool, open_sink: SinkFactory) -> None:
        self.source = source
        self.job_id = job_id
        self.is_aside = is_aside
        self.calls: Sink = open_sink(source, "calls")
        self.lines: LineSink | None = self.calls if isinstance(self.calls, LineSink) else None
        self.quarantine: Sink = open_sink(source, "quarantine")
        self.counted_bytes: int = 0
        self.answers: list[AnswerKey] = []
        self.dateless: dict[str, int] = {}
        self.details: list[tuple[int, str]] = []
        self.owed: list[NewAnswer] = []
        self.ended: list[StoredWindow] = []

    @property
    def buffered_bytes(self) -> int:
        """Bytes of rows that wait in memory."""
        return self.calls.buffered_bytes + self.quarantine.buffered_bytes

    async def aclose(self) -> None:
        """Discard what was not sealed."""
        await self.calls.aclose()
        await self.quarantine.aclose()


class Writer:
    """Writes what it receives until the stream ends, then commits what is open.

    Args:
        journal: Where segments are entered.
        run_id: Part of every segment's name.
        files: Makes the files follow the journal.
        limits: When a segment ends, and when waiting rows go to their files.
    """

    def __init__(self, journal: Journal, run_id: str, files: Files, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self._journal = journal
        self._run_id = run_id
        self._files = files
        self._limits = limits
        self._desks: dict[int, Desk] = {}
        self._waiting_bytes = 0

    async def run(self, received: MemoryObjectReceiveStream[Message]) -> None:
        """Write until all senders are closed.

        Raises:
            OutputError: A file or the journal cannot be written; what was committed stays.
        """
        try:
            async with received:
                with suppress(anyio.EndOfStream):
                    while True:
                        await self._take(await _next(received))
            for desk in list(self._desks.values()):
                await self._commit(desk)
        finally:
            with anyio.CancelScope(shield=True):
                for desk in self._desks.values():
                    await desk.aclose()

    async def _take(self, message: Message) -> None:
        desk = message.desk
        self._desks.setdefault(desk.job_id, desk)
        if isinstance(message, Batch):
            await self._write(desk, message)
        elif isinstance(message, Ended):
            desk.ended.append(message.window)
        else:
            await self._close(message)

    async def _write(self, desk: Desk, batch: Batch) -> None:
        for rows in batch.rows:
            if isinstance(rows, Lines):
                assert desk.lines is not None
                await desk.lines.write_lines(rows)
            else:
                await desk.calls.write(rows)
        if batch.quarantined:
            await desk.quarantine.write(batch.quarantined)
        self._count(desk)
        desk.answers.append(batch.key)
        if batch.dateless:
            desk.dateless.update(dict.fromkeys(batch.dateless, batch.key.window_id))
        if batch.details:
            desk.details += [(batch.key.window_id, call_id) for call_id in batch.details]
        desk.owed += batch.owed
        limits = self._limits
        if desk.calls.rows >= limits.segment_rows or desk.calls.bytes >= limits.segment_bytes:
            await self._commit(desk)
        elif self._waiting_bytes > limits.waiting_bytes:
            await self._relieve()

    async def _relieve(self) -> None:
        """Give the rows of the fullest open segment to its file."""
        desk = max(self._desks.values(), key=lambda desk: desk.buffered_bytes)
        await desk.calls.flush()
        await desk.quarantine.flush()
        self._count(desk)

    def _count(self, desk: Desk) -> None:
        """Count what waits in a source's sinks now; they write on their own as well."""
        waiting = desk.buffered_bytes
        self._waiting_bytes += waiting - desk.counted_bytes
        desk.counted_bytes = waiting

    async def _close(self, closing: Closing) -> None:
        desk = closing.desk
        await self._commit(desk, is_last=closing.is_whole)
        if closing.is_exchange:
            await self._journal.run(Store.exchange, desk.source)
            await self._files.settle()
        await desk.aclose()
        del self._desks[desk.job_id]

    async def _commit(self, desk: Desk, *, is_last: bool = False) -> None:
        """Commit a source's open segments with the windows they complete."""
        self._journal.hasten()  # so that what waits is made durable beside the sealing
        segments = await self._seal(desk, is_last=is_last)
        self._count(desk)
        # Those of a complete window go with it, in the same transaction.
        complete = {window.id for window in desk.ended if window.state == "complete"}
        answers = [key for key in desk.answers if key.window_id not in complete]
        commit = Commit(segments, answers, desk.ended, desk.dateless, desk.details, desk.owed)
        if segments or desk.ended or desk.answers:
            await self._journal.flush()
            await self._journal.run(Store.commit, desk.job_id, commit, is_aside=desk.is_aside)
        desk.answers, desk.ended, desk.dateless, desk.details, desk.owed = [], [], {}, [], []
        if segments and not desk.is_aside:
            await self._files.publish(segments)

    async def _seal(self, desk: Desk, *, is_last: bool) -> list[Segment]:
        sinks = [sink for sink in (desk.calls, desk.quarantine) if sink.rows]
        if is_last and not desk.calls.rows:
            known = await self._journal.run(Store.segments, desk.job_id)
            if all(segment.kind != "calls" for segment in known):
                sinks.insert(0, desk.calls)
        if not sinks:
            return []
        part = await self._journal.run(Store.next_part, desk.job_id)
        name = f"part-{part:05d}-{self._run_id}"
        return [await sink.seal(name) for sink in sinks]


async def _next(received: MemoryObjectReceiveStream[Message]) -> Message:
    """Return what is there already without a turn of the loop, which would cost as much as writing a page."""
    try:
        return received.receive_nowait()
    except anyio.WouldBlock:
        return await received.receive()


class Files:
    """Makes the files of an output follow its journal.

    Args:
        root: The output.
        journal: Its journal.
        publish: Makes one segment visible; repeating it changes nothing.
    """

    def __init__(self, root: Path, journal: Journal, publish: Callable[[Segment], Awaitable[None]]) -> None:
        self._root = root
        self._journal = journal
        self._publish = publish

    async def publish(self, segments: Sequence[Segment]) -> None:
        """Put entered segments in place."""
        for segment in segments:
            await self._publish(segment)
        await self._journal.run(Store.published, [segment.path for segment in segments])

    async def settle(self) -> None:
        """Put every entered segment in place and remove the files of replaced jobs."""
        if entered := await self._journal.run(Store.entered):
            await self.publish(entered)
        if doomed := await self._journal.run(Store.doomed):
            await self.remove(doomed)
            await self._journal.run(Store.buried, doomed)

    async def recover(self) -> None:
        """Finish what an earlier run left half-done, before anything else is written."""
        await self.settle()
        await self._settle_recordings()
        known = await self._journal.run(Store.lying_aside)
        await self.remove(await anyio.to_thread.run_sync(_strangers, self._root, known))

    async def _settle_recordings(self) -> None:
        """Put every entered recording in place; one that is nowhere is forgotten, and fetched again."""
        for source, call_id, aside, kept in await self._journal.run(entered_recordings):
            try:
                await publish(self._root, Recording(kept.path, aside, kept.bytes, kept.sha256))
            except OutputError:
                await self._journal.run(forget_recording, source, call_id)
            else:
                await self._journal.run(published_recordings, [(source, call_id)])

    async def check(self, sources: Sequence[str]) -> None:
        """Check that the committed segments of sources are there, in their sizes: `verify` looks inside.

        Raises:
            OutputError: One is gone or was changed, so that "complete" would not be true of the output.
        """
        for name in sources:
            segments = await self._journal.run(Store.current_segments, name)
            if wrong := await anyio.to_thread.run_sync(_wrong, self._root, segments):
                others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
                raise OutputError(
                    f"{wrong[0]}{others} is gone or not of the size it was written in; put it back, or export the "
                    f"source again: harvester export --source {name} --fresh"
                )

    async def refuse_strangers(self, source: str) -> None:
        """Refuse to write beside calls that the journal knows nothing of: they would be there twice.

        Raises:
            OutputError: There are such files.
        """
        folder = self._root / "calls" / source
        if await anyio.to_thread.run_sync(_has_files, self._root, folder):
            raise OutputError(
                f"calls/{source} holds files, but the journal knows no job of this source; move them away, or choose "
                "another folder with --out"
            )

    async def remove(self, paths: Sequence[str]) -> None:
        """Remove files of the output; those already gone are fine.

        Raises:
            OutputError: One cannot be removed.
        """
        await anyio.to_thread.run_sync(_remove, self._root, paths)


def _wrong(root: Path, segments: Sequence[Segment]) -> list[str]:
    return [segment.path for segment in segments if not _is_whole(root / segment.path, segment.bytes)]


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _has_files(root: Path, folder: Path) -> bool:
    with translated(root, folder):
        return folder.is_dir() and any(folder.iterdir())


def _strangers(root: Path, known: set[str]) -> list[str]:
    folder = root / ASIDE
    with translated(root, folder):
        found = [f"{ASIDE}/{path.name}" for path in folder.iterdir()] if folder.is_dir() else []
    # A recording that broke off is gone on with; what else nobody knows is rubbish.
    kept = {f"{ASIDE}/{label}{end}" for label in notes_in(root) for end in (".part", ".part.json")}
    return [path for path in found if path not in known and path not in kept]


def _remove(root: Path, paths: Sequence[str]) -> None:
    for path in paths:
        with translated(root, root / path):
            (root / path).unlink(missing_ok=True)
