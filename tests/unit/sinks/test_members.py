"""Unit tests of cutting an object into its members."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sinks.members import cut, legal, quoted

HALF = '"\\ud83d"'
TEXTS = st.text(st.characters(exclude_categories=[]))  # halves of characters, too


@pytest.mark.parametrize("rest", ["", f',"h":{HALF}'])
def test_cut_keeps_each_value_as_it_was(rest: str) -> None:
    """Numbers, spaces and escapes stay as sent, whichever decoder reads the row."""
    row = '{ "a" : 1.0 ,\n"b":{"x" : [1, 2]},"c":"\\u00e9"' + rest + "}"
    members = cut(row.encode())
    assert members["a"] == b"1.0"
    assert members["b"] == b'{"x" : [1, 2]}'
    assert members["c"] == b'"\\u00e9"'


def test_cut_takes_half_a_character() -> None:
    """An emoji cut in half stays the escape it was, in a value and in a name."""
    members = cut(b'{"a":"\\ud83d","\\ud83d":1}')
    assert members == {"a": b'"\\ud83d"', "\ud83d": b"1"}


def test_cut_takes_bytes_that_are_no_text() -> None:
    """A value that is not UTF-8 is cut all the same, and can be had back from its escape."""
    members = cut(b'{"a":"\xff","b":"\\ud83d"}')
    assert members["a"] == b'"\xff"'
    restored = json.loads(legal(members["a"]))
    assert restored.encode("utf-8", "surrogateescape") == b"\xff"


@pytest.mark.parametrize("rest", ["", f',"h":{HALF}'])
def test_cut_keeps_the_last_of_one_name(rest: str) -> None:
    """Where a name comes twice the last counts, as for every reader of JSON here."""
    assert cut(('{"a":1,"a":2' + rest + "}").encode())["a"] == b"2"


@pytest.mark.parametrize(
    "row",
    [
        b"[1]",
        b"1",
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a"}',
        b'{"a":1,}',
        b'{"a":1 "b":2}',
        b"{1:2}",
        b'{"a":"\\ud83d"',
    ],
)
def test_cut_refuses_what_is_no_object(row: bytes) -> None:
    """What no reader would take for an object is refused."""
    with pytest.raises(ValueError, match=r".+"):
        cut(row)


def test_cut_of_an_empty_object_is_nothing() -> None:
    """An object without members has none."""
    assert cut(b"{ }") == {}


@given(members=st.dictionaries(TEXTS, TEXTS | st.integers() | st.lists(TEXTS, max_size=2), max_size=4))
def test_cut_finds_every_member(members: dict[str, object]) -> None:
    """Any object, halves of characters included, is put together again from its pieces."""
    pieces = cut(json.dumps(members).encode())
    text = "{" + ",".join(f"{quoted(name)}:{legal(value)}" for name, value in pieces.items()) + "}"
    assert json.loads(text.encode()) == members
