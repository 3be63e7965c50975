"""What was fetched and which segments are committed: the only truth on resuming.

One SQLite database, and the bodies of answers and their digests in files, in `_harvester/` below the output, owned by
one thread and locked against a second run. The order that makes exactly-once is: an answer is made durable within a
second of its coming; a segment is written aside and made durable, entered here in one transaction with the answers
whose rows it holds and the windows it completes, and only then renamed into place. Resuming finishes the renames the
journal knows, deletes whatever else lies aside, and feeds the answers that no segment holds through the same code as
fresh ones.

An answer keeps its digest until its window is complete, also when its body is gone: that is how a resumed walk knows
what is in segments already and where it stood.

A source has one current job. `--fresh` begins another generation of it beside, whose segments stay aside until the
exchange: one transaction that dooms the old segments and enters the new, after which the files only follow.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Concatenate, ParamSpec, Self, TypeVar

import anyio
import msgspec

from harvester.errors import JournalError, OutputError

from .append import DamagedError
from .lock import Lock, holder_of
from .nouns import (
    DATELESS,
    NAMELESS,
    AnswerKey,
    Commit,
    Counts,
    Digest,
    Job,
    JobSpec,
    JobState,
    KeptAnswer,
    KeptDetail,
    KeptRecording,
    NewAnswer,
    NewDetail,
    PackedDigest,
    StoredWindow,
    WindowState,
)
from .store import Store

__all__ = [
    "DATELESS",
    "FOLDER",
    "NAMELESS",
    "AnswerKey",
    "Commit",
    "Counts",
    "Digest",
    "Job",
    "JobSpec",
    "JobState",
    "Journal",
    "KeptAnswer",
    "KeptDetail",
    "KeptRecording",
    "NewAnswer",
    "NewDetail",
    "PackedDigest",
    "Store",
    "StoredWindow",
    "WindowState",
    "holder_of",
    "open_read_only",
]

P = ParamSpec("P")
T = TypeVar("T")

FOLDER = "_harvester"
PACK_BYTES = 1024 * 1024
"""Of answers in memory, from which on to pack them, whatever the time."""

MAX_WAITING_BYTES = 3 * PACK_BYTES
"""Of answers in memory: beyond it those who bring them wait until they are packed."""

FLUSH_BYTES = 8 * PACK_BYTES
"""Of answers that were packed, from which on to flush them, whatever the time."""


class Journal:
    """The journal of one output, open and locked.

    An answer that is handed over waits in memory, then in a file that the database does not know, and is there for good
    once that was made durable and entered.

    `await journal.run(Store.method, …)` calls a method of the database on the journal's thread; calls are carried out
    in the order they were made. A call once made is carried out even if its caller is cancelled.
    """

    pack_bytes: ClassVar[int] = PACK_BYTES
    flush_bytes: ClassVar[int] = FLUSH_BYTES

    def __init__(self, store: Store, lock: Lock, executor: ThreadPoolExecutor) -> None:
        self._store = store
        self._lock = lock
        self._executor = executor
        self._waiting: list[NewAnswer | NewDetail] = []
        self._waiting_bytes = self._packed_bytes = 0
        # Answers that were ever handed over, and how many of them are durable.
        self._handed_over = self._durable = 0
        self._is_hastened = False
        self._writing = anyio.Lock()
        self.is_due: anyio.Event = anyio.Event()
        """There is something for `catch_up` to do."""

    @classmethod
    async def open(cls, root: Path, *, holder: str) -> Self:
        """Open the journal of an output, made where there is none.

        Raises:
            HeldError: Another run holds the output.
            OutputError: The output cannot be written.
            JournalError: What is there is no journal of ours, or a damaged one.
        """
        executor = ThreadPoolExecutor(1, "harvester-journal")

        def open_here() -> tuple[Store, Lock]:
            folder = root / FOLDER
            lock: Lock | None = None
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock = Lock(folder / "lock", holder=holder)
                return Store(folder), lock
            except BaseException as error:
                if lock is not None:
                    lock.close()
                if isinstance(error, OSError):
                    raise OutputError(
                        f"{error.filename or folder} cannot be written: {error.strerror}; mend that, or choose another "
                        "folder with --out"
                    ) from error
                raise

        try:
            with _translated("written"):
                store, lock = await asyncio.get_running_loop().run_in_executor(executor, open_here)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(store, lock, executor)

    async def run(self, method: Callable[Concatenate[Store, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Call a method of the database on the journal's thread.

        Raises:
            OutputError: It cannot be written, the disk is full for example.
            JournalError: It is damaged.
        """
        call = asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: method(self._store, *args, **options)
        )
        # Whoever waits may be gone by then; an error is still looked at, so that asyncio does not report it as lost.
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        with _translated("written"):
            return await asyncio.shield(call)

    async def keep(self, answer: NewAnswer | NewDetail) -> None:
        """Hand over an answer to be made durable by the next `flush`.

        Waits only where too many wait already.
        """
        self._waiting.append(answer)
        self._handed_over += 1
        self._waiting_bytes += len(answer.body)
        if self._waiting_bytes >= self.pack_bytes:
            self.is_due.set()
        if self._waiting_bytes >= MAX_WAITING_BYTES:
            await self._pack()

    def hasten(self) -> None:
        """Say that what was handed over is to be flushed now, whatever the time and however little it is."""
        if self._durable < self._handed_over:
            self._is_hastened = True
            self.is_due.set()

    async def catch_up(self) -> None:
        """Do what `is_due`: take what was handed over out of memory, and flush if so much was, or if it is to be now.

        Raises:
            OutputError: It cannot be written; it waits for another try.
        """
        await self._pack()
        if self._is_hastened or self._packed_bytes >= self.flush_bytes:
            await self.flush()

    async def flush(self) -> None:
        """Make durable what was handed over so far, also what another flush has in hand.

        Raises:
            OutputError: It cannot be written; it waits for another try, and no segment may be entered that holds it.
        """
        wanted = self._handed_over
        with anyio.CancelScope(shield=True):
            async with self._writing:
                self._is_hastened = False
                # Of many who waited the first took what all of them brought: the others need no flush of their own,
                # one after another, for the little that came meanwhile.
                if self._durable < wanted:
                    durable = self._handed_over
                    await self._take(Store.keep)
                    self._durable, self._packed_bytes = durable, 0
                self._look_again()

    async def _pack(self) -> None:
        with anyio.CancelScope(shield=True):
            async with self._writing:
                if self._waiting_bytes >= self.pack_bytes:
                    size = self._waiting_bytes
                    await self._take(Store.pack)
                    self._packed_bytes += size
                self._look_again()

    def _look_again(self) -> None:
        """Let `is_due` say whether anything is; who waits for it waits for the one that will be set."""
        is_due = (
            self._is_hastened
            or self._waiting_bytes >= self.pack_bytes
            or self._packed_bytes >= self.flush_bytes
        )
        if is_due:
            self.is_due.set()
        elif self.is_due.is_set():
            self.is_due = anyio.Event()

    async def _take(self, method: Callable[[Store, list[NewAnswer], list[NewDetail]], None]) -> None:
        answers, self._waiting, self._waiting_bytes = self._waiting, [], 0
        try:
            await self.run(
                method,
                [answer for answer in answers if isinstance(answer, NewAnswer)],
                [answer for answer in answers if isinstance(answer, NewDetail)],
            )
        except Exception:  # whatever it was: what is handed over is durable, or still here
            self._waiting[:0] = answers
            self._waiting_bytes += sum(len(answer.body) for answer in answers)
            raise

    async def digests(self, keys: Sequence[AnswerKey]) -> list[Digest]:
        """Return the digests of answers that were handed over; what is not durable yet is made so first."""
        found = await self.run(Store.digests, keys)
        if len(found) < len(keys):
            await self.flush()
            found = await self.run(Store.digests, keys)
        return [found[key] for key in keys]

    async def load_ids(self, window_id: int, hours: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return the ids kept of a window's hours."""
        return await self.run(Store.load_ids, window_id, hours)

    async def spill_ids(self, buckets: dict[tuple[int, int], dict[str, int]]) -> None:
        """Keep ids out of memory for this run."""
        await self.run(Store.spill_ids, buckets)

    async def aclose(self) -> None:
        """Close the database and let go of the output."""
        with anyio.CancelScope(shield=True):
            try:
                await self.flush()
            finally:
                try:
                    await self.run(Store.close)
                finally:
                    self._executor.shutdown()
                    self._lock.close()


@contextmanager
def open_read_only(root: Path) -> Iterator[Store]:
    """Open the journal of an output only to look at it, beside a run that may hold it; the caller's thread reads.

    Raises:
        JournalError: It is none of ours, or a damaged one.
        OutputError: It cannot be read.
    """
    with _translated("read"):
        store = Store(root / FOLDER, is_read_only=True)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def _translated(done: str) -> Iterator[None]:
    """Turn what SQLite, the disk and the decoders raise into errors of ours."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise OutputError(
            f"the journal cannot be {done}: {what}; mend that (free space, allow access), then the same command goes on"
        ) from error
    except (sqlite3.DatabaseError, DamagedError, msgspec.MsgspecError) as error:
        raise JournalError(
            f"the journal is damaged: {error}; export into another folder with --out"
        ) from error
