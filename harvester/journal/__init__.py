"""What was fetched and which segments are committed: the only truth on resuming.

One SQLite database in `_harvester/` below the output, owned by one thread and locked against a second run. The order
that makes exactly-once is: a segment is written aside and made durable, entered here in one transaction with the
windows it completes and the ids of those still open, and only then renamed into place. Opening the journal finishes
the renames it knows and deletes whatever else lies aside.

A source has one current job. `--fresh` begins another generation of it beside, whose segments stay aside until the
exchange: one transaction that dooms the old segments and enters the new, after which the files only follow.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from harvester.errors import JournalError, OutputError

from .lock import Lock
from .nouns import DATELESS, NAMELESS, Commit, Counts, Job, JobSpec, JobState, StoredWindow
from .store import Store

__all__ = [
    "DATELESS",
    "FOLDER",
    "NAMELESS",
    "Commit",
    "Counts",
    "Job",
    "JobSpec",
    "JobState",
    "Journal",
    "Store",
    "StoredWindow",
]

P = ParamSpec("P")
T = TypeVar("T")

FOLDER = "_harvester"


class Journal:
    """The journal of one output, open and locked.

    `await journal.run(Store.method, …)` calls a method of the database on the journal's thread; calls are carried out
    in the order they were made. A call once made is carried out even if its caller is cancelled.
    """

    def __init__(self, store: Store, lock: Lock, executor: ThreadPoolExecutor) -> None:
        self._store = store
        self._lock = lock
        self._executor = executor

    @classmethod
    async def open(cls, root: Path, *, holder: str) -> Journal:
        """Open the journal of an output, made where there is none.

        Raises:
            HeldError: Another run holds the output.
            OutputError: The output cannot be written.
            JournalError: What is there is no journal of ours, or a damaged one.
        """
        executor = ThreadPoolExecutor(1, "harvester-journal")

        def open_here() -> tuple[Store, Lock]:
            folder = root / FOLDER
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock = Lock(folder / "lock", holder=holder)
            except OSError as error:
                raise OutputError(
                    f"{root} cannot be written: {error.strerror}; choose another folder with --out"
                ) from error
            try:
                return Store(folder), lock
            except BaseException:
                lock.close()
                raise

        try:
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
        try:
            return await asyncio.shield(call)
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"the journal cannot be written: {error}; free space, then the same command goes on"
            ) from error
        except sqlite3.DatabaseError as error:
            raise JournalError(
                f"the journal is damaged: {error}; export into another folder with --out"
            ) from error

    async def load_ids(self, window_id: int, hours: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return the ids kept of a window's hours."""
        return await self.run(Store.load_ids, window_id, hours)

    async def spill_ids(self, buckets: dict[tuple[int, int], dict[str, int]]) -> None:
        """Keep ids out of memory for this run."""
        await self.run(Store.spill_ids, buckets)

    async def aclose(self) -> None:
        """Close the database and let go of the output."""
        await self.run(Store.close)
        self._executor.shutdown()
        self._lock.close()
