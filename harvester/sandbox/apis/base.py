"""The words the four APIs share: what is asked, what is answered, and who an API is to its server."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from harvester.sandbox.world import Account

from .query import Query

JSON_TYPE = "application/json"


class Route(Struct, frozen=True):
    """What a path asks for: `agents`, `calls`, `agent_calls`, `call`, `health`, `stream_ticket` or `stream`.

    Attributes:
        endpoint: One of these.
        agent: Whose.
        call: Which call, or which conversation.
        method: The HTTP method that is documented for it.
    """

    endpoint: str
    agent: str = ""
    call: str = ""
    method: str = "GET"


class Ask(Struct, frozen=True):
    """One request, as far as an API looks at it.

    Attributes:
        route: What the path means.
        query: The query, to be read and judged.
        asked_before: How often this very page was asked for before; for pages that heal.
        request_id: Made up for this request, for the error envelopes that carry one.
        now: Monotonic seconds at arrival.
        number: The request's among those of its credential; for what differs from request to request.
    """

    route: Route
    query: Query
    asked_before: int
    request_id: str
    number: int = 0
    now: float = 0.0


class Reply(Struct, frozen=True):
    """One answer, before limits' headers, compression and faults."""

    status: int
    body: bytes
    headers: dict[str, str] = {}


class Verdict(Struct):
    """What to do with a request: send `reply`, gone wrong as `fault` says if it is not empty."""

    reply: Reply
    fault: str = ""


def with_headers(reply: Reply, headers: dict[str, str]) -> Reply:
    """Give the same answer with further headers."""
    return Reply(reply.status, reply.body, reply.headers | headers) if headers else reply


class Api(Protocol):
    """One provider's API."""

    def route(self, parts: list[str]) -> Route | None:
        """Read a path, given without its provider's prefix, in decoded segments; None: no such path."""
        ...

    def credential(self, headers: Mapping[str, str]) -> str | None:
        """Take the credential from the request; None if it is not there as documented."""
        ...

    def page_number(self, query: Query) -> int:
        """Say which page is asked for, counted from 1."""
        ...

    def rows_before(self, query: Query) -> int:
        """Say how many rows stand before the page that is asked for."""
        ...

    def answer(self, ask: Ask, account: Account) -> Reply:
        """Answer a request whose credential is good."""
        ...

    def problem(self, status: int, request_id: str, *, wait_s: int | None = None) -> Reply:
        """Answer with an error in the provider's shape.

        Args:
            status: 200 is the provider's way to fail with a status that says success.
            request_id: Named in the envelope where the provider does.
            wait_s: Seconds to wait, put into the body where the provider has a place for them.
        """
        ...


def is_good(credential: str | None) -> bool:
    """Say whether a credential opens the sandbox."""
    return credential is not None and (credential == "sandbox" or credential.startswith("sandbox-"))


def bearer(headers: Mapping[str, str]) -> str | None:
    """Take the token of `Authorization: Bearer …`."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
