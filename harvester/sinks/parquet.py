"""Segments of columns. Only this module, `columns`, `cut`, `arrow`, `native` and `buffers` import pyarrow.

Rows wait, records already taken apart, until there are enough to be turned into columns at a good price; columns wait
until they are a row group. Both are done in a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from harvester.model import Segment

from .base import Rows
from .buffers import NativeBuffer, RowBuffer, UnifiedBuffer
from .files import Aside, Steps, publish, translated
from .readback import UnreadableError, key_of

Compression = Literal["zstd", "snappy", "none"]

GROUP_ROWS = 100_000
GROUP_BYTES = 24 * 1024 * 1024
"""A row group is due at whichever comes first; the bytes are Arrow's."""

CONVERT_ROWS = 5_000
CONVERT_BYTES = 4_000_000
"""Waiting rows become columns at whichever comes first; 1,000 at a time cost 1.2 times what 5,000 do, and 10,000
no less."""

MOST_WAITING = 2
"""Times so much may wait while others become columns; more has to wait for those."""

_ZSTD_LEVEL = 1  # on such rows level 3 takes 1.5 times as long and makes no smaller files


class _GroupFile:
    """The open segment on disk."""

    def __init__(
        self, aside: Aside, schema: pa.Schema, *, compression: Compression, repeating: list[str]
    ) -> None:
        self._aside = aside
        options: dict[str, Any] = {
            "compression": compression,
            "compression_level": _ZSTD_LEVEL if compression == "zstd" else None,
            "use_dictionary": repeating,
        }
        aside.create().close()
        with translated(aside.root, aside.path):
            # Arrow's own file: one of Python's would need the interpreter's lock for each of its writes.
            self._file = pa.OSFile(str(aside.path), "wb")
            self._writer = pq.ParquetWriter(self._file, schema, **options)
        self._given = 0

    @property
    def size(self) -> int:
        position: int = 0 if self._file.closed else self._file.tell()
        return position

    @property
    def packing(self) -> float:
        """Bytes in the file for each byte of Arrow."""
        return self.size / self._given if self._given else 1.0

    def append(self, table: pa.Table) -> None:
        with translated(self._aside.root, self._aside.path):
            self._writer.write_table(table, row_group_size=GROUP_ROWS)
        self._given += table.nbytes

    def end(self) -> None:
        with translated(self._aside.root, self._aside.path):
            self._writer.close()
            self._file.close()

    def abandon(self) -> None:
        # The writer ends its file whatever happened to it, which may fail as that did.
        for part in (self._writer, self._file):
            with suppress(OSError, pa.ArrowException):
                part.close()


class ParquetSink:
    """One source's way into segments of columns; see `base.Sink`.

    Args:
        root: The output folder.
        source: The source's name.
        columns: The provider's native columns, wire name to `string`, `bool`, `int`, `float` or `json`; None
            for the unified record.
        adds_agent_id: Native rows may come with an agent's id, for the column `_agent_id`.
        compression: `zstd`, `snappy` or `none`.
    """

    def __init__(
        self,
        root: Path,
        source: str,
        *,
        columns: Mapping[str, str] | None = None,
        adds_agent_id: bool = True,
        compression: Compression = "zstd",
    ) -> None:
        self._root = root
        self._source = source
        self._waiting: RowBuffer = (
            UnifiedBuffer() if columns is None else NativeBuffer(columns, adds_agent_id=adds_agent_id)
        )
        self._compression: Compression = compression
        self._steps = Steps()
        self._start()

    def _start(self) -> None:
        self._rows = 0
        self._waiting_rows = 0
        self._waiting_bytes = self._bytes_under_way = 0
        self._batches: list[pa.RecordBatch] = []
        self._batch_bytes = 0
        self._batch_rows = 0
        self._aside = Aside(self._root, f"{self._source}-calls")
        self._file: _GroupFile | None = None

    @property
    def rows(self) -> int:
        """Rows in the open segment."""
        return self._rows

    @property
    def buffered_bytes(self) -> int:
        """Bytes of columns that wait for their row group, and about those of rows not yet columns."""
        under_way = self._bytes_under_way if self._steps.is_busy else 0
        return self._batch_bytes + self._waiting_bytes + under_way

    async def write(self, rows: Rows) -> None:
        """Append rows, all or none.

        Raises:
            ValueError: A record has a value that cannot be stored, its index is in `args[1]`; none was taken:
                repeat without it. Native rows never raise it.
            TypeError: The rows are not of this sink's shape.
            OutputError: The file cannot be written; the open segment is lost.
        """
        self._steps.check()
        count, size = self._waiting.take(rows)
        self._rows += count
        self._waiting_rows += count
        self._waiting_bytes += size
        share = max(self._waiting_rows / CONVERT_ROWS, self._waiting_bytes / CONVERT_BYTES)
        if (share >= 1 and not self._steps.is_busy) or share >= MOST_WAITING:
            await self._steps.settle()
            await self._steps.begin(self._convert, self._hand_over())

    async def flush(self) -> None:
        """Write what waits as a row group."""
        await self._steps.settle()
        if self._waiting_rows or self._batches:
            await self._steps.run(self._flush, self._hand_over())

    async def seal(self, name: str) -> Segment:
        """End the open segment; see `base.Sink.seal`."""
        await self._steps.settle()
        segment = await self._steps.run(self._seal, name + ".parquet", self._hand_over())
        self._start()
        return segment

    async def publish(self, segment: Segment) -> None:
        """Make a sealed segment visible; repeating it changes nothing."""
        await publish(self._root, segment)

    async def aclose(self) -> None:
        """Discard what was not sealed."""
        await self._steps.last(self._discard)

    @property
    def bytes(self) -> int:
        """Bytes in the file, and those that wait for it, taken to pack as well as what is written."""
        if self._file is None:
            return self.buffered_bytes
        return self._file.size + int(self.buffered_bytes * self._file.packing)

    def _hand_over(self) -> Callable[[], pa.RecordBatch] | None:
        """Return what makes columns of the waiting rows, for a step that begins now; None where none wait."""
        if not self._waiting_rows:
            return None
        self._bytes_under_way = self._waiting_bytes
        self._waiting_rows = self._waiting_bytes = 0
        return self._waiting.hand_over()

    def _convert(self, make: Callable[[], pa.RecordBatch] | None) -> None:
        """Turn rows into columns, and the columns into a row group where one is due."""
        if make is None:
            return
        batch = make()
        self._batches.append(batch)
        self._batch_rows += len(batch)
        self._batch_bytes += batch.nbytes
        while self._batch_rows >= GROUP_ROWS or self._batch_bytes >= GROUP_BYTES:
            self._write_group()

    def _flush(self, make: Callable[[], pa.RecordBatch] | None) -> None:
        self._convert(make)
        while self._batch_rows:
            self._write_group()

    def _write_group(self) -> None:
        table = pa.Table.from_batches(self._batches, schema=self._waiting.schema)
        self._opened(table).append(table.slice(0, GROUP_ROWS))
        rest = table.slice(GROUP_ROWS)
        self._batches = rest.to_batches()
        self._batch_rows, self._batch_bytes = len(rest), rest.nbytes

    def _seal(self, name: str, make: Callable[[], pa.RecordBatch] | None) -> Segment:
        self._flush(make)
        self._opened(self._waiting.schema.empty_table()).end()
        return self._aside.finish(source=self._source, kind="calls", name=name, rows=self._rows)

    def _opened(self, first: pa.Table) -> _GroupFile:
        if self._file is None:
            repeating = self._waiting.repeating(first)
            self._file = _GroupFile(
                self._aside, self._waiting.schema, compression=self._compression, repeating=repeating
            )
        return self._file

    def _discard(self) -> None:
        self._batches = []
        if self._file is not None:
            self._file.abandon()
        self._aside.discard()


def read_keys(path: Path) -> Iterator[list[str]]:
    """Yield the keys of a file's rows in order, in batches; see `readback.read_keys`."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            columns = ["call_id", "version"] if {"run_id", "version"} <= set(names) else ["id"]
            for batch in file.iter_batches(columns=columns):
                ids = batch.column(0).to_pylist()
                versions = batch.column(1).to_pylist() if len(columns) > 1 else [1] * len(ids)
                yield [key_of(call_id, version) for call_id, version in zip(ids, versions, strict=True)]
    except (pa.ArrowException, KeyError) as error:
        raise UnreadableError(f"damaged: {error}") from error
