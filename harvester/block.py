"""Rows that stand side by side in an answer, cut apart only for those who look at single ones."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Self, overload

import msgspec

Row = bytes | msgspec.Raw
"""The JSON of one row, byte for byte."""

_LINE_BREAK = ord("\n")


class Block(Sequence[bytes]):
    """Rows of one answer with a single comma between any two.

    Args:
        body: The answer.
        start: Where in it the first row begins.
        lengths: Of each row, in bytes.
        is_flat: No row holds a line break, which may stand between the tokens of JSON.
    """

    __slots__ = ("_body", "_lengths", "_start", "is_flat", "size")

    def __init__(self, body: bytes, start: int, lengths: Sequence[int], *, is_flat: bool) -> None:
        self.is_flat: bool = is_flat
        self._body = body
        self._start = start
        self._lengths = lengths
        self.size: int = sum(lengths)
        """Bytes of the rows alone."""

    @classmethod
    def find(cls, body: bytes, rows: Sequence[Row]) -> Self | None:
        """Return rows as they stand in their answer, None where something else than one comma is between two."""
        if not rows:
            return None
        lengths = list(map(len, rows))
        # Neither before the first row nor behind the last; so no further apart than they can be only where they are.
        start, last = body.find(bytes(rows[0])), body.rfind(bytes(rows[-1]))
        if start < 0 or last + lengths[-1] - start != sum(lengths) + len(lengths) - 1:
            return None
        end = last + lengths[-1]
        is_flat = body.find(b"\n", start, end) < 0 and body.find(b"\r", start, end) < 0
        return cls(body, start, lengths, is_flat=is_flat)

    @property
    def text(self) -> bytes:
        """All of them with a comma between any two: an array's inside."""
        return self._body[self._start : self._start + self.size + len(self._lengths) - 1]

    @property
    def place(self) -> tuple[int, bytes]:
        """Where the first begins, and all lengths packed: with the answer it is all of `unpack`'s."""
        return self._start, array("I", self._lengths).tobytes()

    @classmethod
    def unpack(cls, body: bytes, start: int, lengths: bytes, *, is_flat: bool) -> Self:
        """Return rows by what `place` says of them."""
        return cls(body, start, array("I", lengths), is_flat=is_flat)

    def write_lines(self, buffer: bytearray, at: int) -> None:
        """Write each row as a line into a buffer, where all are flat; that is `size` and a byte a row."""
        size = self.size + len(self._lengths) - 1
        with memoryview(self._body) as body:
            buffer[at : at + size] = body[self._start : self._start + size]
        at -= 1
        for length in self._lengths:
            at += length + 1
            buffer[at] = _LINE_BREAK

    def texts(self) -> list[str]:
        """Return each row as text.

        Raises:
            UnicodeDecodeError: One is no UTF-8.
        """
        text = self.text
        if not text.isascii():
            return [str(row, "utf-8") for row in self]
        whole, texts, start = text.decode("ascii"), [], 0
        for length in self._lengths:
            texts.append(whole[start : start + length])
            start += length + 1
        return texts

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[bytes]:
        body, start = self._body, self._start
        for length in self._lengths:
            yield body[start : start + length]
            start += length + 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Return rows, each a copy."""
        if isinstance(index, slice):
            return list(self)[index]
        at = range(len(self._lengths))[index]
        start = self._start + sum(self._lengths[:at]) + at
        return self._body[start : start + self._lengths[at]]


def size_of(rows: Sequence[Row]) -> int:
    """Return the bytes of rows alone."""
    return rows.size if isinstance(rows, Block) else sum(map(len, rows))


def array_of(runs: Iterable[Sequence[Row]]) -> bytes:
    """Return the rows of some answers as one JSON array."""
    texts = [rows.text if isinstance(rows, Block) else b",".join(rows) for rows in runs if rows]
    return b"".join([b"[", b",".join(texts), b"]"])
