"""The journal's database as a file: opened, checked, made where there is none. What is in it is `store`'s."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from harvester.errors import JournalError, OutputError

from .schema import SCHEMA, VERSION

AT_ONCE = 64
"""Rows in one step of `execute_many`; of 14 values each they are fewer than any SQLite takes."""


class Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def execute_many(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Execute a statement for many rows, with few steps.

    Each step lets go of the interpreter and waits until the event loop lets go of it: `executemany`, with a step for
    each row, made exports a twentieth longer.

    Args:
        db: The database.
        statement: It has `{rows}` where VALUES has its rows.
        rows: All of the same length.
    """
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        row = f"({', '.join('?' * len(some[0]))})"
        db.execute(statement.format(rows=", ".join([row] * len(some))), list(chain.from_iterable(some)))


def open_database(path: Path, *, is_read_only: bool) -> sqlite3.Connection:
    """Open the database, made where there is none.

    Raises:
        JournalError: There is a file that is no journal of this version, or a damaged one; it is left as it is.
        OutputError: It cannot be written, or read where that is all that is wanted.
    """
    mode = "ro" if is_read_only else "rwc"
    if is_read_only and not os.access(path.parent, os.W_OK):
        mode += "&immutable=1"  # nobody can write there, nor SQLite the files it reads beside a writer
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(db, is_read_only=is_read_only)
        except BaseException:
            db.close()
            raise
    except sqlite3.OperationalError as error:
        raise OutputError(
            f"the journal {path} cannot be {'read' if is_read_only else 'written'}: {error}; free space, allow "
            "access, or choose another folder with --out"
        ) from error
    except sqlite3.DatabaseError as error:
        raise JournalError(
            f"{path} is no journal or is damaged ({error}); it was left as it is: restore it, or export into "
            "another folder with --out"
        ) from error
    return db


def _prepare(db: sqlite3.Connection, *, is_read_only: bool) -> None:
    """Check what is there before anything is changed."""
    is_new = not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if not is_new:
        _check(db)
    if is_read_only:
        if is_new:
            raise JournalError("the journal was begun and holds nothing yet: harvester export goes on")
        return
    if is_new:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if is_new:
        with Transaction(db):
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('version', ?)", (VERSION,))


def _check(db: sqlite3.Connection) -> None:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not {"meta", "job", "segment"} <= tables:
        raise sqlite3.DatabaseError("another program's database")
    (version,) = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone() or ("none",)
    if version != VERSION:
        raise JournalError(
            f"the journal is of version {version}, this harvester reads {VERSION}: use the one that wrote it, or "
            "export into another folder with --out"
        )
    if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(found)
