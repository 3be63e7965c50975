"""A double of an output: what its folder would hold, kept in memory."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from harvester.errors import OutputError
from harvester.model import NativeRows, Quarantined, Segment, SegmentKind
from harvester.record import Record
from harvester.sinks import Rows

Row = Record | Quarantined | NativeRows


class MemoryOutput:
    """What an output folder would hold, kept in memory; a SinkFactory.

    `aside` and `published` hold the rows of segments, by the path of the segment: sealed, and visible.
    """

    def __init__(self) -> None:
        self.aside: dict[str, list[Row]] = {}
        self.published: dict[str, list[Row]] = {}

    def __call__(self, source: str, kind: SegmentKind) -> MemorySink:
        """Open a sink."""
        return MemorySink(self, source, kind)

    def records(self, source: str) -> list[Record]:
        """Return the unified records of a source that are visible, segment by segment."""
        return [row for row in self._rows(f"calls/{source}/") if isinstance(row, Record)]

    def native(self, source: str) -> list[dict[str, Any]]:
        """Return the native rows of a source that are visible, decoded, with the members that are added."""
        found: list[dict[str, Any]] = []
        for page in self._rows(f"calls/{source}/"):
            assert isinstance(page, NativeRows)
            paths = page.recording_paths or [None] * len(page.rows)
            for row, path in zip(page.rows, paths, strict=True):
                added = {"_agent_id": page.agent_id, "_recording_path": path}
                known = {name: value for name, value in added.items() if value is not None}
                found.append(msgspec.json.decode(row, type=dict[str, Any]) | known)
        return found

    def quarantined(self, source: str) -> list[Quarantined]:
        """Return the lines of a source's quarantine that are visible."""
        return [row for row in self._rows(f"quarantine/{source}/") if isinstance(row, Quarantined)]

    def _rows(self, folder: str) -> list[Row]:
        return [
            row for path in sorted(self.published) if path.startswith(folder) for row in self.published[path]
        ]


class MemorySink:
    """One source's way into segments that are kept in memory; see `sinks.base.Sink`.

    Args:
        output: Where sealed segments go.
        source: The source's name.
        kind: `calls` or `quarantine`.
    """

    def __init__(
        self, output: MemoryOutput | None = None, source: str = "memory", kind: SegmentKind = "calls"
    ) -> None:
        self.output: MemoryOutput = output or MemoryOutput()
        self._source = source
        self._kind: SegmentKind = kind
        self._is_closed = False
        self._clear()

    def _clear(self) -> None:
        self._held: list[Row] = []
        self._lines: list[bytes] = []

    @property
    def rows(self) -> int:
        """Rows in the open segment."""
        return len(self._lines)

    @property
    def bytes(self) -> int:
        """Bytes of the open segment as lines."""
        return sum(map(len, self._lines))

    @property
    def buffered_bytes(self) -> int:
        """All of them: nothing is ever given to a file."""
        return self.bytes

    async def write(self, rows: Rows) -> None:
        """Append rows to the open segment."""
        self._check()
        if isinstance(rows, NativeRows):
            self._held.append(rows)
            self._lines += map(bytes, rows.rows)
        else:
            self._held += rows
            self._lines += map(msgspec.json.encode, rows)

    async def flush(self) -> None:
        """Do nothing: there is no file."""

    async def seal(self, name: str) -> Segment:
        """End the open segment: whole, not yet visible."""
        self._check()
        path = f"{self._kind}/{self._source}/{name}.memory"
        data = b"\n".join([*self._lines, b""])
        self.output.aside[path] = self._held
        sealed = Segment(
            source=self._source,
            kind=self._kind,
            path=path,
            rows=self.rows,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            aside=f"_harvester/aside/{name}.memory",
        )
        self._clear()
        return sealed

    async def publish(self, segment: Segment) -> None:
        """Make a sealed segment visible; repeating it changes nothing.

        Raises:
            OutputError: It was never sealed.
        """
        if segment.path in self.output.aside:
            self.output.published[segment.path] = self.output.aside.pop(segment.path)
        elif segment.path not in self.output.published:
            raise OutputError(f"{segment.path} is neither aside nor in place")

    async def aclose(self) -> None:
        """Discard what was not sealed."""
        self._is_closed = True
        self._clear()

    def _check(self) -> None:
        if self._is_closed:
            raise OutputError("this sink is closed; open another")
