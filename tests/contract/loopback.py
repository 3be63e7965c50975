"""A server on loopback that answers by the path with whatever bytes a test wants, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

BODY = b'{"data":[1,2,3]}'


class Asked(msgspec.Struct):
    """A request as it came over the wire."""

    line: str
    headers: dict[str, str]
    connection: int


Answerer = Callable[["Server", asyncio.StreamWriter, int], Awaitable[None]]


class Server:
    """Answers by the path, with whatever bytes a test wants, on loopback."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.port = 0
        self.other_port = 0
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Give up what is still being answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        try:
            await asyncio.wait([task])
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        on_this = 0
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                self.asked.append(
                    Asked(head[0], {name.lower(): one for name, one in headers.items()}, number)
                )
                on_this += 1
                path = head[0].split()[1].partition("?")[0].rpartition("/")[2]
                await ANSWERS[path](self, writer, on_this)
                if writer.is_closing():
                    break


def full(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def says(data: bytes, *, closes: bool = False) -> Answerer:
    async def answer(_server: Server, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(data)
        await writer.drain()
        if closes:
            writer.close()

    return answer


async def reset(_server: Server, writer: asyncio.StreamWriter, _number: int) -> None:
    writer.transport.abort()


async def after_a_while(_server: Server, writer: asyncio.StreamWriter, _number: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
    await asyncio.sleep(0.3)
    writer.write(b"b")
    await writer.drain()


async def silent(_server: Server, writer: asyncio.StreamWriter, _number: int) -> None:
    await asyncio.sleep(5)


async def drip(_server: Server, writer: asyncio.StreamWriter, _number: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100):
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def second_dropped(_server: Server, writer: asyncio.StreamWriter, number: int) -> None:
    """Answer once, then close the connection when it is used again."""
    if number == 1:
        writer.write(full(BODY))
        await writer.drain()
    else:
        writer.close()


async def elsewhere(server: Server, writer: asyncio.StreamWriter, _number: int) -> None:
    writer.write(
        full(b"", status="302 Found", headers=f"Location: http://127.0.0.1:{server.other_port}/ok\r\n")
    )


async def redirect_to_a_user(server: Server, writer: asyncio.StreamWriter, _number: int) -> None:
    writer.write(
        full(b"", status="302 Found", headers=f"Location: http://x:y@127.0.0.1:{server.port}/ok\r\n")
    )


def redirect(to: str) -> Answerer:
    return says(full(b"", status="307 Temporary Redirect", headers=f"Location: {to}\r\n"))


async def and_another(_server: Server, writer: asyncio.StreamWriter, number: int) -> None:
    """Answer, and a little later say something that nobody asked for."""
    writer.write(full(f"{number}".encode()))
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(full(b"unasked"))
    await writer.drain()


def moved_with(rest: bytes) -> Answerer:
    return says(b"HTTP/1.1 302 Found\r\nLocation: ok\r\n" + rest)


ANSWERS: dict[str, Answerer] = {
    "ok": says(full(BODY, headers="X-RateLimit-Limit: 60\r\nRetry-After: 7\r\nSet-Cookie: a=b\r\n")),
    "refused": says(full(b"no", status="429 Too Many Requests")),
    "hinted": says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + full(BODY)),
    "nothing": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "last": says(full(BODY, headers="Connection: close\r\n"), closes=True),
    "chunked": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    "gzip": says(full(gzip.compress(BODY), headers="Content-Encoding: gzip\r\n")),
    "two-members": says(
        full(gzip.compress(BODY[:5]) + gzip.compress(BODY[5:]), headers="Content-Encoding: gzip\r\n")
    ),
    "deflate": says(full(zlib.compress(BODY), headers="Content-Encoding: deflate\r\n")),
    "not-packed": says(full(BODY, headers="Content-Encoding: gzip\r\n"), closes=True),
    "bomb": says(full(gzip.compress(bytes(3_000_000)), headers="Content-Encoding: gzip\r\n"), closes=True),
    "large": says(full(bytes(2_000_000))),
    "endless": says(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2_000_000), closes=True),
    "truncated": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", closes=True),
    "half-chunked": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", closes=True),
    "garbage": says(b"SSH-2.0-OpenSSH\r\n\r\n", closes=True),
    "closed": says(b"", closes=True),
    "reset": reset,
    "silent": silent,
    "drip": drip,
    "second-dropped": second_dropped,
    "moved": redirect("ok?page=2"),
    "circle": redirect("circle"),
    "nowhere": redirect("http://[not-an-address"),
    "elsewhere": elsewhere,
    "twice": redirect("moved"),
    "to-a-file": redirect("file:///etc/hostname"),
    "to-nowhere": redirect(""),
    "to-metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "after-a-while": after_a_while,
    "and-another": and_another,
    "switching": says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    "moved-large": moved_with(b"Content-Length: 2000000\r\n\r\n" + bytes(2_000_000)),
    "moved-cut-short": moved_with(b"Content-Length: 100\r\n\r\n{"),
    "moved-without-end": moved_with(b"\r\n{"),
    "moved-not-packed": moved_with(b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
    "moved-to-a-user": redirect_to_a_user,
}


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    one, other = Server(), Server()
    servers = [await asyncio.start_server(each.serve, "127.0.0.1", 0, ssl=tls) for each in (one, other)]
    one.port, one.other_port = (each.sockets[0].getsockname()[1] for each in servers)
    try:
        yield one
        for asked in other.asked:
            assert "authorization" not in asked.headers, "a credential was sent to another origin"
    finally:
        for each in servers:
            each.close()
        await one.aclose()
        await other.aclose()
        await asyncio.sleep(0.01)
