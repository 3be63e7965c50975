"""AgentVoice: one list with the calls of an organisation; what other APIs call details comes with its rows.

Sources: AgentVoice's page "Calls", and `FACTS`, "AgentVoice".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harvester.errors import ProviderError, UnsupportedError
from harvester.model import (
    AgentListing,
    Cursor,
    Listing,
    Origin,
    Problem,
    Query,
    Request,
    Response,
    Secret,
)

from .agentvoice_call import COLUMNS, Call, Key, is_spare, turns_in
from .asking import call_segment, pairs
from .base import Capabilities, Filter
from .envelope import count, read_envelope, said
from .links import unsigned
from .refusals import error_of, read_refusal, says_no_calls
from .rows import decode_rows, moments
from .single import read_newest, read_single
from .words import DIRECTIONS, statuses

_PATH = "/api/calls"
_STATUSES = statuses()
_NO_LIST_OF_AGENTS = "agents: AgentVoice cannot list them; name them, or leave `agents` out for all calls"
# The default order is by `started_at`, which a call that never started has not; `asc` makes inserts harmless.
_ORDER = (("order_by", "created_at"), ("order", "asc"))
_NEWEST = (("order_by", "created_at"), ("order", "desc"))
_FULL = (("fields", "full"),)


class AgentVoice:
    """The API of AgentVoice."""

    capabilities: Capabilities = Capabilities(
        name="agentvoice",
        title="AgentVoice",
        base_url="https://api.agentvoice.com",
        documents="AgentVoice API reference, Calls",
        credentials=("api_key", "organization_id"),
        filters={
            "phone_number": Filter("the customer's phone number", is_personal=True),
            "contact_id": Filter("id of the contact", is_personal=True),
            "campaign_id": Filter("id of the campaign"),
            "status": Filter("status of the call; its words are not documented"),
            "call_type": Filter("direction of the call", ("inbound", "outbound")),
        },
        lists_agents=False,
        walks_account=True,
        range_by="order",
        details="list",
        detail_groups=("transcript", "metrics", "diagnostics", "actions"),
        recordings="list",
        latest="one",
        phone_filter="phone_number",
        quirks=(
            "Its own range is by the start of a call and leaves out calls that never started: not used.",
            "Agents cannot be listed: without `agents` the whole organisation is walked.",
            "100 calls with transcripts take one request.",
            "Limits are not documented.",
        ),
    )
    key_type: type[Any] = Key
    call_type: type[Any] = Call
    detail_type: type[Any] = Call
    columns: Mapping[str, str] = COLUMNS

    def headers(self, credentials: Mapping[str, Secret]) -> dict[str, str]:
        """Return both headers; the key alone is refused."""
        return {
            "x-api-key": credentials["api_key"].reveal(),
            "x-organization-id": credentials["organization_id"].reveal(),
        }

    def check_request(self) -> Request:
        """Return a request for one call."""
        return Request("check", _PATH, (("limit", "1"), ("offset", "0"), *_ORDER))

    def agents_request(self, cursor: Cursor) -> Request:
        """Refuse: no route lists agents.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(_NO_LIST_OF_AGENTS)

    def read_agents(self, body: bytes) -> AgentListing:
        """Refuse: no route lists agents.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(_NO_LIST_OF_AGENTS)

    def list_request(self, query: Query, cursor: Cursor) -> Request:
        """Return the request for one page of calls, the oldest first, with no range.

        `from` and `to` act on `started_at` and would leave out calls that never started (`FACTS`).
        """
        agent_id = query.window.agent_id
        asked = [("limit", str(cursor.size)), ("offset", str(cursor.page * cursor.size)), *_ORDER]
        if agent_id is not None:
            asked.append(("agent_id", agent_id))
        asked += [*pairs(query.filters), *_payload(query.details)]
        return Request("list calls", _PATH, tuple(asked), agent_id=agent_id)

    def detail_request(self, agent_id: str | None, call_id: str) -> Request:
        """Return the request for one call in full; it needs no agent. Source: the page's "Get a Specific Call"."""
        return Request("get call", f"{_PATH}/{call_segment(call_id)}", _FULL, agent_id=agent_id)

    def latest_request(
        self, agent_id: str | None, *, phone: str | None = None, count: int = 1, page: int = 0
    ) -> Request:
        """Return the request for the newest call, or for a page that begins with it, in full.

        Whether `most_recent` goes by the order that is asked for is not documented; both are by creation, since a
        call that never started has no `started_at`. Source: the page's "Get Most Recent Call".
        """
        size = min(count, self.capabilities.max_page_size)
        paging = (("limit", str(size)), ("offset", str(page * size)))
        asked = [*((("most_recent", "true"),) if count == 1 and page == 0 else paging), *_NEWEST, *_FULL]
        if agent_id is not None:
            asked.append(("agent_id", agent_id))
        if phone is not None:
            asked.append(("phone_number", phone))
        return Request("list calls", _PATH, tuple(asked), agent_id=agent_id)

    def classify(self, response: Response) -> ProviderError | None:
        """Return what is wrong; the 404 "No calls found matching criteria" is an empty list."""
        refusal = read_refusal(response)
        return (
            None if refusal is None else error_of(response, refusal, keys="`api_key` and `organization_id`")
        )

    def read_listing(self, body: bytes) -> Listing:
        """Cut a list answer; `limit` is what the server gave, which may be less than was asked (`FACTS`)."""
        if says_no_calls(body):
            return Listing([], total=0)
        rows, envelope = read_envelope(body)
        told = said(envelope.pagination)
        size, offset, more = count(told.get("limit"), 1), count(told.get("offset")), told.get("has_more")
        return Listing(
            rows,
            total=count(told.get("total")),
            size=size,
            page=None if size is None or offset is None else offset // size,
            has_more=more if isinstance(more, bool) else None,
        )

    def read_detail(self, body: bytes) -> Listing:
        """Cut the answer to "get call", the bare object."""
        return read_single(body)

    def read_latest(self, body: bytes) -> Listing:
        """Cut the bare object that `most_recent` brings, the 404 where nothing matches, or a list."""
        return read_newest(body, self.read_listing)

    def decode(self, body: bytes, listing: Listing, wire: type[Any]) -> tuple[list[Any], list[Problem]]:
        """Decode a listing's rows; a structured transcript of unknown shape is no problem where there is text."""
        calls, problems = decode_rows(body, listing.rows, wire)
        return calls, [one for one in problems if not is_spare(one, calls[one.index])] if problems else []

    def agent_of(self, call: Any) -> str | None:
        """Return the agent that the row names."""
        agent_id: str | None = call.agent_id
        return agent_id

    def has_no_detail(self, call: Any) -> bool:
        """Return False: no row says so."""
        return False

    def recording_of(self, call: Any) -> str | None:
        """Return the link in the row, light or full."""
        return call.recording_url or None

    def to_columns(self, calls: Sequence[Any], origin: Origin) -> dict[str, Any]:
        """Return the calls in the unified shape.

        The page has the customer's number and the originating one. An outbound call goes from the latter to the
        customer. An inbound one comes from the customer, and the row does not have the number that was dialled.
        Without a direction neither is known.
        """
        statuses_raw = [call.status for call in calls]
        directions = [DIRECTIONS[call.call_type] for call in calls]
        numbers = [call.phone_number for call in calls]
        senders = [
            call.phone_number_called_from
            if direction == "outbound"
            else call.phone_number
            if direction
            else None
            for call, direction in zip(calls, directions, strict=True)
        ]
        return {
            "call_id": [call.id for call in calls],
            "agent_id": [call.agent_id or origin.agent_id for call in calls],
            "agent_name": [call.agent_name or origin.agent_name for call in calls],
            "direction": directions,
            "status": [_STATUSES[status] for status in statuses_raw],
            "status_raw": statuses_raw,
            "from_number": senders,
            "to_number": [
                number if direction == "outbound" else None
                for number, direction in zip(numbers, directions, strict=True)
            ],
            "customer_number": numbers,
            "contact_id": [call.contact_id for call in calls],
            "contact_name": [_name(call.contact_first_name, call.contact_last_name) for call in calls],
            "contact_email": [call.contact_email for call in calls],
            "campaign_id": [call.campaign_id for call in calls],
            "campaign_name": [call.campaign_name for call in calls],
            "created_at": moments([call.created_at for call in calls]),
            "started_at": moments([call.started_at for call in calls]),
            "ended_at": moments([call.ended_at for call in calls]),
            "duration_s": [call.call_duration for call in calls],
            "success": [call.call_success for call in calls],
            "voicemail": [call.went_to_voicemail for call in calls],
            "end_reason": [call.ended_reason for call in calls],
            "summary": [call.call_description for call in calls],
            "transcript": [turns_in(call) for call in calls],
            "recording_url": [unsigned(call.recording_url) for call in calls],
        }


def _name(first: str | None, last: str | None) -> str | None:
    return f"{first} {last}" if first and last else first or last or None


def _payload(details: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return what is asked for beside the light payload.

    Groups can be added to the full payload as well (the page's "Include Options").
    """
    groups = ",".join(group for group in details if group != "full")
    fields = (("fields", "full"),) if "full" in details else ()
    return (*fields, ("include", groups)) if groups else fields


AGENTVOICE = AgentVoice()
