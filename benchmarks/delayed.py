"""`python -m benchmarks.delayed FOLDER PROVIDER SECONDS`: an account's pages, each so long after it was asked for.

nginx cannot wait without further modules. Answers are put together before the first request, and sent from one event
loop by a timer each, so that what a contender waits for is the delay. Says its URL on stdout when it serves.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs

import uvloop

from .pages import PAGINGS

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class Pages:
    """Answers by what is asked for.

    Args:
        folder: The account.
        provider: Whose.
    """

    def __init__(self, folder: Path, provider: str) -> None:
        self._paging = PAGINGS[provider]
        self._agents = _answer((folder / "agents.json").read_bytes())
        self._answers = {
            (path.parent.name, path.stem): _answer(path.read_bytes()) for path in folder.glob("*/*.json")
        }

    def find(self, target: bytes) -> bytes:
        """Return the answer to a request for a path with a query."""
        path, _, query = target.decode("ascii").partition("?")
        if path == self._paging.agents:
            return self._agents
        asked = parse_qs(query)
        names = [asked.get(name, [""])[0] for name in (self._paging.size, self._paging.parameter)]
        return self._answers.get((names[0], names[1]), _NOT_FOUND)


class Connection(asyncio.Protocol):
    """One connection; a client sends its next request only after the answer."""

    def __init__(self, pages: Pages, delay_s: float) -> None:
        self._pages = pages
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take a request, and answer it later."""
        self._head += data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        target = self._head.split(b" ", 2)[1]
        self._head = b""
        self._loop.call_later(self._delay_s, self._send, self._pages.find(target))

    def _send(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def serve(folder: Path, provider: str, delay_s: float) -> None:
    """Serve until the process is ended."""
    pages = Pages(folder, provider)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(pages, delay_s), "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()
    print(json.dumps({"url": f"http://{host}:{port}"}), flush=True)
    await server.serve_forever()


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
