"""What every provider keeps to, whichever it is: one suite over the registry."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.errors import (
    AccessError,
    MalformedError,
    ProviderError,
    RateLimitError,
    RejectedError,
    ServerError,
    UnsupportedError,
    UsageError,
)
from harvester.model import Cursor, Listing, Origin, Query, Request, Response, Secret, Window
from harvester.providers import PROVIDERS, check_filters
from harvester.providers.base import Provider
from harvester.providers.records import to_record
from harvester.record import Record, utc
from harvester.sandbox import SandboxConfig, World

AT = datetime(2026, 4, 1, 12, 30, 15, 250_000, tzinfo=UTC)
ORIGIN = Origin("src", "name", "run-1", AT, "agent-1", "Agent")

# How each API says of a page that it is the second of three, of 50 rows each, with 120 in all.
PAGING: dict[str, tuple[str, dict[str, object]]] = {
    "talkover": ("pagination", {"current_page": 2, "last_page": 3, "per_page": 50, "total": 120, "from": 51}),
    "agentvoice": ("pagination", {"offset": 50, "limit": 50, "total": 120, "has_more": True}),
    "talkpilot": ("pagination", {"page": 2, "pages": 3, "limit": 50, "total": 120}),
    "bimpe": ("meta", {"current_page": 2, "page_count": 3, "limit": 50, "total_count": 120, "has_next_page": True}),
}  # fmt: skip

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(
        ["inbound", "OUTBOUND", "No-Answer", "user_hangup", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00",
         "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "https://example.com/a?b#c", "\ud83d"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "x"]), inner),
    max_leaves=4,
)  # fmt: skip
MOMENTS = st.datetimes(timezones=st.just(UTC))


@pytest.fixture(params=PROVIDERS.values(), ids=list(PROVIDERS), scope="module")
def provider(request: pytest.FixtureRequest) -> Provider:
    found: Provider = request.param
    return found


def body_of(provider: Provider, rows: list[object], **paging: object) -> bytes:
    key, told = PAGING[provider.capabilities.name]
    return json.dumps({"success": True, "message": "Success", "data": rows, key: {**told, **paging}}).encode()


def wire_fields(provider: Provider) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(provider.call_type)}


def decode(provider: Provider, body: bytes, wire: type[Any] | None = None) -> tuple[list[Any], list[Any]]:
    return provider.decode(body, provider.read_listing(body), wire or provider.call_type)


def respond(status: int, body: bytes) -> Response:
    return Response(status, {}, body, AT)


def window(provider: Provider, since: datetime | None, until: datetime) -> Query:
    return Query(Window("agent/1", since, until))


# -- listings ----------------------------------------------------------------------------------------------------


def test_read_listing_reads_what_a_page_says_of_itself(provider: Provider) -> None:
    """Total, size, number from 0 and whether there are more are read from the API's own words."""
    listing = provider.read_listing(body_of(provider, [{"id": "a"}]))
    assert (listing.total, listing.size, listing.page, listing.has_more) == (120, 50, 1, True)


def test_read_listing_takes_numbers_as_floats_or_digits(provider: Provider) -> None:
    """A number is one, whether it comes as an integer, a float or in quotes."""
    for form in (float, str):
        told = {
            key: form(value)
            for key, value in PAGING[provider.capabilities.name][1].items()
            if type(value) is int
        }
        listing = provider.read_listing(body_of(provider, [], **told))
        assert (listing.total, listing.size, listing.page, listing.has_more) == (120, 50, 1, True)


@pytest.mark.parametrize("nonsense", [None, True, -5, 1.5, "many", [], {}, 2**80])
def test_read_listing_takes_nonsense_for_nothing_said(provider: Provider, nonsense: object) -> None:
    """Paging of the wrong type is None, and no failure."""
    told = dict.fromkeys(PAGING[provider.capabilities.name][1], nonsense)
    listing = provider.read_listing(body_of(provider, [{"id": "a"}], **told))
    assert (listing.total, listing.size, listing.page) == (None, None, None)
    assert listing.has_more is None or nonsense is True
    assert len(listing.rows) == 1


@pytest.mark.parametrize("nonsense", [None, True, 5, "x", []])
def test_read_listing_does_without_any_paging(provider: Provider, nonsense: object) -> None:
    """An envelope whose paging is absent, or no object, has rows alone."""
    key, _ = PAGING[provider.capabilities.name]
    for body in ({"data": [{"id": "a"}], key: nonsense}, {"data": [{"id": "a"}]}):
        listing = provider.read_listing(json.dumps(body).encode())
        assert listing == Listing(listing.rows)
        assert len(listing.rows) == 1


def test_read_listing_takes_a_bare_array(provider: Provider) -> None:
    """Rows without an envelope are rows, of which nothing is said."""
    body = b' [{"id":"a"}, {"id":"b"}]'
    listing = provider.read_listing(body)
    assert listing == Listing(listing.rows)
    assert [bytes(row) for row in listing.rows] == [b'{"id":"a"}', b'{"id":"b"}']
    assert [call.id for call in decode(provider, body)[0]] == ["a", "b"]


def test_read_listing_takes_an_empty_list(provider: Provider) -> None:
    """No rows are no failure, with an envelope or without."""
    for body in (b"[]", b'{"data":[]}', body_of(provider, [])):
        assert provider.read_listing(body).rows == []
        assert decode(provider, body) == ([], [])


def test_read_listing_takes_an_empty_list_answered_as_404(provider: Provider) -> None:
    """A 404 that says there are no calls is an empty listing."""
    body = b'{"success":false,"message":"No calls found"}'
    assert provider.classify(respond(404, body)) is None
    assert provider.read_listing(body) == Listing([], total=0)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html><body>Sign in</body></html>", b'{"data":[{"id":"a"},{"id', b'[{"id":"a"}', b"null", b"3",
        b'{"data":null}', b'{"data":{}}', b"{}", b'{"success":true}', b'{"success":false,"data":[]}',
        b'{"success":false,"message":"Internal server error."}', b'{"error":{"code":"X","message":"y"}}',
        b'{"error":"Unauthorized","statusCode":401}', b'{"id":"a"}',
    ],
)  # fmt: skip
def test_read_listing_refuses_what_is_no_list(provider: Provider, body: bytes) -> None:
    """A web page, half a JSON, a failure in a 200 or an envelope without rows is asked for again."""
    assert provider.classify(respond(200, body)) is None
    with pytest.raises(MalformedError) as caught:
        provider.read_listing(body)
    assert caught.value.is_retryable


@settings(deadline=None)  # a busy machine is no failure
@given(JSON)
@example({"data": {"data": []}})
def test_read_listing_raises_malformed_or_nothing(provider: Provider, value: object) -> None:
    """Whatever JSON an answer is, it is a listing or malformed."""
    for body in (json.dumps(value), json.dumps({"data": value})):
        try:
            listing = provider.read_listing(body.encode())
        except MalformedError:
            continue
        assert isinstance(listing.rows, list)


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=60))
def test_answers_of_any_bytes_are_survived(provider: Provider, body: bytes) -> None:
    """No bytes lead to anything but a listing, an error of ours, or a verdict."""
    for status in (200, 404, 500):
        verdict = provider.classify(respond(status, body))
        assert verdict is None or isinstance(verdict, ProviderError)
    with suppress(MalformedError):
        provider.decode(body, provider.read_listing(body), provider.call_type)


# -- rows --------------------------------------------------------------------------------------------------------


def test_decode_takes_fields_that_no_document_knows(provider: Provider) -> None:
    """New fields spoil nothing, on the fast way and the slow."""
    new = {"id": "a", "new_field": {"deep": [1, None, "\ud83d"]}, "": 0}
    for row in ({**new, "new_field": 1}, new):
        for wire in (provider.key_type, provider.call_type):
            calls, problems = decode(provider, body_of(provider, [row]), wire)
            assert (calls[0].id, problems) == ("a", [])


def test_decode_takes_null_everywhere(provider: Provider) -> None:
    """A row may have nothing but its id."""
    nulls = dict.fromkeys([*provider.columns, *wire_fields(provider)]) | {"id": "a"}
    for row in (nulls, {"id": "a"}):
        calls, problems = decode(provider, body_of(provider, [row]))
        assert problems == []
        record = to_record(provider, calls[0], None, Origin("src", "name", "run-1", AT))
        told = {key: value for key, value in msgspec.structs.asdict(record).items() if value is not None}
        assert told == {
            "provider": "name", "source": "src", "call_id": "a", "status": "unknown", "version": 1,
            "fetched_at": AT, "run_id": "run-1",
        }  # fmt: skip


def test_decode_keeps_each_wrong_type_to_itself(provider: Provider) -> None:
    """A value of the wrong type is None and has its Problem, by its name on the wire; the others are there."""
    names = [name for name in wire_fields(provider) if name != "id"]
    rows = [{"id": name, name: ["wrong"]} for name in names]
    calls, problems = decode(provider, body_of(provider, [*rows, {"id": "good"}]))
    assert [call.id for call in calls] == [*names, "good"]
    assert [(problem.index, problem.field) for problem in problems] == list(enumerate(names))
    assert all(call == provider.call_type(call.id) for call in calls)
    for call in calls:
        to_record(provider, call, None, ORIGIN)


def test_decode_keeps_half_a_character_to_itself(provider: Provider) -> None:
    """An emoji cut in half costs the value it is in, and its row is byte for byte what was sent."""
    names = [name for name, field in wire_fields(provider).items() if field.type == str | None]
    body = body_of(provider, [{"id": "a", names[0]: "\ud83d"}, {"id": "b", names[0]: "x"}])
    listing = provider.read_listing(body)
    assert bytes(listing.rows[0]) == json.dumps({"id": "a", names[0]: "\ud83d"}).encode()
    assert (listing.total, listing.page) == (120, 1)
    calls, problems = provider.decode(body, listing, provider.call_type)
    assert [call.id for call in calls] == ["a", "b"]
    assert [(problem.index, problem.field) for problem in problems] == [(0, names[0])]


def test_decode_keeps_a_row_that_is_no_call_to_itself(provider: Provider) -> None:
    """A row that is no object, or has no id, is None in its place, with a Problem for the whole of it."""
    body = body_of(provider, [{"id": "a"}, None, "x", 5, ["id"], {}, {"id": None}, {"id": ""}, {"id": 7}])
    for wire in (provider.key_type, provider.call_type):
        calls, problems = decode(provider, body, wire)
        assert [call and call.id for call in calls] == ["a", *[None] * 7, "7"]
        assert [(problem.index, problem.field) for problem in problems] == [
            (index, None) for index in range(1, 8)
        ]


def test_key_and_call_say_the_same(provider: Provider) -> None:
    """Walking on keys alone finds the ids, times and agents that the calls have."""
    created = next(name for name, field in wire_fields(provider).items() if field.name == "created_at")
    rows: list[object] = [
        {"id": "a", created: "2026-03-01T10:00:00+02:00", "agent_id": "x", "agent": {"id": "x", "name": "n"}},
        {"id": "b", created: "2026-03-01 10:00:00.5"},
        {"id": "c", created: 5, "agent_id": 5, "agent": {"id": 5}},
    ]
    body = body_of(provider, rows)
    keys, calls = (decode(provider, body, kind)[0] for kind in (provider.key_type, provider.call_type))
    for key, call in zip(keys, calls, strict=True):
        assert (key.id, key.created_at, provider.agent_of(key)) == (
            call.id,
            call.created_at,
            provider.agent_of(call),
        )


@settings(deadline=None)  # a busy machine is no failure
@given(st.data())
def test_to_record_never_raises(provider: Provider, data: st.DataObject) -> None:
    """Any JSON in any field makes a record that fits its own types, with `created_at` as the walk sees it."""
    names = [name for name in wire_fields(provider) if name != "id"]
    row = {"id": "a"} | {name: data.draw(JSON, name) for name in data.draw(st.sets(st.sampled_from(names)))}
    calls, _ = decode(provider, body_of(provider, [row]))
    record = to_record(provider, calls[0], json.dumps(row), ORIGIN)
    assert msgspec.convert(msgspec.to_builtins(record), Record) == record
    assert record.created_at == utc(calls[0].created_at)
    assert record.raw == json.dumps(row)
    keys, _ = decode(provider, body_of(provider, [row]), provider.key_type)
    assert keys[0].created_at == calls[0].created_at


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.fixed_dictionaries({"id": JSON}, optional={"x": JSON}), max_size=4))
def test_decode_gives_each_row_its_place(provider: Provider, rows: list[dict[str, object]]) -> None:
    """There are as many structs as rows; a row is None exactly where it has a Problem as a whole."""
    calls, problems = decode(provider, body_of(provider, list(rows)))
    assert len(calls) == len(rows)
    assert {index for index, call in enumerate(calls) if call is None} == {
        problem.index for problem in problems if problem.field is None
    }


def test_to_record_copies_the_origin(provider: Provider) -> None:
    """What all rows of a page share is in every record."""
    record = to_record(provider, provider.call_type("a"), "raw", ORIGIN)
    assert (record.provider, record.source, record.run_id, record.fetched_at) == ("name", "src", "run-1", AT)
    assert (record.agent_id, record.agent_name, record.raw, record.raw_list) == (
        "agent-1",
        "Agent",
        "raw",
        None,
    )


# -- details -----------------------------------------------------------------------------------------------------


GETTERS = [name for name, one in PROVIDERS.items() if one.capabilities.can_get]


@pytest.fixture(params=GETTERS, scope="module")
def getter(request: pytest.FixtureRequest) -> Provider:
    return PROVIDERS[request.param]


HEARD = """[{"role":"agent","text":"Guten Tag…"},{"role":"user","text":"Hallo"}]"""


def detail_body(row: bytes, form: str) -> bytes:
    return row if form == "bare" else b'{"message":"Success","data":%s}' % row


@pytest.mark.parametrize("form", ["bare", "data"])
def test_read_detail_cuts_a_call_byte_for_byte(getter: Provider, form: str) -> None:
    """Either form is one row, also with half a character in it, and decodes like a row of a list."""
    for row in (b'{"id":"a" ,"new":[{"data":[]}]}', rb'{"id":"a","new":"\ud83d"}'):
        body = detail_body(row, form)
        listing = getter.read_detail(body)
        assert [bytes(cut) for cut in listing.rows] == [row]
        for wire in (getter.key_type, getter.call_type, getter.detail_type):
            assert getter.decode(body, listing, wire) == ([wire("a")], [])


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'[{"id":"a"}]', b'{"data":[{"id":"a"}]}', b'{"success":false,"message":"x"}', b"{}", b"null",
        b'{"success":false,"data":{"id":"a"}}', b"<html><body>Sign in</body></html>", b'{"data":{"id":"a"',
    ],
)  # fmt: skip
def test_read_detail_refuses_what_is_no_call(getter: Provider, body: bytes) -> None:
    """A list, a failure in a success, a web page or half an answer is asked for again."""
    with pytest.raises(MalformedError) as caught:
        getter.read_detail(body)
    assert caught.value.is_retryable


def test_a_detail_without_an_id_is_a_row_that_is_no_call(getter: Provider) -> None:
    """Decoding says that it has none; the answer stays to be looked at."""
    body = b'{"data":{"status":"x"}}'
    calls, problems = getter.decode(body, getter.read_detail(body), getter.detail_type)
    assert calls == [None]
    assert [problem.field for problem in problems] == [None]


def test_detail_type_has_all_that_a_row_has(provider: Provider) -> None:
    """A detail makes the record that the list row makes, and more of it."""
    rows = {field.encode_name for field in msgspec.structs.fields(provider.call_type)}
    detail = {field.encode_name for field in msgspec.structs.fields(provider.detail_type)}
    assert rows <= detail <= set(provider.columns)
    if provider.capabilities.recordings == "detail":
        assert provider.recording_of(provider.call_type("a")) is None


@settings(deadline=None)  # a busy machine is no failure
@given(st.data())
def test_details_never_raise(getter: Provider, data: st.DataObject) -> None:
    """Any JSON in any field of a detail makes a record that fits its own types, and a verdict of each kind."""
    names = [field.encode_name for field in msgspec.structs.fields(getter.detail_type) if field.name != "id"]
    heard = JSON | JSON.map(json.dumps) | st.just(HEARD)
    row = {"id": "a"} | {name: data.draw(heard, name) for name in data.draw(st.sets(st.sampled_from(names)))}
    body = json.dumps(row).encode()
    found = []
    for wire in (getter.key_type, getter.call_type, getter.detail_type):
        [call], problems = getter.decode(body, getter.read_detail(body), wire)
        assert {problem.field for problem in problems} <= row.keys()
        assert isinstance(getter.has_no_detail(call), bool)
        assert isinstance(getter.recording_of(call), str | None)
        found.append(call)
    record = to_record(getter, found[-1], "raw", ORIGIN, "row")
    assert msgspec.convert(msgspec.to_builtins(record), Record) == record
    assert (record.raw, record.raw_list) == ("raw", "row")


def test_details_of_the_sandbox_are_read_whole(getter: Provider) -> None:
    """Every call that the sandbox makes up has no problem, and as many turns as were written."""
    turns = 0
    for truth in islice(World(SandboxConfig()).account(getter.capabilities.name).rows(None, "detail"), 80):
        body = b'{"data":%s}' % truth.raw if turns % 2 else truth.raw
        listing = getter.read_detail(body)
        assert bytes(listing.rows[0]) == truth.raw
        [call], problems = getter.decode(body, listing, getter.detail_type)
        assert problems == []
        record = to_record(getter, call, None, ORIGIN)
        assert (record.call_id, record.created_at) == (truth.call_id, truth.created_at)
        assert all(turn.role in {"agent", "user"} for turn in record.transcript or [])
        assert "?" not in (record.recording_url or "")
        turns += len(record.transcript or []) + 1
    assert turns > 160


def test_to_record_carries_both_rows(provider: Provider) -> None:
    """A detail's record has the list row beside it; a list row's has none."""
    for wire in (provider.call_type, provider.detail_type):
        assert to_record(provider, wire("a"), "detail", ORIGIN, "row").raw_list == "row"
        assert to_record(provider, wire("a"), "row", ORIGIN).raw_list is None


def test_what_no_detail_can_add_is_not_guessed(provider: Provider) -> None:
    """A row with nothing but its id asks for its detail, where there are any, and links no recording."""
    for wire in (provider.key_type, provider.call_type, provider.detail_type):
        assert provider.has_no_detail(wire("a")) == (provider.capabilities.details == "none")
        assert provider.recording_of(wire("a")) is None


def test_detail_request_is_one_segment_deep(getter: Provider) -> None:
    """No id leads beside the call: its path is as long as any other's, and has no query of its own."""
    plain = getter.detail_request("agent", "call")
    assert (plain.endpoint, plain.method, plain.agent_id) == ("get call", "GET", "agent")
    for hostile in ("../x", "..", ".", "a?b=c", "a#b", "a/b", "\0", "%2F", "a\nb", "é"):
        request = getter.detail_request(hostile, hostile)
        assert request.path.count("/") == plain.path.count("/")
        assert urlsplit(request.path).path == request.path
        assert not {".", ".."} & set(request.path.split("/"))
        assert request.query == plain.query
    for unsendable in ("", "\ud83d"):
        with pytest.raises(UsageError, match="the call's id is"):
            getter.detail_request("agent", unsendable)


def test_detail_request_wants_an_agent_unless_the_account_is_one_list(getter: Provider) -> None:
    """Where calls are listed agent by agent they are found so too."""
    if getter.capabilities.walks_account:
        assert getter.detail_request(None, "a").agent_id is None
        return
    with pytest.raises(UnsupportedError, match="name the agent"):
        getter.detail_request(None, "a")


def test_what_cannot_be_got_is_unsupported(provider: Provider) -> None:
    """Capabilities say beforehand what is refused, and the refusal says what to do instead."""
    can = provider.capabilities
    if not can.can_get:
        for ask in (lambda: provider.detail_request("a", "b"), lambda: provider.read_detail(b'{"id":"a"}')):
            with pytest.raises(UnsupportedError, match="export"):
                ask()
    if can.latest == "range":
        for ask in (lambda: provider.latest_request("a"), lambda: provider.read_latest(b"[]")):
            with pytest.raises(UnsupportedError, match="ranges"):
                ask()


def test_latest_is_read_from_the_newest(provider: Provider) -> None:
    """What is asked for as the newest is a page of at most the size there is; its rows are cut in their order."""
    can = provider.capabilities
    if can.latest == "range":
        return
    for count in (1, 3, 1000):
        asked = dict(provider.latest_request("a", count=count).query)
        assert "most_recent" in asked or int(asked["limit"]) == min(count, can.max_page_size)
    listing = provider.read_latest(body_of(provider, [{"id": "b"}, {"id": "a"}]))
    assert [bytes(row) for row in listing.rows] == [b'{"id": "b"}', b'{"id": "a"}']
    assert provider.read_latest(b'{"message":"No calls found"}').rows == []
    with pytest.raises(MalformedError):
        provider.read_latest(b"<html>")


def test_latest_asks_for_a_phone_number_by_a_filter(provider: Provider) -> None:
    """The filter that the capabilities name is one of the filters, and reaches the query."""
    can = provider.capabilities
    assert can.phone_filter is None or can.filters[can.phone_filter].is_personal
    if can.latest == "range":
        return
    if can.phone_filter is None:
        with pytest.raises(UnsupportedError, match="--phone"):
            provider.latest_request("a", phone="+15550100")
        return
    request = provider.latest_request("a", phone="+15550100", count=2)
    assert dict(request.query)[can.phone_filter] == "+15550100"


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b'{"message":"x"}', b'{"error":{"code":"X_Y"}}', b"\xff"]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, RejectedError), (400, RejectedError), (401, AccessError), (403, AccessError), (404, RejectedError),
        (408, ServerError), (422, RejectedError), (429, RateLimitError), (500, ServerError), (503, ServerError),
    ],
)  # fmt: skip
def test_classify_goes_by_the_status(
    provider: Provider, status: int, kind: type[ProviderError], body: bytes
) -> None:
    """Each status means the same error everywhere, and the message says which status it was."""
    error = provider.classify(respond(status, body))
    assert type(error) is kind
    assert str(status) in error.message
    assert error.is_about_agent == error.is_gone == (status == 404 and body != b"<html>")


def test_classify_takes_a_page_for_a_success(provider: Provider) -> None:
    """The documented success is nothing wrong, whichever 2xx it is."""
    for status in (200, 206):
        assert provider.classify(respond(status, body_of(provider, [{"id": "a"}]))) is None


def test_classify_names_the_keys_of_the_credentials(provider: Provider) -> None:
    """Who has a wrong credential learns which key of the config to look at."""
    error = provider.classify(respond(401, b""))
    assert error is not None
    assert all(f"`{key}`" in error.message for key in provider.capabilities.credentials)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(max_size=30), st.integers(300, 599))
def test_classify_quotes_nothing_with_a_digit(provider: Provider, text: str, status: int) -> None:
    """No number, id or link of a body gets into a message."""
    secret = f"{text}+15550100"
    body = json.dumps({"message": secret, "code": secret, "error": {"code": secret, "message": secret}})
    error = provider.classify(respond(status, body.encode()))
    assert error is not None
    assert "15550100" not in error.message


# -- requests ----------------------------------------------------------------------------------------------------


def requests_of(provider: Provider) -> list[Request]:
    query = Query(Window("agent/1", AT - timedelta(days=9), AT), {}, ("full",))
    found = [provider.check_request(), provider.list_request(query, Cursor(0, 100))]
    if provider.capabilities.lists_agents:
        found.append(provider.agents_request(Cursor(0, 100)))
    if provider.capabilities.walks_account:
        found.append(provider.list_request(Query(Window(None, None, AT)), Cursor(3, 10)))
    return found


def test_requests_never_hold_credentials(provider: Provider) -> None:
    """Credentials are in the headers and nowhere else, all of them, and are not printed by accident."""
    secrets = {key: Secret(f"secret-of-{key}") for key in provider.capabilities.credentials}
    carried = " ".join(provider.headers(secrets).values())
    assert all(secret.reveal() in carried for secret in secrets.values())
    assert "secret-of" not in repr(requests_of(provider)) + repr(secrets)


def test_requests_are_below_the_base_address(provider: Provider) -> None:
    """A path begins with a slash, is encoded, and holds no query; what it is for has a name of ours."""
    for request in requests_of(provider):
        assert request.path.startswith("/api/" if provider.capabilities.name != "talkpilot" else "/v1/")
        assert urlsplit(request.path).path == request.path
        assert request.endpoint in {"check", "list calls", "list agents"}
        assert request.method == "GET"


def test_check_request_asks_for_one_row(provider: Provider) -> None:
    """The proof of a credential costs the smallest page there is."""
    query = dict(provider.check_request().query)
    assert query.get("limit", query.get("per_page")) == "1"


def test_list_request_steps_by_pages(provider: Provider) -> None:
    """Pages of one size follow each other without a gap or an overlap."""
    starts = []
    for page in range(3):
        asked = dict(provider.list_request(window(provider, None, AT), Cursor(page, 40)).query)
        size = int(asked.get("limit") or asked["per_page"])
        starts.append(int(asked["offset"]) if "offset" in asked else (int(asked["page"]) - 1) * size)
    assert starts == [0, 40, 80]


def test_list_request_sends_each_filter_by_its_own_name(provider: Provider) -> None:
    """Every filter of the capabilities reaches the query, as it is."""
    filters = {
        name: (known.values or ("+15550100 &=",))[0] for name, known in provider.capabilities.filters.items()
    }
    assert check_filters(provider, filters) == []
    request = provider.list_request(Query(Window("a", None, AT), filters), Cursor(0, 1))
    assert filters.items() <= dict(request.query).items()
    assert len(dict(request.query)) == len(request.query)


@settings(deadline=None)  # a busy machine is no failure
@given(MOMENTS, MOMENTS)
@example(AT, AT + timedelta(microseconds=1))
@example(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
def test_list_request_never_asks_for_less_than_the_window(
    provider: Provider, one: datetime, other: datetime
) -> None:
    """Whatever zone a server's days are in, and whether or not an edge counts itself, no call is left out."""
    since, until = min(one, other), max(one, other)
    asked = dict(provider.list_request(window(provider, since, until), Cursor(0, 100)).query)
    last = until - timedelta(microseconds=1) if until > since else until
    if "from" in asked:
        assert datetime.fromisoformat(asked["from"]) < since
    if "to" in asked:
        assert datetime.fromisoformat(asked["to"]) > last
    days = timedelta(days=1)
    if "date_from" in asked and since.year > 1:
        assert date.fromisoformat(asked["date_from"]) < (since - timedelta(hours=12)).date()
    if "date_to" in asked and until.year < 9999:
        assert date.fromisoformat(asked["date_to"]) >= (last + timedelta(hours=14)).date() + days


def test_list_request_asks_for_a_range_only_where_it_is_of_creation(provider: Provider) -> None:
    """A range is sent where the API filters by creation, and an order where that has to do."""
    query = window(provider, AT - timedelta(days=30), AT)
    asked = dict(provider.list_request(query, Cursor(0, 100)).query).keys()
    ranges = asked & {"from", "to", "date_from", "date_to"}
    assert len(ranges) == (2 if provider.capabilities.range_by == "filter" else 0)
    assert bool(asked & {"order_by", "sort"}) == (provider.capabilities.range_by == "order")


# -- capabilities ------------------------------------------------------------------------------------------------


def test_capabilities_are_what_can_be_done(provider: Provider) -> None:
    """What a provider says of itself holds together, and can be printed as JSON."""
    can = provider.capabilities
    assert PROVIDERS[can.name] is provider
    assert urlsplit(can.base_url).scheme == "https"
    assert bool(can.detail_groups) <= (can.details == "list")
    assert can.lists_agents or can.walks_account
    assert all(quirk.endswith(".") for quirk in can.quirks)
    assert msgspec.json.decode(msgspec.json.encode(can), type=type(can)) == can


def test_columns_hold_all_that_is_read(provider: Provider) -> None:
    """Every field that is read has a native column, of a type that can hold it."""
    assert set(provider.columns.values()) <= {"string", "bool", "int", "float", "json"}
    kinds = {
        str | None: {"string"},
        datetime | None: {"string"},
        bool | None: {"bool"},
        float | None: {"int", "float"},
    }
    for name, field in wire_fields(provider).items():
        assert provider.columns[name] in kinds.get(field.type, {"json", "string"})
