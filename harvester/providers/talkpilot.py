"""TalkPilot: calls agent by agent, newest first; transcript, audio and score are in the detail only.

Sources: TalkPilot's page "Calls", and `FACTS`, "TalkPilot", for agents, paging, limits and errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from harvester.errors import ProviderError, RejectedError
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
from harvester.record import Status

from .agents import agents_in
from .asking import agent_call_path, agent_segment, is_unfiltered, numbered, pairs, shifted, stretch, whole
from .base import Capabilities, Filter
from .envelope import count, is_before, number_before, read_envelope, said
from .links import unsigned
from .refusals import error_of, read_refusal, says_no_calls
from .rows import decode_rows, moments
from .single import read_single
from .transcripts import Transcript, turns_of
from .words import Words

_PREFIX = "/v1"
_SECOND = timedelta(seconds=1)
# Why a call ended stands for its status, which the API has not. An open set (`FACTS`).
_STATUSES: Words[Status] = Words(
    {
        "user_hangup": "completed",
        "agent_hangup": "completed",
        "call_transfer": "completed",
        "busy": "busy",
        "no_answer": "no_answer",
        "dial_error": "failed",
    },
    "unknown",
)


class Key(msgspec.Struct, frozen=True, gc=False):
    """What walking needs of a row, and asking for a detail, and for the recording that it links."""

    id: str
    created_at: datetime | None = None
    agent_id: str | None = None
    is_purged: bool | None = None
    audio_file_url: str | None = None


class Call(msgspec.Struct, frozen=True, gc=False):
    """A row of the list; `duration` is in seconds, `created_at` is the call's start."""

    id: str
    created_at: datetime | None = None
    agent_id: str | None = None
    call_id: str | None = None
    customer_name: str | None = None
    phone_number: str | None = None
    duration: float | None = None
    general_success: bool | None = None
    disconnection_reason: str | None = None
    call_summary: str | None = None
    is_purged: bool | None = None
    deleted_at: datetime | None = None
    updated_at: datetime | None = None


class Detail(Call, frozen=True, gc=False):
    """The answer to "Get call details": an array of turns as JSON in a string, and a link that dies after an hour."""

    transcript: Transcript | None = None
    audio_file_url: str | None = None
    final_score: float | None = None


class TalkPilot:
    """The API of TalkPilot."""

    capabilities: Capabilities = Capabilities(
        name="talkpilot",
        title="TalkPilot",
        base_url="https://api.talkpilot.io",
        documents="TalkPilot API reference, Calls",
        credentials=("api_key",),
        filters={
            "done": Filter("whether the call has been processed", ("true", "false")),
            "phone_number": Filter("the caller's phone number, exactly", is_personal=True),
            "search": Filter(
                "text in the customer's name, the phone number or the summary", is_personal=True
            ),
            "include_deleted": Filter("soft-deleted calls as well", ("true", "false")),
        },
        lists_agents=True,
        walks_account=False,
        range_by="filter",
        cuts_at="second",
        details="request",
        recordings="detail",
        phone_filter="phone_number",
        rates=(Rate(60, 60.0), Rate(1000, 3600.0)),
        quirks=(
            "Its status is read from `disconnection_reason`.",
            "Soft-deleted calls are left out unless `include_deleted` is true.",
            "Answers announce the limit of a minute, never that of an hour.",
            "Transcripts, audio and phone numbers are purged after 90 days unless set otherwise.",
            "Links to audio expire after an hour.",
        ),
    )
    key_type: type[Any] = Key
    call_type: type[Any] = Call
    detail_type: type[Any] = Detail
    columns: Mapping[str, str] = {
        "id": "string",
        "call_id": "string",
        "customer_name": "string",
        "customer_request": "string",
        "phone_number": "string",
        "duration": "int",
        "done": "bool",
        "general_success": "bool",
        "disconnection_reason": "string",
        "call_summary": "string",
        "employee": "string",
        "note": "string",
        "agent_id": "string",
        "is_purged": "bool",
        "deleted_at": "string",
        "created_at": "string",
        "updated_at": "string",
        "transcript": "string",
        "audio_file_url": "string",
        "final_score": "float",
    }

    def headers(self, credentials: Mapping[str, Secret]) -> dict[str, str]:
        """Return the key."""
        return {"X-API-Key": credentials["api_key"].reveal()}

    def check_request(self) -> Request:
        """Return a request for one agent; `/v1/health` needs no key and proves none (`FACTS`)."""
        return Request("check", f"{_PREFIX}/agents", (("page", "1"), ("limit", "1")))

    def agents_request(self, cursor: Cursor) -> Request:
        """Return the request for one page of agents. Source: `FACTS`, "TalkPilot"."""
        return Request("list agents", f"{_PREFIX}/agents", numbered(cursor, "limit"))

    def read_agents(self, body: bytes) -> AgentListing:
        """Read one page of agents; it has the calls' envelope."""
        return agents_in(self.read_listing(body))

    def list_request(self, query: Query, cursor: Cursor) -> Request:
        """Return the request for one page of an agent's calls; their order is fixed, the newest first."""
        path = f"{_PREFIX}/agents/{agent_segment(query, 'TalkPilot')}/calls"
        asked = numbered(cursor, "limit") + _range(query) + pairs(query.filters)
        return Request("list calls", path, asked, agent_id=query.window.agent_id)

    def detail_request(self, agent_id: str | None, call_id: str) -> Request:
        """Return the request for one call of an agent. Source: the page's "Get call details"."""
        path = agent_call_path(_PREFIX, agent_id, call_id, "TalkPilot")
        return Request("get call", path, agent_id=agent_id)

    def latest_request(
        self, agent_id: str | None, *, phone: str | None = None, count: int = 1, page: int = 0
    ) -> Request:
        """Return the request for a page of an agent's calls: the newest come first, whatever is asked."""
        filters = {} if phone is None else {"phone_number": phone}
        cursor = Cursor(page, min(count, self.capabilities.max_page_size))
        return self.list_request(whole(agent_id, filters), cursor)

    def classify(self, response: Response) -> ProviderError | None:
        """Return what is wrong; an agent out of reach is a 404 (older) or a 403 (newer, `FACTS`)."""
        refusal = read_refusal(response)
        if refusal is None:
            return None
        if refusal.code == "AGENT_NOT_ACCESSIBLE":
            return RejectedError(
                f"the key does not reach this agent ({response.status}, {refusal.code}): "
                "remove it from `agents` or give the key access",
                status=response.status,
                is_about_agent=True,
            )
        return error_of(response, refusal, keys="`api_key`")

    def read_listing(self, body: bytes) -> Listing:
        """Cut a list answer."""
        if says_no_calls(body):
            return Listing([], total=0)
        rows, envelope = read_envelope(body)
        told = said(envelope.pagination)
        page = number_before(told.get("page"))
        return Listing(
            rows,
            total=count(told.get("total")),
            size=count(told.get("limit"), 1),
            page=page,
            has_more=is_before(page, count(told.get("pages"))),
        )

    def read_detail(self, body: bytes) -> Listing:
        """Cut the answer to "get call": the object as documented, or in `data` as lists are."""
        return read_single(body)

    def read_latest(self, body: bytes) -> Listing:
        """Cut a list answer."""
        return self.read_listing(body)

    def decode(self, body: bytes, listing: Listing, wire: type[Any]) -> tuple[list[Any], list[Problem]]:
        """Decode a listing's rows."""
        return decode_rows(body, listing.rows, wire)

    def agent_of(self, call: Any) -> str | None:
        """Return the agent that the row names."""
        agent_id: str | None = call.agent_id
        return agent_id

    def has_no_detail(self, call: Any) -> bool:
        """Say whether the call is purged: transcript and audio are null then."""
        return call.is_purged is True

    def recording_of(self, call: Any) -> str | None:
        """Return the link in a detail; rows of the list have none."""
        return None if type(call) is Call else call.audio_file_url or None

    def to_columns(self, calls: Sequence[Any], origin: Origin) -> dict[str, Any]:
        """Return the calls in the unified shape.

        `phone_number` is the caller's. Which way a call went is not documented, so it is neither from nor to.
        """
        reasons = [call.disconnection_reason for call in calls]
        created_at = moments([call.created_at for call in calls])
        columns = {
            "call_id": [call.id for call in calls],
            "external_id": [call.call_id for call in calls],
            "agent_id": [call.agent_id or origin.agent_id for call in calls],
            "agent_name": origin.agent_name,
            "status": [_STATUSES[reason] for reason in reasons],
            "status_raw": reasons,
            "customer_number": [call.phone_number for call in calls],
            "contact_name": [call.customer_name for call in calls],
            "created_at": created_at,
            "started_at": created_at,
            "updated_at": moments([call.updated_at for call in calls]),
            "deleted_at": moments([call.deleted_at for call in calls]),
            "duration_s": [call.duration for call in calls],
            "success": [call.general_success for call in calls],
            "is_purged": [call.is_purged for call in calls],
            "end_reason": reasons,
            "summary": [call.call_summary for call in calls],
        }
        if type(calls[0]) is Detail:
            columns["score"] = [call.final_score for call in calls]
            columns["transcript"] = [turns_of(call.transcript) for call in calls]
            columns["recording_url"] = [unsigned(call.audio_file_url) for call in calls]
        return columns


def _range(query: Query) -> tuple[tuple[str, str], ...]:
    """Return a window in whole seconds, a second wider at each end.

    Source: the page says calls "after" and "before": whether the instant itself is in is not said (`FACTS`).
    """
    if is_unfiltered(query):
        return ()
    window = stretch(query)
    first = shifted(window.since, -_SECOND) if window.since else None
    last = shifted(window.until, _SECOND if window.until.microsecond == 0 else 2 * _SECOND)
    return tuple((name, _stamp(at)) for name, at in (("from", first), ("to", last)) if at is not None)


def _stamp(at: datetime) -> str:
    return at.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


TALKPILOT = TalkPilot()
