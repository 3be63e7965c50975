"""Cutting by brackets: what is wrong inside an element stays inside it, what is cut off is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.providers.cut import cut_array, cut_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(JSON), st.sampled_from([None, 1, 4]), st.booleans())
def test_cut_array_gives_each_element_as_it_was_written(
    values: list[object], indent: int | None, ascii_only: bool
) -> None:
    """Each element's text is the JSON of that element, however the array is spaced."""
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    cut = [json.loads(element.decode("utf-8", "surrogatepass")) for element in cut_array(text)]
    assert json.dumps(cut) == json.dumps(values)


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(st.text(), JSON), st.sampled_from([None, 2]))
def test_cut_object_gives_each_value_as_it_was_written(fields: dict[str, object], indent: int | None) -> None:
    """Each key has the text of its value, whatever colons, commas and brackets are in strings."""
    cut = cut_object(json.dumps(fields, indent=indent).encode())
    assert json.dumps({key: json.loads(text) for key, text in cut.items()}) == json.dumps(fields)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(JSON, min_size=1), st.data())
def test_cut_array_refuses_what_is_cut_off(values: list[object], data: st.DataObject) -> None:
    """No beginning of an array passes for an array."""
    text = json.dumps(values).encode()
    with pytest.raises(ValueError):  # noqa: PT011 - any refusal will do
        cut_array(text[: data.draw(st.integers(0, len(text) - 1))])


@pytest.mark.parametrize(
    "text",
    [b"", b" ", b"{}", b"1", b'"[]"', b"[1] 2", b"[1]]", b"[1}", b'[{"a":1]', b'["a]', b'["a\\"]', b"[[1]"],
)
def test_cut_array_refuses_what_is_no_closed_array(text: bytes) -> None:
    """Another value, brackets that do not match, a string without an end and text after the end are refused."""
    with pytest.raises(ValueError, match=r"cut off|match|start|follows"):
        cut_array(text)


@pytest.mark.parametrize("text", [b"[]", b"{ }x", b'{"a"}', b"{1:2}", b'{"a":1', b'{"a:1}', b"{x:1}"])
def test_cut_object_refuses_what_is_no_closed_object(text: bytes) -> None:
    """Keys without values, keys that are no strings and half an object are refused."""
    with pytest.raises((ValueError, TypeError)):
        cut_object(text)


def test_cut_array_keeps_nonsense_inside_its_element() -> None:
    """`NaN`, a stray word, half a character and bytes that are no UTF-8 spoil the element they are in only."""
    text = b'[ {"a": NaN} , what , {"b":"\\ud83d"},{"c":"\xff"}, ]'
    assert cut_array(text) == [b'{"a": NaN}', b"what", b'{"b":"\\ud83d"}', b'{"c":"\xff"}']


def test_cut_array_keeps_an_empty_element_in_the_middle() -> None:
    """Two commas in a row have something between them that is no row; it is not passed over."""
    assert cut_array(b"[1,,2]") == [b"1", b"", b"2"]


def test_cut_array_goes_down_to_any_depth() -> None:
    """Depth costs no stack."""
    deep = b"[" * 50_000 + b"]" * 50_000
    assert cut_array(b"[" + deep + b",1]") == [deep, b"1"]


def test_cut_object_takes_the_last_of_two_equal_keys() -> None:
    """A key that is there twice has its last value, as JSON decoders have it."""
    assert cut_object(b'{"a":1,"a":2,}') == {"a": b"2"}


def test_cut_object_splits_at_the_first_colon() -> None:
    """A second colon belongs to the value, which is then no JSON; the key keeps its name."""
    assert cut_object(b'{"a":1:2}') == {"a": b"1:2"}
