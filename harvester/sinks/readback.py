"""Committed segments, read back: how many rows they have and the ids in them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import zstandard

BATCH = 10_000


class UnreadableError(Exception):
    """A segment is not what its name says."""


class _Key(msgspec.Struct):
    """What of a line says which call it is, in either shape."""

    call_id: str | None = None
    id: str | None = None
    version: int = 1


def read_keys(path: Path) -> Iterator[list[str]]:
    """Yield the keys of a segment's rows in order, in batches: the id, and the version where it is not the first.

    Raises:
        UnreadableError: The file is damaged, or a row has no id.
        OSError: It cannot be opened.
    """
    if path.suffix == ".parquet":
        from . import parquet  # noqa: PLC0415 - pyarrow takes 70 ms to import, for those who need it

        yield from parquet.read_keys(path)
    else:
        yield from _ndjson_keys(path)


def _ndjson_keys(path: Path) -> Iterator[list[str]]:
    decoder = msgspec.json.Decoder(_Key)
    keys: list[str] = []
    try:
        with (
            path.open("rb") as file,
            io.BufferedReader(cast("io.RawIOBase", _opened(path, file)), 1 << 20) as lines,
        ):
            for line in lines:
                key = decoder.decode(line)
                keys.append(key_of(key.call_id or key.id, key.version))
                if len(keys) == BATCH:
                    yield keys
                    keys = []
    except (msgspec.DecodeError, EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise UnreadableError(f"damaged: {error}") from error
    yield keys


def _opened(path: Path, file: BinaryIO) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if path.suffix == ".zst":
        return cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(file))
    return file


def key_of(call_id: str | None, version: int) -> str:
    """Return what must be there once.

    Raises:
        UnreadableError: There is no id.
    """
    if not call_id:
        raise UnreadableError("a row has no id")
    return call_id if version == 1 else f"{call_id}\0{version}"
