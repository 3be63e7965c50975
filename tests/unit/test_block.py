"""Rows side by side: found where they stand or not at all, whole as lines, texts and single ones."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.block import Block, array_of, size_of

ROWS = [b'{"id":"a"}', b'{"id":"\xc3\xa9", "x":[{},{}]}', b"7"]
values = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
gaps = st.sampled_from([b",", b" ,", b", ", b",\n"])


def body_of(rows: list[bytes], gap: bytes = b",") -> bytes:
    return b'{"data":[' + gap.join(rows) + b'],"total":3}'


def found(rows: list[bytes] = ROWS, gap: bytes = b",") -> Block:
    block = Block.find(body_of(rows, gap), rows)
    assert block is not None
    return block


@given(st.lists(values, min_size=1, max_size=6), st.lists(gaps, min_size=5, max_size=5), values)
def test_find_finds_rows_where_they_stand_or_not_at_all(
    rows: list[object], between: list[bytes], beside: object
) -> None:
    """Whatever the rows are, what is beside them, and what stands between any two: they come back as they are."""
    texts, body = answer_of(rows, between, beside)
    block = Block.find(body, texts)
    assert block is None or (list(block) == texts and block.text == b",".join(texts))


@given(st.lists(values, min_size=1, max_size=6), st.lists(gaps, min_size=5, max_size=5))
def test_find_finds_what_is_there_once(rows: list[object], between: list[bytes]) -> None:
    """Rows that differ from all else are found just where a single comma is between any two."""
    numbered = [{"id": f"#{number}", "x": row} for number, row in enumerate(rows)]
    texts, body = answer_of(numbered, between, beside=1)
    is_close = all(gap == b"," for gap in between[: len(rows) - 1])
    assert (Block.find(body, texts) is not None) == is_close


def answer_of(rows: Sequence[object], between: list[bytes], beside: object) -> tuple[list[bytes], bytes]:
    """Rows' texts, and an answer that holds them."""
    texts = [msgspec.json.encode(row) for row in rows]
    joined = texts[0] + b"".join(gap + text for gap, text in zip(between, texts[1:], strict=False))
    return texts, b'{"a":' + msgspec.json.encode(beside) + b',"data":[' + joined + b"]}"


def test_find_takes_rows_with_a_comma_between() -> None:
    """The ordinary answer."""
    assert list(found()) == ROWS
    assert Block.find(body_of(ROWS, b", "), ROWS) is None
    assert Block.find(b"[]", []) is None
    assert Block.find(b'{"data":[1]}', [b"2"]) is None


def test_block_is_a_sequence() -> None:
    """By index, from the end, in slices, and in its length."""
    block = found()
    assert (len(block), block[1], block[-1], block[:2]) == (3, ROWS[1], ROWS[2], ROWS[:2])
    assert block.size == sum(map(len, ROWS))
    with pytest.raises(IndexError):
        block[3]


def test_unpack_takes_what_place_says() -> None:
    """With the answer, a place is all there is to know."""
    start, lengths = found().place
    assert list(Block.unpack(body_of(ROWS), start, lengths, is_flat=True)) == ROWS


def test_lines_are_the_rows_each_with_a_break() -> None:
    """Byte for byte."""
    assert found().is_flat
    buffer = bytearray(b"." * (found().size + len(ROWS) + 4))
    found().write_lines(buffer, 2)
    assert bytes(buffer) == b".." + b"".join(row + b"\n" for row in ROWS) + b".."
    assert not found([b'{\n"id":1}', b"2"]).is_flat
    behind = Block.find(body_of(ROWS) + b"\r\n", ROWS)
    assert behind is not None
    assert behind.is_flat


def test_texts_are_the_rows_as_text() -> None:
    """Also where a character has more bytes than one."""
    assert found().texts() == [row.decode() for row in ROWS]
    assert found([b"1", b'"a"']).texts() == ["1", '"a"']
    with pytest.raises(UnicodeDecodeError):
        found([b'"\xff"']).texts()


def test_array_is_of_all_answers() -> None:
    """Whether their rows stand side by side or not; an answer without rows leaves no trace."""
    assert array_of([found(), [], [msgspec.Raw(b"1"), b"2"]]) == b"[" + b",".join([*ROWS, b"1", b"2"]) + b"]"
    assert size_of(found()) == size_of(ROWS) == size_of(list(map(msgspec.Raw, ROWS)))
