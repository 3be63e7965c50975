"""TalkPilot, from bytes as in its document."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harvester.errors import AccessError, MalformedError, RateLimitError, RejectedError
from harvester.model import Agent, Cursor, Origin, Problem, Query, Rate, Request, Response, Secret, Window
from harvester.providers import PROVIDERS
from harvester.providers.records import to_record
from harvester.record import Record, Turn

TALKPILOT = PROVIDERS["talkpilot"]
AT = datetime(2026, 4, 2, tzinfo=UTC)
ORIGIN = Origin("desk", "talkpilot", "run-1", AT, "url-agent", "Front desk")
CALL = """{
  "id": "call-uuid-1",
  "call_id": "lk_call_abc123",
  "customer_name": "Hans Meier",
  "customer_request": "Frage zu Rechnung #1234",
  "phone_number": "+15550100",
  "duration": 180,
  "done": true,
  "general_success": true,
  "disconnection_reason": "user_hangup",
  "call_summary": "Kunde fragte nach Rechnung #1234. Agent konnte Frage beantworten … gut.",
  "employee": "Max Mustermann",
  "note": "Rueckruf vereinbart fuer Donnerstag",
  "is_purged": false,
  "deleted_at": "2026-03-21T00:00:00Z",
  "agent_id": "550e8400-e29b-41d4-a716-446655440000",
  "created_at": "2026-03-19T10:30:00Z",
  "updated_at": "2026-03-20T10:30:00.25Z"
}""".encode()
PAGE = b'{"data": [%s], "pagination": {"page": 1, "limit": 100, "total": 101, "pages": 2}}' % CALL


DETAIL = """{
  "id": "call-uuid-1",
  "final_score": 8,
  "disconnection_reason": "user_hangup",
  "transcript": "[{\\"role\\":\\"agent\\",\\"text\\":\\"Guten Tag…\\"},{\\"role\\":\\"user\\",\\"text\\":\\"Hallo\\"}]",
  "audio_file_url": "https://storage.example.com/calls/abc123.wav?token=x",
  "is_purged": false,
  "agent_id": "550e8400-e29b-41d4-a716-446655440000",
  "created_at": "2026-03-19T10:30:00Z"
}""".encode()


def detail_of(row: bytes) -> tuple[Record, list[Problem]]:
    calls, problems = TALKPILOT.decode(row, TALKPILOT.read_detail(row), TALKPILOT.detail_type)
    return to_record(TALKPILOT, calls[0], "detail", ORIGIN, "row"), problems


def record_of(row: bytes) -> Record:
    body = b"[%s]" % row
    calls, problems = TALKPILOT.decode(body, TALKPILOT.read_listing(body), TALKPILOT.call_type)
    assert problems == []
    return to_record(TALKPILOT, calls[0], None, ORIGIN)


def range_of(since: datetime | None, until: datetime) -> tuple[str | None, str | None]:
    query = dict(TALKPILOT.list_request(Query(Window("a", since, until)), Cursor(0, 100)).query)
    return query.get("from"), query.get("to")


def test_read_listing_reads_the_documented_page() -> None:
    """A page says its total, its size, its number and how many there are."""
    listing = TALKPILOT.read_listing(PAGE)
    assert [bytes(row) for row in listing.rows] == [CALL]
    assert (listing.total, listing.size, listing.page, listing.has_more) == (101, 100, 0, True)


def test_read_listing_takes_an_empty_list() -> None:
    """An empty list has no page, and its first is the last."""
    listing = TALKPILOT.read_listing(b'{"data":[],"pagination":{"page":1,"limit":100,"total":0,"pages":0}}')
    assert (listing.rows, listing.total, listing.has_more) == ([], 0, False)


def test_read_listing_refuses_an_error_in_a_success() -> None:
    """An error object with status 200 is an error, worth another try."""
    with pytest.raises(MalformedError):
        TALKPILOT.read_listing(b'{"error":{"code":"INTERNAL_ERROR","message":"x","request_id":"r"}}')


def test_to_record_reads_a_call() -> None:
    """The start is the creation, the status comes from the end, and no direction is made up."""
    at = datetime(2026, 3, 19, 10, 30, tzinfo=UTC)
    assert record_of(CALL) == Record(
        provider="talkpilot",
        source="desk",
        call_id="call-uuid-1",
        external_id="lk_call_abc123",
        agent_id="550e8400-e29b-41d4-a716-446655440000",
        agent_name="Front desk",
        status="completed",
        status_raw="user_hangup",
        customer_number="+15550100",
        contact_name="Hans Meier",
        created_at=at,
        started_at=at,
        updated_at=datetime(2026, 3, 20, 10, 30, 0, 250_000, tzinfo=UTC),
        deleted_at=datetime(2026, 3, 21, tzinfo=UTC),
        duration_s=180.0,
        success=True,
        is_purged=False,
        end_reason="user_hangup",
        summary="Kunde fragte nach Rechnung #1234. Agent konnte Frage beantworten … gut.",
        fetched_at=AT,
        run_id="run-1",
    )


def test_to_record_reads_a_detail() -> None:
    """A detail has the score, the turns, and the link less its signature; the list row stands beside it."""
    record, problems = detail_of(DETAIL)
    assert problems == []
    assert (record.call_id, record.status, record.score) == ("call-uuid-1", "completed", 8.0)
    assert record.transcript == [Turn(role="agent", text="Guten Tag…"), Turn(role="user", text="Hallo")]
    assert record.recording_url == "https://storage.example.com/calls/abc123.wav"
    assert (record.raw, record.raw_list) == ("detail", "row")


@pytest.mark.parametrize(
    ("transcript", "turns", "reason"),
    [
        ("null", None, None),
        ('""', [], None),
        ('"[]"', [], None),
        (r'"[{\"role\":\"agent\""', None, "not JSON: Expecting ',' delimiter"),
        ('"Agent: Hello"', None, "not JSON: Expecting value"),
        (r'"{\"role\":\"agent\"}"', None, "no list of turns"),
    ],
)
def test_decode_names_a_transcript_that_is_broken(
    transcript: str, turns: list[Turn] | None, reason: str | None
) -> None:
    """JSON that is broken within its string costs the transcript, and nothing else of the call."""
    record, problems = detail_of(f'{{"id":"a","final_score":7.5,"transcript":{transcript}}}'.encode())
    assert (record.score, record.transcript) == (7.5, turns)
    assert problems == ([Problem(0, "transcript", reason)] if reason else [])


def test_detail_request_is_of_one_agent() -> None:
    """A call is found below its agent."""
    asked = Request("get call", "/v1/agents/a%2F1/calls/c%3F", agent_id="a/1")
    assert TALKPILOT.detail_request("a/1", "c?") == asked


def test_latest_request_is_the_first_page() -> None:
    """The newest come first, whatever is asked: there is no range, and the phone number is a filter."""
    request = TALKPILOT.latest_request("a/1", phone="+15550100", count=500)
    assert request.path == "/v1/agents/a%2F1/calls"
    assert request.query == (("page", "1"), ("limit", "100"), ("phone_number", "+15550100"))
    assert dict(TALKPILOT.latest_request("a", count=3, page=1).query) == {"page": "2", "limit": "3"}


def test_a_purged_call_has_no_detail() -> None:
    """A row that is purged says that nothing is to be had, whatever it is decoded to."""
    for wire in (TALKPILOT.key_type, TALKPILOT.call_type, TALKPILOT.detail_type):
        rows = b'[{"id":"a","is_purged":true},{"id":"b","is_purged":false},{"id":"c"}]'
        calls, _ = TALKPILOT.decode(rows, TALKPILOT.read_listing(rows), wire)
        assert [TALKPILOT.has_no_detail(call) for call in calls] == [True, False, False]


def test_recording_of_is_the_link_of_a_detail() -> None:
    """The link that opens the audio is in the detail, signature and all; the list has none."""
    kinds = (TALKPILOT.key_type, TALKPILOT.call_type, TALKPILOT.detail_type)
    links = []
    for wire in kinds:
        calls, _ = TALKPILOT.decode(DETAIL, TALKPILOT.read_detail(DETAIL), wire)
        links.append(TALKPILOT.recording_of(calls[0]))
    signed = "https://storage.example.com/calls/abc123.wav?token=x"
    assert links == [signed, None, signed]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ('"user_hangup"', "completed"), ('"agent_hangup"', "completed"), ('"call_transfer"', "completed"),
        ('"busy"', "busy"), ('"no_answer"', "no_answer"), ('"dial_error"', "failed"), ('"unknown"', "unknown"),
        ('"Agent-Hangup"', "completed"), ('"completed"', "unknown"), ("null", "unknown"),
    ],
)  # fmt: skip
def test_to_record_reads_the_status_from_the_end(reason: str, status: str) -> None:
    """Why a call ended says how it went; another reason, or none, says nothing."""
    record = record_of(f'{{"id":"a","disconnection_reason":{reason}}}'.encode())
    assert record.status == status
    assert record.status_raw == record.end_reason == (None if reason == "null" else reason.strip('"'))


@pytest.mark.parametrize(
    ("since", "until", "asked"),
    [
        (
            datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC),
            ("2026-02-28T23:59:59Z", "2026-04-01T00:00:01Z"),
        ),
        (
            datetime(2026, 3, 1, 1, 2, 3, 999_999, tzinfo=UTC), datetime(2026, 4, 1, 1, 2, 3, 1, tzinfo=UTC),
            ("2026-03-01T01:02:02Z", "2026-04-01T01:02:05Z"),
        ),
        (None, datetime(987, 1, 1, tzinfo=UTC), (None, "0987-01-01T00:00:01Z")),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), (None, None)),
    ],
)  # fmt: skip
def test_list_request_asks_for_a_second_more(
    since: datetime | None, until: datetime, asked: tuple[str | None, str | None]
) -> None:
    """The range is in whole seconds, a second wider at each end; beyond the calendar it is open."""
    assert range_of(since, until) == asked


def test_list_request_is_of_one_agent() -> None:
    """The path has the agent; filters go by their own names."""
    query = Query(Window("a/1", None, AT), {"include_deleted": "true", "done": "false"})
    request = TALKPILOT.list_request(query, Cursor(1, 100))
    assert request.path == "/v1/agents/a%2F1/calls"
    assert request.query == (
        ("page", "2"), ("limit", "100"), ("to", "2026-04-02T00:00:01Z"), ("done", "false"), ("include_deleted", "true"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code"), [(403, b"AGENT_NOT_ACCESSIBLE"), (404, b"AGENT_NOT_ACCESSIBLE"), (404, b"NOT_FOUND")]
)
def test_classify_knows_an_agent_out_of_reach(status: int, code: bytes) -> None:
    """Newer servers name the agent in a 403, older ones answer 404: either ends that agent only."""
    body = b'{"error":{"code":"%s","message":"Agent 7f3c is not accessible","request_id":"r"}}' % code
    error = TALKPILOT.classify(Response(status, {}, body, AT))
    assert isinstance(error, RejectedError)
    assert error.is_about_agent
    assert error.is_gone == (code == b"NOT_FOUND")
    assert "7f3c" not in str(error)


def test_classify_knows_a_key_that_may_not() -> None:
    """Any other 403 is about the key."""
    error = TALKPILOT.classify(Response(403, {}, b'{"error":{"code":"FORBIDDEN","message":"x"}}', AT))
    assert isinstance(error, AccessError)
    assert "(403, FORBIDDEN)" in str(error)


@pytest.mark.parametrize("status", [200, 400, 429])
def test_classify_knows_a_limit_under_any_status(status: int) -> None:
    """`RATE_LIMITED` is a limit, whatever the status."""
    body = b'{"error":{"code":"RATE_LIMITED","message":"x","request_id":"r"}}'
    assert isinstance(TALKPILOT.classify(Response(status, {}, body, AT)), RateLimitError)


def test_agents_are_listed_in_pages() -> None:
    """Agents have the calls' envelope."""
    assert TALKPILOT.agents_request(Cursor(0, 100)) == Request(
        "list agents", "/v1/agents", (("page", "1"), ("limit", "100"))
    )
    body = b'{"data":[{"id":"a","name":"A"}],"pagination":{"page":1,"limit":100,"total":1,"pages":1}}'
    found = TALKPILOT.read_agents(body)
    assert (found.agents, found.has_more, found.total) == ([Agent("a", "A")], False, 1)


def test_both_limits_are_told_at_once() -> None:
    """A key has 60 requests a minute and 1,000 an hour."""
    assert TALKPILOT.capabilities.rates == (Rate(60, 60.0), Rate(1000, 3600.0))


def test_headers_carry_the_key() -> None:
    """The key has a header of its own."""
    assert TALKPILOT.headers({"api_key": Secret("k")}) == {"X-API-Key": "k"}
