"""Envelopes: rows byte for byte, and what an answer says of itself or does not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw, UnsetType

from harvester.errors import MalformedError
from harvester.model import Listing
from harvester.providers.envelope import (
    Envelope,
    count,
    has_more,
    is_before,
    number_before,
    read_envelope,
    said,
)


def rows_in(body: bytes) -> list[bytes]:
    return [bytes(row) for row in read_envelope(body)[0]]


ROW = b'{ "id" : "a",\n\t"text":"\xc3\xa4 \\u00e4 \\/" , "number":1.50e+1 }'


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[%s]}' % ROW,
        b'\xef\xbb\xbf {\n  "success": true,\n  "data": [\n    %s\n  ]\n}\n' % ROW,
        b"[%s]" % ROW,
        b" [ %s ] " % ROW,
        b'{"meta":{"a":"]}"},"data":[%s],"pagination":null,"new":{}}' % ROW,
    ],
)
def test_read_envelope_keeps_rows_byte_for_byte(body: bytes) -> None:
    """A row is what was sent, with its own spacing, escapes and number format."""
    assert rows_in(body) == [ROW]


@pytest.mark.parametrize("fault", [rb'"\ud83d"', b"NaN", b"word", b"[" * 100_000 + b"]" * 100_000, b"'x'"])
@pytest.mark.parametrize("form", [b'{"meta":{"total":2},"data":[%s,\n{"x":%s} ],"new":%s}', b'[%s,{"x":%s}]'])
def test_read_envelope_cuts_what_a_decoder_refuses(fault: bytes, form: bytes) -> None:
    """One row that no decoder takes leaves the others, and the envelope's own words, as they were."""
    body = form % ((ROW, fault, fault) if form.startswith(b"{") else (ROW, fault))
    rows, envelope = read_envelope(body)
    assert [bytes(row) for row in rows] == [ROW, b'{"x":%s}' % fault]
    assert envelope.meta == ({"total": 2} if form.startswith(b"{") else None)


def test_read_envelope_does_without_a_word_that_is_no_json() -> None:
    """What stands beside the rows and cannot be read says nothing."""
    rows, envelope = read_envelope(b'{"pagination": nonsense, "success": true, "data": [1]}')
    assert (len(rows), envelope.pagination, envelope.success) == (1, None, True)


@pytest.mark.parametrize("body", [b"<html></html>", b"\n <!DOCTYPE html><p>", b"\xef\xbb\xbf<?xml?>"])
def test_read_envelope_knows_a_web_page(body: bytes) -> None:
    """A web page is called one, and what may have sent it."""
    with pytest.raises(MalformedError, match="HTML page where JSON was expected: a proxy or captive portal"):
        read_envelope(body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"1", b'"data"', b"OK", b'{"data":[{"id":"a"}', b'[{"id":"a"},', b'{"data":null}',
        b'{"data":{"id":"a"}}', b'{"data":"x"}', b'{"data":[]}}', b"\xff\xfe[\x00]\x00",
    ],
)  # fmt: skip
def test_read_envelope_refuses_what_is_no_list(body: bytes) -> None:
    """Half a JSON, another value, and rows that are no array are as bad as no answer: they are asked for again."""
    with pytest.raises(MalformedError, match="not the documented JSON") as caught:
        read_envelope(body)
    assert caught.value.is_retryable


def test_read_envelope_refuses_an_answer_without_rows() -> None:
    """An envelope of something else is no empty list."""
    with pytest.raises(MalformedError, match="no `data`"):
        read_envelope(b'{"success":true,"calls":[]}')


@pytest.mark.parametrize("word", [b"false", b'"false"', b"0"])
def test_read_envelope_refuses_what_says_it_is_no_success(word: bytes) -> None:
    """`success: false` in a 200 is an error, rows or not."""
    with pytest.raises(MalformedError, match="no success"):
        read_envelope(b'{"success":%s,"data":[]}' % word)


@pytest.mark.parametrize("error", [{"code": "INTERNAL_ERROR", "message": "x"}, "Unauthorized"])
def test_read_envelope_refuses_an_error_in_a_success(error: object) -> None:
    """An `error` in a 200 is an error, rows or not, and is not quoted."""
    with pytest.raises(MalformedError, match="holds an error") as caught:
        read_envelope(json.dumps({"error": error, "data": []}).encode())
    assert "INTERNAL" not in str(caught.value)


@pytest.mark.parametrize("success", [None, True, "true", 1, {}, []])
def test_read_envelope_takes_anything_else_for_a_success(success: object) -> None:
    """Only a plain no is a no."""
    assert rows_in(json.dumps({"success": success, "error": None, "data": []}).encode()) == []


class OtherEnvelope(Envelope):
    rows: list[Raw] | UnsetType = msgspec.field(name="calls", default=UNSET)


@pytest.mark.parametrize("row", [b"1", b"NaN"])
def test_read_envelope_takes_another_name_for_the_rows(row: bytes) -> None:
    """An API whose rows have another name says so in its own envelope, on the fast way and the slow."""
    rows, _ = read_envelope(b'{"data":"x","calls":[%s]}' % row, OtherEnvelope)
    assert [bytes(one) for one in rows] == [row]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0), (17, 17), (17.0, 17), ("17", 17), ("0", 0), (2**63 - 1, 2**63 - 1), (None, None), (True, None),
        (False, None), (-1, None), (-1.0, None), ("-1", None), (1.5, None), (float("nan"), None), ("", None),
        (float("inf"), None), (1e300, None), (2**63, None), ("9" * 30, None), ("1.0", None), ("٣", None),
        ({}, None), ([1], None),
    ],
    ids=repr,
)  # fmt: skip
def test_count_takes_whole_numbers_and_nothing_else(value: Any, number: int | None) -> None:
    """A count is a whole number from 0, also as a float or in digits; a bool or a negative one says nothing."""
    assert count(value) == number


def test_paging_says_nothing_where_it_is_told_nothing() -> None:
    """Numbers that are not there, or cannot be, are None; so is what would follow from them."""
    assert [count(0, 1), number_before(0), number_before(None)] == [None, None, None]
    assert [is_before(None, 3), is_before(1, None)] == [None, None]
    assert [number_before("3"), is_before(1, 3), is_before(2, 3), is_before(0, 0)] == [2, True, False, False]
    assert [said(None), said([]), said({"a": 1})] == [{}, {}, {"a": 1}]


def test_has_more_goes_by_the_rows_where_nothing_is_said() -> None:
    """A list that says nothing of itself ends with an empty page."""
    row = [Raw(b"1")]
    assert [has_more(Listing(row)), has_more(Listing([]))] == [True, False]
    assert [has_more(Listing([], has_more=True)), has_more(Listing(row, has_more=False))] == [True, False]
