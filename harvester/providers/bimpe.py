"""BimpeAI: calls agent by agent, with no filter by date; its transcript is in the detail only.

Sources: the pages "Get call" and "List calls" of BimpeAI's API reference (console), and `FACTS`, "BimpeAI".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from harvester.errors import AccessError, ProviderError, UnsupportedError
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
from harvester.record import Direction

from .agents import agents_in
from .asking import agent_call_path, agent_segment, numbered, pairs, whole
from .base import Capabilities, Filter
from .envelope import count, is_before, number_before, read_envelope, said
from .refusals import error_of, read_refusal, says_no_calls
from .rows import decode_rows, moments
from .single import read_single
from .transcripts import Transcript, turns_of
from .words import DIRECTIONS, customers, statuses

_PREFIX = "/api/v1/console"
_STATUSES = statuses(ended="completed")
_SCOPE = re.compile(r"\b[a-z_]{2,30}:[a-z_]{2,30}\b")  # as in "the required scope: conversations:read"


class Key(msgspec.Struct, frozen=True, gc=False):
    """What walking needs of a row."""

    id: str
    created_at: datetime | None = msgspec.field(name="created_on", default=None)


class Call(msgspec.Struct, frozen=True, gc=False):
    """A row of the list, and the two moments that the detail adds."""

    id: str
    created_at: datetime | None = msgspec.field(name="created_on", default=None)
    source: str | None = None
    destination: str | None = None
    status: str | None = None
    direction: str | None = None
    duration_seconds: float | None = None
    is_test_call: bool | None = None
    error_reason: str | None = None
    end_reason: str | None = None
    started_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None


class Detail(Call, frozen=True, gc=False):
    """The answer to "Get call": what was said, turn by turn; a message may be attachments alone."""

    conversation_logs: Transcript | None = None


class Bimpe:
    """The API of BimpeAI's console."""

    capabilities: Capabilities = Capabilities(
        name="bimpe",
        title="BimpeAI",
        base_url="https://api.bimpe.ai",
        documents="BimpeAI API reference, console",
        credentials=("api_key",),
        filters={
            "search": Filter("text to search for; in which fields is not documented", is_personal=True),
            "status": Filter(
                "status of the call",
                ("queued", "ringing", "answered", "ended", "busy", "failed", "cancelled"),
            ),
            "is_test_call": Filter("test calls only, or none of them", ("true", "false")),
        },
        lists_agents=True,
        walks_account=False,
        range_by="order",
        details="request",
        names_agent=False,
        quirks=(
            "Calls cannot be asked for by date: ranges are cut here.",
            "A sort is asked for and not trusted: the order of what arrives is checked.",
            "Limits are announced by the answers and not published.",
            "Rows do not name their agent.",
        ),
    )
    key_type: type[Any] = Key
    call_type: type[Any] = Call
    detail_type: type[Any] = Detail
    columns: Mapping[str, str] = {
        "id": "string",
        "source": "string",
        "destination": "string",
        "status": "string",
        "direction": "string",
        "created_on": "string",
        "duration_seconds": "float",
        "is_test_call": "bool",
        "error_reason": "string",
        "end_reason": "string",
        "ringing_at": "string",
        "ended_at": "string",
        "started_at": "string",
        "answered_at": "string",
        "conversation_logs": "json",
    }

    def headers(self, credentials: Mapping[str, Secret]) -> dict[str, str]:
        """Return the key as a bearer token."""
        return {"Authorization": f"Bearer {credentials['api_key'].reveal()}"}

    def check_request(self) -> Request:
        """Return a request for one agent."""
        return Request("check", f"{_PREFIX}/agents", (("page", "1"), ("limit", "1")))

    def agents_request(self, cursor: Cursor) -> Request:
        """Return the request for one page of agents. Source: `FACTS`, "BimpeAI"."""
        return Request("list agents", f"{_PREFIX}/agents", numbered(cursor, "limit"))

    def read_agents(self, body: bytes) -> AgentListing:
        """Read one page of agents; it has the calls' envelope."""
        return agents_in(self.read_listing(body))

    def list_request(self, query: Query, cursor: Cursor) -> Request:
        """Return the request for one page of an agent's calls, the oldest first if the server does as asked.

        The reference's example sorts by `created_at`; the object has `created_on`, and the vendor's client
        sorts by that (`FACTS`).
        """
        path = f"{_PREFIX}/agents/{agent_segment(query, 'BimpeAI')}/calls"
        asked = (*numbered(cursor, "limit"), ("sort", "created_on"), *pairs(query.filters))
        return Request("list calls", path, asked, agent_id=query.window.agent_id)

    def detail_request(self, agent_id: str | None, call_id: str) -> Request:
        """Return the request for one call of an agent. Source: the page "Get call"."""
        path = agent_call_path(_PREFIX, agent_id, call_id, "BimpeAI")
        return Request("get call", path, agent_id=agent_id)

    def latest_request(
        self, agent_id: str | None, *, phone: str | None = None, count: int = 1, page: int = 0
    ) -> Request:
        """Return the request for a page of an agent's calls, the newest first.

        The vendor's client sorts so (`FACTS`); which fields `search` looks at is not documented, so no phone number.

        Raises:
            UnsupportedError: There is a phone number, or no agent.
        """
        if phone is not None:
            raise UnsupportedError(
                "--phone: BimpeAI has no filter by phone number; look at the calls' numbers"
            )
        path = f"{_PREFIX}/agents/{agent_segment(whole(agent_id), 'BimpeAI')}/calls"
        cursor = Cursor(page, min(count, self.capabilities.max_page_size))
        return Request(
            "list calls", path, (*numbered(cursor, "limit"), ("sort", "-created_on")), agent_id=agent_id
        )

    def classify(self, response: Response) -> ProviderError | None:
        """Return what is wrong; a key without a scope is told which one."""
        refusal = read_refusal(response)
        if refusal is None:
            return None
        if refusal.code == "insufficient_scope":
            scope = _SCOPE.search(refusal.text)
            missing = f"the scope {scope[0]}" if scope else "a scope"
            message = f"`api_key` lacks {missing} ({response.status}, {refusal.code}): add it to the key"
            return AccessError(message, status=response.status)
        return error_of(response, refusal, keys="`api_key`")

    def read_listing(self, body: bytes) -> Listing:
        """Cut a list answer."""
        if says_no_calls(body):
            return Listing([], total=0)
        rows, envelope = read_envelope(body)
        told = said(envelope.meta)
        page, more = number_before(told.get("current_page")), told.get("has_next_page")
        return Listing(
            rows,
            total=count(told.get("total_count")),
            size=count(told.get("limit"), 1),
            page=page,
            has_more=more if isinstance(more, bool) else is_before(page, count(told.get("page_count"))),
        )

    def read_detail(self, body: bytes) -> Listing:
        """Cut the answer to "Get call" out of its `message` and `data`."""
        return read_single(body)

    def read_latest(self, body: bytes) -> Listing:
        """Cut a list answer."""
        return self.read_listing(body)

    def decode(self, body: bytes, listing: Listing, wire: type[Any]) -> tuple[list[Any], list[Problem]]:
        """Decode a listing's rows."""
        return decode_rows(body, listing.rows, wire)

    def agent_of(self, call: Any) -> str | None:
        """Return None: rows name no agent."""
        return None

    def has_no_detail(self, call: Any) -> bool:
        """Return False: that a call has no conversation is not documented of any status."""
        return False

    def recording_of(self, call: Any) -> str | None:
        """Return None: recordings are not documented."""
        return None

    def to_columns(self, calls: Sequence[Any], origin: Origin) -> dict[str, Any]:
        """Return the calls in the unified shape."""
        statuses_raw = [call.status for call in calls]
        directions: list[Direction | None] = [DIRECTIONS[call.direction] for call in calls]
        senders, receivers = [call.source for call in calls], [call.destination for call in calls]
        columns = {
            "call_id": [call.id for call in calls],
            "agent_id": origin.agent_id,
            "agent_name": origin.agent_name,
            "direction": directions,
            "status": [_STATUSES[status] for status in statuses_raw],
            "status_raw": statuses_raw,
            "is_test": [call.is_test_call for call in calls],
            "from_number": senders,
            "to_number": receivers,
            "customer_number": customers(directions, senders, receivers),
            "created_at": moments([call.created_at for call in calls]),
            "started_at": moments([call.started_at for call in calls]),
            "ringing_at": moments([call.ringing_at for call in calls]),
            "answered_at": moments([call.answered_at for call in calls]),
            "ended_at": moments([call.ended_at for call in calls]),
            "duration_s": [call.duration_seconds for call in calls],
            "end_reason": [call.end_reason for call in calls],
            "error_reason": [call.error_reason for call in calls],
        }
        if type(calls[0]) is Detail:
            columns["transcript"] = [turns_of(call.conversation_logs) for call in calls]
        return columns


BIMPE = Bimpe()
