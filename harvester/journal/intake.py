"""How answers and details come into the journal: their bodies first, and where they are in one transaction for many.

A transaction and what makes it durable wait for the disk, so several times a second is often enough; out of memory they
go as they come. What is in a file by then and not in the database is fetched again if the run is killed. Files are
dropped here too, once the database needs nothing in them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import astuple

from .append import AppendFiles, Place
from .database import execute_many
from .digests import Digests, Piece
from .nouns import AnswerKey, NewAnswer, NewDetail
from .rows import to_us

_NOWHERE = (None, None, None)


class PackedAnswer(msgspec.Struct, frozen=True):
    """An answer's key, its job, where among the pieces its digest is, and where its body is."""

    key: AnswerKey
    job_id: int
    digest: tuple[int, int]
    place: Place | tuple[None, ...]


class Packed(msgspec.Struct, frozen=True):
    """Answers and details whose bodies are in `files`, durable or not; the database does not know them yet.

    Details are rows of their table.
    """

    pieces: list[Piece]
    answers: list[PackedAnswer]
    details: list[tuple[Any, ...]]
    files: set[int]


class Intake:
    """What brings them in; used on the journal's thread alone.

    Args:
        db: The journal's database.
        bodies: Where bodies go.
        digests: Where digests go.
    """

    def __init__(self, db: sqlite3.Connection, bodies: AppendFiles, digests: Digests) -> None:
        self._db = db
        self._bodies = bodies
        self._digests = digests

    def pack(self, answers: Sequence[NewAnswer], details: Sequence[NewDetail] = ()) -> Packed:
        """Give bodies and digests to their files; return what is to be entered once they are durable."""
        bodies = [(answer.job_id, b"" if answer.key.is_probe else answer.body) for answer in answers]
        places = self._append([*bodies, *((detail.job_id, detail.body) for detail in details)])
        pieces, digests = self._digests.append(
            [(answer.job_id, answer.key.window_id, answer.digest) for answer in answers]
        )
        return Packed(
            pieces,
            [
                PackedAnswer(answer.key, answer.job_id, digest, place)
                for answer, digest, place in zip(answers, digests, places[: len(answers)], strict=True)
            ],
            [
                (new.window_id, new.call_id, new.job_id, to_us(new.received_at), new.message, *place)
                for new, place in zip(details, places[len(answers) :], strict=True)
            ],
            {file for file, *_ in places if file is not None},
        )

    def sync(self) -> None:
        """Make durable what was packed.

        Raises:
            OSError: It cannot be.
        """
        self._bodies.sync()
        self._digests.sync()

    def enter(self, packed: Packed) -> None:
        """Enter where they are, in the transaction that is open."""
        pieces = [self._digests.enter(piece) for piece in packed.pieces]
        execute_many(
            self._db,
            "INSERT OR REPLACE INTO answer VALUES {rows}",
            [
                (*astuple(one.key), one.job_id, pieces[one.digest[0]], one.digest[1], *one.place)
                for one in packed.answers
            ],
        )
        execute_many(self._db, "INSERT OR REPLACE INTO detail VALUES {rows}", packed.details)

    def drop_files(self, packed: Sequence[Packed]) -> None:
        """Remove the files in which no answer is needed any more, and no digest.

        Args:
            packed: What is in files and not entered yet.
        """
        rows = self._db.execute(
            "SELECT file FROM answer WHERE file IS NOT NULL UNION SELECT file FROM detail WHERE file IS NOT NULL"
        )
        self._bodies.drop_unless({file for (file,) in rows}.union(*(one.files for one in packed)))
        self._digests.drop_unless([piece for one in packed for piece in one.pieces])

    def _append(self, bodies: Sequence[tuple[int, bytes]]) -> list[Place | tuple[None, ...]]:
        """Append bodies, each of a job; return where they are, in their order; nothing for one without a byte."""
        places: list[Place | tuple[None, ...]] = [_NOWHERE] * len(bodies)
        for job_id in {job_id for job_id, _ in bodies}:
            kept = [at for at, (job, body) in enumerate(bodies) if job == job_id and body]
            if kept:
                placed = self._bodies.append(job_id, [bodies[at][1] for at in kept])
                for at, place in zip(kept, placed, strict=True):
                    places[at] = place
        return places


def open_files(db: sqlite3.Connection, folder: Path, *tables: str) -> AppendFiles:
    """Return the files of a folder; tables of the database say what is where in them."""
    selects = " UNION ALL ".join(f"SELECT file FROM {table}" for table in tables)  # noqa: S608 - our own names
    (last,) = db.execute(f"SELECT max(file) FROM ({selects})").fetchone()  # noqa: S608
    return AppendFiles(folder, (last or 0) + 1)
