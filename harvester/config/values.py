"""What the values of a config mean: moments, rates, addresses, names, credentials.

Each function takes what TOML or a command line gave and returns the value, or raises ValueError with what is
wrong and what would be right; the key is the caller's to name. No message repeats a credential or an address.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import SplitResult, urlsplit

from harvester.model import Rate, Secret
from harvester.record import utc

# A source's name is a folder's name; 100 leaves room for what file systems add to it.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_AGO = re.compile(r"([0-9]{1,9})\s*(d|h|m)")
_AGO_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_RATE = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{0,9})(s|min|h|day)")
_RATE_UNITS_S = {"s": 1, "min": 60, "h": 3600, "day": 86400}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_URL_UNSAFE = re.compile(r"[\s\x00-\x20\x7f\\<>\"^`{|}]")

MOMENT_FORMS = 'a date, a datetime, "today", "now" or a time ago such as "7d", "12h", "30m"'
RATE_FORMS = 'such as "10/s", "60/min", "1000/h", "5000/day", "100/10s", a list of these, or "unlimited"'


def quoted(text: object) -> str:
    """Return a value as a message shows it: in double quotes, on one line, cut where it is long."""
    whole = str(text)
    return json.dumps(whole if len(whole) <= 60 else whole[:57] + "...", ensure_ascii=False)


def shown(moment: datetime) -> str:
    """Return a moment as messages show it: RFC 3339, in UTC."""
    return moment.isoformat().replace("+00:00", "Z")


def read_text(value: object) -> str:
    """Read a string that says something."""
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - one kind of error for all that a file may say
    if not value.strip():
        raise ValueError("is empty")
    return value


def read_flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - as above
    return value


def read_count(value: object) -> int:
    """Read a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("must be a whole number of at least 1")
    return value


def read_name(value: object) -> str:
    """Read a source's name."""
    name = read_text(value)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{quoted(name)} is no name: letters, digits, '-' and '_', at most 100")
    return name


def read_moment(value: object, now: datetime) -> datetime:
    """Read a moment, in UTC; without an offset it is UTC, a date is its midnight.

    Args:
        value: What TOML gave, or text: ISO 8601, "today", "now" or a time ago.
        now: What "today", "now" and a time ago start from.
    """
    try:
        if isinstance(value, str):
            return _moment_of_text(value.strip(), now)
        if isinstance(value, datetime):
            return _utc(value)
        if isinstance(value, date):
            return datetime.combine(value, time(), tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{quoted(value)} lies outside the years 1 to 9999") from None
    raise ValueError(f"must be {MOMENT_FORMS}")


def _moment_of_text(text: str, now: datetime) -> datetime:
    if text == "now":
        # A call made in the second that is not over may be listed with the whole one: it belongs to the next range.
        return _utc(now).replace(microsecond=0)
    if text == "today":
        return datetime.combine(_utc(now).date(), time(), tzinfo=UTC)
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return _utc(now) - timedelta(**{_AGO_UNITS[ago[2]]: int(ago[1])})
    try:
        return _utc(datetime.fromisoformat(text))
    except ValueError:
        raise ValueError(f"{quoted(text)} is no moment; it may be {MOMENT_FORMS}") from None


def _utc(moment: datetime) -> datetime:
    read = utc(moment)
    assert read is not None
    return read


def read_rates(value: object) -> tuple[Rate, ...]:
    """Read one rate or a list of them; "unlimited" is the empty tuple."""
    if isinstance(value, str):
        return () if value.strip() == "unlimited" else (_rate(value),)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return tuple(_rate(one) for one in value)
    raise ValueError(f"must be text {RATE_FORMS}")


def _rate(text: str) -> Rate:
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{quoted(text)} is no rate {RATE_FORMS}")
    limit, period_s = int(found[1]), int(found[2] or 1) * _RATE_UNITS_S[found[3]]
    if limit < 1 or period_s < 1:
        raise ValueError(f'{quoted(text)} allows nothing; for no limit write "unlimited"')
    return Rate(limit, float(period_s))


def read_base_url(value: object) -> str:
    """Read a provider's address: http or https, a path prefix kept, without the slash at its end."""
    text = read_text(value)
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError('must be an address such as "https://api.example.com"')
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password; credentials have keys of their own")
    if "?" in text or "#" in text:
        raise ValueError("must end with its path, without '?' or '#'")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _split(text: str) -> SplitResult:
    # urlsplit drops line breaks and tabs without a word, so they are refused before it sees them.
    if _URL_UNSAFE.search(text):
        raise ValueError("holds a character that no address has, such as a space")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError('must be an address such as "https://api.example.com"') from None
    return parts


def read_credential(value: object) -> Secret:
    """Read a credential; it becomes a header's value, and no message repeats it."""
    text = read_text(value)
    if _CONTROL.search(text):
        raise ValueError("holds a line break or another control character, which no header can carry")
    if text != text.strip():
        raise ValueError("begins or ends with a space")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("holds a character that no header can carry") from None
    return Secret(text)


def read_agents(value: object) -> tuple[str, ...]:
    """Read a list of agents' ids."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError('must be a list of ids, such as ["agent-1"]; leave it out for all agents')
    agents = tuple(read_text(one) for one in value)
    if any(_CONTROL.search(one) for one in agents):
        raise ValueError("an id holds a control character")
    first, times = Counter(agents).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{quoted(first)} is there twice")
    return agents


def read_filters(value: object) -> dict[str, str]:
    """Read filters; true, false and whole numbers become the text that a query carries."""
    if not isinstance(value, Mapping):
        raise ValueError('must be a table, such as { status = "completed" }')  # noqa: TRY004 - as above
    return {key: _filter_text(key, one) for key, one in value.items()}


def _filter_text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 10**18:
        return str(value)
    if isinstance(value, str) and value and not _CONTROL.search(value):
        return value
    raise ValueError(f"{key}: must be text, true, false or a whole number")
