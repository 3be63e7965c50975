"""`[output]` of a config and the options about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import msgspec

from harvester.model import Format, Shape

from .table import Table, nearest
from .values import quoted, read_flag, read_text

if TYPE_CHECKING:
    from .options import Overrides

T = TypeVar("T", bound=str)

Compression = Literal["zstd", "snappy", "gzip", "none"]

# What each format can be compressed with, its default first.
COMPRESSIONS: Mapping[Format, tuple[Compression, ...]] = {
    "parquet": ("zstd", "snappy", "none"),
    "ndjson": ("none", "gzip", "zstd"),
}

_FORMATS: tuple[Format, ...] = get_args(Format)
_SHAPES: tuple[Shape, ...] = get_args(Shape)
_COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)


class Output(msgspec.Struct, frozen=True):
    """Where segments go and what they are."""

    path: Path
    format: Format = "parquet"
    shape: Shape = "unified"
    compression: Compression = "zstd"
    raw: bool = True


def read_output(table: Table, options: Overrides, *, folder: Path) -> tuple[Output, tuple[str, ...]]:
    """Read the table, the options before it; return notices too."""
    table.refuse_unknown(Output.__struct_fields__)
    own: Format = table.take("format", _read_format, _FORMATS[0])
    shape: Shape = table.take("shape", _read_shape, _SHAPES[0])
    path = table.take("path", _read_path, "out")
    asked: Compression = table.take("compression", _read_compression, COMPRESSIONS[own][0])
    if asked not in COMPRESSIONS[own]:
        table.problem("compression", f"{own} knows {', '.join(COMPRESSIONS[own])}, not {asked}")
    kind = options.format or own
    compression, notices = _compression(kind, asked, is_asked="compression" in table.values)
    output = Output(
        path=options.out if options.out is not None else folder / path,
        format=kind,
        shape=options.shape or shape,
        compression=compression,
        raw=table.take("raw", read_flag, True),
    )
    return output, notices


def _compression(kind: Format, asked: Compression, *, is_asked: bool) -> tuple[Compression, tuple[str, ...]]:
    """Return the compression for a format that an option may have changed, and what to say of it."""
    allowed = COMPRESSIONS[kind]
    if not is_asked:
        return allowed[0], ()
    if asked in allowed:
        return asked, ()
    return allowed[0], (f"--format {kind}: {asked} is not for {kind}; compression is {allowed[0]}",)


def _read_format(value: object) -> Format:
    return _one_of(_FORMATS, value)


def _read_shape(value: object) -> Shape:
    return _one_of(_SHAPES, value)


def _read_compression(value: object) -> Compression:
    return _one_of(_COMPRESSIONS, value)


def _one_of(choices: tuple[T, ...], value: object) -> T:
    for choice in choices:
        if value == choice:
            return choice
    raise ValueError(
        f"{quoted(read_text(value))} is none of {', '.join(choices)}; {nearest(str(value), choices)}"
    )


def _read_path(value: object) -> str:
    path = read_text(value)
    if "\0" in path:
        raise ValueError("is no path")
    return path
