"""The unified record as Arrow: its schema, derived from the struct, and records as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
from msgspec import inspect
from msgspec.structs import astuple

from harvester.record import COLUMNS, Record, Records

from .columns import MOMENT, Kind, Piece, Repeated, array_of, kind_of, size_of

_SCALARS: dict[type[inspect.Type], pa.DataType] = {
    inspect.StrType: pa.string(),
    inspect.LiteralType: pa.string(),
    inspect.BoolType: pa.bool_(),
    inspect.IntType: pa.int64(),
    inspect.FloatType: pa.float64(),
    inspect.DateTimeType: MOMENT,
}


def unified_schema() -> pa.Schema:
    """Return the one schema of all unified output; columns stand in the record's order."""
    return _SCHEMA


def _field(field: inspect.Field) -> pa.Field:
    kind, description = field.type, ""
    if isinstance(kind, inspect.Metadata):
        description = (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    options = [_plain(option) for option in (kind.types if isinstance(kind, inspect.UnionType) else (kind,))]
    present = [option for option in options if not isinstance(option, inspect.NoneType)]
    return pa.field(
        field.name,
        _data_type(present[0]),
        nullable=len(present) < len(options),
        metadata={"description": description} if description else None,
    )


def _plain(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _data_type(kind: inspect.Type) -> pa.DataType:
    if isinstance(kind, inspect.ListType):
        # Parquet's own name for what stands in a list; Arrow's, `item`, would not survive the file.
        return pa.list_(pa.field("element", _data_type(_plain(kind.item_type))))
    if isinstance(kind, inspect.StructType):
        return pa.struct([_field(field) for field in kind.fields])
    return _SCALARS[type(kind)]


def _schema_of(kind: type[Any]) -> pa.Schema:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return pa.schema([_field(field) for field in described.fields])


_SCHEMA = _schema_of(Record)
_ROW_BYTES = 6 * len(_SCHEMA)  # what Arrow keeps of a value beside its text: where it ends, or a number


_KINDS = [kind_of(field.type) for field in _SCHEMA]


def _read(kind: Kind, value: Any, count: int) -> Piece:
    """Return a column as a piece, of so many values or of one that stands for all."""
    if type(value) is list:
        return kind.read(value)
    if value is None:
        return count
    _check(kind, value)
    return Repeated(value, count)


@lru_cache(maxsize=256)
def _check(kind: Kind, value: object) -> None:
    """Refuse what cannot be stored; page after page has the same run, agent and version."""
    pa.scalar(value, kind.type)


class UnifiedColumns:
    """Records as columns, taken apart as soon as they come: what waits is text, not objects."""

    def __init__(self) -> None:
        self._waiting: list[list[Piece]] = []

    def take(self, records: Sequence[Record]) -> int:
        """Take records, all or none; return about how many bytes they hold.

        Raises:
            ValueError: A record has a value that cannot be stored; its index is in `args[1]`.
        """
        if not records:
            return 0
        try:
            pieces = self._read(records)
        except (ValueError, OverflowError):
            reasons = map(self._refusal, records)
            index, reason = next((index, reason) for index, reason in enumerate(reasons) if reason)
            raise ValueError(f"row {index} cannot be written: {reason}", index) from reason
        self._waiting.append(pieces)
        return sum([size_of(piece) for piece in pieces if type(piece) is not int]) + _ROW_BYTES * len(records)

    def batch(self) -> pa.RecordBatch:
        """Return the records taken as columns and forget them."""
        waiting, self._waiting = self._waiting, []
        columns = zip(*waiting, strict=True) if waiting else [()] * len(_KINDS)
        arrays = [array_of(kind, column) for kind, column in zip(_KINDS, columns, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)

    def _read(self, records: Sequence[Record]) -> list[Piece]:
        columns: Iterable[Any]
        if isinstance(records, Records):
            columns = map(records.columns.__getitem__, COLUMNS)
        else:
            columns = map(list, zip(*map(astuple, records), strict=True))
        return [_read(kind, column, len(records)) for kind, column in zip(_KINDS, columns, strict=True)]

    def _refusal(self, record: Record) -> Exception | None:
        """Return why a record cannot be stored."""
        try:
            self._read([record])
        except (ValueError, OverflowError) as error:
            return error
        return None
