"""A list answer cut into the texts of its rows by its brackets alone, for one that a JSON decoder refuses.

A decoder gives up on a whole page for one cut emoji, `NaN` or a stray word. Here strings and brackets are all
that is looked at: whatever is wrong inside a row stays inside it. What is cut off in the middle is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# What leads up to the next bracket (below: comma or colon as well), strings whole; a quote that opens a string
# without an end is found as a mark of its own. Possessive, so that nothing is tried twice.
_DEEP = re.compile(rb'(?:[^"\[\]{}]++|%s)*+(["\[\]{}])' % _STRING, re.DOTALL)
_OUTER = re.compile(rb'(?:[^"\[\]{},:]++|%s)*+(["\[\]{},:])' % _STRING, re.DOTALL)
_SPACE = b" \t\r\n"
_CLOSING = {b"[": b"]", b"{": b"}"}


def cut_array(text: bytes) -> list[bytes]:
    """Return the texts of an array's elements, in their order.

    Raises:
        ValueError: The text is no array, is not closed, or something follows it.
    """
    elements = [element.strip(_SPACE) for element, _ in _cut(text.strip(_SPACE), b"[")]
    if elements and not elements[-1]:
        elements.pop()
    return elements


def cut_object(text: bytes) -> dict[str, bytes]:
    """Return an object's keys with the texts of their values; of a key that is there twice, the last.

    Raises:
        ValueError: The text is no object, is not closed, or something follows it.
    """
    fields: dict[str, bytes] = {}
    for member, colon in _cut(text.strip(_SPACE), b"{"):
        if not member.strip(_SPACE):
            continue
        if colon < 0:
            raise ValueError("a key without a value")
        key = json.loads(member[:colon])
        if not isinstance(key, str):
            raise TypeError("a key that is no string")
        fields[key] = member[colon + 1 :].strip(_SPACE)
    return fields


def _cut(text: bytes, opening: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield what stands between the outermost commas, and where in it the first outer colon is, or -1."""
    begin, colon = 1, -1
    for mark, at in _outer_marks(text, opening):
        if mark != b":":
            yield text[begin:at], colon
            begin, colon = at + 1, -1
        elif colon < 0:
            colon = at - begin


def _outer_marks(text: bytes, opening: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the outermost bracket's commas and colons, and its end, each with its place."""
    if text[:1] != opening:
        raise ValueError(f"no {opening!r} at the start")
    awaited = [_CLOSING[opening]]
    end = 1
    while awaited:
        found = (_OUTER if len(awaited) == 1 else _DEEP).match(text, end)
        if found is None or found[1] == b'"':
            raise ValueError("cut off")
        mark, end = found[1], found.end()
        if mark in _CLOSING:
            awaited.append(_CLOSING[mark])
        elif mark in b",:":
            yield mark, end - 1
        elif awaited.pop() != mark:
            raise ValueError("brackets that do not match")
    if end != len(text):
        raise ValueError("something follows the end")
    yield _CLOSING[opening], end - 1
