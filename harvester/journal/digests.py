"""What walks need of answers, without their bodies: kept until a window is complete, many in a piece.

One by one they would cost more than all else the journal does: a blob of its own is compressed, written, moved when
its row changes and written once more by the checkpoint.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from .answers import compress, decompress
from .nouns import Digest, PackedDigest

PIECE = 256
"""Digests in a piece at most: what reading one of them costs."""

PIECES_HELD = 4

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Digest]).decode


class Piece(msgspec.Struct, frozen=True):
    """Digests of one window, packed."""

    window_id: int
    job_id: int
    packed: bytes


def pieces_of(
    digests: Sequence[tuple[int, int, Digest | PackedDigest]],
) -> tuple[list[Piece], list[tuple[int, int]]]:
    """Return digests, each of a job and a window, in pieces; and of each which piece it is in, and where there."""
    pieces: list[Piece] = []
    places: list[tuple[int, int]] = [(0, 0)] * len(digests)
    by_window: dict[tuple[int, int], list[int]] = {}
    for at, (job_id, window_id, _) in enumerate(digests):
        by_window.setdefault((job_id, window_id), []).append(at)
    for (job_id, window_id), found in by_window.items():
        for begin in range(0, len(found), PIECE):
            some = found[begin : begin + PIECE]
            for nth, at in enumerate(some):
                places[at] = (len(pieces), nth)
            pieces.append(Piece(window_id, job_id, compress(_encode([digests[at][2] for at in some]))))
    return pieces, places


class Digests:
    """The digests of an output's open windows.

    Args:
        db: The journal's database.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._held: OrderedDict[int, list[Digest]] = OrderedDict()

    def enter(self, piece: Piece) -> int:
        """Enter a piece, in the transaction that is open; return its number."""
        cursor = self._db.execute(
            "INSERT INTO digest (window_id, job_id, packed) VALUES (?, ?, ?)", msgspec.structs.astuple(piece)
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def read(self, piece: int, nth: int) -> Digest:
        """Return a digest."""
        if piece not in self._held:
            (packed,) = self._db.execute("SELECT packed FROM digest WHERE id = ?", (piece,)).fetchone()
            self._held[piece] = _decode(decompress(packed))
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
