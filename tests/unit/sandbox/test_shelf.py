"""A list of which only the differences are kept is the list it stands for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox.ledger import Thinned
from harvester.sandbox.shelf import Shelf

# What is done one after the other: put in a call of this time, or take out the call at this place.
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=60)


@given(st.lists(st.integers(0, 50), max_size=40), STEPS)
def test_shelf_is_the_list_it_stands_for(times: list[int], steps: list[tuple[bool, int]]) -> None:
    """Length, every place and the order of all are those of a plain list, whatever came and went."""
    created = sorted(times)
    shelf = Shelf(range(len(created)), lambda call: created[call])
    plain = list(range(len(created)))
    for puts, number in steps:
        if puts:
            created.append(number)
            shelf.put(len(created) - 1)
            plain.append(len(created) - 1)
            plain.sort(key=lambda call: (created[call], call))
        elif plain:
            shelf.take_out(plain.pop(number % len(plain)))
        assert len(shelf) == len(plain)
    assert [shelf[place] for place in range(len(shelf))] == plain
    assert list(shelf) == plain
    assert shelf.count(-1) == 0


@given(st.integers(1, 200), st.sets(st.integers(0, 199)))
def test_shelf_stands_on_any_sequence(count: int, gone: set[int]) -> None:
    """The base may itself be a list that leaves some out."""
    base = Thinned(range(3, 3 + 2 * count, 2), 7)
    shelf = Shelf(base, lambda call: call // 10)
    calls = list(base)
    for place in sorted(gone, reverse=True):
        if place < len(calls):
            shelf.take_out(calls.pop(place))
    assert list(shelf) == calls == [shelf[place] for place in range(len(shelf))]


@pytest.mark.parametrize("call", [2, 4, 9, 10])
def test_shelf_gives_out_only_what_it_has(call: int) -> None:
    """What is gone, was left out, or never was cannot be taken out; no place is beyond the ends."""
    shelf: Any = Shelf(range(0, 10, 4), lambda call: call)
    shelf.take_out(4)
    with pytest.raises(ValueError, match=str(call)):
        shelf.take_out(call)
    for place in (-1, 2):
        with pytest.raises(IndexError):
            shelf[place]
