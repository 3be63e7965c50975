"""AgentVoice, from bytes as in its document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from harvester.errors import AccessError, RejectedError, UnsupportedError
from harvester.model import Cursor, Origin, Query, Request, Response, Secret, Window
from harvester.providers import PROVIDERS
from harvester.providers.records import to_record
from harvester.record import Record, Turn

AGENTVOICE = PROVIDERS["agentvoice"]
AT = datetime(2026, 4, 2, tzinfo=UTC)
ORIGIN = Origin("voice", "agentvoice", "run-1", AT)
CALL = b"""{
"id": "a7e85eef-65b6-4311-b8f2-7d8bb7abd0ea",
"agent_id": "95cb3cab-de23-48ee-89c4-7341398f5cec",
"agent_name": "Sales Agent",
"contact_id": "123e4567-e89b-12d3-a456-426614174000",
"contact_first_name": "John",
"contact_last_name": "Doe",
"contact_email": "john@example.com",
"phone_number": "+15550100",
"phone_number_called_from": "+15550199",
"call_type": "outbound",
"status": "completed",
"call_success": true,
"went_to_voicemail": false,
"call_duration": 245,
"started_at": "2024-01-15T10:30:00.000Z",
"ended_at": "2024-01-15T10:34:05.000Z",
"ended_reason": "customer-ended-call",
"recording_url": "https://storage.example.com/recordings/abc123.mp3?token=x#y",
"campaign_id": "456e7890-e89b-12d3-a456-426614174000",
"campaign_name": "January Outreach",
"created_at": "2024-01-15T10:29:55.000Z"
}"""
PAGE = b'{"data": [%s], "pagination": {"total": 1901, "limit": 10, "offset": 20, "has_more": true}}' % CALL


def record_of(row: bytes) -> Record:
    body = b"[%s]" % row
    calls, problems = AGENTVOICE.decode(body, AGENTVOICE.read_listing(body), AGENTVOICE.call_type)
    assert problems == []
    return to_record(AGENTVOICE, calls[0], None, ORIGIN)


def query_of(agent: str | None = None, *, details: tuple[str, ...] = (), **filters: str) -> dict[str, str]:
    query = Query(Window(agent, datetime(2026, 3, 1, tzinfo=UTC), AT), filters, details)
    return dict(AGENTVOICE.list_request(query, Cursor(3, 25)).query)


def test_read_listing_reads_the_documented_page() -> None:
    """A page says its total, its size and whether there are more; its number follows from its offset."""
    listing = AGENTVOICE.read_listing(PAGE)
    assert [bytes(row) for row in listing.rows] == [CALL]
    assert (listing.total, listing.size, listing.page, listing.has_more) == (1901, 10, 2, True)


@pytest.mark.parametrize(
    ("paging", "page"),
    [
        ('{"limit":50,"offset":100}', 2), ('{"limit":0,"offset":0}', None), ('{"limit":null,"offset":0}', None),
        ('{"limit":10}', None), ('{"limit":"10","offset":"30"}', 3), ("[]", None), ("null", None),
    ],
)  # fmt: skip
def test_read_listing_goes_by_the_size_the_server_gave(paging: str, page: int | None) -> None:
    """The server may clamp `limit`: the number is that of its own pages, or none."""
    assert AGENTVOICE.read_listing(b'{"data":[],"pagination":%s}' % paging.encode()).page == page


def test_read_listing_takes_no_calls_for_an_empty_list() -> None:
    """The documented 404 "No calls found matching criteria" is an empty list."""
    body = b'{"error": "No calls found matching criteria"}'
    assert AGENTVOICE.classify(Response(404, {}, body, AT)) is None
    listing = AGENTVOICE.read_listing(body)
    assert (listing.rows, listing.total) == ([], 0)
    assert AGENTVOICE.decode(body, listing, AGENTVOICE.key_type) == ([], [])


def test_to_record_reads_an_outbound_call() -> None:
    """An outbound call goes from the originating number to the customer; the link has lost its signature."""
    assert record_of(CALL) == Record(
        provider="agentvoice",
        source="voice",
        call_id="a7e85eef-65b6-4311-b8f2-7d8bb7abd0ea",
        agent_id="95cb3cab-de23-48ee-89c4-7341398f5cec",
        agent_name="Sales Agent",
        direction="outbound",
        status="completed",
        status_raw="completed",
        from_number="+15550199",
        to_number="+15550100",
        customer_number="+15550100",
        contact_id="123e4567-e89b-12d3-a456-426614174000",
        contact_name="John Doe",
        contact_email="john@example.com",
        campaign_id="456e7890-e89b-12d3-a456-426614174000",
        campaign_name="January Outreach",
        created_at=datetime(2024, 1, 15, 10, 29, 55, tzinfo=UTC),
        started_at=datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
        ended_at=datetime(2024, 1, 15, 10, 34, 5, tzinfo=UTC),
        duration_s=245.0,
        success=True,
        voicemail=False,
        end_reason="customer-ended-call",
        recording_url="https://storage.example.com/recordings/abc123.mp3",
        fetched_at=AT,
        run_id="run-1",
    )


@pytest.mark.parametrize(
    ("call_type", "numbers"),
    [
        ("inbound", ("+15550100", None, "+15550100")),
        ("outbound", ("+15550199", "+15550100", "+15550100")),
        ("other", (None, None, "+15550100")),
    ],
)
def test_to_record_tells_numbers_by_the_direction(call_type: str, numbers: tuple[str | None, ...]) -> None:
    """`phone_number` is the customer's either way; what was dialled in an inbound call is not in the row."""
    row = b'{"id":"a","phone_number":"+15550100","phone_number_called_from":"+15550199","call_type":"%s"}'
    record = record_of(row % call_type.encode())
    assert (record.from_number, record.to_number, record.customer_number) == numbers


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [
        ('"A"', '"B"', "A B"),
        ('"A"', "null", "A"),
        ("null", '"B"', "B"),
        ('""', '""', None),
        ("null", "null", None),
    ],
)
def test_to_record_joins_what_there_is_of_a_name(first: str, last: str, name: str | None) -> None:
    """A contact's name is its parts, those that are there."""
    row = f'{{"id":"a","contact_first_name":{first},"contact_last_name":{last}}}'
    assert record_of(row.encode()).contact_name == name


def test_to_record_takes_the_summary_of_a_full_row() -> None:
    """`fields=full` adds a description of the call; what is undocumented in its shape spoils nothing."""
    row = b'{"id":"a","call_description":"They spoke.","transcript":"x","transcript_formatted":[{"x":1}],"notes":[]}'
    record = record_of(row)
    assert (record.summary, record.transcript, record.recording_url) == (
        "They spoke.",
        [Turn(text="x")],
        None,
    )


@pytest.mark.parametrize(
    ("text", "structured", "turns"),
    [
        ("null", "null", None),
        ('""', "null", []),
        ("null", "[]", []),
        ('"User: Hi"', "[]", [Turn(role="user", text="Hi")]),
        ('"User: Hi"', "null", [Turn(role="user", text="Hi")]),
        ('"User: Hi"', '[{"speaker":"user","text":"Hi","timestamp":4.25}]',
         [Turn(role="user", text="Hi", offset_s=4.25)]),
        ("null", '[{"role":"assistant","message":"Hi","time":"00:08"}]',
         [Turn(role="agent", text="Hi", offset_s=8.0)]),
        ("null", '"[00:08] Agent: Hi"', [Turn(role="agent", text="Hi", offset_s=8.0)]),
    ],
)  # fmt: skip
def test_to_record_prefers_the_structured_transcript(
    text: str, structured: str, turns: list[Turn] | None
) -> None:
    """The structured transcript has the times; where it has no turns, the text has them or says that there are none."""
    row = f'{{"id":"a","transcript":{text},"transcript_formatted":{structured}}}'
    assert record_of(row.encode()).transcript == turns


@pytest.mark.parametrize(
    ("row", "fields", "turns"),
    [
        (b'"transcript":"User: Hi","transcript_formatted":7', [], [Turn(role="user", text="Hi")]),
        (b'"transcript":null,"transcript_formatted":7', ["transcript_formatted"], None),
        (b'"transcript":7,"transcript_formatted":7', ["transcript", "transcript_formatted"], None),
        (b'"transcript":7,"transcript_formatted":[{"speaker":"user","text":"Hi"}]', ["transcript"],
         [Turn(role="user", text="Hi")]),
        (b'"transcript":"x","transcript_formatted":[{"text":7}]', ["transcript_formatted"], [Turn()]),
    ],
)  # fmt: skip
def test_decode_names_a_transcript_where_the_other_does_not_stand_in(
    row: bytes, fields: list[str], turns: list[Turn] | None
) -> None:
    """A structured transcript of unknown shape is no problem as long as there is the text."""
    body = b'[{"id":"a",%s},{"id":"b"}]' % row
    calls, problems = AGENTVOICE.decode(body, AGENTVOICE.read_listing(body), AGENTVOICE.call_type)
    assert [problem.field for problem in problems] == fields
    assert to_record(AGENTVOICE, calls[0], None, ORIGIN).transcript == turns


def test_detail_request_asks_for_all_there_is() -> None:
    """One call is asked for in full, by its id alone."""
    asked = Request("get call", "/api/calls/a%2F1", (("fields", "full"),))
    assert AGENTVOICE.detail_request(None, "a/1") == asked


def test_latest_request_asks_for_the_newest_call_alone() -> None:
    """For one call the API picks it; agent and phone number are filters."""
    assert AGENTVOICE.latest_request(None).query == (
        ("most_recent", "true"), ("order_by", "created_at"), ("order", "desc"), ("fields", "full"),
    )  # fmt: skip
    asked = dict(AGENTVOICE.latest_request("a/1", phone="+15550100").query)
    assert (asked["agent_id"], asked["phone_number"]) == ("a/1", "+15550100")


def test_latest_request_asks_for_several_as_a_page() -> None:
    """Several newest calls are the first page of a list, at most as large as pages get."""
    asked = dict(AGENTVOICE.latest_request(None, count=500, page=2).query)
    assert asked == {
        "limit": "100", "offset": "200", "order_by": "created_at", "order": "desc", "fields": "full",
    }  # fmt: skip
    assert "most_recent" not in dict(AGENTVOICE.latest_request(None, count=1, page=1).query)


def test_read_latest_takes_the_bare_call_and_no_call() -> None:
    """`most_recent` brings one object, or a 404 that says that nothing matches."""
    assert [bytes(row) for row in AGENTVOICE.read_latest(CALL).rows] == [CALL]
    assert AGENTVOICE.read_latest(b'{"error": "No calls found matching criteria"}').rows == []


@pytest.mark.parametrize("wire", [AGENTVOICE.key_type, AGENTVOICE.call_type])
def test_recording_of_is_the_link_as_sent(wire: type[Any]) -> None:
    """The link that opens the audio is in the row, signature and all."""
    link = "https://storage.example.com/recordings/abc123.mp3?token=x#y"
    for row, found in ((CALL, link), (b'{"id":"a"}', None), (b'{"id":"a","recording_url":""}', None)):
        calls, _ = AGENTVOICE.decode(row, AGENTVOICE.read_detail(row), wire)
        assert AGENTVOICE.recording_of(calls[0]) == found


def test_list_request_never_asks_for_a_range() -> None:
    """`from` and `to` act on the start of a call and would leave out those that never started."""
    assert query_of() == {"limit": "25", "offset": "75", "order_by": "created_at", "order": "asc"}


def test_list_request_has_agent_and_filters() -> None:
    """The agent is a parameter like the filters."""
    assert query_of("a/1", phone_number="+15550100", call_type="inbound") == {
        "limit": "25", "offset": "75", "order_by": "created_at", "order": "asc",
        "agent_id": "a/1", "call_type": "inbound", "phone_number": "+15550100",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("details", "payload"),
    [
        ((), {}),
        (("full",), {"fields": "full"}),
        (("transcript",), {"include": "transcript"}),
        (("actions", "metrics"), {"include": "actions,metrics"}),
        (("diagnostics", "full"), {"fields": "full", "include": "diagnostics"}),
    ],
)
def test_list_request_asks_for_details_on_the_list(details: tuple[str, ...], payload: dict[str, str]) -> None:
    """The full payload, or groups beside the light one, come with the rows."""
    asked = query_of(details=details)
    assert {name: asked[name] for name in asked.keys() & {"fields", "include"}} == payload


def test_headers_are_always_both() -> None:
    """Key and organisation go together."""
    headers = AGENTVOICE.headers({"api_key": Secret("k"), "organization_id": Secret("o")})
    assert headers == {"x-api-key": "k", "x-organization-id": "o"}


def test_classify_knows_the_documented_errors() -> None:
    """A wrong key ends the source; a wrong parameter is our fault."""
    refused = AGENTVOICE.classify(Response(401, {}, b'{"error":"Authentication failed"}', AT))
    wrong = AGENTVOICE.classify(Response(400, {}, b'{"error":"Invalid order_by parameter"}', AT))
    assert isinstance(refused, AccessError)
    assert "`api_key` and `organization_id`" in str(refused)
    assert isinstance(wrong, RejectedError)


def test_agents_cannot_be_listed() -> None:
    """There is no route for agents."""
    assert not AGENTVOICE.capabilities.lists_agents
    with pytest.raises(UnsupportedError, match="cannot list them"):
        AGENTVOICE.agents_request(Cursor(0, 1))
    with pytest.raises(UnsupportedError, match="cannot list them"):
        AGENTVOICE.read_agents(b"[]")
