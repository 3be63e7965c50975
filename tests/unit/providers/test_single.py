"""The answers of get-one routes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import MalformedError, ProviderError, RejectedError
from harvester.model import Listing
from harvester.providers.envelope import read_envelope
from harvester.providers.single import read_newest, read_single


def row_of(body: bytes) -> bytes:
    [row] = read_single(body).rows
    return bytes(row)


def list_rows(body: bytes) -> Listing:
    return Listing(read_envelope(body)[0])


@pytest.mark.parametrize(
    "row", [b'{"id":"a"}', b'{ "x": {"id": 1},\n"id" : 7 }', rb'{"id":"a","t":"\ud83d"}']
)
@pytest.mark.parametrize(
    "around", [b"%s", b'{"data":%s}', b'{"message":"x", "data" : %s }', b'{"id":null,"data":%s}']
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \r\n"])
def test_read_single_cuts_a_call_byte_for_byte(row: bytes, around: bytes, mark: bytes) -> None:
    """A call is itself, bare or in `data`, behind a byte order mark or space, half a character in it or not."""
    assert row_of(mark + around % row + b"\n") == row


@pytest.mark.parametrize(
    "more", [b'"data":[{"id":"b"}]', b'"data":{"id":"b"}', b'"success":false', b'"error":"x"']
)
def test_read_single_goes_by_the_id(more: bytes) -> None:
    """An object with an id is the call, whatever else it holds."""
    body = b'{"id":"a",%s}' % more
    assert row_of(body) == body


def test_read_single_leaves_a_call_without_an_id_to_decode() -> None:
    """What stands in `data` is the row, and decoding it says what is wrong with it."""
    assert row_of(b'{"data":{"status":"x"}}') == b'{"status":"x"}'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"3", b'"x"', b"{}", b"[]", b'[{"id":"a"}]', b'{"data":[{"id":"a"}]}', b'{"data":null}',
        b'{"success":false,"data":{"id":"a"}}', b'{"success":"false"}', b'{"error":{"code":"X"},"data":{"id":"a"}}',
        b"<html><body>Sign in</body></html>", b'{"data":{"id":"a"}', b'{"data":{"id":"\\ud83d"},"success":false}',
        b'{"data":NaN}', b'{"status":"completed"}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_read_single_refuses_what_is_no_call(body: bytes) -> None:
    """A list, a failure in a success, a web page or half an answer is asked for again."""
    with pytest.raises(MalformedError) as caught:
        read_single(body)
    assert caught.value.is_retryable


def test_read_single_takes_no_calls_for_gone() -> None:
    """An answer that there are no such calls is final."""
    with pytest.raises(RejectedError) as caught:
        read_single(b'{"error":"No calls found matching criteria"}')
    assert (caught.value.is_gone, caught.value.status) == (True, 404)
    assert not caught.value.is_retryable


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"id":"a"}', [b'{"id":"a"}']),
        (b'{"data":{"id":"a"}}', [b'{"id":"a"}']),
        (b'{"data":[{"id":"a"},{"id":"b"}]}', [b'{"id":"a"}', b'{"id":"b"}']),
        (b'[{"id":"a"}]', [b'{"id":"a"}']),
        (b'{"data":[]}', []),
        (b'{"error":"No calls found matching criteria"}', []),
    ],
)
def test_read_newest_takes_one_call_none_or_a_list(body: bytes, rows: list[bytes]) -> None:
    """A server that knows nothing of asking for one call answers with a list."""
    assert [bytes(row) for row in read_newest(body, list_rows).rows] == rows


def test_read_newest_refuses_what_is_neither() -> None:
    """Anything else is malformed."""
    with pytest.raises(MalformedError):
        read_newest(b'{"success":false}', list_rows)


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ idata1', max_size=40).map(str.encode))
def test_read_single_survives_any_bytes(body: bytes) -> None:
    """There is one row, or an error of ours."""
    with suppress(ProviderError):
        assert len(read_single(body).rows) == 1
