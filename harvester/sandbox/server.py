"""The loopback server: sockets, waiting, compression and broken answers around the desks."""

import asyncio
import ipaddress
import signal
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import msgspec
import orjson
from aiohttp import web

from .apis.base import JSON_TYPE, Reply, Verdict
from .config import PROVIDERS, Behaviour, Faults, SandboxConfig
from .desk import Desk, Guest
from .faults import CAPTIVE_PORTAL, chance
from .stats import Tally
from .storage import Depot, Storage
from .stream import send_stream
from .world import World

_SHUTDOWN_S = 1.0
_CONTROLS = "GET /_sandbox/stats, POST /_sandbox/reset, GET /_sandbox/history/PROVIDER/CREDENTIAL"
# Closing with this option sends a reset instead of an orderly end.
_LINGER_NONE = struct.pack("ii", 1, 0)
_DRIPS = 20


class Sandbox:
    """A running sandbox.

    Attributes:
        host, port: Where it listens.
        world: What is in the accounts.
    """

    def __init__(self, config: SandboxConfig, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.world: World = World(config, self.origin)
        self._desks = {name: Desk(name, config, self.world) for name in PROVIDERS}
        self._storages = {name: Storage(name, config.of(name), self.world) for name in PROVIDERS}

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def url(self, provider: str) -> str:
        """Give the base URL of a provider, to which its own paths are added."""
        if provider not in PROVIDERS:
            raise ValueError(f"unknown provider {provider!r}")
        return f"{self.origin}/{provider}"

    def stats(self) -> dict[str, Any]:
        """Give what was seen: per provider a list `keys` and the `strangers` without a good one, and `media`.

        What is fetched from its storage is counted in `media` alone, in a list and strangers of its own.
        """
        return {
            name: desk.stats() | {"media": self._storages[name].stats()} for name, desk in self._desks.items()
        }

    def reset(self) -> None:
        """Start the counts anew."""
        for desk in self._desks.values():
            desk.reset()
        for storage in self._storages.values():
            storage.reset()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        provider, *parts = [unquote(part) if "%" in part else part for part in path.split("/")[1:]]
        desk = self._desks.get(provider)
        if desk is not None:
            if parts[:1] == ["media"]:
                return await _serve_media(self._storages[provider], parts[1:], query, request)
            if parts[-1:] == ["stream"] and request.method == "GET":
                return await _serve_stream(desk, parts, query, request)
            return await _serve(desk, parts, query, request)
        if provider == "_sandbox":
            return self._control(request.method, parts)
        return web.json_response({"message": "The sandbox has no such provider"}, status=404)

    def _control(self, method: str, parts: list[str]) -> web.Response:
        if method == "GET" and parts == ["stats"]:
            return web.Response(body=orjson.dumps(self.stats()), content_type=JSON_TYPE)
        if method == "POST" and parts == ["reset"]:
            self.reset()
            return web.Response(status=204)
        if method == "GET" and parts[:1] == ["history"] and len(parts) == 3 and parts[1] in PROVIDERS:
            history = self.world.account(parts[1], parts[2]).history()
            return web.Response(body=msgspec.json.encode(history), content_type=JSON_TYPE)
        return web.json_response({"message": _CONTROLS}, status=404)


async def _serve(desk: Desk, parts: list[str], query: str, request: web.BaseRequest) -> web.StreamResponse:
    guest = desk.guest(request.headers)
    if guest is None:
        verdict = desk.judge(request.method, parts, query, None, now=time.monotonic(), wall=time.time())
        desk.strangers.answers[verdict.reply.status] += 1
        return _response(verdict.reply, request, packs=desk.behaviour.gzip)
    guest.in_flight += 1
    try:
        verdict = desk.judge(request.method, parts, query, guest, now=time.monotonic(), wall=time.time())
        await _delay(desk.behaviour, guest)
        faults = desk.behaviour.faults
        return await _send(verdict, faults, guest.tally, request, packs=desk.behaviour.gzip)
    finally:
        guest.in_flight -= 1


async def _serve_media(
    storage: Storage, parts: list[str], query: str, request: web.BaseRequest
) -> web.StreamResponse:
    name = "/".join(parts)
    depot = storage.depot(name)
    if depot is not None:
        depot.in_flight += 1
    try:
        now, wall = time.monotonic(), time.time()
        verdict = storage.judge(request.method, name, query, request.headers, now=now, wall=wall)
        if depot is not None:
            await _delay(storage.behaviour, depot)
        tally = storage.strangers if depot is None else depot.tally
        return await _send(verdict, storage.behaviour.media.faults, tally, request, packs=False)
    finally:
        if depot is not None:
            depot.in_flight -= 1


async def _serve_stream(
    desk: Desk, parts: list[str], query: str, request: web.BaseRequest
) -> web.StreamResponse:
    route = desk.route(parts)
    if route is None or route.endpoint != "stream":
        return await _serve(desk, parts, query, request)
    opened = desk.open_stream(route, query, request.headers, now=time.monotonic())
    if isinstance(opened, Reply):
        return _response(opened, request, packs=desk.behaviour.gzip)
    response = await send_stream(opened, request)
    return _reset(request) if opened.conversation.streams.resets else response


async def _delay(behaviour: Behaviour, guest: Guest | Depot) -> None:
    wait = behaviour.latency_s
    if behaviour.latency_jitter_s:
        wait += behaviour.latency_jitter_s * chance(guest.luck ^ 1, guest.number)
    if wait:
        await asyncio.sleep(wait)


async def _send(
    verdict: Verdict, faults: Faults, tally: Tally, request: web.BaseRequest, *, packs: bool
) -> web.StreamResponse:
    reply = verdict.reply
    if verdict.fault in {"reset", "hang"}:
        if verdict.fault == "hang":
            await asyncio.sleep(faults.hang_s)
        return _reset(request)
    tally.answers[reply.status] += 1
    if verdict.fault == "truncated":
        return await _drip(reply, request, cut=len(reply.body) // 2, pause_s=0.0)
    if verdict.fault == "drip":
        return await _drip(reply, request, cut=len(reply.body), pause_s=faults.drip_s / _DRIPS)
    if verdict.fault == "half_json":
        reply = Reply(200, reply.body[: len(reply.body) // 2], reply.headers)
    if verdict.fault == "html":
        headers = {**reply.headers, "Content-Type": "text/html"}
        return web.Response(body=CAPTIVE_PORTAL, headers=headers)
    return _response(reply, request, packs=packs)


def _response(reply: Reply, request: web.BaseRequest, *, packs: bool) -> web.Response:
    body, headers = reply.body, {"Content-Type": JSON_TYPE, **reply.headers}
    if packs and "gzip" in request.headers.get("Accept-Encoding", ""):
        packer = zlib.compressobj(1, wbits=31)
        body = packer.compress(body) + packer.flush()
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, status=reply.status, headers=headers)


def _reset(request: web.BaseRequest) -> web.Response:
    """Break the connection off; what is returned is never sent."""
    transport = request.transport
    if transport is not None:  # pragma: no branch - None if the client was faster
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        transport.abort()
    return web.Response()


async def _drip(reply: Reply, request: web.BaseRequest, *, cut: int, pause_s: float) -> web.StreamResponse:
    """Send the body in pieces, and of a truncated one less than was promised."""
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": JSON_TYPE, **reply.headers})
    response.content_length = len(reply.body)
    await response.prepare(request)
    size = max(1, -(-cut // _DRIPS))
    for start in range(0, cut, size):
        await response.write(reply.body[start : min(start + size, cut)])
        if pause_s:
            await asyncio.sleep(pause_s)
    if cut < len(reply.body) and request.transport is not None:
        request.transport.close()
    return response


def check_loopback(host: str) -> str:
    """Give the host back if it is this machine only.

    Raises:
        ValueError: Others could reach it.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise ValueError(f"the sandbox listens on loopback addresses only, not on {host!r}")
    return host


@asynccontextmanager
async def open_sandbox(config: SandboxConfig | None = None) -> AsyncIterator[Sandbox]:
    """Serve until the block is left.

    Raises:
        ValueError: The host is no loopback address.
        OSError: The port is taken.
    """
    config = config or SandboxConfig()
    host = check_loopback(config.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, config.port), family=family, backlog=1024) as listener:
        sandbox = Sandbox(config, host, listener.getsockname()[1])
        server = web.Server(sandbox.answer, handler_cancellation=True, access_log=None)
        listening = await asyncio.get_running_loop().create_server(server, sock=listener)
        try:
            yield sandbox
        finally:
            listening.close()
            await server.shutdown(_SHUTDOWN_S)
            await listening.wait_closed()


async def serve(
    config: SandboxConfig | None = None, *, on_ready: Callable[[Sandbox], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; prints nothing.

    Args:
        config: What to serve.
        on_ready: Called once with the running sandbox, when it accepts connections.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    try:
        async with open_sandbox(config) as sandbox:
            if on_ready is not None:
                on_ready(sandbox)
            await stopped.wait()
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
