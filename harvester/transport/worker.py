"""The child of a ProcessTransport: asks over aiohttp what comes through its channel, and answers there.

An answer may be read here as well, by what its request names (`model.ReadBy`); what that is nobody knows here.

`child` begins it, with the channel at a descriptor. When the channel is closed the process is over: its parent is gone,
or wants it to go. Signals are the parent's affair, who started it with those of Ctrl-C and `kill` blocked.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cached_property

import msgspec

from harvester.errors import ProviderError
from harvester.model import Request, Response

from . import trust
from .aiohttp import AiohttpTransport, unpack_by_isal
from .frames import Answer, Ask, Drop, Failure, Frames, Limits, Place, Reader, Ready, ToChild

_BUFFER_BYTES = 16 * 1024
_GOOD = 200
_READ_BYTES = 8 * 1024 * 1024
"""The largest body that is read here: that takes some 20 ms, and others' answers wait meanwhile."""
_PREPARE_S = 0.01
"""The request that a reader is for goes first; what reads its answer takes 15 ms to import."""
_MOST_IN_VAIN = 8
_TRIED_AGAIN = 16


class Worker:
    """Carries out what comes through one channel."""

    def __init__(self) -> None:
        self._frames = Frames(self._receive, self._end, size=_BUFFER_BYTES)
        self._decoder = msgspec.msgpack.Decoder(ToChild)
        self._transport = AiohttpTransport(authorities=trust.authorities)
        self._places: dict[int, Place] = {}
        self._readers: dict[int, _Hand] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ended = asyncio.Event()

    async def serve(self, channel: socket.socket) -> None:
        """Serve until the channel is closed; what is under way then ends with the process, or by `aclose`.

        Args:
            channel: One end of a pair of Unix sockets; it is closed.
        """
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._frames, sock=channel)
        self._frames.write(Ready())
        await self._ended.wait()

    async def aclose(self) -> None:
        """Give up what is under way and close all connections, where the process goes on."""
        for task in self._tasks.values():
            task.cancel()
        await self._transport.aclose()

    def _end(self) -> None:
        self._ended.set()

    def _receive(self, encoded: memoryview, _body: bytes, _reading: bytes) -> None:
        message = self._decoder.decode(encoded)
        if isinstance(message, Ask):
            self._tasks[message.number] = asyncio.create_task(self._answer(message))
        elif isinstance(message, Drop):
            task = self._tasks.pop(message.number, None)
            if task is not None:
                task.cancel()
        elif isinstance(message, Place):
            self._places[message.number] = message
        elif isinstance(message, Reader):
            hand = self._readers[message.number] = _Hand(message)
            asyncio.get_running_loop().call_later(_PREPARE_S, hand.prepare)
        else:
            self._transport = _open(message)

    async def _answer(self, ask: Ask) -> None:
        request = Request("", ask.path, ask.query, ask.method)
        try:
            response = await self._transport.send(self._places[ask.place], request)
            if ask.reader is not None:
                # What is made of a body is up to three and a half times as large; it waits as a body.
                await self._frames.drained()
                if not self._frames.is_open:
                    return
            self._give(ask, response)
        except ProviderError as error:
            self._frames.write(Failure(ask.number, type(error).__name__, error.message, error.status))
        except Exception as error:  # noqa: BLE001 - a mistake of ours: who asked must not wait for ever
            self._frames.write(Failure(ask.number, "", _described(error)))
        finally:
            self._tasks.pop(ask.number, None)

    def _give(self, ask: Ask, response: Response) -> None:
        # Names are of a class of their own, which msgpack does not know.
        headers = [(str(name), value) for name, value in response.headers.items()]
        answer = Answer(ask.number, response.status, headers, response.received_at, response.elapsed_s)
        reading = b""
        if ask.reader is not None and response.status == _GOOD and len(response.body) <= _READ_BYTES:
            reading = self._readers[ask.reader].read(response, ask.note)
        try:
            self._frames.write(answer, response.body, reading)
        except UnicodeEncodeError:
            odd = [(_bytes(name), _bytes(value)) for name, value in headers]
            odd_answer = msgspec.structs.replace(answer, headers=[], odd_headers=odd)
            self._frames.write(odd_answer, response.body, reading)


class _Hand:
    """What reads answers here, so that whoever asked need not; imported while the first is on its way.

    After so many in vain it tries one in a while: an account whose pages are all a little odd would be read twice, and
    one whose first agents have no calls is to be read all the same.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._in_vain = 0

    def prepare(self) -> None:
        """Import it; a mistake is met again where it is to read."""
        with suppress(Exception):
            _ = self._function

    def read(self, response: Response, note: bytes) -> bytes:
        """Return what is made of an answer, nothing where that fails: it is read again, and the failure told, there."""
        if self._in_vain >= _MOST_IN_VAIN and self._in_vain % _TRIED_AGAIN:
            self._in_vain += 1
            return b""
        try:
            made = self._function(response.body, response.received_at, note)
        except Exception:  # noqa: BLE001 - whatever it is, it is met again where it can be said
            made = b""
        self._in_vain = 0 if made else self._in_vain + 1
        return made

    @cached_property
    def _function(self) -> Callable[[bytes, datetime, bytes], bytes]:
        module, _, name = self._reader.function.partition(":")
        function: Callable[[bytes, datetime, bytes], bytes] = getattr(importlib.import_module(module), name)(
            self._reader.options
        )
        return function


def _open(limits: Limits) -> AiohttpTransport:
    return AiohttpTransport(
        connect_s=limits.connect_s,
        read_s=limits.read_s,
        total_s=limits.total_s,
        max_body_bytes=limits.max_body_bytes,
        authorities=trust.authorities,
    )


def _described(error: Exception) -> str:
    """Say what went wrong and where; its text may hold an address or a header."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.name}, line {place.lineno}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of uvloop's where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not everywhere

        return uvloop.new_event_loop()
    except ImportError:
        return asyncio.new_event_loop()


def main(descriptor: int) -> None:
    """Serve the channel at a descriptor, and end the process."""
    gc.freeze()
    gc.enable()
    # A page is hundreds of objects and no cycle: 1.4 % of the time went to looking for one.
    gc.set_threshold(50_000, 20, 100)
    unpack_by_isal()
    logging.disable()  # what happens is told by answers; others' records could hold addresses with their queries
    _new_loop().run_until_complete(Worker().serve(socket.socket(fileno=descriptor)))
    # The system closes connections; names that are being looked up in threads are not waited for.
    os._exit(0)
