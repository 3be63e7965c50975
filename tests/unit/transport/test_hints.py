"""What headers say of limits, in all their dialects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.transport.hints import MAX_WAIT_S, NOTHING, Hint, read_hint, retry_after_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 3600 ", 3600.0),
        ("1.5", 1.5),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 13:01:00 +0100", 60.0),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60.0),
        ("Sun Mar  1 12:01:00 2026", 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("999999999", MAX_WAIT_S),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, wait_s: float | None) -> None:
    """Both forms of RFC 9110 are read, a moment that is over is no wait, and what is neither is nothing."""
    assert retry_after_s({"Retry-After": value}, NOW) == wait_s


def test_retry_after_may_be_absent() -> None:
    """No header, no wait."""
    assert retry_after_s({}, NOW) is None


UNIX = NOW.timestamp()


@pytest.mark.parametrize(
    ("value", "reset_s"),
    [
        (str(int(UNIX) + 45), 45.0),
        (str((int(UNIX) + 45) * 1000), 45.0),
        ("45", 45.0),
        ("0", 0.0),
        (str(int(UNIX) - 10), 0.0),
        ("Sun, 01 Mar 2026 12:00:45 GMT", 45.0),
        (str(int(UNIX) + 900_000), MAX_WAIT_S),
        ("-3", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_reset_is_a_moment_or_a_number_of_seconds(value: str, reset_s: float | None) -> None:
    """Unix seconds, milliseconds, seconds from now and dates are told apart by their size and look."""
    assert read_hint({"X-RateLimit-Limit": "60", "X-RateLimit-Reset": value}, NOW).reset_s == reset_s


def test_hint_reads_what_is_there() -> None:
    """Each of the three headers is read for itself."""
    told = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"}
    assert read_hint(told, NOW) == Hint(100, 0, 7.0)
    assert read_hint({"X-RateLimit-Remaining": "3"}, NOW) == Hint(None, 3, None)
    assert read_hint({"X-RateLimit-Reset": "7"}, NOW) == Hint(None, None, 7.0)
    assert read_hint({"Date": "today"}, NOW) is NOTHING


@pytest.mark.parametrize("value", ["", "-1", "many", "nan", "1e300"])
def test_hint_of_garbage_says_nothing(value: str) -> None:
    """A header that is no number is no limit, and a limit of none is none."""
    found = read_hint(
        {"X-RateLimit-Limit": value, "X-RateLimit-Remaining": value, "X-RateLimit-Reset": value}, NOW
    )
    assert found == Hint()
    assert read_hint({"X-RateLimit-Limit": "0"}, NOW).limit is None


@given(st.text(max_size=40))
def test_headers_are_never_an_error(value: str) -> None:
    """Whatever stands in a header, it is read or ignored, and a wait is within a day."""
    waits = [retry_after_s({"Retry-After": value}, NOW), read_hint({"X-RateLimit-Reset": value}, NOW).reset_s]
    assert all(wait is None or 0 <= wait <= MAX_WAIT_S for wait in waits)
