"""Transcripts: from any shape they are sent in to turns, in their order; no API is named here.

Three shapes are documented somewhere: text with a speaker before each turn, an array of objects in a string, and an
array of objects. What the objects hold is documented in part only, so that several names are known for each value:

* The speaker is the first of `_SPEAKERS` with a word in `ROLES`; with another word, or none, the role is None.
* The text is the first of `_TEXTS` that is not null. A list is that of its parts, each on a line (images and the like
  have no text); an object is its text, else its JSON. A turn without any text, of attachments only, is kept.
* A time, by any of `_TIMES`, is a moment (RFC 3339, or Unix time in seconds or milliseconds where a number is large
  enough), or else an offset: a clock such as `01:05`, or seconds below a day. Names with `_ms` are milliseconds.
* An object may hold the array under one of `_INSIDE`; JSON in a string may have been put into one again.

What is read is tried here alone: a text or a time of another form costs that value and is told in `problem`; anything
else that is no list of turns cannot be read.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

import msgspec

from harvester.record import Turn, utc

from .loose import read_json
from .words import ROLES

_SPEAKERS = ("role", "speaker", "sender", "from", "author", "type")
_TEXTS = ("text", "message", "content", "transcript", "utterance")
_TIMES = (
    "created_at", "timestamp", "time", "at", "start", "start_time", "offset", "offset_s", "start_s", "start_ms",
    "offset_ms", "secondsFromStart", "seconds_from_start", "time_in_call_secs",
)  # fmt: skip
_INSIDE = ("turns", "messages", "transcript", "utterances", "segments", "entries")
_MOST_WRAPPINGS = 3  # strings in a string; one is documented, two are seen where a server encodes twice

DAY_S = 86_400  # no call is that long: what is more is another unit, or Unix time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX_S = range(10**9, 10**10)  # 2001 to 2286
_UNIX_MS = range(10**12, 10**13)

_SPACE = " \t\r\n"
_NOT_PLAIN = (
    b'"',
    b"\\",
    b" ",
    b"[",
    b"{",
)  # what the JSON of a text starts with that is blank or may be JSON again
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2}(?:\.\d{1,9})?)", re.ASCII)
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)s?", re.ASCII)
# As in `Agent: Hello`, `[01:05] Agent: Hello` and `Agent (01:05): Hello`.
_LABEL = re.compile(
    r"[ \t]*+(?:[\[(]([\d:.]{1,20})[\])][ \t]*+)?"
    r"([A-Za-z][A-Za-z0-9 _-]{0,24}?)[ \t]*+(?:[\[(]([\d:.]{1,20})[\])][ \t]*+)?:",
    re.ASCII,
)
_NUMBERED = re.compile(r"(?:unknown )?speaker[ _-]?\d{0,3}", re.ASCII | re.IGNORECASE)


class Transcript:
    """A transcript that was read, sent as JSON or as JSON in a string.

    `turns` in their order, empty where nobody spoke, None where the string holds null. `problem` says what in them
    could not be read and is None there, and holds nothing of it.
    """

    __slots__ = ("problem", "turns")

    def __init__(self, turns: list[Turn] | None, problem: str | None = None) -> None:
        self.turns: list[Turn] | None = turns
        self.problem: str | None = problem

    @classmethod
    def read(cls, value: Any) -> Self:
        """Read a JSON value, as msgspec or the standard library decodes it.

        Raises:
            ValueError: It is no list of turns; the reason holds nothing of it.
            RecursionError: It is nested as deeply as JSON is read.
        """
        return cls(*_turns_in(_unwrapped(value)))

    @classmethod
    def read_json(cls, text: bytes) -> Self:
        """Read a JSON value in UTF-8.

        Raises:
            DecodeError: It cannot be decoded.
            ValueError: As `read` has it.
        """
        return cls.read(msgspec.json.decode(text))

    def heard(self) -> list[Turn] | None:
        """Return the turns."""
        return self.turns


class SpokenTranscript(Transcript):
    """A transcript that may be plain text as well, with a label before each turn or with none.

    Text is cut when its turns are asked for: nobody asks where they came in an array beside it.
    """

    __slots__ = ("_text",)

    def __init__(
        self, turns: list[Turn] | None, problem: str | None = None, *, text: str | bytes = ""
    ) -> None:
        self.turns = turns  # Not by the other's: there are two for each call.
        self.problem = problem
        self._text = text  # bytes: the JSON of a text that can be decoded

    @classmethod
    def read(cls, value: Any) -> Self:
        """Read a JSON value; a string that holds no list of turns is text."""
        if not isinstance(value, str):
            return super().read(value)
        inner = _unwrapped_text(value)
        if not isinstance(inner, str):
            with suppress(ValueError):
                return cls(*_turns_in(inner))
            inner = value
        return cls(None, text=inner) if inner.strip(_SPACE) else cls([])

    @classmethod
    def read_json(cls, text: bytes) -> Self:
        """Read a JSON value that a decoder has skipped; plain text is not even decoded as long as nobody asks."""
        if text[:1] == b'"' and text[1:2] not in _NOT_PLAIN:
            return cls(None, text=text)
        return super().read_json(text)

    def heard(self) -> list[Turn] | None:
        """Return the turns, or cut them out of the text."""
        text = msgspec.json.decode(self._text) if isinstance(self._text, bytes) else self._text
        return _spoken(text) if text else self.turns


def turns_of(transcript: Transcript | None) -> list[Turn] | None:
    """Return a transcript's turns, None where there is none."""
    return None if transcript is None else transcript.heard()


def _unwrapped(value: Any) -> Any:
    """Return what a string holds, and a string in it; blank ones hold no turns.

    Raises:
        ValueError: It is no JSON.
    """
    for _ in range(_MOST_WRAPPINGS):
        if not isinstance(value, str):
            break
        value = _decoded(value) if value.strip(_SPACE) else []
    return value


def _unwrapped_text(value: Any) -> Any:
    """Return what a text holds, and a text in it, as long as each is JSON and looks like it."""
    for _ in range(_MOST_WRAPPINGS):
        if not isinstance(value, str) or value.lstrip(_SPACE)[:1] not in {"[", "{", '"'}:
            break
        try:
            value = _decoded(value)
        except ValueError:
            break
    return value


def _decoded(text: str) -> Any:
    """Return what a string holds.

    Raises:
        ValueError: It is no JSON, or has half a character, which no column could hold.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        value = read_json(text)
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise ValueError("half a character (lone surrogate)") from error
    return value


class Names(NamedTuple):
    """Which of an object's names say who speaks, what, and when."""

    speakers: tuple[str, ...]
    texts: tuple[str, ...]
    times: tuple[str, ...]


def names_in(names: tuple[str, ...]) -> Names:
    """Return of an object's names those that are known."""
    return Names(*(tuple(name for name in known if name in names) for known in (_SPEAKERS, _TEXTS, _TIMES)))


def _turns_in(value: Any) -> tuple[list[Turn] | None, str | None]:
    """Return the turns of a list, and the first problem with a value in one.

    Raises:
        ValueError: It is no list of turns.
    """
    if value is None:
        return None, None
    if isinstance(value, dict):
        value = next((value[name] for name in _INSIDE if isinstance(value.get(name), list)), value)
    if not isinstance(value, list):
        raise ValueError("no list of turns")  # noqa: TRY004 - the value is at fault, not who calls
    known: dict[tuple[str, ...], Names] = {}
    turns: list[Turn] = []
    problem = None
    for place, element in enumerate(value):
        if not isinstance(element, dict):
            raise ValueError(f"element {place} is no object")  # noqa: TRY004 - as above
        key = tuple(element)
        names = known.get(key)
        if names is None:
            names = known[key] = names_in(key)
        if not names.speakers and not names.texts:
            raise ValueError(f"element {place} has neither a speaker nor a text")
        turn, fault = _turn(element, names)
        turns.append(turn)
        problem = problem or (fault and f"element {place}: {fault}")
    return turns, problem


def _turn(element: dict[str, Any], names: Names) -> tuple[Turn, str | None]:
    """Return a turn, and what of it could not be read."""
    turn, fault = Turn(), None
    for name in names.speakers:
        word = element[name]
        if isinstance(word, str) and (role := ROLES[word]) is not None:
            turn.role = role
            break
    for name in names.texts:
        value = element[name]
        if value is not None:
            turn.text = value if isinstance(value, str) else _text_in(value)
            fault = None if turn.text is not None or isinstance(value, list) else f"{name} is no text"
            break
    for name in names.times:
        value = element[name]
        if value is not None and value != "" and not _set_time(turn, value, is_ms=name.endswith("_ms")):
            fault = fault or f"{name} is no time in a call"
    return turn, fault


def _text_in(value: Any) -> str | None:
    """Return the text of an object or of a list's parts, None where there is none."""
    if isinstance(value, list):
        parts = [part if isinstance(part, str) else _part_text(part) for part in value]
        texts = [part for part in parts if part is not None]
        return "\n".join(texts) if texts else None
    if isinstance(value, dict):
        text = _part_text(value)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if text is None else text
    return None


def _part_text(part: Any) -> str | None:
    found = (part.get(name) for name in _TEXTS) if isinstance(part, dict) else ()
    return next((text for text in found if isinstance(text, str)), None)


def _set_time(turn: Turn, value: Any, *, is_ms: bool) -> bool:
    """Give a turn its moment or its offset, unless it has one; say whether the value is either."""
    # What most are, without asking further.
    is_offset = type(value) is float and not is_ms and 0 <= value < DAY_S
    found = value if is_offset else _moment_or_offset(value, is_ms=is_ms)
    if isinstance(found, datetime):
        turn.at = turn.at or found
    elif found is not None:
        turn.offset_s = found if turn.offset_s is None else turn.offset_s
    return found is not None


def _moment_or_offset(value: Any, *, is_ms: bool) -> datetime | float | None:
    """Return what a time is, None where it is of no known form."""
    if isinstance(value, str):
        with suppress(msgspec.ValidationError, OverflowError):
            return utc(msgspec.convert(value, datetime))
        number = _NUMBER.fullmatch(value)
        if number is None:
            return _clock_s(value)
        value = float(number[1])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _time_of(value, is_ms=is_ms) if is_number else None


def _time_of(number: float, *, is_ms: bool) -> datetime | float | None:
    if 0 <= number < (DAY_S * 1000 if is_ms else DAY_S):
        return number / 1000 if is_ms else float(number)
    if _UNIX_S.start <= number < _UNIX_S.stop:
        return _EPOCH + timedelta(seconds=number)
    if _UNIX_MS.start <= number < _UNIX_MS.stop:
        return _EPOCH + timedelta(milliseconds=number)
    return None


def _clock_s(text: str | None) -> float | None:
    """Return a clock's time in seconds, None where it is no clock."""
    clock = _CLOCK.fullmatch(text) if text else None
    return clock and int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])


def _spoken(text: str) -> list[Turn]:
    """Cut text at the labels of its turns; what has none, at the start, is a turn of nobody."""
    found: list[tuple[Turn, list[str]]] = [(Turn(), [])]
    for line in text.strip(_SPACE).split("\n"):
        label = _LABEL.match(line)
        role = ROLES[label[2]] if label else None
        if label is None or (role is None and not _NUMBERED.fullmatch(label[2])):
            found[-1][1].append(line)
            continue
        found.append((Turn(role=role, offset_s=_clock_s(label[1] or label[3])), [line[label.end() :]]))
    for turn, lines in found:
        turn.text = "\n".join(lines).strip(_SPACE)
    return [turn for turn, _ in found[0 if found[0][0].text else 1 :]]
