"""`python -m tests.crash.serving`: a sandbox that keeps an account of its requests, one by one.

Its config is the first line of stdin; it ends with stdin, so with the test that started it, however that one ends.
`GET /_requests` gives what was asked since the last time, and when, in seconds of the system's monotonic clock.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import msgspec
import uvloop
from aiohttp import web

from harvester.sandbox import SandboxConfig
from harvester.sandbox.server import Sandbox


class Entry(msgspec.Struct, array_like=True):
    """One request of a provider; `answered_at` is None where nobody waited for the answer any more."""

    path: str
    begun_at: float
    answered_at: float | None = None


class RecordingSandbox(Sandbox):
    """A sandbox with a list of its requests."""

    requests: list[Entry]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request and enter it."""
        if request.path == "/_requests":
            told, self.requests = self.requests, []
            return web.Response(body=msgspec.json.encode(told))
        entry = Entry(request.raw_path, time.monotonic())
        self.requests.append(entry)
        answer = await super().answer(request)
        entry.answered_at = time.monotonic()
        return answer


async def main() -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    line = await loop.run_in_executor(None, sys.stdin.readline)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        port = listener.getsockname()[1]
        sandbox = RecordingSandbox(msgspec.json.decode(line.encode(), type=SandboxConfig), "127.0.0.1", port)
        sandbox.requests = []
        server = web.Server(sandbox.answer, handler_cancellation=True, access_log=None)
        listening = await loop.create_server(server, sock=listener)
        sys.stdout.write(f"{sandbox.origin}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.readline)
        listening.close()
        await server.shutdown(1.0)


if __name__ == "__main__":
    uvloop.run(main())
