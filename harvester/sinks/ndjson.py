"""Segments of lines: unified records, native rows or quarantine, plain or compressed.

Rows become bytes at once and wait as such; a worker thread packs and writes them two megabytes at a time, while others
gather.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import zstandard

from harvester.block import Block
from harvester.model import Lines, NativeRows, Segment, SegmentKind
from harvester.record import Records

from .base import Rows
from .files import Aside, Steps, publish, translated

Compression = Literal["none", "gzip", "zstd"]

SUFFIXES: dict[Compression, str] = {"none": ".ndjson", "gzip": ".ndjson.gz", "zstd": ".ndjson.zst"}

FLUSH_BYTES = 2_000_000
"""Bytes that wait before a thread is worth its price: one for every 256 kB costs 38 %, for every 1 MB 9 %."""

MOST_BYTES = 2 * FLUSH_BYTES
"""Bytes that may wait while others are written; more have to wait for those."""

_GZIP_LEVEL = 3  # 4 takes 1.3 to 1.6 times as long for 4 % less, 1 saves 5 to 25 % of time for 6 to 10 % more
_ZSTD_LEVEL = 1  # 2 and 3 are slower and, on such lines, no smaller
_ZSTD_WINDOW_LOG = 17  # 0.5 MB an open segment instead of 1.1, and on such lines no larger
_GZIP_WINDOW = 31  # zlib's way of asking for a gzip header: 15 bits of window, plus 16
_encoder = msgspec.json.Encoder()

_buffers = threading.local()
_LARGEST_BUFFER = 4 * FLUSH_BYTES


class _Compressor(Protocol):
    def compress(self, data: memoryview, /) -> bytes | memoryview: ...
    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: memoryview, /) -> memoryview:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(compression: Compression) -> _Compressor:
    if compression == "gzip":
        # Its header has a time of 0: the same rows are the same file.
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    if compression == "zstd":
        return _zstd()
    return _Plain()


def _zstd() -> _Compressor:
    """Return a compressor of one frame, for readers that stop after the first."""
    options = zstandard.ZstdCompressionParameters.from_level(
        _ZSTD_LEVEL, window_log=_ZSTD_WINDOW_LOG, write_checksum=True
    )
    compressor: _Compressor = zstandard.ZstdCompressor(compression_params=options).compressobj()
    return compressor


SYNC_BYTES = 8 * 1024 * 1024
"""How much is written before it is made durable: what is left at the end of a segment takes 1 ms a MB."""


class _LineFile:
    """The open segment on disk."""

    def __init__(self, aside: Aside, compression: Compression) -> None:
        self._aside = aside
        self._compressor = _compressor(compression)
        self._file = aside.create()
        self._hash = hashlib.sha256()
        self.size = 0
        self._unsynced = 0

    def append(self, data: memoryview) -> None:
        self._write(self._compressor.compress(data))

    def end(self) -> str:
        """Close the file; return the hash of what it holds."""
        self._write(self._compressor.flush())
        with translated(self._aside.root, self._aside.path):
            self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _write(self, data: bytes | memoryview) -> None:
        with translated(self._aside.root, self._aside.path):
            rest = memoryview(data)
            while rest:  # a raw file may take less than it is given, before it says why
                rest = rest[self._file.write(rest) or 0 :]
            self._unsynced += len(data)
            if self._unsynced >= SYNC_BYTES:
                os.fdatasync(self._file.fileno())
                self._unsynced = 0
        self._hash.update(data)
        self.size += len(data)


class NdjsonSink:
    """One source's way into segments of lines; see `base.Sink`.

    Args:
        root: The output folder.
        source: The source's name.
        kind: `calls` or `quarantine`.
        compression: `none`, `gzip` or `zstd`; quarantine is never compressed.
    """

    def __init__(
        self, root: Path, source: str, *, kind: SegmentKind = "calls", compression: Compression = "none"
    ) -> None:
        self._root = root
        self._source = source
        self._kind: SegmentKind = kind
        self._compression: Compression = "none" if kind == "quarantine" else compression
        self._steps = Steps()
        self._start()

    def _start(self) -> None:
        self._rows = 0
        self._waiting: list[bytes | Block] = []
        self._waiting_bytes = 0
        self._bytes_under_way = 0
        self._aside = Aside(self._root, f"{self._source}-{self._kind}")
        self._file: _LineFile | None = None

    @property
    def rows(self) -> int:
        """Rows in the open segment."""
        return self._rows

    @property
    def buffered_bytes(self) -> int:
        """Bytes of lines that wait for the file, or are on their way into it."""
        return self._waiting_bytes + self._under_way()

    async def write(self, rows: Rows) -> None:
        """Append rows, all or none.

        Raises:
            ValueError: A row cannot be a line, its index is in `args[1]`; none was taken: repeat without it.
            OutputError: The file cannot be written; the open segment is lost.
        """
        self._steps.check()
        if not isinstance(rows, NativeRows):
            await self._take(_lines(rows), len(rows))
            return
        block = _lines_already(rows)
        await self._take(native_lines(rows) if block is None else block, len(rows.rows))

    async def write_lines(self, lines: Lines) -> None:
        """Append lines that are made.

        Raises:
            OutputError: The file cannot be written; the open segment is lost.
        """
        self._steps.check()
        await self._take(lines.text, lines.count)

    async def _take(self, lines: bytes | Block, count: int) -> None:
        self._waiting.append(lines)
        self._waiting_bytes += _size(lines)
        self._rows += count
        is_due = self._waiting_bytes >= FLUSH_BYTES and not self._steps.is_busy
        if is_due or self._waiting_bytes >= MOST_BYTES:
            await self._steps.settle()
            await self._steps.begin(self._append, self._hand_over())

    async def flush(self) -> None:
        """Give the waiting lines to the file."""
        await self._steps.settle()
        if self._waiting:
            await self._steps.run(self._append, self._hand_over())

    async def seal(self, name: str) -> Segment:
        """End the open segment; see `base.Sink.seal`."""
        await self._steps.settle()
        segment = await self._steps.run(self._seal, name + SUFFIXES[self._compression], self._hand_over())
        self._start()
        return segment

    async def publish(self, segment: Segment) -> None:
        """Make a sealed segment visible; repeating it changes nothing."""
        await publish(self._root, segment)

    async def aclose(self) -> None:
        """Discard what was not sealed."""
        self._waiting = []
        self._waiting_bytes = 0
        await self._steps.last(self._discard)

    def _under_way(self) -> int:
        return self._bytes_under_way if self._steps.is_busy else 0

    def _hand_over(self) -> list[bytes | Block]:
        """Return the waiting lines, for a step that begins now."""
        lines, self._waiting = self._waiting, []
        self._bytes_under_way, self._waiting_bytes = self._waiting_bytes, 0
        return lines

    def _append(self, lines: Sequence[bytes | Block]) -> None:
        if self._file is None:
            self._file = _LineFile(self._aside, self._compression)
        for some in _in_pieces(lines):
            size = sum(map(_size, some))
            with memoryview(_joined(some, size)) as joined:
                self._file.append(joined[:size])

    def _seal(self, name: str, lines: Sequence[bytes | Block]) -> Segment:
        self._append(lines)
        assert self._file is not None
        sha256 = self._file.end()
        return self._aside.finish(
            source=self._source, kind=self._kind, name=name, rows=self._rows, sha256=sha256
        )

    def _discard(self) -> None:
        if self._file is not None:
            self._file.abandon()
        self._aside.discard()

    @property
    def bytes(self) -> int:
        """Bytes in the file, and of the lines that wait for it."""
        return self.buffered_bytes + (self._file.size if self._file else 0)


def _in_pieces(lines: Sequence[bytes | Block]) -> Iterator[Sequence[bytes | Block]]:
    """Cut lines where they make up what is written at once."""
    first = size = 0
    for index, some in enumerate(lines):
        size += _size(some)
        if size >= FLUSH_BYTES:
            yield lines[first : index + 1]
            first, size = index + 1, 0
    if first < len(lines):
        yield lines[first:]


def _joined(lines: Sequence[bytes | Block], size: int) -> bytearray:
    """Return lines one after another, in a buffer that belongs to the thread and may be longer than they are.

    Fresh memory would cost more than the copy: the system clears it page by page.
    """
    joined = getattr(_buffers, "joined", None)
    if not isinstance(joined, bytearray) or not size <= len(joined) <= _LARGEST_BUFFER:
        joined = _buffers.joined = bytearray(max(size, FLUSH_BYTES + FLUSH_BYTES // 4))
    end = 0
    for some in lines:
        begin, end = end, end + _size(some)
        if isinstance(some, Block):
            some.write_lines(joined, begin)
        else:
            joined[begin:end] = some
    return joined


def _size(lines: bytes | Block) -> int:
    """Return the bytes of lines, of which rows side by side have a comma less than breaks."""
    return lines.size + len(lines) if isinstance(lines, Block) else len(lines)


def _lines_already(page: NativeRows) -> Block | None:
    """Return rows that are lines but for the commas between them, None where there is more to do."""
    if page.agent_id is None and page.recording_paths is None and isinstance(page.rows, Block):
        return page.rows if page.rows.is_flat else None
    return None


def _lines(rows: Sequence[Any]) -> bytes:
    try:
        return rows.lines() if isinstance(rows, Records) else _encoder.encode_lines(rows)
    except (ValueError, OverflowError):  # half a character, or an integer beyond 64 bits
        return b"".join([_one_line(row, index) for index, row in enumerate(rows)])


def _one_line(row: Any, index: int) -> bytes:
    try:
        return _encoder.encode(row) + b"\n"
    except (ValueError, OverflowError) as error:
        raise ValueError(f"row {index} cannot be written: {error}", index) from error


def native_lines(page: NativeRows) -> bytes:
    """Return a page's rows as lines, byte for byte but for line breaks between tokens.

    With an `agent_id` each object ends with the member `_agent_id`, one with a recording with `_recording_path`.

    Raises:
        ValueError: A row is no object where a member is to be added; its index is in `args[1]`.
    """
    if page.recording_paths is not None:
        return b"".join(_with_paths(page))
    text = b"".join(page.rows)
    is_plain = b"\n" not in text and b"\r" not in text
    if page.agent_id is None:
        if is_plain:
            return b"\n".join([*page.rows, b""])
        return b"".join([_line(row) + b"\n" for row in page.rows])
    member = b'"_agent_id":' + msgspec.json.encode(page.agent_id)
    rows = list(map(bytes, page.rows))
    # A row that opens so has a member already, and the new one stands before the `}` that ends it.
    if is_plain and all([row[:2] == b'{"' and row[-1:] == b"}" for row in rows]):  # noqa: C419 - 4 times as fast
        end = b"," + member + b"}\n"
        return end.join([row[:-1] for row in [*rows, b"}"]])
    return b"".join([_with_member(row, index, member) for index, row in enumerate(rows)])


def _with_paths(page: NativeRows) -> Iterator[bytes]:
    assert page.recording_paths is not None
    for index, (row, path) in enumerate(zip(page.rows, page.recording_paths, strict=True)):
        added = {"_agent_id": page.agent_id, "_recording_path": path}
        members = [
            f'"{name}":'.encode() + msgspec.json.encode(value)
            for name, value in added.items()
            if value is not None
        ]
        yield _with_member(bytes(row), index, b",".join(members)) if members else _line(row) + b"\n"


def _line(row: msgspec.Raw | bytes) -> bytes:
    # In JSON a line break can only stand between tokens: within a string it is escaped.
    return bytes(row).translate(None, b"\r\n")


def _with_member(row: bytes, index: int, member: bytes) -> bytes:
    line = _line(row).strip()
    if line[:1] != b"{" or line[-1:] != b"}":
        raise ValueError(f"row {index} is no JSON object", index)
    inside = line[1:-1].strip()
    return b"{" + inside + (b"," if inside else b"") + member + b"}\n"
