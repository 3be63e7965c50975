"""BimpeAI, from bytes as in its document."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harvester.errors import AccessError, RateLimitError, RejectedError, UnsupportedError
from harvester.model import Agent, Cursor, Origin, Query, Request, Response, Secret, Window
from harvester.providers import PROVIDERS
from harvester.providers.records import to_record
from harvester.record import Record, Turn

BIMPE = PROVIDERS["bimpe"]
AT = datetime(2026, 4, 2, tzinfo=UTC)
ORIGIN = Origin("console", "bimpe", "run-1", AT, "agent-1", "Amaka")
CALL = b"""{ "id": "string", "source": "+15550100", "destination": "+15550101", "status": "ended",
"direction": "outbound",
"created_on": "2019-08-24T14:15:22Z",
"duration_seconds": 42, "is_test_call": true, "error_reason": "e", "end_reason": "r",
"ringing_at": "2019-08-24T14:15:23Z", "ended_at": "2019-08-24T14:16:22Z" }"""
META = b'{"total_count":41,"page_count":3,"current_page":2,"limit":20,"has_next_page":true,"has_previous_page":true}'
PAGE = b'{ "message": "Success", "data": [%s], "meta": %s}' % (CALL, META)


def record_of(row: bytes) -> Record:
    body = b"[%s]" % row
    calls, problems = BIMPE.decode(body, BIMPE.read_listing(body), BIMPE.call_type)
    assert problems == []
    return to_record(BIMPE, calls[0], None, ORIGIN)


def test_read_listing_reads_the_documented_page() -> None:
    """A page says its total, its size, its number and whether there are more."""
    listing = BIMPE.read_listing(PAGE)
    assert [bytes(row) for row in listing.rows] == [CALL]
    assert (listing.total, listing.size, listing.page, listing.has_more) == (41, 20, 1, True)


def test_read_listing_works_out_what_is_not_said() -> None:
    """Without `has_next_page` the number of pages says whether there are more."""
    listing = BIMPE.read_listing(b'{"data":[],"meta":{"page_count":3,"current_page":3,"has_next_page":null}}')
    assert (listing.total, listing.size, listing.page, listing.has_more) == (None, None, 2, False)


def test_to_record_reads_a_call() -> None:
    """`ended` is completed; the agent is the URL's; the customer of an outbound call is its destination."""
    assert record_of(CALL) == Record(
        provider="bimpe",
        source="console",
        call_id="string",
        agent_id="agent-1",
        agent_name="Amaka",
        direction="outbound",
        status="completed",
        status_raw="ended",
        is_test=True,
        from_number="+15550100",
        to_number="+15550101",
        customer_number="+15550101",
        created_at=datetime(2019, 8, 24, 14, 15, 22, tzinfo=UTC),
        ringing_at=datetime(2019, 8, 24, 14, 15, 23, tzinfo=UTC),
        ended_at=datetime(2019, 8, 24, 14, 16, 22, tzinfo=UTC),
        duration_s=42.0,
        error_reason="e",
        end_reason="r",
        fetched_at=AT,
        run_id="run-1",
    )


def test_to_record_reads_a_detail() -> None:
    """A detail has the two moments more, and what was said with its times; a message may be attachments alone."""
    logs = b"""[ { "id": "m1", "role": "assistant", "message": "Hello", "message_type": "text",
    "created_at": "2019-08-24T14:15:30Z" }, { "id": "m2", "role": "user", "created_at": "2019-08-24T14:15:35Z",
    "attachments": [ { "type": "image", "url": "https://example.com/a.png" } ] } ]"""
    more = (
        b'"started_at":"2019-08-24T14:15:23Z","answered_at":"2019-08-24T14:15:25Z","conversation_logs":%s}'
        % logs
    )
    body = b'{ "message": "Success", "data": %s, %s }' % (CALL[:-2], more)
    calls, problems = BIMPE.decode(body, BIMPE.read_detail(body), BIMPE.detail_type)
    record = to_record(BIMPE, calls[0], None, ORIGIN)
    assert problems == []
    assert (record.agent_id, record.status) == ("agent-1", "completed")
    assert record.started_at == datetime(2019, 8, 24, 14, 15, 23, tzinfo=UTC)
    assert record.answered_at == datetime(2019, 8, 24, 14, 15, 25, tzinfo=UTC)
    assert record.transcript == [
        Turn(role="agent", text="Hello", at=datetime(2019, 8, 24, 14, 15, 30, tzinfo=UTC)),
        Turn(role="user", at=datetime(2019, 8, 24, 14, 15, 35, tzinfo=UTC)),
    ]


def test_detail_request_is_of_one_agent() -> None:
    """A call is found below its agent."""
    asked = Request("get call", "/api/v1/console/agents/a%2F1/calls/c%3F", agent_id="a/1")
    assert BIMPE.detail_request("a/1", "c?") == asked


def test_latest_request_asks_for_the_newest_first() -> None:
    """The newest page is asked for by its sort; there is no filter by phone number."""
    request = BIMPE.latest_request("a/1", count=500, page=1)
    assert request.path == "/api/v1/console/agents/a%2F1/calls"
    assert request.query == (("page", "2"), ("limit", "100"), ("sort", "-created_on"))
    with pytest.raises(UnsupportedError, match="no filter by phone number"):
        BIMPE.latest_request("a", phone="+15550100")


@pytest.mark.parametrize(
    ("direction", "customer"), [("inbound", "+15550100"), ("outbound", "+15550101"), ("web", None)]
)
def test_to_record_finds_the_customer_by_the_direction(direction: str, customer: str | None) -> None:
    """The customer called, or was called; without a direction it is not known which."""
    row = f'{{"id":"a","source":"+15550100","destination":"+15550101","direction":"{direction}"}}'
    assert record_of(row.encode()).customer_number == customer


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", "queued"), ("ringing", "ringing"), ("answered", "answered"), ("ended", "completed"),
        ("busy", "busy"), ("failed", "failed"), ("cancelled", "canceled"), ("other", "unknown"),
    ],
)  # fmt: skip
def test_to_record_knows_the_statuses(word: str, status: str) -> None:
    """Each documented word has its common one."""
    assert record_of(f'{{"id":"a","status":"{word}"}}'.encode()).status == status


def test_decode_reads_created_on_as_the_creation() -> None:
    """The time of creation has another name here, also where a value is named as bad."""
    body = b'[{"id":"a","created_on":"2019-08-24T14:15:22Z"},{"id":"b","created_on":5,"created_at":"x"}]'
    keys, problems = BIMPE.decode(body, BIMPE.read_listing(body), BIMPE.key_type)
    assert [key.created_at for key in keys] == [datetime(2019, 8, 24, 14, 15, 22, tzinfo=UTC), None]
    assert [(problem.index, problem.field) for problem in problems] == [(1, "created_on")]
    assert BIMPE.agent_of(keys[0]) is None


def test_list_request_asks_for_the_oldest_first() -> None:
    """There is no range to ask for; the sort is by the field that the object has."""
    query = Query(Window("a/1", datetime(2026, 3, 1, tzinfo=UTC), AT), {"is_test_call": "false"})
    request = BIMPE.list_request(query, Cursor(0, 100))
    assert request.path == "/api/v1/console/agents/a%2F1/calls"
    assert request.query == (
        ("page", "1"),
        ("limit", "100"),
        ("sort", "created_on"),
        ("is_test_call", "false"),
    )


def test_classify_names_the_scope_that_is_missing() -> None:
    """A key without a scope is told which one, and nothing else of the sentence."""
    body = (
        b'{ "message": "This API key is missing the required scope: conversations:read.", "error": "Forbidden", '
        b'"code": "insufficient_scope", "statusCode": 403, "request_id": "3fa85f64" }'
    )
    error = BIMPE.classify(Response(403, {}, body, AT))
    assert isinstance(error, AccessError)
    assert (
        str(error)
        == "`api_key` lacks the scope conversations:read (403, insufficient_scope): add it to the key"
    )


def test_classify_names_no_scope_where_none_is_named() -> None:
    """A scope is a word and a word; a number after a colon is none."""
    body = (
        b'{"message":["ask tel:+15550100"],"error":"Forbidden","code":"insufficient_scope","statusCode":403}'
    )
    assert "lacks a scope (403" in str(BIMPE.classify(Response(403, {}, body, AT)))


@pytest.mark.parametrize("code", [b"rate_limited", b"too_many_requests"])
def test_classify_knows_both_words_for_a_limit(code: bytes) -> None:
    """Two codes ask to slow down."""
    body = b'{"message":"x","error":"Too Many Requests","code":"%s","statusCode":429}' % code
    for status in (429, 400):
        assert isinstance(BIMPE.classify(Response(status, {}, body, AT)), RateLimitError)


def test_classify_knows_the_documented_errors() -> None:
    """A wrong key ends the source; an agent that is gone ends that agent."""
    wrong = b'{ "message": "Invalid API key.", "error": "Unauthorized", "code": "api_key_invalid", "statusCode": 401 }'
    gone = b'{ "message": "Agent not found", "error": "Not Found", "code": "not_found", "statusCode": 404 }'
    refused, missing = (
        BIMPE.classify(Response(status, {}, body, AT)) for status, body in ((401, wrong), (404, gone))
    )
    assert isinstance(refused, AccessError)
    assert "(401, api_key_invalid)" in str(refused)
    assert isinstance(missing, RejectedError)
    assert missing.is_about_agent
    assert missing.is_gone


def test_agents_are_listed_in_pages() -> None:
    """Agents have the calls' envelope."""
    asked = Request("list agents", "/api/v1/console/agents", (("page", "1"), ("limit", "20")))
    assert BIMPE.agents_request(Cursor(0, 20)) == asked
    found = BIMPE.read_agents(b'{"message":"Success","data":[{"id":"a","name":"A"}],"meta":%s}' % META)
    assert (found.agents, found.has_more, found.total) == ([Agent("a", "A")], True, 41)


def test_headers_carry_a_bearer_token() -> None:
    """The key is sent as a bearer token."""
    assert BIMPE.headers({"api_key": Secret("sk_1")}) == {"Authorization": "Bearer sk_1"}
