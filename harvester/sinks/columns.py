"""Columns on their way into Arrow: values wait as text, and Arrow takes the text apart.

An Arrow array made of Python objects asks each of them for its value, with the interpreter's lock held: 30 ns for a
string, 240 for a datetime. To join them, or to encode them at once, costs 5 to 10; splitting the text, reading the
times in it and marking its nulls is done by Arrow without the lock.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC
from functools import lru_cache
from itertools import accumulate, chain, groupby
from operator import attrgetter
from typing import Any, Protocol, TypeAlias, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from .cut import POOL, bits, compute, cut_text

Piece: TypeAlias = Any
"""Some values of one column: an int is so many nulls, an array is itself, all else is its `Kind`'s own."""

MOMENT = pa.timestamp("us", "UTC")

_BETWEEN = "\0"  # stands between two texts
_NULL = "\1"  # stands for a null among texts
_LONG = 64
"""Characters of a text from which on to measure it costs less than to look for its end."""
_VERY_LONG = 1_000
"""Characters from which on copying it is what costs: it becomes Arrow at once."""

NO_JSON = msgspec.Raw(b"null")
_QUOTED_NULL = f'"{_NULL}"'.encode()

_nulls = lru_cache(maxsize=32)(pa.nulls)
"""Half of a record's columns are null in all rows of an account; these share their bytes."""

_zone = attrgetter("tzinfo")
_encode = msgspec.json.Encoder().encode


class Repeated(msgspec.Struct):
    """The piece of a column that holds one value so many times."""

    value: Any
    count: int


class Kind(Hashable, Protocol):
    """How values of one type become Arrow.

    `read` makes a piece of them and refuses what cannot be stored; `join` makes an array of pieces that are neither
    nulls nor arrays.
    """

    type: pa.DataType

    def read(self, values: Sequence[Any]) -> Piece:
        """Return values as a piece.

        Raises:
            ValueError: One cannot be stored: half a character.
            OverflowError: One cannot be stored: too large an integer.
            TypeError: One is not of this type.
        """
        ...

    def join(self, pieces: Sequence[Piece]) -> pa.Array:
        """Return pieces as an array."""
        ...


def array_of(kind: Kind, pieces: Sequence[Piece]) -> pa.Array:
    """Return a column's pieces as one array."""
    arrays: list[pa.Array] = []
    for form, group in groupby(pieces, type):
        run = list(group)
        if form is int:
            arrays.append(_nulls(sum(run), kind.type))
        elif issubclass(form, pa.Array):
            arrays += run
        elif form is Repeated:
            arrays += _spread(kind.type, run)
        else:
            arrays.append(kind.join(run))
    if len(arrays) == 1:
        return arrays[0]
    return pa.concat_arrays(arrays, POOL) if arrays else pa.nulls(0, kind.type)


def _spread(kind: pa.DataType, pieces: Sequence[Repeated]) -> list[pa.Array]:
    """Return an array for each run of one value; most columns of this kind have one, page after page."""
    runs = [(value, list(run)) for value, run in groupby(pieces, attrgetter("value"))]
    return [
        pa.repeat(pa.scalar(value, kind), sum([piece.count for piece in run]), POOL) for value, run in runs
    ]


def size_of(piece: Piece) -> int:
    """Return about how many bytes a piece holds beyond 8 a value."""
    if isinstance(piece, _Text | _Measured):
        return len(piece.values)
    if isinstance(piece, pa.Array):
        size: int = piece.nbytes
        return size
    return sum(map(size_of, piece.fields)) if isinstance(piece, _Structs) else 0


def _are_null(values: Sequence[Any]) -> bool:
    return not values or (values[0] is None and values.count(None) == len(values))


class _Text(msgspec.Struct):
    """The piece of a column of texts: all in one, and how many they are."""

    values: bytes
    count: int


class _Measured(msgspec.Struct):
    """The piece of a column of long texts: one after another, and their lengths packed; a null has none."""

    values: bytes
    lengths: _Packed


class Texts:
    """Strings and nulls.

    Args:
        is_checked: The caller knows that none holds what stands between texts, or for a null.
    """

    type: pa.DataType = pa.string()

    def __init__(self, *, is_checked: bool = False) -> None:
        self._is_checked = is_checked

    def read(self, values: Sequence[str | None]) -> Piece:
        """Return values as one text; as an array those that are long, or hold what stands between texts."""
        if _are_null(values):
            return len(values)
        if (length := len(values[0] or values[-1] or "")) > _LONG:
            is_short = length <= _VERY_LONG
            return _measured_texts(values) if is_short else pa.array(values, self.type, memory_pool=POOL)
        texts: Sequence[Any] = values
        try:
            text = _BETWEEN.join(texts)
        except TypeError:
            text = _BETWEEN.join([_NULL if value is None else value for value in values])
            texts = list(filter(None, values))
        # To count them in `text` takes longer than to join once more.
        if not self._is_checked and (_BETWEEN in (everything := "".join(texts)) or _NULL in everything):
            return pa.array(values, self.type, memory_pool=POOL)
        return _Text(text.encode(), len(values))

    def join(self, pieces: Sequence[Any]) -> pa.Array:
        """Return texts, cut into their values."""
        if isinstance(pieces[0], _Measured):
            return _cut_measured(pieces)
        whole = _BETWEEN.encode().join([*(piece.values for piece in pieces), b""])
        return cut_text(whole, _count(pieces), _BETWEEN, _NULL)


class Jsons:
    """Values as the JSON they were sent in, in UTF-8; null, and what is not there, is a null."""

    type: pa.DataType = pa.string()

    def read(self, values: Sequence[msgspec.Raw]) -> Piece:
        """Return values as one text; nothing between them stands in any JSON."""
        is_null = values[0] == NO_JSON and values.count(NO_JSON) == len(values)
        if is_null:
            return len(values)
        if (length := max(len(values[0]), len(values[-1]))) > _LONG:
            lengths, presence = list(map(len, values)), None
            if len(NO_JSON) in lengths:
                presence = bytes([value != NO_JSON for value in values])
            piece = _Measured(b"".join(values), _Packed(_pack_lengths(lengths), presence, len(values)))
            return piece if length <= _VERY_LONG else _cut_measured([piece])
        return _Text(_BETWEEN.encode().join(values), len(values))

    def join(self, pieces: Sequence[Any]) -> pa.Array:
        """Return texts, cut into their values."""
        if isinstance(pieces[0], _Measured):
            return _cut_measured(pieces)
        whole = _BETWEEN.encode().join([*(piece.values for piece in pieces), b""])
        return cut_text(whole, _count(pieces), _BETWEEN, "null")


class Moments:
    """Aware datetimes and nulls."""

    type: pa.DataType = MOMENT

    def read(self, values: Sequence[Any]) -> Piece:
        """Return values as text, as an array those of another zone than UTC."""
        if _are_null(values):
            return len(values)
        # Of a zone with seconds the encoder would write another moment.
        is_text = set(map(_zone, filter(None, values))) == {UTC}
        if not is_text:
            return pa.array(values, self.type, memory_pool=POOL)
        return _Text(_encode(values)[1:-1], len(values))

    def join(self, pieces: Sequence[_Text]) -> pa.Array:
        """Return texts, read as times."""
        whole = b",".join([*(piece.values for piece in pieces), b'"'])
        if b"n" in whole:
            whole = whole.replace(b"null", _QUOTED_NULL)
        return cut_text(whole[1:], _count(pieces), '","', _NULL).cast(self.type, memory_pool=POOL)


class _Packed(msgspec.Struct):
    """The piece of a column of numbers or bools: their bytes, and where any is null a byte for each, 0 for a null."""

    values: bytes
    presence: bytes | None
    count: int


class Plain:
    """Numbers, bools and nulls."""

    def __init__(self, kind: pa.DataType) -> None:
        self.type: pa.DataType = kind
        self._pack = _PACKERS[kind]

    def read(self, values: Sequence[Any]) -> Piece:
        """Return values packed; as an array, or not at all, what does not let itself be packed."""
        if _are_null(values):
            return len(values)
        try:
            return _Packed(self._pack(values), None, len(values))
        except (TypeError, ValueError, struct.error):
            pass
        try:
            packed = self._pack([0 if value is None else value for value in values])
        except (TypeError, ValueError, struct.error):
            return pa.array(values, self.type, memory_pool=POOL)
        return _Packed(packed, bytes([value is not None for value in values]), len(values))

    def join(self, pieces: Sequence[_Packed]) -> pa.Array:
        """Return values as an array."""
        count, present, packed = _unpacked(pieces)
        values = bits(packed) if pa.types.is_boolean(self.type) else pa.py_buffer(packed)
        return pa.Array.from_buffers(self.type, count, [present, values])


def _pack_integers(values: Sequence[int]) -> bytes:
    return struct.pack(f"={len(values)}q", *values)


def _pack_doubles(values: Sequence[float]) -> bytes:
    return struct.pack(f"={len(values)}d", *values)


_PACKERS: dict[pa.DataType, Callable[[Sequence[Any]], bytes]] = {
    pa.bool_(): bytes,
    pa.int64(): _pack_integers,
    pa.float64(): _pack_doubles,
}


class _Structs(msgspec.Struct):
    """The piece of a column of lists: how long each is, and a piece for each field of what is in them."""

    lengths: list[int | None]
    fields: list[Piece]


class Lists:
    """Lists of structs and nulls."""

    def __init__(self, kind: pa.DataType) -> None:
        self.type: pa.DataType = kind
        self._fields: list[pa.Field] = list(kind.value_type.fields)
        self._kinds = [kind_of(field.type) for field in self._fields]
        self._getters = [attrgetter(field.name) for field in self._fields]

    def read(self, values: Sequence[Any]) -> Piece:
        """Return values as lengths and fields."""
        if _are_null(values):
            return len(values)
        items = [item for value in values for item in value or ()]
        # Structs of few fields, and many of them, are asked one field at a time: tuples of them cost more.
        pieces = [
            kind.read(list(map(get, items))) for kind, get in zip(self._kinds, self._getters, strict=True)
        ]
        return _Structs([None if value is None else len(value) for value in values], pieces)

    def join(self, pieces: Sequence[_Structs]) -> pa.Array:
        """Return values as an array."""
        lengths = list(chain.from_iterable(piece.lengths for piece in pieces))
        ends = list(accumulate((length or 0 for length in lengths), initial=0))
        offsets = [None if length is None else end for length, end in zip(lengths, ends, strict=False)]
        columns = zip(*(piece.fields for piece in pieces), strict=True)
        children = [array_of(kind, column) for kind, column in zip(self._kinds, columns, strict=True)]
        structs = pa.StructArray.from_arrays(children, fields=self._fields)
        return pa.ListArray.from_arrays(pa.array([*offsets, ends[-1]], pa.int32()), structs, type=self.type)


def kind_of(kind: pa.DataType) -> Kind:
    """Return how values of a type become Arrow."""
    if pa.types.is_string(kind):
        return Texts()
    if pa.types.is_timestamp(kind):
        return Moments()
    return Lists(kind) if pa.types.is_list(kind) else Plain(kind)


def _measured_texts(values: Sequence[str | None]) -> _Measured:
    presence, texts = None, cast("Sequence[str]", values)
    try:
        whole = "".join(texts)
    except TypeError:
        presence = bytes([value is not None for value in values])
        texts = [value or "" for value in values]
        whole = "".join(texts)
    if whole.isascii():
        return _Measured(whole.encode(), _Packed(_pack_lengths([*map(len, texts)]), presence, len(values)))
    parts = [text.encode() for text in texts]
    return _Measured(b"".join(parts), _Packed(_pack_lengths([*map(len, parts)]), presence, len(values)))


def _pack_lengths(lengths: Sequence[int]) -> bytes:
    return struct.pack(f"={len(lengths)}i", *lengths)


def _cut_measured(pieces: Sequence[_Measured]) -> pa.Array:
    """Return texts, cut where their lengths say."""
    count, present, lengths = _unpacked([piece.lengths for piece in pieces])
    steps = pa.Array.from_buffers(pa.int32(), count + 1, [None, pa.py_buffer(bytes(4) + lengths)])
    # Checked: of more than two gigabytes in one column the ends would begin anew.
    ends = compute("cumulative_sum_checked", steps, options=pc.CumulativeOptions()).buffers()[1]
    whole = pa.py_buffer(b"".join([piece.values for piece in pieces]))
    return pa.Array.from_buffers(pa.string(), count, [present, ends, whole])


def _unpacked(pieces: Sequence[_Packed]) -> tuple[int, pa.Buffer | None, bytes]:
    """Return how many values there are, the bits that say which are there, and their bytes."""
    present = None
    if any(piece.presence for piece in pieces):
        present = bits(b"".join([piece.presence or b"\1" * piece.count for piece in pieces]))
    return _count(pieces), present, b"".join([piece.values for piece in pieces])


def _count(pieces: Sequence[_Text] | Sequence[_Packed]) -> int:
    return sum([piece.count for piece in pieces])
