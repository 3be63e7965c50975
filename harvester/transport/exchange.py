"""A GET over a connection of aiohttp's, without what its session does around each.

A session makes the same of every request to one place: it merges headers, looks for cookies, a proxy and credentials,
makes an object of the request and one of the response, and enters a timer before each wait. That was two thirds of what
a request cost, 120 µs of a core against 50. Here it is made once, by aiohttp's own ClientRequest, whose headers then go
with every path. Connections come from aiohttp's connector and go back there, and its parser reads the answers.

What it takes of aiohttp lies below the session and is what 3.11 to 3.14 have; `is_known` says whether that is so here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

Read = Callable[[int, Mapping[str, str], aiohttp.StreamReader], Awaitable[bytes]]
"""Reads a body, told its status and headers."""

_KNOWN = ((3, 11), (3, 14))
"""The first minor version of aiohttp and the last that have what is used here."""

_SWITCHING = 101
_CONTROLS = re.compile("[\\0-\\x08\\n-\\x1f\\x7f]")
_CONTROLS_AND_SPACE = re.compile("[\\0-\\x20\\x7f]")


class Whole(msgspec.Struct, frozen=True):
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@cache
def is_known() -> bool:
    """Say whether this aiohttp has the parts that are used here; of a later one nobody knows."""
    first, last = _KNOWN
    major, minor = aiohttp.__version__.split(".")[:2]
    return first <= (int(major), int(minor)) <= last


def is_sendable(path: str) -> bool:
    """Say whether a path can stand in a request's first line, which ends with a line break and is cut at spaces."""
    return _CONTROLS_AND_SPACE.search(path) is None


class Route:
    """One place to send to, with the headers of every request to it.

    Args:
        session: Whose connections and headers are used.
        url: Any address of the place, without a user.
        headers: Further headers.
        verified_by: What verifies the server's certificate; True for what aiohttp loaded.
        timeout: As a session has it; without `connect`, which counts waiting for a connection too.

    Raises:
        ValueError: A header cannot be sent.
        RuntimeError: The session is closed.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        headers: Mapping[str, str],
        verified_by: ssl.SSLContext | bool,
        timeout: aiohttp.ClientTimeout,
    ) -> None:
        if session.connector is None:
            raise RuntimeError("the session is closed")
        self._session = session
        self._connector = session.connector
        self._timeout = timeout
        merged = CIMultiDict(session.headers)
        for name, value in headers.items():
            merged[name] = value
        self._request = aiohttp.ClientRequest(
            "GET",
            url,
            headers=merged,
            loop=asyncio.get_running_loop(),
            response_class=aiohttp.ClientResponse,
            session=session,
            ssl=verified_by,
        )
        lines = [f"{name}: {value}" for name, value in self._request.headers.items()]
        if any(map(_CONTROLS.search, lines)):
            raise ValueError("a header cannot be sent")
        self._after_path = "".join([" HTTP/1.1\r\n", *(f"{line}\r\n" for line in lines), "\r\n"]).encode()

    async def get(self, path: str, read: Read) -> Whole:
        """Ask for a path with its query, encoded; the body is what `read` makes of it.

        Raises:
            aiohttp.ClientError: There was no complete answer.
            TimeoutError: Nor within the limit.
            ValueError: The path cannot be sent.
            RuntimeError: The session is closed.
        """
        if not is_sendable(path):
            raise ValueError("the path cannot be sent")
        if self._session.closed:
            raise RuntimeError("the session is closed")
        head = b"GET " + path.encode() + self._after_path
        async with asyncio.timeout(self._timeout.total or None):
            connection = await self._connect()
            try:
                answer = await self._exchange(connection, head, read)
                connection.release()
            except HttpProcessingError as error:
                raise aiohttp.ClientPayloadError("the answer is no HTTP") from error
            finally:
                connection.close()  # which one that was released does not notice
        return answer

    async def _connect(self) -> aiohttp.connector.Connection:
        try:
            return await self._connector.connect(self._request, traces=[], timeout=self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("no connection") from error

    async def _exchange(self, connection: aiohttp.connector.Connection, head: bytes, read: Read) -> Whole:
        protocol = connection.protocol
        assert protocol is not None
        if protocol.transport is None or protocol.should_close:
            # Dropped since it was last used, or the server said something unasked: that is nobody's answer.
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True, read_timeout=self._timeout.sock_read)
        protocol.start_timeout()
        protocol.transport.write(head)
        message, body = await protocol.read()
        while 100 <= message.code < 200 and message.code != _SWITCHING:
            message, body = await protocol.read()
        return Whole(message.code, message.headers, await read(message.code, message.headers, body))
