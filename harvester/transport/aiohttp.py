"""The one place that opens sockets: a Transport over aiohttp, whose errors are translated here.

It speaks HTTP and nothing else: no provider, no retry, no limit. What is sent with credentials follows no redirect to
another origin, for they are the provider's own. Links are asked without, and may lead wherever `reach` allows: the
address that is connected to is judged, not the name, so that a name which changes its mind leads nowhere else. Through
a proxy of the environment only the link itself can be judged: there it is the proxy that looks names up.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

import harvester
from harvester.errors import MalformedError, ProviderError, RejectedError, TransportError
from harvester.model import Request, Response

from . import exchange
from .base import Link, Stream, Target
from .progress import Progress
from .reach import Reach, forbidden, literal, next_hop, read_link

MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_REDIRECTS = 3
_MOST_ROUTES = 4096
"""So many sources of one process are remembered; credentials of a service's users may change without end."""

_FIXED_HEADERS = {"Accept": "application/json", "User-Agent": f"harvester/{harvester.__version__}"}
# Lengths and ranges are to be of the file itself.
_LINK_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_SCHEMES = frozenset({"http", "https"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def unpack_by_isal() -> bool:
    """Let all of this process's aiohttp undo gzip by `isal` where that is installed: a third of zlib's time.

    Returns:
        Whether it does from now on.
    """
    use = getattr(aiohttp, "set_zlib_backend", None)  # new in 3.12
    try:
        from isal import isal_zlib  # noqa: PLC0415 - not everywhere
    except ImportError:
        return False
    if use is None:
        return False
    use(isal_zlib)
    return True


class AiohttpTransport:
    """A Transport over one aiohttp session, opened by the first request.

    Args:
        connect_s: The longest wait for a connection.
        read_s: The longest wait between two pieces of an answer.
        total_s: The longest time for an answer as a whole, however steadily it drips.
        max_body_bytes: The largest body that is read whole, after decompression.
        resolver: Looks up the names in links; None for the system's own.
        progress: Judges whether the body of a link comes too slowly; one for each.
        authorities: Gives what verifies a server's certificate; None for what aiohttp loaded when it was imported.
    """

    def __init__(
        self,
        *,
        connect_s: float = 15.0,
        read_s: float = 60.0,
        total_s: float = 300.0,
        max_body_bytes: int = MAX_BODY_BYTES,
        resolver: AbstractResolver | None = None,
        progress: Callable[[], Progress] = Progress,
        authorities: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s, sock_read=read_s)
        self._max_body_bytes = max_body_bytes
        self._resolver = resolver
        self._progress = progress
        self._authorities = authorities
        # One for all that is trusted with credentials or a proxy's affair (None), one for links of each reach.
        self._sessions: dict[Reach | None, aiohttp.ClientSession] = {}
        self._proxies: dict[tuple[str, str], URL | None] = {}
        self._reaches: dict[str, Reach] = {}
        self._route = lru_cache(maxsize=_MOST_ROUTES)(self._make_route)

    async def send(self, target: Target, request: Request) -> Response:
        """Send one request, once, and read the answer whole; redirects within the origin are followed.

        Raises:
            TransportError: There was no complete response.
            MalformedError: The answer is larger than the limit for bodies.
            RejectedError: The answer redirects to another origin, or in a circle.
        """
        url = _address(target, request)
        started = time.monotonic()
        try:
            proxy = self._proxy_for(url)
            for _ in range(MAX_REDIRECTS + 1):
                answer = await self._ask(request.method, url, target.headers, proxy)
                if answer.status not in _REDIRECTS:
                    elapsed_s = time.monotonic() - started
                    return Response(answer.status, answer.headers, answer.body, datetime.now(UTC), elapsed_s)
                url = _redirected(url, answer.headers)
        except ProviderError:
            raise
        except _FAILURES as error:
            raise _translate(error, url.host or "") from error
        raise RejectedError("the server redirects in a circle; check base_url")

    @asynccontextmanager
    async def stream(self, link: Link) -> AsyncIterator[Stream]:
        """Ask for a link, once, and give the answer in chunks; up to three redirects are followed.

        Raises:
            TransportError: There was no answer.
            RejectedError: The link, or where it redirects to, may not be asked.
        """
        answer = await self._follow(link)
        try:
            yield _Answer(answer, None if link.is_endless else self._progress())
        finally:
            answer.close()  # what was not read is not wanted, and its connection is of no more use

    async def aclose(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()

    async def _ask(
        self, method: str, url: URL, headers: Mapping[str, str], proxy: URL | None
    ) -> exchange.Whole:
        authority = url.raw_authority
        if method == "GET" and proxy is None and "@" not in authority and exchange.is_known():
            route = self._route(url.scheme, authority, tuple(headers.items()))
            return await route.get(url.raw_path_qs, self._read)
        async with self._session().request(
            method,
            url,
            headers=headers,
            proxy=proxy,
            allow_redirects=False,
            ssl=self._verified_by(url, proxy),
        ) as answer:
            body = await self._read(answer.status, answer.headers, answer.content)
            return exchange.Whole(answer.status, answer.headers, body)

    def _make_route(
        self, scheme: str, authority: str, headers: tuple[tuple[str, str], ...]
    ) -> exchange.Route:
        url = URL.build(scheme=scheme, authority=authority, encoded=True)
        return exchange.Route(
            self._session(), url, dict(headers), self._verified_by(url, None), self._timeout
        )

    async def _follow(self, link: Link) -> aiohttp.ClientResponse:
        reach = await self._reach_of(link.trusted)
        url = read_link(link.url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask_link(link, url, reach)
            if answer.status not in _REDIRECTS:
                return answer
            answer.close()
            url = next_hop(url, answer.headers.get("Location", ""))
        raise RejectedError(f"{url.host}: the link redirects more than {MAX_REDIRECTS} times")

    async def _ask_link(self, link: Link, url: URL, reach: Reach) -> aiohttp.ClientResponse:
        host = url.raw_host or ""
        if not reach.allows(host):
            raise forbidden(host)
        proxy = self._proxy_for(url)
        try:
            return await self._session(None if proxy else reach).get(
                url,
                headers={**_LINK_HEADERS, **link.headers},
                proxy=proxy,
                allow_redirects=False,
                ssl=self._verified_by(url, proxy),
                timeout=aiohttp.ClientTimeout(
                    sock_connect=self._timeout.sock_connect,
                    sock_read=link.silence_s or self._timeout.sock_read,
                ),
            )
        except _FAILURES as error:
            raise _translate(error, host, is_link=True) from _shown(error)

    async def _reach_of(self, trusted: str) -> Reach:
        """Return where links of a provider may lead, by the addresses that its own host has."""
        host = ""
        with suppress(ValueError):
            host = URL(trusted).raw_host or ""
        if host not in self._reaches:
            addresses = [host]
            if literal(host) is None and host and self._proxy_for(URL(trusted)) is None:
                try:
                    found = await self._lookup().resolve(host, 0, socket.AF_UNSPEC)
                except OSError:
                    return Reach()
                addresses = [one["host"] for one in found]
            self._reaches[host] = Reach.of(addresses)
        return self._reaches[host]

    def _lookup(self) -> AbstractResolver:
        self._resolver = self._resolver or aiohttp.ThreadedResolver()
        return self._resolver

    def _session(self, reach: Reach | None = None) -> aiohttp.ClientSession:
        if reach not in self._sessions:
            guard = None if reach is None else _Guard(self._lookup(), reach)
            self._sessions[reach] = session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, resolver=guard),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_FIXED_HEADERS,
                timeout=self._timeout,
            )
            # aiohttp resends an idempotent request once on a dropped connection, uncounted; its own test client
            # turns that off the same way, for there is no public one. Every request is counted where it is sent.
            session._retry_connection = False  # noqa: SLF001
        return self._sessions[reach]

    def _proxy_for(self, url: URL) -> URL | None:
        """Return the environment's proxy for a host. aiohttp's `trust_env` also sends what `~/.netrc` holds.

        Raises:
            RejectedError: What the environment names is no address.
        """
        host, scheme = url.host or "", url.scheme
        if (scheme, host) not in self._proxies:
            address = None if proxy_bypass(host) else getproxies().get(scheme)
            try:
                self._proxies[scheme, host] = URL(address) if address else None
            except ValueError:
                raise RejectedError(f"{scheme}_proxy in the environment is no address") from None
        return self._proxies[scheme, host]

    def _verified_by(self, url: URL, proxy: URL | None) -> ssl.SSLContext | bool:
        """Return what verifies the server, or the proxy; True leaves it to aiohttp, and without https nothing does."""
        is_secure = url.scheme == "https" or (proxy is not None and proxy.scheme == "https")
        return self._authorities() if is_secure and self._authorities is not None else True

    async def _read(self, status: int, headers: Mapping[str, str], content: aiohttp.StreamReader) -> bytes:
        if status in _REDIRECTS:  # whatever it is, nobody needs it
            return b""
        size = headers.get("Content-Length", "")
        if size.isdigit() and int(size) <= self._max_body_bytes and "Content-Encoding" not in headers:
            return await content.read()
        pieces: list[bytes] = []
        left = self._max_body_bytes
        async for piece in content.iter_any():
            left -= len(piece)
            if left < 0:
                most = self._max_body_bytes // 2**20
                raise MalformedError(f"the answer is larger than {most} MB", status=status)
            pieces.append(piece)
        return b"".join(pieces)


def _address(target: Target, request: Request) -> URL:
    with suppress(ValueError):
        scheme, authority, prefix = _base(target.base_url)
        path, query = prefix + request.path, _encode(request.query)
        return URL.build(scheme=scheme, authority=authority, path=path, query_string=query, encoded=True)
    raise RejectedError("not an address that can be asked; check base_url")


@lru_cache(maxsize=256)
def _base(address: str) -> tuple[str, str, str]:
    """Return the scheme, the authority and the path of a `base_url`, which is taken apart once.

    Raises:
        ValueError: It is no address, or no path can follow it.
    """
    url = URL(address + "/", encoded=True)
    # Host and port are looked at only when they are asked for.
    if not (url.host and url.port) or url.raw_query_string or url.raw_fragment:
        raise ValueError("no path can follow it")
    if url.scheme not in _SCHEMES:
        raise ValueError("nobody speaks that here")
    if not exchange.is_sendable(address):  # `URL` leaves line breaks out without a word
        raise ValueError("it cannot stand in a line")
    return url.scheme, url.raw_authority, url.raw_path[:-1]


def _encode(query: tuple[tuple[str, str], ...]) -> str:
    """Encode a query; everything but unreserved characters is escaped, the `+` of a phone number too."""
    return "&".join(
        f"{name}={value if value.isascii() and value.isalnum() else quote(value, safe='')}"
        for name, value in query
    )


def _redirected(url: URL, headers: Mapping[str, str]) -> URL:
    with suppress(ValueError):
        target = url.join(URL(headers.get("Location", "")))
        if target.origin() == url.origin():
            return target
    raise RejectedError(
        f"{url.host} redirects to another origin; credentials are not sent there: check base_url"
    )


class _Guard(AbstractResolver):
    """Looks names up, and leaves out the addresses that links may not lead to."""

    def __init__(self, inner: AbstractResolver, reach: Reach) -> None:
        self._inner = inner
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [one for one in found if self._reach.allows(one["host"])]
        if found and not allowed:
            raise _ForbiddenAddressError(host)
        return allowed

    async def close(self) -> None:
        """Do nothing: the inner one is shared."""


class _ForbiddenAddressError(OSError):
    """All addresses of a name are such that links may not lead to."""


class _Answer:
    """A Stream over one of aiohttp's answers; an iterator of its own, so that leaving it early leaves nothing open."""

    def __init__(self, answer: aiohttp.ClientResponse, progress: Progress | None) -> None:
        self.status: int = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer
        self._progress = progress

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        began, host = time.monotonic(), self._answer.url.host or ""
        try:
            piece = await self._answer.content.readany()
        except _FAILURES as error:
            raise _translate(error, host, is_link=True) from _shown(error)
        if not piece:
            raise StopAsyncIteration
        if self._progress is not None and self._progress.is_too_slow(time.monotonic() - began, len(piece)):
            raise TransportError(f"{host}: the answer comes too slowly")
        return piece


_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)

_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (
        aiohttp.ClientConnectorCertificateError,
        "the certificate is not trusted; SSL_CERT_FILE names other authorities",
    ),
    (ssl.SSLError, "no secure connection; check base_url and SSL_CERT_FILE"),
    (aiohttp.ConnectionTimeoutError, "no connection within the time limit"),
    (TimeoutError, "no complete answer within the time limit"),
    (aiohttp.ClientConnectorDNSError, "unknown host; check base_url and the network"),
    (aiohttp.ClientConnectorError, "no connection; check base_url and that the server runs"),
    (Exception, "the connection broke before the answer was complete"),
)


def _translate(error: Exception, host: str, *, is_link: bool = False) -> ProviderError:
    """Return our error for one of aiohttp's; its text is ours, for theirs may hold the address with its query."""
    if isinstance(getattr(error, "os_error", None), _ForbiddenAddressError):
        return forbidden(host)
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        what = "the link cannot be asked" if is_link else "not an address that can be asked; check base_url"
        return RejectedError(f"{host}: {what}")
    meaning = next(text for kind, text in _MEANINGS if isinstance(error, kind))
    return TransportError(f"{host}: {meaning.partition(';')[0] if is_link else meaning}")


def _shown(error: Exception) -> Exception | None:
    """Return an error that may stand beside ours in a traceback: not one whose text holds the whole address."""
    return None if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) else error
