"""A GET over a connection of aiohttp's, without what its session does around each.

A session makes the same of every request to one place: it merges headers, looks for cookies, a proxy and credentials,
makes an object of the request and one of the response, and enters a timer before each wait. That was two thirds of what
a request cost, 120 µs of a core against 50. Here it is made once, by aiohttp's own ClientRequest, whose headers then go
with every path. Connections come from aiohttp's connector and go back there, and its parser reads the answers.

What it takes of aiohttp lies below the session and is what 3.11 to 3.14 have; `is_known` says whether that is so here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

Whole = tuple[int, Mapping[str, str], bytes]
"""An answer: its status, headers and body."""

Read = Callable[[int, Mapping[str, str], aiohttp.StreamReader], Awaitable[bytes]]
"""Reads a body, told its status and headers."""

_LEAST_FINAL = 200
_NOT_IN_A_LINE = ("\r", "\n", "\0")


def is_known() -> bool:
    """Say whether this aiohttp has the parts that are used here."""
    return aiohttp.__version__.startswith("3.")


def is_sendable(path: str) -> bool:
    """Say whether a path can stand in a request's first line, which ends with a line break and is cut at spaces."""
    return path.isprintable() and " " not in path


class Route:
    """One place to send to, with the headers of every request to it.

    Args:
        session: Whose connections and headers are used.
        url: Any address of the place.
        headers: Further headers.
        verified_by: What verifies the server's certificate; True for what aiohttp loaded.
        timeout: As a session has it; without `connect`, which counts waiting for a connection too.

    Raises:
        ValueError: A header cannot be sent.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        headers: Mapping[str, str],
        verified_by: ssl.SSLContext | bool,
        timeout: aiohttp.ClientTimeout,
    ) -> None:
        assert session.connector is not None
        self._connector = session.connector
        self._timeout = timeout
        merged = CIMultiDict(session.headers)
        merged.update(headers)
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
        if any(odd in line for line in lines for odd in _NOT_IN_A_LINE):
            raise ValueError("a header cannot be sent")
        self._after_path = "".join([" HTTP/1.1\r\n", *(f"{line}\r\n" for line in lines), "\r\n"]).encode()

    async def get(self, path: str, read: Read) -> Whole:
        """Ask for a path with its query, encoded; return status, headers and what `read` makes of the body.

        Raises:
            aiohttp.ClientError: There was no complete answer.
            TimeoutError: Nor within the limit.
            ValueError: The path cannot be sent.
        """
        if not is_sendable(path):
            raise ValueError("the path cannot be sent")
        head = b"GET " + path.encode() + self._after_path
        async with asyncio.timeout(self._timeout.total):
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
        if protocol.transport is None:  # dropped since it was taken from the pool
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True, read_timeout=self._timeout.sock_read)
        protocol.start_timeout()
        protocol.transport.write(head)
        message, body = await protocol.read()
        while message.code < _LEAST_FINAL:
            message, body = await protocol.read()
        return message.code, message.headers, await read(message.code, message.headers, body)
