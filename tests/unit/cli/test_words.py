"""Numbers, spans and moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from harvester.cli.words import clocked, counted, lasting, paced, several, stamped


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0, "0 s"), (59.4, "59 s"), (60, "1 min"), (77, "1 min 17 s"), (3600, "1 h"), (3660, "1 h 1 min"),
     (90000, "1 d 1 h"), (864000, "10 d")],
)  # fmt: skip
def test_span_has_its_two_largest_units(seconds: float | None, text: str) -> None:
    """A span is told as exactly as it matters."""
    assert lasting(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(None, ""), (0.25, "0.2/s"), (9.94, "9.9/s"), (1234.5, "1,234/s")]
)
def test_rate_is_exact_where_it_is_low(rate: float | None, text: str) -> None:
    """A low rate has a fraction, a high one its thousands apart."""
    assert paced(rate) == text


def test_counts_are_grouped() -> None:
    """Thousands stand apart; an unknown count is a question mark."""
    assert (counted(1234567), counted(None)) == ("1,234,567", "?")
    assert (several(1, "gap"), several(2, "gap"), several(2, "retry", "retries")) == (
        "1 gap",
        "2 gaps",
        "2 retries",
    )


@pytest.mark.parametrize(
    ("away", "text"),
    [
        (timedelta(seconds=70), "14:01:10"),
        (timedelta(minutes=32), "14:32"),
        (timedelta(hours=12), "2026-03-11 02:00"),
    ],
)
def test_moment_is_as_exact_as_it_is_near(away: timedelta, text: str) -> None:
    """Seconds where it is near, the date where it is another day, in the zone of the wall."""
    now = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
    assert clocked(now + away, now, timezone(timedelta(hours=2))) == text


def test_stamp_is_utc() -> None:
    """A moment in a table is RFC 3339 to the second."""
    assert stamped(datetime(2026, 3, 10, 12, 0, 1, 5, tzinfo=UTC)) == "2026-03-10T12:00:01Z"
    assert stamped(None) == ""
