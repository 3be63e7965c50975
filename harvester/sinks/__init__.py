"""Where rows become files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from harvester.model import Format, SegmentKind, Shape

from . import ndjson
from .base import Rows, Sink, SinkFactory
from .files import ASIDE, publish

__all__ = ["ASIDE", "Rows", "Sink", "SinkFactory", "open_sink", "publish"]


def open_sink(
    root: Path,
    source: str,
    *,
    format: Format,  # noqa: A002 - the contract's word
    shape: Shape = "unified",
    compression: str = "zstd",
    columns: Mapping[str, str] | None = None,
    adds_agent_id: bool = True,
    kind: SegmentKind = "calls",
) -> Sink:
    """Return one source's sink; nothing is created on disk before its first rows.

    Args:
        root: The output folder.
        source: The source's name.
        format: `parquet` or `ndjson`; quarantine is always the latter.
        shape: What `write` is given, `unified` records or `native` rows.
        compression: Parquet: `zstd`, `snappy`, `none`; NDJSON: `none`, `gzip`, `zstd`; quarantine: never.
        columns: The provider's native columns; needed for native Parquet only.
        adds_agent_id: Native Parquet has a column `_agent_id`, for a provider whose rows may name no agent.
        kind: `calls` or `quarantine`.

    Raises:
        ValueError: That format has no such compression, or native Parquet was given no columns.
    """
    if kind == "quarantine":
        return ndjson.NdjsonSink(root, source, kind=kind)
    if format == "ndjson":
        if compression not in ndjson.SUFFIXES:
            raise ValueError(f"ndjson has no compression {compression!r}: {', '.join(ndjson.SUFFIXES)}")
        return ndjson.NdjsonSink(root, source, compression=compression)
    from . import parquet  # noqa: PLC0415 - pyarrow takes 70 ms to import, for those who need it

    if compression not in {"zstd", "snappy", "none"}:
        raise ValueError(f"parquet has no compression {compression!r}: zstd, snappy, none")
    if shape == "native" and columns is None:
        raise ValueError("native Parquet needs the provider's columns")
    return parquet.ParquetSink(
        root,
        source,
        columns=columns if shape == "native" else None,
        adds_agent_id=adds_agent_id,
        compression=cast("parquet.Compression", compression),
    )
