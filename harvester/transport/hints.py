"""What an answer's headers say about limits, in all the dialects seen. Pure.

Source: `FACTS` of the providers: `Retry-After` as seconds or HTTP date (RFC 9110, 10.2.3), `X-RateLimit-*` with a reset
in Unix seconds (TalkPilot, BimpeAI) or of unknown format (Talkover), so both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

MAX_WAIT_S = 86_400.0
"""A wait beyond a day is a mistake of the server's clock or ours: it is asked again after a day."""

MAX_SKEW_S = 5.0
"""Where the server's clock is further from ours its moments are read by its own `Date`, that has whole seconds."""

_LIMIT, _REMAINING, _RESET = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"
_UNIX_S = 1_000_000_000
"""A reset at or above this is a moment, below it a number of seconds."""


class Hint(msgspec.Struct, frozen=True):
    """What one answer says of its limit; what it does not say is None. `reset_s` is from now."""

    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


NOTHING = Hint()


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait `Retry-After` asks for, in seconds from now; None where it asks for none that can be read."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None:
        seconds = _seconds_until(value, _there(headers, now))
    return None if seconds is None else min(max(seconds, 0.0), MAX_WAIT_S)


def read_hint(headers: Mapping[str, str], now: datetime) -> Hint:
    """Read the `X-RateLimit-*` headers."""
    told, left, reset = headers.get(_LIMIT), headers.get(_REMAINING), headers.get(_RESET)
    if told is None and left is None and reset is None:
        return NOTHING
    limit, remaining = _number(told or ""), _number(left or "")
    return Hint(
        limit=int(limit) if limit is not None and limit >= 1 else None,
        remaining=int(remaining) if remaining is not None and remaining >= 0 else None,
        reset_s=_reset_s(reset or "", _there(headers, now)),
    )


def _reset_s(value: str, now: datetime) -> float | None:
    number = _number(value)
    if number is None:
        return _seconds_until(value, now) if value else None
    if number >= _UNIX_S * 1000:
        number /= 1000
    if number >= _UNIX_S:
        number -= now.timestamp()
    return min(max(number, 0.0), MAX_WAIT_S)


def _number(value: str) -> float | None:
    try:
        number = float(value.strip())
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _there(headers: Mapping[str, str], now: datetime) -> datetime:
    """Return what time it is at the server, as far as that matters."""
    there = _moment(headers.get("Date", ""))
    return now if there is None or abs((there - now).total_seconds()) <= MAX_SKEW_S else there


def _seconds_until(value: str, now: datetime) -> float | None:
    moment = _moment(value)
    return None if moment is None else max((moment - now).total_seconds(), 0.0)


def _moment(value: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 4 ms that no run pays whose answers speak of no limit

    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
