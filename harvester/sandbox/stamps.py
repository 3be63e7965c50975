"""Times as the providers write them, as JSON strings, fast: a day's date is formatted once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Stamp = Callable[[int], str]

_MINUTES = tuple(f"{m // 60:02}:{m % 60:02}:" for m in range(1440))
_SECONDS = tuple(f"{s:02}" for s in range(60))


class _Dates(dict[int, str]):
    """Days since 1970 to `2026-03-31T`."""

    def __missing__(self, day: int) -> str:
        text = f"{(EPOCH + timedelta(days=day)).date().isoformat()}T"
        self[day] = text
        return text


def to_us(moment: datetime) -> int:
    """Give microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Give the aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def make_stamp(digits: int, style: Literal["z", "naive", "offset", "micros"]) -> Stamp:
    """Build the writer of one provider's times: microseconds since 1970 to a JSON string.

    Args:
        digits: Digits after the second by the book, 0 or 3; `micros` makes it 6.
        style: See `Quirks.times`.
    """
    dates = _Dates()
    tail = {"z": "Z", "naive": "", "offset": "+02:00", "micros": "Z"}[style]
    shift = 7200 * SECOND_US if style == "offset" else 0
    places = 6 if style == "micros" else digits
    unit = 10 ** (6 - places)

    def whole(us: int) -> str:
        day, rest = divmod(us + shift, DAY_US)
        minute, second = divmod(rest // SECOND_US, 60)
        return f'"{dates[day]}{_MINUTES[minute]}{_SECONDS[second]}{tail}"'

    def exact(us: int) -> str:
        day, rest = divmod(us + shift, DAY_US)
        seconds, fraction = divmod(rest, SECOND_US)
        minute, second = divmod(seconds, 60)
        digits_text = f"{fraction // unit:0{places}}"
        return f'"{dates[day]}{_MINUTES[minute]}{_SECONDS[second]}.{digits_text}{tail}"'

    return exact if places else whole
