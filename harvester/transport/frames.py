"""What a ProcessTransport and its child say to each other, and how that is cut out of a stream of bytes.

A frame is the sizes of its parts, a message, and bytes as they are: a body, and what was read of it. It knows no HTTP,
no process and no aiohttp.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from datetime import datetime
from typing import cast

import msgspec

from .load import Load

KEPT_BYTES = 1024 * 1024
"""A buffer of more than this is given back once it is empty: a frame is as large as the body it brings."""

UNSENT_BYTES = 512 * 1024
"""What may wait in this process for the channel before `drained` waits as well, beside what the channel holds itself:
two or three pages of unified lines. With no bound the peak was up to 10 MB higher."""

TOGETHER = 8
"""So many pieces are written at once, or what one turn of the loop brings. A write for each costs both processes a
few µs more a request; all of a turn in one make them work by turns: 1.5 times as long, with 80 µs of work a page. A
process with time to spare writes each: that what was asked waited for the end of its turn, and the other's, took 2 ms
of each 56 with 64 in flight behind 50 ms, and 1 of 53 with 16."""

_SIZES = struct.Struct("=IQQ")
_ENCODER = msgspec.msgpack.Encoder()


class Limits(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """The limits of an AiohttpTransport; the first message to a child."""

    connect_s: float
    read_s: float
    total_s: float
    max_body_bytes: int


class Place(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A Target, sent once, before the first request to it."""

    number: int
    base_url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Place({self.number}, ***)"


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A request to a place; its number is the answer's. A `reader` may read that, told `note`."""

    number: int
    place: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    reader: int | None = None
    note: bytes = b""

    def __repr__(self) -> str:
        return f"Ask({self.number}, ***)"


class Drop(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A request is no longer wanted."""

    number: int


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A complete response; the frame's body is its body, and the last part what a reader made of that.

    `odd_headers` takes the place of `headers` where one of them is no UTF-8, which msgpack's strings are.
    """

    number: int
    status: int
    headers: list[tuple[str, str]]
    received_at: datetime
    elapsed_s: float
    odd_headers: list[tuple[bytes, bytes]] = []


class Failure(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """There is no response: an error's class, its message and status."""

    number: int
    kind: str
    message: str
    status: int | None = None


class Ready(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The child has imported all it needs and serves; its first message."""


class Reader(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A `ReadBy`, sent once, before the first request whose answer it may read."""

    number: int
    function: str
    options: bytes


ToChild = Limits | Place | Ask | Drop | Reader
FromChild = Answer | Failure | Ready


class Frames(asyncio.BufferedProtocol):
    """Writes frames to a channel, and cuts what comes through it into frames.

    The loop reads straight into the buffer that frames are cut from, so that a body is copied once.

    Args:
        receive: Called with each frame: its message, to be decoded at once for it is overwritten, its body, and what
            was read of that.
        end: Called once the channel is closed, whoever closed it.
        size: Bytes of the buffer; it grows for a frame that needs more.
        load: Counts what is written; None for one of its own.
    """

    def __init__(
        self,
        receive: Callable[[memoryview, bytes, bytes], None],
        end: Callable[[], None],
        *,
        size: int,
        load: Load | None = None,
    ) -> None:
        self._receive = receive
        self._end = end
        self._size = size
        self._buffer = memoryview(bytearray(size))
        self._from = 0  # where the first frame that is not yet cut begins,
        self._until = 0  # and how far the buffer is filled
        self._unsent: list[bytes] = []
        self._load = load or Load()
        self._transport: asyncio.Transport | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._turn = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether frames can be written."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(UNSENT_BYTES)

    def pause_writing(self) -> None:
        """Take that the other side reads more slowly than frames are written."""
        self._has_room.clear()

    def resume_writing(self) -> None:
        """Take that it has read them."""
        self._has_room.set()

    async def drained(self) -> None:
        """Return once little is unsent, or the channel is closed: for who has more to write than it was given.

        Of those who wait one goes on at a time, and the others look again: what it writes may fill the channel.
        """
        async with self._turn:
            await self._has_room.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that it is over."""
        self._transport = None
        self._has_room.set()
        self._end()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read into."""
        return self._buffer[self._until :]

    def buffer_updated(self, nbytes: int) -> None:
        """Cut what is complete, and make room for what is not."""
        self._until += nbytes
        buffer, at, until = self._buffer, self._from, self._until
        needed = _SIZES.size
        while until - at >= _SIZES.size:
            message_size, body_size, reading_size = _SIZES.unpack_from(buffer, at)
            message_at = at + _SIZES.size
            body_at = message_at + message_size
            body_end = body_at + body_size
            end = body_end + reading_size
            if end > until:
                needed = end - at
                break
            self._receive(
                buffer[message_at:body_at], bytes(buffer[body_at:body_end]), bytes(buffer[body_end:end])
            )
            at = end
        self._make_room(at, needed)

    def write(self, message: ToChild | FromChild, body: bytes = b"", reading: bytes = b"") -> None:
        """Write a frame; where there is much to do together with others of this turn of the loop.

        Nothing is written where the channel is closed.

        This waits for nothing: what is unread is bounded by the requests under way, for their sender waits for the
        answers; who has more to say of one than its body waits with `drained`.

        Raises:
            UnicodeEncodeError: A string of the message is no Unicode.
        """
        encoded = _ENCODER.encode(message)
        is_first = not self._unsent
        self._unsent.append(_SIZES.pack(len(encoded), len(body), len(reading)) + encoded)
        self._unsent += [part for part in (body, reading) if part]
        self._load.count()
        has_time = self._load.has_time and self._transport is not None
        if has_time or len(self._unsent) >= TOGETHER:
            self._flush()
        elif is_first:
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        """Close the channel at once, whatever is still unread."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._unsent and self.is_open:
            assert self._transport is not None
            self._transport.writelines(self._unsent)
        self._unsent = []

    def _make_room(self, at: int, needed: int) -> None:
        """Let the frame that begins here have its place in the buffer as a whole."""
        rest = self._buffer[at : self._until]
        if rest and at + needed <= len(self._buffer):
            self._from = at
            return
        if needed > len(self._buffer):
            self._buffer = memoryview(bytearray(max(needed, min(2 * len(self._buffer), KEPT_BYTES))))
        elif needed <= self._size and len(rest) <= self._size and len(self._buffer) > KEPT_BYTES:
            self._buffer = memoryview(bytearray(self._size))
        self._buffer[: len(rest)] = rest
        self._from, self._until = 0, len(rest)
