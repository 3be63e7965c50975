"""How bytes move, as a seam: a Transport sends one Request and returns one complete Response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

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


class Transport(Protocol):
    """Moves bytes; knows no provider, no retry and no limit."""

    async def send(self, target: Target, request: Request) -> Response:
        """Send one request, once, and read the answer whole.

        Raises:
            TransportError: There was no complete response.
            MalformedError: The answer is larger than the limit for bodies.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
