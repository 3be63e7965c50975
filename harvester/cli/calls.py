"""Calls on stdout, as `get` and `latest` print them: one JSON object a line, or one that people can read."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, BinaryIO

import msgspec
import typer

from .options import ShapeName
from .screen import is_terminal

if TYPE_CHECKING:
    from harvester.single import Call

SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="The source, as the config names it.")]
CallShape = Annotated[
    ShapeName, typer.Option("--shape", help="The unified record, or the provider's own JSON.")
]

_CONTROL = re.compile("[\x7f-\x9f]")  # JSON escapes those below 0x20 itself


def print_call(call: Call, shape: ShapeName) -> None:
    """Print one call: on a terminal indented, elsewhere as one line."""
    line = line_of(call, shape)
    # As bytes: JSON is UTF-8 whatever the terminal's language is.
    write_all(sys.stdout.buffer, indented(line) if is_terminal(sys.stdout) else line)


def print_calls(calls: Sequence[Call], shape: ShapeName) -> None:
    """Print calls, one JSON object a line."""
    write_all(sys.stdout.buffer, b"".join([line_of(call, shape) for call in calls]))


def line_of(call: Call, shape: ShapeName) -> bytes:
    """Return a call as a line; a native one as the provider sent it, but for line breaks between tokens.

    Its agent is added as `_agent_id` where the provider's JSON names none.
    """
    if shape == ShapeName.UNIFIED:
        return msgspec.json.encode(call.record) + b"\n"
    # What packs files is not needed for help.
    from harvester.model import NativeRows  # noqa: PLC0415
    from harvester.sinks.ndjson import native_lines  # noqa: PLC0415

    return native_lines(NativeRows([msgspec.Raw(call.raw)], call.agent_id))


def indented(line: bytes) -> bytes:
    """Return a line as JSON that people can read, and that cannot steer their terminal."""
    try:
        text = msgspec.json.format(line, indent=2).decode()
    except ValueError:  # half a character, or not quite JSON: it is shown as it came
        text = line.decode("utf-8", "backslashreplace").rstrip()
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode() + b"\n"


def write_all(out: BinaryIO, data: bytes) -> None:
    """Write all of it: with PYTHONUNBUFFERED stdout is a raw file, which may take a part and raise nothing."""
    rest = memoryview(data)
    while rest:
        rest = rest[out.write(rest) or 0 :]
    out.flush()
