"""Talkover: calls of one agent or of the whole account; no route for one call, transcripts or recordings.

Sources: the pages "Get Agent Calls" and "List Calls" of docs.talkover.ai, and `FACTS`, "Talkover", for the
list of agents, the limits and where pages and server disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from harvester.errors import ProviderError, UnsupportedError
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
from harvester.record import Direction

from .agents import agents_in
from .asking import is_unfiltered, numbered, pairs, segment, shifted
from .base import Capabilities, Filter
from .envelope import count, is_before, number_before, read_envelope, said
from .refusals import error_of, read_refusal, says_no_calls
from .rows import decode_rows, moments
from .words import DIRECTIONS, customers, statuses

_PREFIX = "/api/v1"
_NO_SINGLE_CALL = "Talkover has no route for one call: export the days around it and look for its id there"
_NO_LATEST = "Talkover has no order to ask for: the newest calls are found by ranges that lead back in time"
_STATUSES = statuses()
# The zone of the server's days is not known (they reach from UTC-12 to UTC+14), nor whether the
# day that is named counts itself: hence a day more.
_EARLIEST_DAY = timedelta(hours=-12, days=-1)
_LATEST_DAY = timedelta(hours=14, days=1)
_DAY = timedelta(days=1)


class AgentKey(msgspec.Struct, frozen=True, gc=False):
    """The agent of a row in the list of all calls, its id alone."""

    id: str | None = None


class Key(msgspec.Struct, frozen=True, gc=False):
    """What walking needs of a row."""

    id: str
    created_at: datetime | None = None
    agent: AgentKey | None = None


class CallAgent(msgspec.Struct, frozen=True, gc=False):
    """The agent of a row in the list of all calls; rows in the list of one agent have none."""

    id: str | None = None
    name: str | None = None


class Call(msgspec.Struct, frozen=True, gc=False):
    """A row as documented, and `ended_at` that was seen (`FACTS`); `duration` is in seconds."""

    id: str
    created_at: datetime | None = None
    sid: str | None = None
    to_number: str | None = msgspec.field(name="to", default=None)
    from_number: str | None = msgspec.field(name="from", default=None)
    is_testing: bool | None = None
    direction: str | None = None
    status: str | None = None
    duration: float | None = None
    agent: CallAgent | None = None
    updated_at: datetime | None = None
    ended_at: datetime | None = None


_NO_AGENT = CallAgent()


class Talkover:
    """The API of Talkover and its resellers."""

    capabilities: Capabilities = Capabilities(
        name="talkover",
        title="Talkover",
        base_url="https://app.talkover.ai",
        documents="https://docs.talkover.ai",
        credentials=("token",),
        filters={
            "status": Filter(
                "status of the call; answers may hold other words",
                (
                    "initiated", "ringing", "answered", "completed", "failed", "busy", "no-answer",
                    "in-progress", "queued",
                ),
            ),
            "direction": Filter("direction of the call", ("inbound", "outbound")),
            "search": Filter("text in the phone numbers or the call's SID", is_personal=True),
        },
        lists_agents=True,
        walks_account=True,
        range_by="filter",
        cuts_at="day",
        rates=(Rate(100, 60.0),),
        names_agent=False,
        can_get=False,
        latest="range",
        phone_filter="search",
        quirks=(
            "Ranges are whole days in an unknown zone: more is asked for at both ends and cut here.",
            "The order of the list is not documented.",
            "Rows name their agent in the list of the whole account only.",
            "The plan Professional allows 1000/min; answers announce the limit of the account.",
            "Status `answered` does not say whether the call is over.",
        ),
    )  # fmt: skip
    key_type: type[Any] = Key
    call_type: type[Any] = Call
    detail_type: type[Any] = Call
    columns: Mapping[str, str] = {
        "id": "string",
        "sid": "string",
        "to": "string",
        "to_formatted": "string",
        "from": "string",
        "from_formatted": "string",
        "is_testing": "bool",
        "direction": "string",
        "status": "string",
        "duration": "int",
        "agent": "json",
        "created_at": "string",
        "updated_at": "string",
        "ended_at": "string",
    }

    def headers(self, credentials: Mapping[str, Secret]) -> dict[str, str]:
        """Return the bearer token; its prefix is the reseller's, and not looked at."""
        return {"Authorization": f"Bearer {credentials['token'].reveal()}"}

    def check_request(self) -> Request:
        """Return a request for one agent."""
        return Request("check", f"{_PREFIX}/agents", (("page", "1"), ("per_page", "1")))

    def agents_request(self, cursor: Cursor) -> Request:
        """Return the request for one page of agents. Source: `FACTS`, "Talkover"."""
        return Request("list agents", f"{_PREFIX}/agents", numbered(cursor, "per_page"))

    def read_agents(self, body: bytes) -> AgentListing:
        """Read one page of agents; it has the calls' envelope."""
        return agents_in(self.read_listing(body))

    def list_request(self, query: Query, cursor: Cursor) -> Request:
        """Return the request for one page of calls, of the agent or of the whole account."""
        agent_id = query.window.agent_id
        path = f"{_PREFIX}/calls" if agent_id is None else f"{_PREFIX}/agents/{segment(agent_id)}/calls"
        asked = numbered(cursor, "per_page") + _days(query) + pairs(query.filters)
        return Request("list calls", path, asked, agent_id=agent_id)

    def detail_request(self, agent_id: str | None, call_id: str) -> Request:
        """Refuse: no route gives one call.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(_NO_SINGLE_CALL)

    def latest_request(
        self, agent_id: str | None, *, phone: str | None = None, count: int = 1, page: int = 0
    ) -> Request:
        """Refuse: the order of the list is not known, and there is none to ask for (`FACTS`).

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(_NO_LATEST)

    def classify(self, response: Response) -> ProviderError | None:
        """Return what is wrong; of three envelopes one has the wait in its details (`FACTS`)."""
        refusal = read_refusal(response)
        return None if refusal is None else error_of(response, refusal, keys="`token`")

    def read_listing(self, body: bytes) -> Listing:
        """Cut a list answer; the pages call its paging `pagination`, the vendor's OpenAPI `meta`."""
        if says_no_calls(body):
            return Listing([], total=0)
        rows, envelope = read_envelope(body)
        told = said(envelope.pagination) or said(envelope.meta)
        page = number_before(told.get("current_page"))
        return Listing(
            rows,
            total=count(told.get("total")),
            size=count(told.get("per_page"), 1),
            page=page,
            has_more=is_before(page, count(told.get("last_page"))),
        )

    def read_detail(self, body: bytes) -> Listing:
        """Refuse: no route gives one call.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(_NO_SINGLE_CALL)

    def read_latest(self, body: bytes) -> Listing:
        """Refuse, as `latest_request` does.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(_NO_LATEST)

    def decode(self, body: bytes, listing: Listing, wire: type[Any]) -> tuple[list[Any], list[Problem]]:
        """Decode a listing's rows."""
        return decode_rows(body, listing.rows, wire)

    def agent_of(self, call: Any) -> str | None:
        """Return the agent that a row in the list of all calls names."""
        return None if call.agent is None else call.agent.id

    def has_no_detail(self, call: Any) -> bool:
        """Return True: there are none."""
        return True

    def recording_of(self, call: Any) -> str | None:
        """Return None: recordings are not documented."""
        return None

    def to_columns(self, calls: Sequence[Any], origin: Origin) -> dict[str, Any]:
        """Return the calls in the unified shape."""
        agents = [call.agent or _NO_AGENT for call in calls]
        statuses_raw = [call.status for call in calls]
        directions: list[Direction | None] = [DIRECTIONS[call.direction] for call in calls]
        senders, receivers = [call.from_number for call in calls], [call.to_number for call in calls]
        return {
            "call_id": [call.id for call in calls],
            "external_id": [call.sid for call in calls],
            "agent_id": [agent.id or origin.agent_id for agent in agents],
            "agent_name": [agent.name or origin.agent_name for agent in agents],
            "direction": directions,
            "status": [_STATUSES[status] for status in statuses_raw],
            "status_raw": statuses_raw,
            "is_test": [call.is_testing for call in calls],
            "from_number": senders,
            "to_number": receivers,
            "customer_number": customers(directions, senders, receivers),
            "created_at": moments([call.created_at for call in calls]),
            "ended_at": moments([call.ended_at for call in calls]),
            "updated_at": moments([call.updated_at for call in calls]),
            "duration_s": [call.duration for call in calls],
        }


def _days(query: Query) -> tuple[tuple[str, str], ...]:
    """Return the days that hold a window whatever zone they are in, and whether or not they count themselves.

    Inside the window a part ends where the next begins, in days of the provider's calendar, whichever that is.
    Source: `FACTS`, "Talkover": `date_from` and `date_to` are whole days, zone and inclusion unknown.
    """
    window, part = query.window, query.part
    if is_unfiltered(query):
        return ()
    first = part.since or (shifted(window.since, _EARLIEST_DAY) if window.since else None)
    last = shifted(window.until, _LATEST_DAY)
    if part.until is not None:
        last = part.until - _DAY if part.has_last_day else part.until
    asked = (("date_from", first), ("date_to", last))
    return tuple((name, at.date().isoformat()) for name, at in asked if at is not None)


TALKOVER = Talkover()
