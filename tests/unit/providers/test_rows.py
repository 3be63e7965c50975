"""Rows to structs: one bad value costs that value, one bad row that row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from harvester.model import Problem
from harvester.providers.rows import decode_row, decode_rows, fit_row, moment
from harvester.providers.transcripts import Transcript, turns_of
from harvester.record import Turn


class Inner(msgspec.Struct):
    id: str | None = None
    name: str | None = None


class Strict(msgspec.Struct):
    kind: str


class Wire(msgspec.Struct):
    id: str
    created_at: datetime | None = msgspec.field(name="created_on", default=None)
    text: str | None = None
    number: float | None = None
    flag: bool | None = None
    inner: Inner | None = None
    strict: Strict | None = None
    tags: list[str] | None = None
    heard: Transcript | None = None


def rows_of(*rows: bytes) -> tuple[bytes, list[Raw]]:
    return b'{"data":[' + b",".join(rows) + b"]}", [Raw(row) for row in rows]


def decode(*rows: bytes) -> tuple[list[Any], list[Problem]]:
    return decode_rows(*rows_of(*rows), Wire)


def test_decode_rows_decodes_a_good_page_at_once() -> None:
    """All rows of a good page become structs, unknown fields are passed over, and nothing is a problem."""
    calls, problems = decode(b'{"id":"a","number":2,"new":[1]}', b'{"id":"b","created_on":null,"inner":{}}')
    assert calls == [Wire("a", number=2.0), Wire("b", inner=Inner())]
    assert problems == []


@pytest.mark.parametrize("prefix", [b"", b" \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf "])
def test_decode_rows_takes_a_bare_array(prefix: bytes) -> None:
    """A bare array is decoded like an envelope, also behind a byte order mark and space."""
    calls, problems = decode_rows(prefix + b'[{"id":"a"}]', [Raw(b'{"id":"a"}')], Wire)
    assert (calls, problems) == ([Wire("a")], [])


def test_decode_rows_takes_another_name_for_the_rows() -> None:
    """An API may call its rows as it likes."""
    calls, _ = decode_rows(b'{"calls":[{"id":"a"}]}', [Raw(b'{"id":"a"}')], Wire, "calls")
    assert calls == [Wire("a")]


def test_decode_rows_keeps_a_bad_value_to_itself() -> None:
    """A value of the wrong type is None in its struct and named; the rest of the row and the page is there."""
    calls, problems = decode(b'{"id":"a","text":5,"number":1}', b'{"id":"b","text":"x"}')
    assert calls == [Wire("a", number=1.0), Wire("b", text="x")]
    assert problems == [Problem(0, "text", "Expected `str | null`, got `int`")]


def test_decode_rows_keeps_a_bad_row_to_itself() -> None:
    """A row that is no object, or no JSON, is None in its place; the others are there."""
    calls, problems = decode(b'{"id":"a"}', b"[1]", b"null", b"nonsense", b'{"id":"b"}')
    assert calls == [Wire("a"), None, None, None, Wire("b")]
    assert [(one.index, one.field) for one in problems] == [(1, None), (2, None), (3, None)]


def test_decode_rows_does_not_trust_a_count_that_differs() -> None:
    """Where the page at once gives another number of rows than were cut, the cut ones count."""
    body, _ = rows_of(b'{"id":"a"}')
    assert decode_rows(body, [Raw(b'{"id":"a"}'), Raw(b'{"id":"b"}')], Wire) == ([Wire("a"), Wire("b")], [])


@pytest.mark.parametrize(
    "row",
    [
        b"{}",
        b'{"id":null}',
        b'{"id":""}',
        b'{"id":true}',
        b'{"id":1.5}',
        b'{"id":["a"]}',
        b'{"id":"\\udc00"}',
    ],
)
def test_decode_row_wants_an_id(row: bytes) -> None:
    """Without an id that can be stored a row is no call."""
    assert decode_row(row, Wire) == (None, [(None, "no id")])


@pytest.mark.parametrize(("row", "call_id"), [(b'{"id":17}', "17"), (b'{"id":-3}', "-3"), (b'{"id":0}', "0")])
def test_decode_row_takes_a_number_as_an_id(row: bytes, call_id: str) -> None:
    """An id sent as a whole number is its digits."""
    assert decode_row(row, Wire) == (Wire(call_id), [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'"x"', "not a JSON object"),
        (b"", "not JSON: Expecting value"),
        (b"{'id':'a'}", "not JSON: Expecting property name enclosed in double quotes"),
        (b'{"id":"a","number":NaN}', "not JSON: NaN is no JSON"),
        (b'{"id":"a","new":-Infinity}', "not JSON: -Infinity is no JSON"),
        (b'{"id":"a","text":"\xff"}', "not JSON: its bytes are no UTF-8"),
        (b'{"id":"a","new":"\xff"}', "not JSON: its bytes are no UTF-8"),
        (b'{"id":"a","text":"\x01"}', "not JSON: Invalid control character at"),
        (b'{"id":"a","new":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON: nested too deeply"),
    ],
)
def test_decode_row_refuses_what_is_no_json_object(row: bytes, reason: str) -> None:
    """A text that no reader of the output could read is refused whole, wherever in it the fault is."""
    assert decode_row(row, Wire) == (None, [(None, reason)])


def test_decode_row_finds_half_a_character() -> None:
    """A lone surrogate costs the value it is in; in a field that is not read it costs nothing."""
    row = rb'{"id":"a","text":"\ud83d","number":1,"new":"\udc00"}'
    assert decode_row(row, Wire) == (Wire("a", number=1.0), [("text", "half a character (lone surrogate)")])


def test_decode_row_finds_half_a_character_in_a_list() -> None:
    """A lone surrogate deep in a value costs that value."""
    call, found = decode_row(rb'{"id":"a","tags":["x","\ud83d"]}', Wire)
    assert (call, found) == (Wire("a"), [("tags", "half a character (lone surrogate)")])


def test_decode_row_keeps_a_list_that_fits() -> None:
    """Value by value, what fits is as it was sent."""
    call, found = decode_row(b'{"id":"a","tags":["x"],"text":false}', Wire)
    assert (call, [field for field, _ in found]) == (Wire("a", tags=["x"]), ["text"])


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 350, b"9" * 5000])
def test_decode_row_refuses_a_number_that_no_column_holds(number: bytes) -> None:
    """A number beyond a double is no value, and does not cost the row."""
    call, found = decode_row(b'{"id":"a","number":' + number + b"}", Wire)
    assert call == Wire("a")
    assert [field for field, _ in found] == ["number"]


def test_decode_row_names_a_nested_value_by_its_path() -> None:
    """A value inside an object is named with the object's name; its neighbours stay."""
    call, found = decode_row(b'{"id":"a","inner":{"id":7,"name":"n"}}', Wire)
    assert call == Wire("a", inner=Inner(name="n"))
    assert found == [("inner.id", "Expected `str | null`, got `int`")]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (b'{"id":"a","inner":"x"}', "inner"),
        (b'{"id":"a","strict":{}}', "strict"),
        (b'{"id":"a","inner":[]}', "inner"),
    ],
)
def test_decode_row_does_without_an_object_that_does_not_fit(row: bytes, field: str) -> None:
    """Something else than an object, or an object without what it needs, is None and named."""
    call, found = decode_row(row, Wire)
    assert call == Wire("a")
    assert [name for name, _ in found] == [field]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_decode_rows_refuses_a_moment_that_utc_has_no_name_for(at: str) -> None:
    """A time of creation at the calendar's ends, with an offset that leads beyond them, is a bad value."""
    calls, problems = decode(json.dumps({"id": "a", "created_on": at}).encode())
    assert (calls, problems) == ([Wire("a")], [Problem(0, "created_on", "no such moment in UTC")])


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59+05:00"])
def test_decode_rows_takes_the_ends_of_the_calendar(at: str) -> None:
    """A time of creation that UTC has a name for is taken, however far."""
    calls, problems = decode(json.dumps({"id": "a", "created_on": at}).encode())
    assert problems == []
    assert moment(calls[0].created_at) is not None


def test_decode_row_says_which_field_by_its_name_on_the_wire() -> None:
    """Quarantine names what the user finds in the provider's JSON."""
    _, found = decode_row(b'{"id":"a","created_on":"yesterday"}', Wire)
    assert found == [("created_on", "Invalid RFC3339 encoded datetime")]


def test_fit_row_is_the_slow_way_to_the_same_struct() -> None:
    """Value by value a good row is what it is at once."""
    row = b'{"id":"a","created_on":"2026-03-01T10:00:00Z","number":3,"inner":{"id":"i"},"tags":["x"],"flag":true}'
    assert fit_row(row, Wire) == decode_row(row, Wire) == (msgspec.json.decode(row, type=Wire), [])


def test_decode_rows_takes_a_single_row_for_itself() -> None:
    """The answer of a get-one route is no page, whatever it holds by the name of a page's rows."""
    row = b'{"id":"a","data":[{"id":"b"}]}'
    assert decode_rows(row, [Raw(row)], Wire) == ([Wire("a")], [])


def test_decode_rows_reads_transcripts() -> None:
    """A transcript is read where there is one, at once or value by value."""
    row = b'{"id":"a","heard":"[{\\"role\\":\\"user\\",\\"text\\":\\"Hi\\"}]"%s}'
    for more in (b"", b',"text":5'):
        calls, _ = decode(row % more, b'{"id":"b","heard":null}', b'{"id":"c"}')
        assert [turns_of(call.heard) for call in calls] == [[Turn(role="user", text="Hi")], None, None]


@pytest.mark.parametrize(
    ("heard", "turns", "reason"),
    [
        (b'"[{"', None, "not JSON: Expecting property name enclosed in double quotes"),
        (b"5", None, "no list of turns"),
        (b'"%s"' % (b"[" * 5000), None, "not JSON: nested too deeply"),
        (rb'[{"text":"\ud83d"}]', None, "half a character (lone surrogate)"),
        (rb'"[{\"text\":\"\\ud83d\"}]"', None, "half a character (lone surrogate)"),
        (b'[{"text":"x","time":"?"}]', [Turn(text="x")], "element 0: time is no time in a call"),
        (b'[{"text":7},{"text":"x"}]', [Turn(), Turn(text="x")], "element 0: text is no text"),
    ],
)
def test_decode_rows_keeps_a_bad_transcript_to_itself(
    heard: bytes, turns: list[Turn] | None, reason: str
) -> None:
    """What cannot be read of a transcript is null and named; the row, its neighbours and the rest of it are there."""
    calls, problems = decode(b'{"id":"a","heard":%s,"number":1}' % heard, b'{"id":"b","heard":[]}')
    assert [(call.id, turns_of(call.heard)) for call in calls] == [("a", turns), ("b", [])]
    assert calls[0].number == 1.0
    assert problems == [Problem(0, "heard", reason)]


def test_decode_row_survives_a_transcript_nested_to_the_limit() -> None:
    """As deep as the decoder goes, a value in a transcript costs that value at most."""
    for depth in range(200, 1200, 7):
        value = b'{"a":' * depth + b"1" + b"}" * depth
        heard = b'[{"text":%s}]' % value
        call, found = decode_row(b'{"id":"a","heard":%s}' % heard, Wire)
        assert call is None or call.id == "a"
        assert {reason for _, reason in found} <= {"nested too deeply", "not JSON: nested too deeply"}
        call, found = decode_row(b'{"id":"a","heard":%s}' % json.dumps(heard.decode()).encode(), Wire)
        assert call.id == "a"
        assert {reason for _, reason in found} <= {"nested too deeply", "not JSON: nested too deeply"}


def test_moment_is_utc() -> None:
    """A moment with an offset is converted, one without a zone is read as UTC, and None stays."""
    there = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert moment(there) == moment(datetime(2026, 3, 1, 10)) == datetime(2026, 3, 1, 10, tzinfo=UTC)  # noqa: DTZ001
    assert moment(None) is None
    assert moment(datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))) is None
