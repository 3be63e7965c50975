"""A JSON object cut into its members, each as the bytes it is; for the rows that no faster way accepts."""

from __future__ import annotations

import json
import re
from typing import Never

import msgspec

_raws = msgspec.json.Decoder(dict[str, msgspec.Raw])
_gap = re.compile(r"[ \t\r\n]*")
_half = re.compile("[\ud800-\udfff]")


def _refuse(word: str) -> Never:
    raise ValueError(f"{word} is no JSON")


_scan = json.JSONDecoder(parse_constant=_refuse).raw_decode


def cut(row: bytes) -> dict[str, bytes]:
    """Return an object's members in their order, the last of those with the same name.

    What msgspec refuses, the standard library takes: half a character, as an escape or as bytes beyond UTF-8.

    Raises:
        ValueError: It is no JSON object.
        RecursionError: It is nested too deeply to be read.
    """
    try:
        return {name: bytes(value) for name, value in _raws.decode(row).items()}
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = row.decode("utf-8", "surrogateescape")
        return {name: value.encode("utf-8", "surrogateescape") for name, value in _cut_slowly(text).items()}


def _cut_slowly(text: str) -> dict[str, str]:
    members: dict[str, str] = {}
    at = _past(text, _skip(text, 0), "{")
    while text[at : at + 1] != "}":
        if members:
            at = _past(text, at, ",")
        if text[at : at + 1] != '"':
            raise ValueError("no name where one should be")
        name, end = _scan(text, at)
        start = _past(text, end, ":")
        _, end = _scan(text, start)
        members[name] = text[start:end]
        at = _skip(text, end)
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows the object")
    return members


def _skip(text: str, at: int) -> int:
    match = _gap.match(text, at)
    assert match is not None  # it matches nothing, too
    return match.end()


def _past(text: str, at: int, mark: str) -> int:
    """Return where what follows `mark` begins."""
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"no {mark} where one should be")
    return _skip(text, at + 1)


def legal(value: bytes) -> str:
    """Return a piece of JSON as text that any reader takes.

    A byte that is not UTF-8 becomes the escape of what Python's `surrogateescape` makes of it.
    """
    return _escaped(value.decode("utf-8", "surrogateescape"))


def quoted(name: str) -> str:
    """Return a member's name as JSON text."""
    return _escaped(json.dumps(name, ensure_ascii=False))


def _escaped(text: str) -> str:
    return _half.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
