"""The unified record as Arrow: its schema, derived from the struct, and records as columns."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import pyarrow as pa
from msgspec import inspect
from msgspec.structs import astuple

from harvester.record import Record

_SCALARS: dict[type[inspect.Type], pa.DataType] = {
    inspect.StrType: pa.string(),
    inspect.LiteralType: pa.string(),
    inspect.BoolType: pa.bool_(),
    inspect.IntType: pa.int64(),
    inspect.FloatType: pa.float64(),
    inspect.DateTimeType: pa.timestamp("us", "UTC"),
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


def record_batch(records: Sequence[Record]) -> pa.RecordBatch:
    """Return records as columns.

    Turning tuples round in one go is 1.2 times as fast as asking each record for each column. For turns, of few
    fields and many, it is the other way: their tuples cost the collector more than the asking.
    """
    columns = zip(*map(astuple, records), strict=True) if records else [()] * len(_SCHEMA)
    arrays = [_array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_list(kind):
        return pa.array(values, type=kind)
    if values.count(None) == len(values):
        return pa.nulls(len(values), kind)
    offsets: list[int | None] = []
    items: list[Any] = []
    for value in values:
        offsets.append(None if value is None else len(items))
        items += value or ()
    offsets.append(len(items))
    fields = kind.value_type.fields
    children = [pa.array(list(map(attrgetter(field.name), items)), type=field.type) for field in fields]
    structs = pa.StructArray.from_arrays(children, fields=fields)
    return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), structs, type=kind)
