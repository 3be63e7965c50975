"""Where rows become files, as a seam.

Exactly-once rests on two steps with the journal's entry between them: `seal` makes a segment whole and
durable but not visible, `publish` makes it visible and is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from harvester.model import Lines, NativeRows, Quarantined, Segment, SegmentKind
from harvester.record import Record

Rows = Sequence[Record] | Sequence[Quarantined] | NativeRows


class Sink(Protocol):
    """One source's way into segments of one kind; one segment is open at a time, opened by its first rows."""

    @property
    def rows(self) -> int:
        """Rows in the open segment."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of the open segment so far, what is still buffered included."""
        ...

    @property
    def buffered_bytes(self) -> int:
        """Bytes held in memory for the open segment."""
        ...

    async def write(self, rows: Rows) -> None:
        """Append rows to the open segment.

        Raises:
            OutputError: The file cannot be written; the open segment is lost, those sealed before are not.
        """
        ...

    async def flush(self) -> None:
        """Give the buffered rows to the file, as a row group where the format has them."""
        ...

    async def seal(self, name: str) -> Segment:
        """End the open segment: whole and durable, not yet visible. Without rows it is an empty segment.

        Args:
            name: The file's name less its suffix, as the journal decided it.
        """
        ...

    async def publish(self, segment: Segment) -> None:
        """Make a sealed segment visible and its place durable; repeating it changes nothing."""
        ...

    async def aclose(self) -> None:
        """Discard what was not sealed."""
        ...


@runtime_checkable
class LineSink(Sink, Protocol):
    """A sink whose segments are lines, and that takes them already made."""

    async def write_lines(self, lines: Lines) -> None:
        """Append lines to the open segment; see `Sink.write`."""
        ...


SinkFactory = Callable[[str, SegmentKind], Sink]
"""Opens the sink of a source (by name) for calls or for quarantine."""
