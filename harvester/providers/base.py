"""What an API is to the rest of harvester: requests out, answers in; no network, no clock, no files.

A provider is one file that defines an object of this shape, and one line in the registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    `cuts_at`: how finely a filter cuts a range, None where there is none.
    `details`: `none`, `list` where the list itself gives them, `request` for one request a call.
    `recordings`: where the link to the audio stands, `none`, `list` or `detail`.
    `names_agent`: every row of every list says which agent it is of.
    `can_get`: one call can be asked for by its id; without `walks_account` by its agent's as well.
    `latest`: how to come by the newest calls: `one`, where the API picks the newest itself (several are a page),
    `newest_page`, where its list can begin with them, `range`, where only ranges that lead back in time will find them.
    `phone_filter`: the filter by a phone number; it may match other calls as well. None: look at the rows.
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
    cuts_at: Literal["second", "day"] | None = None
    details: Literal["none", "list", "request"] = "none"
    detail_groups: tuple[str, ...] = ()
    recordings: Literal["none", "list", "detail"] = "none"
    rates: tuple[Rate, ...] = ()
    max_page_size: int = 100
    names_agent: bool = True
    can_get: bool = True
    latest: Literal["one", "newest_page", "range"] = "newest_page"
    phone_filter: str | None = None
    quirks: tuple[str, ...] = ()


class Provider(Protocol):
    """One API. All methods are pure."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def key_type(self) -> type[Any]:
        """The struct of a row's key alone: `id`, `created_at`; what walking needs and no more.

        A detail can be decoded to it as well; `agent_of`, `has_no_detail` and `recording_of` take it.
        """
        ...

    @property
    def call_type(self) -> type[Any]:
        """The struct of a list row: `id`, `created_at` and all that `to_columns` reads."""
        ...

    @property
    def detail_type(self) -> type[Any]:
        """The struct of a get-one answer's object: `call_type`, or what has all of its fields and the detail's."""
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

        A range is asked for widened, so that it can leave out no call of the window, or not at all; of a part, only
        the ends it shares with the window are, and days are asked for exactly.
        """
        ...

    def detail_request(self, agent_id: str | None, call_id: str) -> Request:
        """Return the request for one call with all its details, named "get call".

        Args:
            agent_id: The call's agent; None only where `walks_account`.
            call_id: Its id; any text, escaped here.

        Raises:
            UnsupportedError: One call cannot be asked for (not `can_get`), or not without its agent.
            UsageError: An id is empty, or half a character, and cannot be sent.
        """
        ...

    def latest_request(
        self, agent_id: str | None, *, phone: str | None = None, count: int = 1, page: int = 0
    ) -> Request:
        """Return the request for the newest calls.

        Args:
            agent_id: Whose; None only where `walks_account`.
            phone: With this number only; only where there is a `phone_filter`.
            count: How many; beyond `max_page_size` a page is that size, and there are further ones.
            page: Which page of them, from 0.

        Raises:
            UnsupportedError: `latest` is `range`, or what is asked cannot be.
        """
        ...

    def classify(self, response: Response) -> ProviderError | None:
        """Return what is wrong with an answer, None where it is the documented success.

        An empty list that is answered as 404 is a success. The body of a success is judged by `read_listing`.
        `retry_after_s` is set from the body only, headers are read by the one who sends.

        Which request is answered is not known here. Of "get call" a final error is one that `is_gone` (404, 410: the
        provider no longer has the call); then `is_about_agent` says nothing of the agent. One that `is_about_agent` and
        not `is_gone` is about the agent there too: the key does not reach it. Other errors say nothing of the call.
        """
        ...

    def read_listing(self, body: bytes) -> Listing:
        """Cut a list answer into rows.

        Raises:
            MalformedError: The body is not the documented envelope, or says that it is no success.
        """
        ...

    def read_detail(self, body: bytes) -> Listing:
        """Cut the answer to "get call" into exactly one row, bare or out of its envelope, byte for byte.

        `decode` takes it like a list; whether the id is the one that was asked for is the caller's to check.

        Raises:
            MalformedError: The body is no call: a list, a web page, or it says that it is no success.
            RejectedError: It says that there is no such call; `is_gone`.
            UnsupportedError: Not `can_get`.
        """
        ...

    def read_latest(self, body: bytes) -> Listing:
        """Cut the answer to `latest_request` into 0 or more rows, the newest first as far as the provider orders.

        Raises:
            MalformedError: The body is neither a call nor a list.
            UnsupportedError: `latest` is `range`.
        """
        ...

    def decode(self, body: bytes, listing: Listing, wire: type[Any]) -> tuple[list[Any], list[Problem]]:
        """Decode a listing's rows to `wire`, one struct or None a row, in their order.

        A row that is None is no JSON object or has no id; a value that does not fit is None in its struct.
        Each has its Problem. `created_at` can always be told in UTC.

        Args:
            body: The answer the listing was read from.
            listing: What `read_listing`, `read_detail` or `read_latest` made of it.
            wire: `key_type`, `call_type` or `detail_type`.
        """
        ...

    def agent_of(self, call: Any) -> str | None:
        """Return the agent that a struct of any of the three types names, None where it names none."""
        ...

    def has_no_detail(self, call: Any) -> bool:
        """Say whether a row of the list tells that its detail has nothing to add, of any of the three types."""
        ...

    def recording_of(self, call: Any) -> str | None:
        """Return the link to the audio, of any of the three types; None where there is none (yet).

        It is as sent, and opens the audio for whoever has it: never print or keep it.
        """
        ...

    def to_columns(self, calls: Sequence[Any], origin: Origin) -> dict[str, Any]:
        """Return what calls say in the unified shape, by columns: `records.to_records` adds what is the same for all.

        Never raises for what `decode` returned. A transcript is null where none was sent or none could be read,
        and empty where nobody spoke. The link to the recording has lost its signature.

        Args:
            calls: One or more structs, all of `call_type` or all of `detail_type`; a detail stands alone.
            origin: What they have in common; `agent_id` stands in where a call names no agent.

        Returns:
            By a field's name in Record, a list of as many values as there are calls, or one that holds for all.
        """
        ...


def error_for(
    response: Response,
    message: str,
    *,
    endpoint: str = "",
    retry_after_s: float | None = None,
    is_about_agent: bool = False,
    is_gone: bool = False,
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
        message,
        endpoint=endpoint,
        status=status,
        retry_after_s=retry_after_s,
        is_about_agent=is_about_agent,
        is_gone=is_gone,
    )
