"""What single values of a config mean."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.config.values import (
    quoted,
    read_agents,
    read_base_url,
    read_count,
    read_credential,
    read_filters,
    read_flag,
    read_moment,
    read_name,
    read_rates,
    read_text,
)
from harvester.model import Rate

NOW = datetime(2026, 3, 10, 12, 34, 56, 789, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 3, 1, 7, 30), datetime(2026, 3, 1, 7, 30, tzinfo=UTC)),  # noqa: DTZ001 - TOML's local one
        (
            datetime(2026, 3, 1, 7, 30, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 3, 1, 5, 30, tzinfo=UTC),
        ),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T07:30:00.000001", datetime(2026, 3, 1, 7, 30, 0, 1, tzinfo=UTC)),
        ("2026-03-01T07:30:00+02:00", datetime(2026, 3, 1, 5, 30, tzinfo=UTC)),
        ("2026-03-01T07:30:00Z", datetime(2026, 3, 1, 7, 30, tzinfo=UTC)),
        ("today", datetime(2026, 3, 10, tzinfo=UTC)),
        ("now", NOW.replace(microsecond=0)),  # the second that is not over is the next range's
        ("7d", NOW - timedelta(days=7)),
        ("12h", NOW - timedelta(hours=12)),
        (" 30m ", NOW - timedelta(minutes=30)),
    ],
)
def test_moment_reads_every_form(value: object, moment: datetime) -> None:
    """Dates, datetimes and words become moments in UTC; what has no offset is UTC."""
    read = read_moment(value, NOW)
    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "7 weeks", "7D", "-7d", "2026-13-01", "2026-02-30", "999999999d", 7, 7.0, True, [], time(1, 2),
     datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))],
)  # fmt: skip
def test_moment_refuses_what_is_none(value: object) -> None:
    """Anything else, and moments outside the calendar, are a ValueError."""
    with pytest.raises(ValueError, match=r"moment|must be|outside"):
        read_moment(value, NOW)


def test_today_is_that_of_utc() -> None:
    """The day begins at midnight in UTC, wherever `now` was read."""
    late = datetime(2026, 3, 10, 1, 0, tzinfo=timezone(timedelta(hours=5)))
    assert read_moment("today", late) == datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "rates"),
    [
        ("10/s", (Rate(10, 1.0),)),
        ("60/min", (Rate(60, 60.0),)),
        ("1000/h", (Rate(1000, 3600.0),)),
        ("5000/day", (Rate(5000, 86400.0),)),
        ("100/10s", (Rate(100, 10.0),)),
        (" 10 / s ", (Rate(10, 1.0),)),
        (["60/min", "1000/h"], (Rate(60, 60.0), Rate(1000, 3600.0))),
        ("unlimited", ()),
    ],
)
def test_rates_read_every_form(value: object, rates: tuple[Rate, ...]) -> None:
    """One rate, several, or none at all."""
    assert read_rates(value) == rates


@pytest.mark.parametrize(
    "value",
    ["", "10", "10/", "/s", "10/week", "0/s", "-1/s", "1.5/s", "10/0s", "10/m", "9999999999/s", 7, True, [],
     ["unlimited"], ["10/s", 1], {"a": 1}],
)  # fmt: skip
def test_rates_refuse_what_is_none(value: object) -> None:
    """A rate that allows nothing is as wrong as one that cannot be read."""
    with pytest.raises(ValueError, match=r"rate|must be|allows nothing"):
        read_rates(value)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("HTTPS://API.Example.com/V1/", "https://api.example.com/V1"),
        ("http://127.0.0.1:8800/talkover", "http://127.0.0.1:8800/talkover"),
        ("http://[::1]:8800/x//", "http://[::1]:8800/x"),
    ],
)
def test_base_url_keeps_its_path(value: str, url: str) -> None:
    """Scheme and host are lowered, the path is kept less the slash at its end."""
    assert read_base_url(value) == url


@pytest.mark.parametrize(
    "value",
    ["", "api.example.com", "ftp://example.com", "https://", "https:///x", "https://u:hunter2@example.com",
     "https://hunter2@example.com", "https://example.com/?k=hunter2", "https://example.com?", "https://example.com/#hunter2",
     "https://exa mple.com", "https://example.com/\nhunter2", "https://example.com:port", "https://example.com:99999",
     "https://[::1", "https://example.com\\hunter2", 1, None],
)  # fmt: skip
def test_base_url_refuses_and_does_not_repeat(value: object) -> None:
    """What is no plain address is refused, and the message does not repeat what may be a secret."""
    with pytest.raises(ValueError, match=r"must|holds|empty") as caught:
        read_base_url(value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["", "  ", "qq\nb", "qq\r", "qq\x00", "qq\x7f", "qq\x85", " qq", "qq ", "qqЖ", 7, None, ["qq"]]
)
def test_credential_refuses_what_no_header_carries(value: object) -> None:
    """Line breaks, control characters and letters beyond Latin-1 are refused, the value never shown."""
    with pytest.raises(ValueError, match=r"must|holds|empty|begins") as caught:
        read_credential(value)
    assert "qq" not in str(caught.value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_credential_keeps_what_is_printable(text: str) -> None:
    """Printable ASCII is kept as it is."""
    assert read_credential(text).reveal() == text


@pytest.mark.parametrize("value", ["a", "A-b_9", "x" * 100])
def test_name_is_a_folders_name(value: str) -> None:
    """Letters, digits, '-' and '_' are a name."""
    assert read_name(value) == value


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "ä", "a\n", "x" * 101, 1])
def test_name_refuses_what_is_no_folders_name(value: object) -> None:
    """All else could leave its folder or not be one."""
    with pytest.raises(ValueError, match=r"name|must|empty"):
        read_name(value)


@pytest.mark.parametrize("value", ["a", [], [""], ["a", "a"], ["a\n"], [1], {}])
def test_agents_refuse_what_is_no_list_of_ids(value: object) -> None:
    """An empty list, an empty id and one that is there twice are mistakes."""
    with pytest.raises(ValueError, match=r"must|empty|twice|holds"):
        read_agents(value)


def test_filters_become_text() -> None:
    """True, false and whole numbers are written as a query carries them."""
    assert read_filters({"a": True, "b": False, "c": 7, "d": "x"}) == {
        "a": "true",
        "b": "false",
        "c": "7",
        "d": "x",
    }


@pytest.mark.parametrize(
    "value", ["a", ["a"], {"a": 1.5}, {"a": ""}, {"a": "x\ny"}, {"a": []}, {"a": 10**400}]
)
def test_filters_refuse_what_no_query_carries(value: object) -> None:
    """Anything but a table of text, flags and whole numbers is refused."""
    with pytest.raises(ValueError, match="must be"):
        read_filters(value)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None])
def test_count_is_at_least_one(value: object) -> None:
    """Zero, negatives, flags and fractions are no counts."""
    with pytest.raises(ValueError, match="at least 1"):
        read_count(value)


def test_flag_is_no_number() -> None:
    """A flag is true or false, and 1 is neither."""
    assert read_flag(True) is True
    with pytest.raises(ValueError, match="true or false"):
        read_flag(1)


def test_text_says_something() -> None:
    """Text of spaces alone says nothing."""
    with pytest.raises(ValueError, match="empty"):
        read_text("  ")


def test_quoted_is_one_short_line() -> None:
    """A value in a message has no line breaks and an end."""
    assert quoted("a\nb") == '"a\\nb"'
    assert len(quoted("x" * 1000)) < 70
