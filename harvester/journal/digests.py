"""What walks need of answers, without their bodies: kept until a window is complete, many in a piece.

Pieces are in files, for they are a twelfth of all bodies; what is in the database is which are needed, and where.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence

import msgspec

from .append import AppendFiles, Place
from .nouns import Digest, PackedDigest

PIECE = 256
"""Digests in a piece at most: what reading one of them costs."""

PIECES_HELD = 4

_ALL = 0
"""The owner of the files, for all jobs: of a thousand sources a file each would have to be made durable."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Digest]).decode


class Piece(msgspec.Struct, frozen=True):
    """Digests of one window that are in a file."""

    window_id: int
    job_id: int
    place: Place


class Digests:
    """The digests of an output's open windows; used on the journal's thread alone.

    Args:
        db: The journal's database.
        files: Where the pieces go.
    """

    def __init__(self, db: sqlite3.Connection, files: AppendFiles) -> None:
        self._db = db
        self._files = files
        self._held: OrderedDict[int, list[Digest]] = OrderedDict()
        self._last_file = 0

    def append(
        self, digests: Sequence[tuple[int, int, Digest | PackedDigest]]
    ) -> tuple[list[Piece], list[tuple[int, int]]]:
        """Give digests, each of a job and a window, to their files; they are durable after the next `sync`.

        Returns:
            The pieces they are in now; and of each digest which piece it is in, and where there.
        """
        if not digests:
            return [], []
        parts = list(_parts(digests))
        packed = [_encode([digests[at][2] for at in part]) for _, _, part in parts]
        places: list[tuple[int, int]] = [(0, 0)] * len(digests)
        pieces: list[Piece] = []
        for (job_id, window_id, part), place in zip(parts, self._files.append(_ALL, packed), strict=True):
            for nth, at in enumerate(part):
                places[at] = (len(pieces), nth)
            pieces.append(Piece(window_id, job_id, place))
            self._last_file = place[0]
        return pieces, places

    def sync(self) -> None:
        """Make durable what was appended.

        Raises:
            OSError: It cannot be.
        """
        self._files.sync()

    def enter(self, piece: Piece) -> int:
        """Enter a piece, in the transaction that is open; return its number."""
        cursor = self._db.execute(
            "INSERT INTO digest (window_id, job_id, file, offset, length) VALUES (?, ?, ?, ?, ?)",
            (piece.window_id, piece.job_id, *piece.place),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def read(self, piece: int, nth: int) -> Digest:
        """Return a digest.

        Raises:
            DamagedError: Its file is gone or damaged.
        """
        if piece not in self._held:
            place = self._db.execute(
                "SELECT file, offset, length FROM digest WHERE id = ?", (piece,)
            ).fetchone()
            self._held[piece] = _decode(self._files.read(place))
            if len(self._held) > PIECES_HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(piece)
        return self._held[piece][nth]

    def forget(self, window_id: int) -> None:
        """Drop those of a window, in the transaction that is open."""
        self._db.execute("DELETE FROM digest WHERE window_id = ?", (window_id,))
        self.let_go()

    def let_go(self) -> None:
        """Hold nothing more: the number of a piece that was dropped may be given out again."""
        self._held.clear()

    def drop_unless(self, packed: Collection[Piece]) -> None:
        """Remove the files without a piece that is entered, or packed to be."""
        needed = {file for (file,) in self._db.execute("SELECT DISTINCT file FROM digest")}
        needed |= {piece.place[0] for piece in packed}
        if self._last_file not in needed:
            self._files.roll(_ALL)
        self._files.drop_unless(needed)


def _parts(
    digests: Sequence[tuple[int, int, Digest | PackedDigest]],
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield a job, a window and the indices of so many of its digests as are a piece."""
    found: dict[tuple[int, int], list[int]] = {}
    for at, (job_id, window_id, _) in enumerate(digests):
        found.setdefault((job_id, window_id), []).append(at)
    for (job_id, window_id), some in found.items():
        for begin in range(0, len(some), PIECE):
            yield job_id, window_id, some[begin : begin + PIECE]
