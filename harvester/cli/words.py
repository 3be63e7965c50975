"""Numbers, spans and moments as people read them."""

from __future__ import annotations

from datetime import datetime, tzinfo

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def counted(number: int | None) -> str:
    """Return a count with its thousands apart; `?` where it is not known."""
    return "?" if number is None else f"{number:,}"


def paced(per_second: float | None) -> str:
    """Return a rate in calls a second."""
    if per_second is None:
        return ""
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"


def lasting(seconds: float | None) -> str:
    """Return a span in its two largest units."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return _two(whole, _MINUTE_S, "min", 1, "s")
    if whole < _DAY_S:
        return _two(whole, _HOUR_S, "h", _MINUTE_S, "min")
    return _two(whole, _DAY_S, "d", _HOUR_S, "h")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")


def clocked(moment: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Return a moment as a clock on the wall shows it: seconds where it is near, the date where it is far.

    Args:
        moment: What to show.
        now: What near and far are measured from.
        zone: Where the wall is; None is the machine's own zone.
    """
    local, today = moment.astimezone(zone), now.astimezone(zone)
    if abs((moment - now).total_seconds()) < 2 * _MINUTE_S:
        return f"{local:%H:%M:%S}"
    return f"{local:%H:%M}" if local.date() == today.date() else f"{local:%Y-%m-%d %H:%M}"


def stamped(moment: datetime | None) -> str:
    """Return a moment in UTC, to the second; empty where there is none."""
    return "" if moment is None else f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}Z"


def several(number: int, one: str, more: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"
