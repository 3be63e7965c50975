"""How bytes move, as a seam: one Request for one complete Response, or a Link whose answer comes in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from harvester.model import Request, Response


class Target(Protocol):
    """Where and as whom to send: a source's address and the headers that carry its credentials."""

    @property
    def base_url(self) -> str:
        """The source's address, a path prefix included."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request, credentials among them."""
        ...


class Link(msgspec.Struct, frozen=True):
    """An address that an API gave out, such as a recording's; it is asked without the API's credentials.

    `url` is sent as it is, for a signature is over its very letters; it is never printed. `headers` are further ones,
    such as `Range` or `Last-Event-ID`, and no credentials. `trusted` is the source's own address: where that is local
    the link may be, else a link to a local address is refused. `silence_s` is the longest wait for anything to come,
    None for the transport's own. `is_endless`: an event stream, that may be as slow and as long as it likes.
    """

    url: str
    headers: Mapping[str, str] = {}
    trusted: str = ""
    silence_s: float | None = None
    is_endless: bool = False

    @property
    def host(self) -> str:
        """The link's host and port, which may be shown; empty where it has none."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return ""

    def __repr__(self) -> str:
        return f"Link({self.host}, ***)"


class Stream(Protocol):
    """An answer whose body is still to come."""

    @property
    def status(self) -> int:
        """The HTTP status, after redirects."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers; their names are matched without regard to case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece, as it comes and once; compression is undone.

        Raises:
            TransportError: It ended before it was complete, or came too slowly.
        """
        ...


@runtime_checkable
class Opening(Protocol):
    """What a Transport that needs time before it can send has beside: an export waits for it before the first request.

    A request counts against its limit when it is given out; those that waited for the transport would go all at once.
    """

    async def open(self) -> None:
        """Return once requests are sent as soon as they come; whatever fails is left to the first of them."""
        ...


class Transport(Protocol):
    """Moves bytes; knows no provider, no retry and no limit."""

    async def send(self, target: Target, request: Request) -> Response:
        """Send one request, once, and read the answer whole.

        Raises:
            TransportError: There was no complete response.
            MalformedError: The answer is larger than the limit for bodies.
        """
        ...

    def stream(self, link: Link) -> AbstractAsyncContextManager[Stream]:
        """Ask for a link, once, and give the answer in chunks; leaving the block ends it, wherever it is.

        Raises:
            TransportError: There was no answer.
            RejectedError: The link, or where it redirects to, may not be asked.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
