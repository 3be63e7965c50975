"""What an API is to the rest of harvester: requests out, answers in; no network, no clock, no files.

A provider is one file that defines an object of this shape, and one line in the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from harvester.errors import (
    AccessError,
    ProviderError,
    RateLimitError,
    RejectedError,
    ServerError,
)
from harvester.model import (
    AgentListing,
    Cursor,
    Listing,
    Origin,
    Problem,
    Query,
    Rate,
    Request,
    Response,
    Secret,
)
from harvester.record import Record


class Filter(msgspec.Struct, frozen=True):
    """One of the provider's own filters: what it matches, and its documented values (empty: any text).

    `is_personal`: a value may tell who was called, so that it is neither shown nor kept.
    """

    description: str
    values: tuple[str, ...] = ()
    is_personal: bool = False


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider can do, as its documents say; `harvester providers` prints it.

    `walks_account`: one list holds the calls of all agents, so that a source needs no agents.
    `range_by`: `filter` where the list can be asked for a range of creation, `order` where its order must do.
    `details`: `none`, `list` where the list itself gives them, `request` for one request a call.
    `recordings`: where the link to the audio stands, `none`, `list` or `detail`.
    `names_agent`: every row of every list says which agent it is of.
    """

    name: str
    title: str
    base_url: str
    documents: str
    credentials: tuple[str, ...]
    filters: Mapping[str, Filter]
    lists_agents: bool
    walks_account: bool
    range_by: Literal["filter", "order"]
    details: Literal["none", "list", "request"] = "none"
    detail_groups: tuple[str, ...] = ()
    recordings: Literal["none", "list", "detail"] = "none"
    rates: tuple[Rate, ...] = ()
    max_page_size: int = 100
    names_agent: bool = True
    quirks: tuple[str, ...] = ()


class Provider(Protocol):
    """One API. All methods are pure."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def key_type(self) -> type[Any]:
        """The struct of a row's key alone: `id`, `created_at`; what walking needs and no more."""
        ...

    @property
    def call_type(self) -> type[Any]:
        """The struct of a list row: `id`, `created_at` and all that `to_record` reads."""
        ...

    @property
    def columns(self) -> Mapping[str, str]:
        """The native columns, list and detail: wire name to `string`, `bool`, `int`, `float` or `json`."""
        ...

    def headers(self, credentials: Mapping[str, Secret]) -> dict[str, str]:
        """Return the headers that carry the credentials."""
        ...

    def check_request(self) -> Request:
        """Return the cheapest request that proves the credentials."""
        ...

    def agents_request(self, cursor: Cursor) -> Request:
        """Return the request for one page of agents; only where `lists_agents`."""
        ...

    def read_agents(self, body: bytes) -> AgentListing:
        """Read one page of agents.

        Raises:
            MalformedError: The body is not the documented envelope.
        """
        ...

    def list_request(self, query: Query, cursor: Cursor) -> Request:
        """Return the request for one page of calls.

        A range is asked for widened, so that it can leave out no call of the window, or not at all.
        """
        ...

    def classify(self, response: Response) -> ProviderError | None:
        """Return what is wrong with an answer, None where it is the documented success.

        An empty list that is answered as 404 is a success. The body of a success is judged by `read_listing`.
        `retry_after_s` is set from the body only, headers are read by the one who sends.
        """
        ...

    def read_listing(self, body: bytes) -> Listing:
        """Cut a list answer into rows.

        Raises:
            MalformedError: The body is not the documented envelope, or says that it is no success.
        """
        ...

    def decode(self, body: bytes, listing: Listing, wire: type[Any]) -> tuple[list[Any], list[Problem]]:
        """Decode a listing's rows to `wire`, one struct or None a row, in their order.

        A row that is None is no JSON object or has no id; a value that does not fit is None in its struct.
        Each has its Problem. `created_at` can always be told in UTC.

        Args:
            body: The answer the listing was read from.
            listing: What `read_listing` made of it.
            wire: `key_type` or `call_type`.
        """
        ...

    def agent_of(self, call: Any) -> str | None:
        """Return the agent that a `key_type` or `call_type` names, None where it names none."""
        ...

    def to_record(self, call: Any, raw: str | None, origin: Origin) -> Record:
        """Return the call in the unified shape. Never raises for what `decode` returned."""
        ...


def error_for(
    response: Response,
    message: str,
    *,
    endpoint: str = "",
    retry_after_s: float | None = None,
    is_about_agent: bool = False,
) -> ProviderError:
    """Return the error that a status outside 2xx means wherever an API says nothing special."""
    status = response.status
    kind: type[ProviderError] = RejectedError
    if status == 429:
        kind = RateLimitError
    elif status >= 500 or status in {408, 425}:
        kind = ServerError
    elif status in {401, 403} and not is_about_agent:
        kind = AccessError
    return kind(
        message, endpoint=endpoint, status=status, retry_after_s=retry_after_s, is_about_agent=is_about_agent
    )
