"""Which windows are left: what is wanted, less what is there."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harvester.job.plan import ALWAYS, Range, covered, subtract, windows_left
from harvester.journal import Counts, StoredWindow
from harvester.journal.nouns import WindowState
from harvester.model import Window

from .servers import moment

POINTS = st.integers(0, 20)
RANGES = st.tuples(st.one_of(st.none(), POINTS), st.integers(1, 9)).map(
    lambda ends: (None if ends[0] is None else moment(ends[0]), moment((ends[0] or 0) + ends[1]))
)
STATES: list[WindowState] = ["complete", "open", "gap"]
AGENTS = st.sampled_from(["a", "b", None])


def holds(part: Range, at: datetime) -> bool:
    return (part[0] or ALWAYS) <= at < part[1]


def minutes() -> list[datetime]:
    return [ALWAYS, *(moment(n / 2) for n in range(-2, 44))]


def stored(number: int, agent: str | None, part: Range, state: WindowState = "complete") -> StoredWindow:
    return StoredWindow(number, Window(agent, *part), state, Counts(), [])


@given(RANGES, st.lists(RANGES, max_size=6))
def test_subtract_leaves_exactly_the_rest(wanted: Range, done: list[Range]) -> None:
    """Every moment that is wanted and not done is in one part, and no other moment in any."""
    left = subtract(wanted, done)
    for at in minutes():
        is_left = holds(wanted, at) and not any(holds(part, at) for part in done)
        assert sum(holds(part, at) for part in left) == is_left


@given(RANGES, st.lists(RANGES, max_size=6))
def test_subtract_leaves_parts_in_order(wanted: Range, done: list[Range]) -> None:
    """No part is empty, and each begins after the one before has ended."""
    left = subtract(wanted, done)
    assert all((since or ALWAYS) < until for since, until in left)
    assert all(one[1] < (other[0] or ALWAYS) for one, other in pairwise(left))


STORED = st.lists(st.tuples(AGENTS, RANGES, st.sampled_from(STATES)), max_size=6).map(
    lambda rows: [stored(number, agent, part, state) for number, (agent, part, state) in enumerate(rows)]
)


@given(RANGES, STORED, st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True))
def test_windows_left_of_agents_cover_what_is_wanted_once(
    wanted: Range, known: list[StoredWindow], agents: list[str]
) -> None:
    """New windows are disjoint from those there are, and with them hold every moment wanted of every agent."""
    begun, new = windows_left(agents, wanted, known)
    for agent in agents:
        there = [(w.window.since, w.window.until) for w in known if w.window.agent_id in {agent, None}]
        fresh = [(w.since, w.until) for w in new if w.agent_id == agent]
        for at in minutes():
            assert sum(holds(part, at) for part in fresh) == (
                holds(wanted, at) and not any(holds(part, at) for part in there)
            )
    assert {window.window.agent_id for window in begun} <= {*agents, None}
    assert all(window.state != "complete" for window in begun)


@given(RANGES, STORED)
def test_windows_left_of_an_account_go_on_with_all_that_was_begun(
    wanted: Range, known: list[StoredWindow]
) -> None:
    """Of a whole account every window that was begun and meets the range is finished, whoever's it is."""
    begun, new = windows_left([None], wanted, known)
    expected = {w.id for w in known if w.state != "complete" and _meets(w, wanted)}
    assert {window.id for window in begun} == expected
    assert all(window.agent_id is None for window in new)


def _meets(window: StoredWindow, wanted: Range) -> bool:
    return any(
        holds((window.window.since, window.window.until), at) and holds(wanted, at) for at in minutes()
    )


def test_windows_left_finishes_a_window_that_reaches_beyond() -> None:
    """A window that was begun is gone on with as it is, not cut: its ids are what keeps rows from being doubled."""
    begun, new = windows_left(
        ["a"], (moment(5), moment(15)), [stored(1, "a", (moment(0), moment(10)), "open")]
    )
    assert [window.id for window in begun] == [1]
    assert new == [Window("a", moment(10), moment(15))]


def test_covered_holds_the_ranges_of_single_agents() -> None:
    """Windows of the whole account cover nobody in particular."""
    known = [
        stored(1, "a", (None, moment(5))),
        stored(2, None, (None, moment(9))),
        stored(3, "a", (moment(7), moment(8))),
    ]
    assert covered(known) == {"a": [(None, moment(5)), (moment(7), moment(8))]}
