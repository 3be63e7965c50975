"""Committed segments, read back: how many rows they have and the ids in them."""

from __future__ import annotations

import gzip
import io
import json
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
                keys.append(_key_in(line, decoder))
                if len(keys) == BATCH:
                    yield keys
                    keys = []
    except (
        msgspec.DecodeError,
        ValueError,
        AttributeError,
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        zstandard.ZstdError,
    ) as error:
        raise UnreadableError(f"damaged: {error}") from error
    yield keys


def _opened(path: Path, file: BinaryIO) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if path.suffix == ".zst":
        return cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(file))
    return file


def _key_in(line: bytes, decoder: msgspec.json.Decoder[_Key]) -> str:
    """Return the key of a line; native rows have an `id`, and some a `call_id` of another meaning beside it."""
    try:
        key = decoder.decode(line)
        return key_of(key.id or key.call_id, key.version)
    except msgspec.DecodeError:
        # A row as the provider sent it may hold half a character, or a version that is no number.
        fields = json.loads(line)
        found = fields.get("id", fields.get("call_id"))
        return key_of(None if found is None else str(found), 1)


def key_of(call_id: str | None, version: int) -> str:
    """Return what must be there once.

    Raises:
        UnreadableError: There is no id.
    """
    if not call_id:
        raise UnreadableError("a row has no id")
    return call_id if version == 1 else f"{call_id}\0{version}"
