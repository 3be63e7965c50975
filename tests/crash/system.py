"""The durable steps of the operating system as kill points: writes, fsyncs, renames, unlinks, folders, SQL statements.

No seam shows them, so this wraps the functions themselves. That is patching, which tests do not do: it happens in a
process that was forked to be killed, and nowhere else.
"""

from __future__ import annotations

import io
import os
import re
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from harvester.testing import KillPoints

PlaceOf = Callable[[Any], str | None]


def watch_system(points: KillPoints, root: Path) -> None:
    """Make kill points of what this process does to the files below `root`, until its end.

    A write is cut in two, with a point between: half a body of an answer, half a column, half a footer.
    """

    def place_of(what: Any) -> str | None:
        """Return where a path or an open file is, less what differs from run to run; None outside of the output."""
        path = Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else Path(what)
        if not path.is_relative_to(root):
            return None
        parts = path.relative_to(root).parts
        return "/".join(parts[: 2 if parts[:1] == ("_harvester",) else 1]) or "out"

    _watch_files(points, place_of)
    _watch_writes(points, place_of)
    _watch_statements(points)


def _watch_files(points: KillPoints, place_of: PlaceOf) -> None:
    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(what: Any, *args: Any, **options: Any) -> Any:
            place = place_of(what)
            if place is None:
                return real(what, *args, **options)
            with points.around(f"{name} {place}"):
                return real(what, *args, **options)

        return call

    for name in ("fsync", "fdatasync", "replace", "rename", "unlink", "mkdir"):
        setattr(os, name, watched(name, getattr(os, name)))


def _watch_writes(points: KillPoints, place_of: PlaceOf) -> None:
    class WatchedFile(io.FileIO):
        def write(self, data: Any, /) -> int:
            view = memoryview(data).cast("B")
            place, half = place_of(self.name), len(view) // 2
            points.step(f"before write {place}")
            self._write(view[:half])
            points.step(f"amid write {place}")
            self._write(view[half:])
            return len(view)

        def _write(self, view: memoryview) -> None:
            while view:
                view = view[super().write(view) or 0 :]

    real_open = io.open

    def watched_open(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if mode in {"ab", "wb"} and place_of(path) is not None:
            return io.BufferedWriter(WatchedFile(path, mode))
        return real_open(path, mode, *args, **options)

    def watched_arrow(path: str, mode: str) -> Any:
        return pa.PythonFile(WatchedFile(path, mode), mode="w")

    for module, name, value in (
        (io, "FileIO", WatchedFile),
        (io, "open", watched_open),  # what `Path.open` calls
        (pa, "OSFile", watched_arrow),
    ):
        setattr(module, name, value)


def _watch_statements(points: KillPoints) -> None:
    real_connect = sqlite3.connect

    def connect(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = real_connect(database, *args, **options)
        if "journal.db" in str(database):
            db.set_trace_callback(lambda sql: points.step(f"before {_short(sql)}"))
        return db

    setattr(sqlite3, "connect", connect)  # noqa: B010 - mypy allows no plain assignment


def _short(sql: str) -> str:
    """Return what a statement does, less to which rows."""
    words = re.findall(r"[A-Za-z_]+", sql)
    tables = [b for a, b in pairwise(words) if a in {"FROM", "INTO", "UPDATE", "PRAGMA"} and b != "SET"]
    return " ".join([words[0], *tables[:1]])
