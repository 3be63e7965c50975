"""A query string, read strictly: what is not documented, or not as documented, is noted as a violation."""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime
from urllib.parse import unquote_plus

from harvester.sandbox.stamps import to_us

_CREDENTIAL_NAMES = frozenset(
    {
        "token",
        "api_key",
        "apikey",
        "key",
        "access_token",
        "authorization",
        "x-api-key",
        "x-organization-id",
        "auth",
    }
)
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_RAW_PLUS = re.compile(r"(?:^|&)(?:phone_number|search)=\+\d")


class Query:
    """The parameters of one request.

    Attributes:
        problems: Parameter to what is wrong with it, as `integer`, `least`, `choice`, `boolean` or `date`.
        violations: What the documents do not allow but the answer lives with.
    """

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.problems: dict[str, str] = {}
        self.violations: list[str] = []
        self._values: dict[str, str] = {}
        for pair in raw.split("&") if raw else ():
            name, _, value = pair.partition("=")
            if "%" in pair or "+" in pair:
                name, value = unquote_plus(name), unquote_plus(value)
            if name in self._values:
                self.violations.append(f"{name} twice")
            self._values[name] = value

    def audit(self, documented: Collection[str]) -> None:
        """Note undocumented parameters, credentials, and a `+` that is not percent-encoded."""
        if not self._values.keys() <= set(documented):
            for name in self._values:
                if name not in documented:
                    self.violations.append(f"unknown parameter {name}")
        for name, value in self._values.items():
            if name.lower() in _CREDENTIAL_NAMES or value == "sandbox" or value.startswith("sandbox-"):
                self.violations.append(f"credential in the query ({name})")
        if "+" in self.raw and _RAW_PLUS.search(self.raw):
            self.violations.append("'+' of a number not percent-encoded")

    def text(self, name: str) -> str | None:
        """Give a parameter as text; an empty one counts as not given."""
        return self._values.get(name) or None

    def integer(self, name: str, default: int, *, least: int = 1, most: int | None = None) -> int:
        """Give a whole number; too large is cut to `most` and noted, anything else wrong is a problem."""
        value = self.text(name)
        if value is None:
            return default
        if not _WHOLE.fullmatch(value):
            self.problems[name] = "integer"
            return default
        number = int(value)
        if number < least:
            self.problems[name] = "least"
            return default
        if most is not None and number > most:
            self.violations.append(f"{name} above {most}")
            return most
        return number

    def guess(self, name: str, default: int) -> int:
        """Give a whole number without judging it; the default for anything else."""
        value = self.text(name)
        return int(value) if value is not None and value.isdecimal() else default

    def choice(self, name: str, words: Collection[str]) -> str | None:
        """Give one of the documented words."""
        value = self.text(name)
        if value is not None and value not in words:
            self.problems[name] = "choice"
            return None
        return value

    def flag(self, name: str) -> bool | None:
        """Give a boolean, written `true` or `false`."""
        value = self.choice(name, ("true", "false"))
        if name in self.problems:
            self.problems[name] = "boolean"
        return None if value is None else value == "true"

    def day_us(self, name: str) -> int | None:
        """Give the start of a UTC day, written YYYY-MM-DD, in microseconds since 1970."""
        value = self.text(name)
        if value is None:
            return None
        try:
            # `fromisoformat` also reads weeks and days without hyphens.
            day = date.fromisoformat(value if _DAY.fullmatch(value) else "")
        except ValueError:
            self.problems[name] = "date"
            return None
        return to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))

    def moment_us(self, name: str) -> int | None:
        """Give an ISO 8601 moment in microseconds since 1970; without a zone it is UTC, and noted."""
        value = self.text(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.problems[name] = "date"
            return None
        if moment.tzinfo is None:
            self.violations.append(f"{name} without a zone")
            moment = moment.replace(tzinfo=UTC)
        return to_us(moment)
