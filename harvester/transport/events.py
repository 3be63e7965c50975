"""Server-sent events out of bytes as they come. Pure: it reads, and asks for nothing.

Source: the HTML standard, 9.2.5 and 9.2.6, but for the data of an event, which stay the bytes they are.
"""

from __future__ import annotations

import re

import msgspec

from harvester.errors import MalformedError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""An event that is larger is a mistake: a message of a conversation has a few hundred bytes."""

LONGEST_RETRY_S = 3600.0

_BREAK = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True):
    """One event; `id` is its own, empty where it names none: `EventReader.last_id` has the last one named."""

    data: bytes
    name: str = "message"
    id: str = ""


class EventReader:
    """Reads one stream, in whatever pieces it comes.

    Args:
        max_bytes: The largest event.
    """

    def __init__(self, *, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_id: str = ""
        self.retry_s: float | None = None
        self._max_bytes = max_bytes
        self._rest: list[bytes] = []
        self._size = 0
        self._is_after_cr = False
        self._is_first_line = True
        self._data: list[bytes] = []
        self._name = ""
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Take a piece and return the events that end in it.

        Raises:
            MalformedError: An event is larger than the limit; the stream is of no more use.
        """
        if self._is_after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")  # the other half of a line break
            self._is_after_cr = False
        if not chunk:
            return []
        self._is_after_cr = chunk.endswith(b"\r")
        first, *others = _BREAK.split(chunk)
        self._rest.append(first)
        self._grow(len(first))
        events: list[Event] = []
        for rest in others:
            event = self._line(b"".join(self._rest))
            if event is not None:
                events.append(event)
            self._rest = [rest]
            self._grow(len(rest))
        return events

    def _grow(self, by: int) -> None:
        self._size += by
        if self._size > self._max_bytes:
            raise MalformedError(f"an event of the stream is larger than {self._max_bytes:,} bytes")

    def _line(self, line: bytes) -> Event | None:
        if self._is_first_line:
            line, self._is_first_line = line.removeprefix(_BOM), False
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            return None
        self._size -= len(line)  # only data are kept
        if field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit():
            self.retry_s = min(int(value[:12]) / 1000, LONGEST_RETRY_S)
        return None

    def _dispatch(self) -> Event | None:
        name, data, own_id = self._name or "message", self._data, self._id
        self._name, self._data, self._id, self._size = "", [], None, 0
        if own_id is not None:
            self.last_id = own_id
        return Event(b"\n".join(data), name, own_id or "") if data else None
