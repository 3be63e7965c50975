"""A Transport whose aiohttp runs in a process of its own, so that this one has its core to itself.

Asking for a page and reading it costs 200 µs of a core and more, and all threads of a process share one. What is left
here is a small message out and a copied body in, with what a request's `read_by` made of it there. Links are followed
by an AiohttpTransport in this process, and so is everything where there is no way to start another one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING

import msgspec

from harvester.errors import MalformedError, ProviderError, RejectedError, TransportError
from harvester.model import ReadBy, Request, Response

from .base import Link, Stream, Target
from .child import Begun, can_begin
from .frames import Ask, Drop, Failure, Frames, FromChild, Limits, Place, Reader, Ready

if TYPE_CHECKING:
    from .aiohttp import AiohttpTransport
    from .child import Process

MAX_STARTS = 3
"""So many children that ended without one answer are enough: something here kills them."""

LEAVE_S = 2.0
"""How long a child may take to leave once its channel is closed; it takes a hundredth of that."""

_IDLE_HERE = 0.85
"""Of the most requests that were ever under way in the child at once: with more of them this process has little to do.
Where all pages were read there, 2,000 behind 50 ms took 2.64 to 2.88 s with 64 in flight; with 0.75 2.50 to 2.56, and
with this no longer. A million calls without a delay take 3 to 7 % less than with 0.75."""

_FREE_HERE = 0.97
"""The same for what takes long to read: only where nearly nothing waits here. A million calls to unified lines take 12
to 14 % less than with all of them read there, and pages of transcripts 18; with 0.85 a little less is gained."""

_POLL_S = 0.001
_BUFFER_BYTES = 128 * 1024

_log = logging.getLogger("harvester")


class ProcessTransport:
    """A Transport over an AiohttpTransport in a child process.

    The child is started by `start` or came by `adopt`, or else is started by the first request. One that ends unasked
    is replaced by the next request; what was under way in it is a TransportError, for nobody knows how far it came. So
    is what waited meanwhile, but for the first: all of it would go at once, whatever the limit.

    Args:
        connect_s: The longest wait for a connection.
        read_s: The longest wait between two pieces of an answer.
        total_s: The longest time for an answer as a whole, however steadily it drips.
        max_body_bytes: The largest body that is read whole, after decompression.
    """

    def __init__(
        self,
        *,
        connect_s: float = 15.0,
        read_s: float = 60.0,
        total_s: float = 300.0,
        max_body_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._limits = Limits(connect_s, read_s, total_s, max_body_bytes)
        self._child: _Child | None = None
        self._leaving: list[Process] = []
        self._here: AiohttpTransport | None = None
        self._in_vain = 0  # children that ended without an answer, one after another
        self._is_replaced = False
        self._is_alone = not can_begin()
        self._is_closed = False

    def start(self) -> None:
        """Start the child, so that it is ready when the first request is; returns at once, needs no running loop."""
        if self._is_alone or self._is_closed or self._child is not None:
            return
        try:
            self._child = _Child(Begun(), self._limits)
        except OSError as error:
            _log.info("requests are sent by this process: no other could be started (%s)", error.strerror)
            self._is_alone = True

    def adopt(self, begun: Begun) -> None:
        """Take a child that was begun before there was a transport, in place of one that `start` would begin."""
        if self._child is None and not self._is_closed:
            self._child = _Child(begun, self._limits)
        else:
            begun.give_up()
            self._leaving.append(begun.process)

    async def open(self) -> None:
        """Start the child where there is none, and return once it serves or has ended."""
        with suppress(TransportError):
            await self._ready()

    async def send(self, target: Target, request: Request) -> Response:
        """Send one request, once, and read the answer whole; redirects within the origin are followed.

        Raises:
            TransportError: There was no complete response, or the child ended before it came.
            RuntimeError: The transport is closed.
            MalformedError: The answer is larger than the limit for bodies.
            RejectedError: The answer redirects to another origin, or in a circle.
        """
        child = self._child
        if child is None or not child.is_open:
            child = await self._ready()
            if child is None:
                return await self._direct().send(target, request)
        return await child.send(target, request)

    def stream(self, link: Link) -> AbstractAsyncContextManager[Stream]:
        """Ask for a link, once, in this process, and give the answer in chunks.

        Raises:
            TransportError: There was no answer.
            RejectedError: The link, or where it redirects to, may not be asked.
        """
        return self._direct().stream(link)

    async def aclose(self) -> None:
        """Close all connections and end the child; what is under way is a TransportError."""
        self._is_closed = True
        self._dismiss()
        try:
            await self._see_off()
        finally:
            if self._here is not None:
                await self._here.aclose()

    async def _ready(self) -> _Child | None:
        """Return a child whose channel is open, None where there can be none.

        Raises:
            TransportError: One after another ended without an answer.
        """
        if self._is_closed:
            raise RuntimeError("the transport is closed")
        if self._child is not None and self._child.is_over:
            self._in_vain = 0 if self._child.has_answered else self._in_vain + 1
            _log.warning("the process that sends requests ended, exit status %s", self._child.process.poll())
            self._dismiss()
            self._is_replaced = True
        if self._in_vain >= MAX_STARTS:
            raise TransportError(
                f"the process that sends requests ended {MAX_STARTS} times without an answer; look for what it said on "
                "stderr, and for what ends processes here"
            )
        self.start()
        child = self._child
        if child is not None:
            is_first = not child.is_opening
            await child.open()
            if self._is_replaced and not is_first:
                raise TransportError(
                    "the process that sends requests was started again; this one is to go again"
                )
        return child

    def _dismiss(self) -> None:
        """Close the channel; the process is seen off later."""
        if self._child is not None:
            self._child.close()
            self._leaving.append(self._child.process)
            self._child = None

    async def _see_off(self) -> None:
        """Wait for children to leave, and kill those that do not."""
        deadline = time.monotonic() + LEAVE_S
        try:
            while self._leaving and time.monotonic() < deadline:
                await asyncio.sleep(_POLL_S)
                self._leaving = [process for process in self._leaving if process.poll() is None]
        finally:
            for process in self._leaving:
                process.kill()
                process.wait()
            self._leaving.clear()

    def _direct(self) -> AiohttpTransport:
        if self._is_closed:
            raise RuntimeError("the transport is closed")
        if self._here is None:
            from .aiohttp import AiohttpTransport  # noqa: PLC0415 - 190 ms and 10 MB that most runs need not pay

            limits = self._limits
            self._here = AiohttpTransport(
                connect_s=limits.connect_s,
                read_s=limits.read_s,
                total_s=limits.total_s,
                max_body_bytes=limits.max_body_bytes,
            )
        return self._here


class _Child:
    """One process, the channel to it, and the requests that are under way in it."""

    def __init__(self, begun: Begun, limits: Limits) -> None:
        self.is_open = False  # requests can be sent
        self.is_over = False  # they never can again
        self.has_answered = False
        self._limits = limits
        self._frames = Frames(self._receive, self._end, size=_BUFFER_BYTES)
        self._decoder = msgspec.msgpack.Decoder(FromChild)
        self._opening: asyncio.Task[None] | None = None
        self._places: dict[object, int] = {}
        self._readers: dict[ReadBy, int] = {}
        self._most_waiting = 0
        self._waiting: dict[int, asyncio.Future[Response | Exception]] = {}
        self._number = 0
        self._served = asyncio.Event()
        self._begun = begun
        self.process = begun.process

    @property
    def is_opening(self) -> bool:
        """Somebody asked to open it."""
        return self._opening is not None

    async def open(self) -> None:
        """Open the channel, on the running loop, and wait until it is served; who is cancelled does not stop it."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        from multidict import CIMultiDict  # noqa: PLC0415 - the child is still importing much more

        self._headers: Callable[[list[tuple[str, str]]], Mapping[str, str]] = CIMultiDict
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._frames, sock=self._begun.socket)
        if not self.is_over:
            self._frames.write(self._limits)
            await self._served.wait()
        if self.is_over:
            self._frames.close()
        else:
            self.is_open = True

    async def send(self, target: Target, request: Request) -> Response:
        """Send a request and return its answer; it is given up in the child where nobody waits for it any more."""
        if not self.is_open:
            raise _ended()
        self._number = number = self._number + 1
        try:
            place, reader = self._place(target), self._reader(request.read_by)
            ask = Ask(number, place, request.method, request.path, request.query, reader, request.note)
            self._frames.write(ask)
        except UnicodeEncodeError:
            raise RejectedError("not an address that can be asked; check base_url") from None
        future: asyncio.Future[Response | Exception] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            answer = await future
        finally:
            if self._waiting.pop(number, None) is not None:
                self._frames.write(Drop(number))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Close the channel, which ends the process; what is under way is a TransportError."""
        self.is_open, self.is_over = False, True
        self._served.set()
        if self._opening is None:
            self._begun.give_up()
        self._frames.close()

    def _place(self, target: Target) -> int:
        """Return the number of a target, which the child is told of the first time."""
        key = (target.base_url, *target.headers.items())
        place = self._places.get(key)
        if place is None:
            place = len(self._places)
            self._frames.write(Place(place, target.base_url, dict(target.headers)))
            self._places[key] = place
        return place

    def _reader(self, read_by: ReadBy | None) -> int | None:
        """Return the number of what is to read an answer there, which the child is told of the first time.

        None where nothing is, or where this process has the time to do it.
        """
        waiting = len(self._waiting)
        self._most_waiting = max(self._most_waiting, waiting)
        if read_by is None:
            return None
        number = self._readers.get(read_by)
        if number is None:
            # Told before it is needed: the child imports it while a first answer is on its way, and not amid many.
            number = self._readers[read_by] = len(self._readers)
            self._frames.write(Reader(number, read_by.function, read_by.options))
        # Requests under way have no answer that waits here. If that is nearly all of them, there is time here.
        has_time = waiting > (_IDLE_HERE if read_by.is_light else _FREE_HERE) * self._most_waiting
        return None if has_time else number

    def _receive(self, encoded: memoryview, body: bytes, reading: bytes) -> None:
        message = self._decoder.decode(encoded)
        if isinstance(message, Ready):
            self._served.set()
            return
        self.has_answered = True
        future = self._waiting.pop(message.number, None)
        if future is None or future.done():  # cancelled
            return
        if isinstance(message, Failure):
            future.set_result(_error(message))
            return
        pairs = message.headers or [(_text(name), _text(value)) for name, value in message.odd_headers]
        future.set_result(
            Response(
                message.status, self._headers(pairs), body, message.received_at, message.elapsed_s, reading
            )
        )

    def _end(self) -> None:
        self.is_open, self.is_over = False, True
        self._served.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(_ended())
        self._waiting.clear()


_KINDS: dict[str, type[ProviderError]] = {
    kind.__name__: kind for kind in (TransportError, MalformedError, RejectedError)
}


def _error(failure: Failure) -> Exception:
    kind = _KINDS.get(failure.kind)
    if kind is None:
        return RuntimeError(f"the process that sends requests met a {failure.message}")
    return kind(failure.message, status=failure.status)


def _ended() -> TransportError:
    return TransportError("the process that sends requests ended before the answer came")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
