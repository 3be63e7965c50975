"""Talkover, from bytes as in its documents."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harvester.errors import AccessError, RateLimitError, RejectedError, ServerError
from harvester.model import Agent, Cursor, Listing, Origin, Query, Rate, Request, Response, Secret, Window
from harvester.providers import PROVIDERS
from harvester.providers.records import to_record
from harvester.record import Record

TALKOVER = PROVIDERS["talkover"]
AT = datetime(2026, 4, 2, tzinfo=UTC)
ORIGIN = Origin("sales", "talkover", "run-1", AT)

CALL = b"""{
      "id": "call-uuid-1",
      "sid": "call_sid_123",
      "to": "+15550100",
      "to_formatted": "(555) 010-0",
      "from": "+15550199",
      "from_formatted": "(555) 019-9",
      "is_testing": false,
      "direction": "outbound",
      "status": "completed",
      "duration": 120,
      "agent": {"id": "agent-uuid-1", "name": "Sales Agent", "label": "Sales Agent Label"},
      "created_at": "2024-01-01T00:00:00Z",
      "updated_at": "2024-01-01T00:02:05Z"
    }"""
CALL_OF_AGENT = b"""{"id": "call-uuid-2", "sid": "call_sid_456", "to": "+15550101", "to_formatted": "x",
"from": "+15550102",
"from_formatted": "x",
"is_testing": true, "direction": "inbound", "status": "answered", "duration": 180,
"created_at": "2024-01-01T01:00:00Z", "ended_at": "2024-01-01T02:03:00.5+01:00"}"""
PAGE = (
    b'{"success": true, "data": [%s,%s], "pagination": '
    b'{"current_page": 2, "last_page": 5, "per_page": 20, "total": 100, "from": 21, "to": 40}}'
    % (CALL, CALL_OF_AGENT)
)


def listing_of(body: bytes) -> Listing:
    return TALKOVER.read_listing(body)


def records_of(body: bytes, origin: Origin = ORIGIN) -> list[Record]:
    calls, problems = TALKOVER.decode(body, listing_of(body), TALKOVER.call_type)
    assert problems == []
    return [to_record(TALKOVER, call, "raw", origin) for call in calls]


def asked(since: datetime | None, until: datetime, agent: str | None = "a") -> Request:
    return TALKOVER.list_request(Query(Window(agent, since, until)), Cursor(0, 100))


def respond(status: int, body: bytes) -> Response:
    return Response(status, {}, body, AT)


def test_read_listing_reads_the_documented_page() -> None:
    """A page says its total, its size, its number and whether there are more; its rows are as they were sent."""
    listing = listing_of(PAGE)
    assert [bytes(row) for row in listing.rows] == [CALL, CALL_OF_AGENT]
    assert (listing.total, listing.size, listing.page, listing.has_more) == (100, 20, 1, True)


def test_read_listing_takes_meta_for_pagination() -> None:
    """The vendor's OpenAPI calls the paging `meta`, with four keys."""
    listing = listing_of(b'{"data":[],"meta":{"current_page":5,"per_page":"20","total":100.0,"last_page":5}}')
    assert (listing.total, listing.size, listing.page, listing.has_more) == (100, 20, 4, False)


def test_read_listing_takes_a_page_past_the_end() -> None:
    """Past the end a page is empty, `from` and `to` are null, and an empty list has a last page 1."""
    body = (
        b'{"success":true,"data":[],"pagination":{"current_page":3,"last_page":1,"per_page":20,"total":0,'
        b'"from":null,"to":null}}'
    )
    listing = listing_of(body)
    assert (listing.rows, listing.total, listing.page, listing.has_more) == ([], 0, 2, False)


def test_to_record_reads_a_call_of_the_whole_account() -> None:
    """An outbound call's customer is the one called; the agent is the row's own."""
    record = records_of(PAGE, Origin("sales", "talkover", "run-1", AT, "other", "Other"))[0]
    assert record == Record(
        provider="talkover",
        source="sales",
        call_id="call-uuid-1",
        external_id="call_sid_123",
        agent_id="agent-uuid-1",
        agent_name="Sales Agent",
        direction="outbound",
        status="completed",
        status_raw="completed",
        is_test=False,
        from_number="+15550199",
        to_number="+15550100",
        customer_number="+15550100",
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
        updated_at=datetime(2024, 1, 1, 0, 2, 5, tzinfo=UTC),
        duration_s=120.0,
        raw="raw",
        fetched_at=AT,
        run_id="run-1",
    )


def test_to_record_reads_a_call_of_one_agent() -> None:
    """An inbound call's customer is the caller; the agent is the URL's, and no update is no update."""
    record = records_of(PAGE, Origin("sales", "talkover", "run-1", AT, "a-1", "Anna"))[1]
    assert (record.agent_id, record.agent_name) == ("a-1", "Anna")
    assert (record.direction, record.customer_number, record.is_test) == ("inbound", "+15550102", True)
    assert (record.status, record.updated_at) == ("answered", None)
    assert record.ended_at == datetime(2024, 1, 1, 1, 3, 0, 500_000, tzinfo=UTC)


def test_to_record_guesses_nothing() -> None:
    """Without a direction there is no customer; a word that is not known is kept as it is."""
    record = records_of(b'[{"id":"a","from":"+15550100","to":"+15550101","status":"Warm-Transfer"}]')[0]
    assert (record.direction, record.customer_number) == (None, None)
    assert (record.status, record.status_raw) == ("unknown", "Warm-Transfer")
    assert (record.agent_id, record.agent_name, record.duration_s, record.created_at) == (
        None,
        None,
        None,
        None,
    )


def test_agent_of_is_on_both_structs() -> None:
    """The walk of an account learns the agent from the key alone."""
    for wire in (TALKOVER.key_type, TALKOVER.call_type):
        calls, _ = TALKOVER.decode(PAGE, listing_of(PAGE), wire)
        assert [TALKOVER.agent_of(call) for call in calls] == ["agent-uuid-1", None]


def test_list_request_asks_for_an_agent_or_the_account() -> None:
    """An agent's calls have a path of their own, in which its id cannot lead elsewhere."""
    assert asked(None, AT, "a/b?").path == "/api/v1/agents/a%2Fb%3F/calls"
    assert asked(None, AT, "a/b?").agent_id == "a/b?"
    assert asked(None, AT, None).path == "/api/v1/calls"


def test_list_request_has_pages_days_and_filters() -> None:
    """Pages count from 1; filters go by their own names and are not encoded yet."""
    query = Query(Window("a", None, AT), {"search": "+15550100", "direction": "inbound"})
    assert TALKOVER.list_request(query, Cursor(2, 50)).query == (
        ("page", "3"), ("per_page", "50"), ("date_to", "2026-04-03"), ("direction", "inbound"), ("search", "+15550100"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        ((2026, 3, 1), (2026, 4, 1), ("2026-02-27", "2026-04-02")),
        ((2026, 3, 1, 12), (2026, 4, 1, 9, 59), ("2026-02-28", "2026-04-02")),
        ((2026, 3, 1, 23, 59), (2026, 4, 1, 10), ("2026-02-28", "2026-04-03")),
    ],
)
def test_list_request_asks_for_whole_days_of_any_zone(
    since: tuple[int, int, int], until: tuple[int, int, int], days: tuple[str, str]
) -> None:
    """The days are those of the window in the zone farthest off, and one more at each end."""
    query = dict(asked(datetime(*since, tzinfo=UTC), datetime(*until, tzinfo=UTC)).query)
    assert (query["date_from"], query["date_to"]) == days


def test_list_request_ends_with_the_calendar() -> None:
    """A range that cannot be widened is open."""
    query = asked(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)).query
    assert [name for name, _ in query] == ["page", "per_page"]


def test_classify_knows_the_documented_errors() -> None:
    """A wrong token ends the source, an agent that is gone ends that agent, a wrong filter is named."""
    refused = TALKOVER.classify(respond(401, b'{"success": false, "message": "Unauthorized"}'))
    gone = TALKOVER.classify(respond(404, b'{"success": false, "message": "Agent not found"}'))
    wrong = TALKOVER.classify(respond(422, b'{"success":false,"message":"x","errors":{"status":["x"]}}'))
    failed = TALKOVER.classify(respond(500, b'{"success": false, "message": "Internal server error."}'))
    assert isinstance(refused, AccessError)
    assert isinstance(gone, RejectedError)
    assert gone.is_about_agent
    assert "about status" in str(wrong)
    assert isinstance(failed, ServerError)


def test_classify_takes_the_wait_from_the_details() -> None:
    """One of the 429 bodies carries the wait in `error.details`, another nothing."""
    body = (
        b'{"success":false,"error":{"code":"RATE_LIMIT_EXCEEDED","message":"x","details":{"retry_after":30}}}'
    )
    told = TALKOVER.classify(respond(429, body))
    bare = TALKOVER.classify(respond(429, b'{"message":"Too Many Attempts."}'))
    assert isinstance(told, RateLimitError)
    assert told.retry_after_s == 30.0
    assert isinstance(bare, RateLimitError)
    assert bare.retry_after_s is None


def test_headers_carry_any_token() -> None:
    """Resellers have other prefixes, so the token is sent as it is."""
    assert TALKOVER.headers({"token": Secret("any_1")}) == {"Authorization": "Bearer any_1"}


def test_agents_are_listed_in_pages() -> None:
    """Agents have the calls' pages, with `meta`."""
    assert TALKOVER.agents_request(Cursor(1, 100)) == Request(
        "list agents", "/api/v1/agents", (("page", "2"), ("per_page", "100"))
    )
    body = (
        b'{"success":true,"data":[{"id":"a","name":"A","label":"L"}],'
        b'"meta":{"current_page":1,"per_page":1,"total":2,"last_page":2}}'
    )
    found = TALKOVER.read_agents(body)
    assert (found.agents, found.has_more, found.total) == ([Agent("a", "A")], True, 2)


def test_capabilities_tell_the_documented_limit() -> None:
    """The standard plan has 100 requests a minute."""
    assert TALKOVER.capabilities.rates == (Rate(100, 60.0),)
