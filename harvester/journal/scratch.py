"""The ids of open windows that are not in memory: a file for what only this run needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .database import Transaction, execute_many


class Scratch:
    """A database that a crash may lose; nothing in it is made durable.

    Args:
        path: Its file, made anew; None for memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            path.unlink(missing_ok=True)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA page_size = 16384")  # an hour's ids in a page or two
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE spilled"
            " (window_id INTEGER, hour INTEGER, ids BLOB, PRIMARY KEY (window_id, hour)) WITHOUT ROWID"
        )

    def load(self, window_id: int, hours: Sequence[int]) -> dict[int, dict[str, int]]:
        """Take back what was spilled of these hours of a window."""
        found: dict[int, dict[str, int]] = {}
        for hour in hours:
            row = self._db.execute(
                "DELETE FROM spilled WHERE window_id = ? AND hour = ? RETURNING ids", (window_id, hour)
            ).fetchone()
            found[hour] = {} if row is None else msgspec.msgpack.decode(row[0], type=dict[str, int])
        return found

    def spill(self, buckets: dict[tuple[int, int], dict[str, int]]) -> None:
        """Keep buckets, each of a window and an hour."""
        with Transaction(self._db):  # each on its own would be written on its own
            execute_many(
                self._db,
                "INSERT OR REPLACE INTO spilled VALUES {rows}",
                [(*key, msgspec.msgpack.encode(bucket)) for key, bucket in buckets.items()],
            )

    def forget(self, window_id: int) -> None:
        """Drop what is left of a window."""
        self._db.execute("DELETE FROM spilled WHERE window_id = ?", (window_id,))

    def close(self) -> None:
        """Close it; its file goes."""
        self._db.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
