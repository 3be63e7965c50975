"""JSON that msgspec refuses, and why."""

from __future__ import annotations

import math

import pytest

from harvester.providers.loose import read_json


def test_read_json_lets_half_a_character_in() -> None:
    """A lone surrogate is read from bytes and from text."""
    assert read_json(rb'["\ud83d"]') == read_json(r'["\ud83d"]') == ["\ud83d"]


def test_read_json_takes_a_number_of_any_length() -> None:
    """A number that no column could hold is infinity."""
    assert read_json(b"9" * 5000) == math.inf
    assert read_json(b"12") == 12


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not JSON: Expecting value"),
        ("[1", "not JSON: Expecting ',' delimiter"),
        (b'"\xff"', "not JSON: its bytes are no UTF-8"),
        ("[NaN]", "not JSON: NaN is no JSON"),
        ("[" * 100_000, "not JSON: nested too deeply"),
    ],
)
def test_read_json_says_why_it_refuses(text: bytes | str, reason: str) -> None:
    """The reason is one sentence that holds nothing of the text."""
    with pytest.raises(ValueError, match="not JSON") as caught:
        read_json(text)
    assert str(caught.value) == reason
