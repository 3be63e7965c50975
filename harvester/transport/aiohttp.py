"""The one place that opens sockets: a Transport over aiohttp, whose errors are translated here.

It speaks HTTP and nothing else: no provider, no retry, no limit, and no redirect to another origin, because the
credentials in the headers are for the provider's own.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

import harvester
from harvester.errors import MalformedError, ProviderError, RejectedError, TransportError
from harvester.model import Request, Response

from .base import Target

MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_REDIRECTS = 3

_FIXED_HEADERS = {"Accept": "application/json", "User-Agent": f"harvester/{harvester.__version__}"}


class AiohttpTransport:
    """A Transport over one aiohttp session, opened by the first request.

    Args:
        connect_s: The longest wait for a connection.
        read_s: The longest wait between two pieces of an answer.
        total_s: The longest time for an answer as a whole, however steadily it drips.
        max_body_bytes: The largest body that is read, after decompression.
    """

    def __init__(
        self,
        *,
        connect_s: float = 15.0,
        read_s: float = 60.0,
        total_s: float = 300.0,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s, sock_read=read_s)
        self._max_body_bytes = max_body_bytes
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, URL | None] = {}

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
            for _ in range(MAX_REDIRECTS + 1):
                async with self._open().request(
                    request.method,
                    url,
                    headers=target.headers,
                    proxy=self._proxy_for(url),
                    allow_redirects=False,
                ) as answer:
                    if answer.status not in {301, 302, 303, 307, 308}:
                        body = await self._read(answer)
                        elapsed_s = time.monotonic() - started
                        return Response(answer.status, answer.headers, body, datetime.now(UTC), elapsed_s)
                    url = _redirected(url, answer.headers)
        except ProviderError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _translate(error, url.host or "") from error
        raise RejectedError("the server redirects in a circle; check base_url")

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_FIXED_HEADERS,
                timeout=self._timeout,
            )
            # aiohttp resends an idempotent request once on a dropped connection, uncounted; its own test client
            # turns that off the same way, for there is no public one. Every request is counted where it is sent.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session

    def _proxy_for(self, url: URL) -> URL | None:
        """Return the environment's proxy for a host. aiohttp's `trust_env` also sends what `~/.netrc` holds."""
        host = url.host or ""
        if host not in self._proxies:
            address = None if proxy_bypass(host) else getproxies().get(url.scheme)
            self._proxies[host] = URL(address) if address else None
        return self._proxies[host]

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        size = answer.content_length
        if size is not None and size <= self._max_body_bytes and "Content-Encoding" not in answer.headers:
            return await answer.read()
        pieces: list[bytes] = []
        left = self._max_body_bytes
        async for piece in answer.content.iter_any():
            left -= len(piece)
            if left < 0:
                raise MalformedError(
                    f"the answer is larger than {self._max_body_bytes // 2**20} MB", status=answer.status
                )
            pieces.append(piece)
        return b"".join(pieces)


def _address(target: Target, request: Request) -> URL:
    with suppress(ValueError):
        url = URL(target.base_url + request.path + _encode(request.query), encoded=True)
        if url.host and url.port:  # both are looked at only when they are asked for
            return url
    raise RejectedError("not an address that can be asked; check base_url")


def _encode(query: tuple[tuple[str, str], ...]) -> str:
    """Encode a query; everything but unreserved characters is escaped, the `+` of a phone number too."""
    if not query:
        return ""
    return "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query)


def _redirected(url: URL, headers: Mapping[str, str]) -> URL:
    with suppress(ValueError):
        target = url.join(URL(headers.get("Location", "")))
        if target.origin() == url.origin():
            return target
    raise RejectedError(
        f"{url.host} redirects to another origin; credentials are not sent there: check base_url"
    )


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


def _translate(error: Exception, host: str) -> ProviderError:
    """Return our error for one of aiohttp's; its text is ours, for theirs may hold the address with its query."""
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return RejectedError(f"{host}: not an address that can be asked; check base_url")
    meaning = next(text for kind, text in _MEANINGS if isinstance(error, kind))
    return TransportError(f"{host}: {meaning}")
