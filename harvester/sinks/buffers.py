"""Rows on their way into columns, in either shape: they wait as they came, and become a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol, cast

import pyarrow as pa

from harvester.block import size_of
from harvester.model import NativeRows
from harvester.record import Record

from .arrow import UnifiedColumns, unified_schema
from .base import Rows
from .native import NativeColumns

_SAMPLE_ROWS = 2_000

_UNIQUE = {
    "call_id", "external_id", "created_at", "started_at", "ringing_at", "answered_at", "ended_at",
    "updated_at", "summary", "transcript.list.element.text", "transcript.list.element.at", "recording_url",
    "recording_path", "recording_sha256", "recording_bytes", "raw", "raw_list",
}  # fmt: skip
"""Columns of the unified record whose values hardly repeat: a dictionary only costs."""


class RowBuffer(Protocol):
    """What the two shapes do each in its own way."""

    schema: pa.Schema

    def take(self, rows: Rows) -> tuple[int, int]:
        """Accept rows, all or none; return how many they are and about how many bytes they hold."""
        ...

    def hand_over(self) -> Callable[[], pa.RecordBatch]:
        """Forget the accepted rows; return what makes columns of them, in whatever thread, one after another."""
        ...

    def repeating(self, first: pa.Table) -> list[str]:
        """Return the columns that get a dictionary, for a file that begins with these rows."""
        ...


class UnifiedBuffer:
    """Records; see `RowBuffer`."""

    def __init__(self) -> None:
        self.schema: pa.Schema = unified_schema()
        self._columns = UnifiedColumns()

    def take(self, rows: Rows) -> tuple[int, int]:
        """Accept records, all or none.

        Raises:
            ValueError: A record has a value that cannot be stored; its index is in `args[1]`.
        """
        if isinstance(rows, NativeRows):
            raise TypeError("a unified segment takes records")
        return len(rows), self._columns.take(cast("Sequence[Record]", rows))

    def hand_over(self) -> Callable[[], pa.RecordBatch]:
        """Forget the accepted records; return what makes columns of them."""
        columns, self._columns = self._columns, UnifiedColumns()
        return columns.batch

    def repeating(self, first: pa.Table) -> list[str]:
        """Return the columns that repeat in any account, whatever the first rows are."""
        return _REPEATING


class NativeBuffer:
    """A provider's own rows; see `RowBuffer`."""

    def __init__(self, columns: Mapping[str, str], *, adds_agent_id: bool) -> None:
        self._columns = NativeColumns(columns, adds_agent_id=adds_agent_id)
        self.schema: pa.Schema = self._columns.schema
        self._pages: list[NativeRows] = []

    def take(self, rows: Rows) -> tuple[int, int]:
        """Accept native rows."""
        if not isinstance(rows, NativeRows):
            raise TypeError("a native segment takes native rows")
        self._pages.append(rows)
        return len(rows.rows), size_of(rows.rows)

    def hand_over(self) -> Callable[[], pa.RecordBatch]:
        """Forget the accepted rows; return what makes columns of them."""
        pages, self._pages = self._pages, []
        return partial(self._columns.batch, pages)

    def repeating(self, first: pa.Table) -> list[str]:
        """Return the columns in whose first values each comes twice or more.

        Nobody knows a provider's columns beforehand; a dictionary of unique values takes a third more time and makes
        files a sixth larger.
        """
        some = first.slice(0, _SAMPLE_ROWS)
        return [name for name in some.column_names if 2 * len(some[name].unique()) <= len(some)]


def _leaves(field: pa.Field, prefix: str = "") -> Iterator[str]:
    """Yield the columns of a file that a field becomes, as Parquet names them."""
    path = prefix + field.name
    if pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field, path + ".list.")
    elif pa.types.is_struct(field.type):
        for child in field.type.fields:
            yield from _leaves(child, path + ".")
    else:
        yield path


_REPEATING = [path for field in unified_schema() for path in _leaves(field) if path not in _UNIQUE]
