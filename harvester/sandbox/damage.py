"""Rows as a careless server sends them: one in so many, chosen by the call's number, never by chance."""

import json
import re
from typing import Any

from .quirks import Quirks

_CREATED = ("created_at", "created_on")
# A string (kept whole) or one of the tokens between which white space may stand.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]')
_SPACED = {"{": "{\n", "[": "[\n", ",": ",\n", ":": ": ", "}": "\n}", "]": "\n]"}


def prettify(text: str) -> str:
    """Put line breaks between the tokens of a JSON text.

    It looks at single tokens only, so that a row comes out the same alone and within its page.
    """
    return _TOKEN.sub(lambda found: _SPACED.get(found[0], found[0]), text)


class Damage:
    """Applies the quirks of one provider's rows."""

    def __init__(self, quirks: Quirks) -> None:
        self._kinds = tuple(
            (name, every)
            for name, every in (
                ("no_object", quirks.no_object),
                ("no_id", quirks.no_id),
                ("null_created", quirks.null_created),
                ("absent_created", quirks.absent_created),
                ("wrong_types", quirks.wrong_types),
                ("lone_surrogates", quirks.lone_surrogates),
                ("unknown_words", quirks.unknown_words),
            )
            if every
        )
        self._extra = quirks.extra_fields
        self.is_idle: bool = not (self._kinds or self._extra)

    def kinds_of(self, call: int, *, detail: bool = False) -> tuple[str, ...]:
        """Give what is wrong with a call's row; a detail is always an object with its id and time.

        One call in each `every` has it, each time one further on, so that no agent is spared.
        """
        kinds = tuple(
            name
            for place, (name, every) in enumerate(self._kinds)
            if (call - call // every - 3 - place) % every == 0
        )
        if detail:
            return tuple(
                kind for kind in kinds if kind in {"wrong_types", "lone_surrogates", "unknown_words"}
            )
        return kinds

    def apply(self, raw: bytes, call: int, *, detail: bool = False) -> bytes:
        """Give the row as it is sent."""
        text = raw.decode()
        # The surrogate comes last: it has no UTF-8, and no other damage may write over it.
        for kind in sorted(self.kinds_of(call, detail=detail), key=lambda kind: kind == "lone_surrogates"):
            text = _spoil(text, kind, call)
        if self._extra and text[0] == "{":
            text = f'{text[:-1]},"x_trace":{{"n":{call},"tags":["new","\u2603"]}},"x_flag":null}}'
        return text.encode()


def _spoil(text: str, kind: str, call: int) -> str:
    row: Any = json.loads(text)
    if not isinstance(row, dict):
        return text
    if kind == "no_object":
        return ("null", "[]", f'"call {call}"', f"{call}")[call % 4]
    if kind == "no_id":
        del row["id"]
    elif kind == "unknown_words":
        word = "disconnection_reason" if "disconnection_reason" in row else "status"
        row[word] = f"vorübergehend-{call % 3}"
    elif kind == "lone_surrogates":
        name = next(name for name in ("call_summary", "ended_reason", "end_reason", "status") if name in row)
        row[name] = "half an emoji \ud83d"
    elif kind == "wrong_types":
        _retype(row, call)
    else:
        created = next(name for name in _CREATED if name in row)
        row[created] = None
        if kind == "absent_created":
            del row[created]
    # ASCII only, because half a surrogate pair has no UTF-8.
    return json.dumps(row, separators=(",", ":"), ensure_ascii=kind == "lone_surrogates")


def _retype(row: dict[str, Any], call: int) -> None:
    """Put values of other types into fields that have nothing to do with id and creation."""
    for name in ("duration", "call_duration", "duration_seconds"):
        if name in row:
            row[name] = ("12 seconds", [12], {"s": 12}, True)[call % 4]
    for name in ("is_testing", "done", "is_test_call", "call_success"):
        if name in row:
            row[name] = "yes"
