"""Parts of requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import UnsupportedError, UsageError
from harvester.model import Cursor, Query, Window
from harvester.providers.asking import (
    agent_call_path,
    agent_segment,
    call_segment,
    numbered,
    pairs,
    segment,
    shifted,
    whole,
)

UNTIL = datetime(2026, 4, 1, tzinfo=UTC)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_segment_is_one_segment_that_decodes_to_the_id(text: str) -> None:
    """No id leads to another path, another query or a folder above."""
    encoded = segment(text)
    assert not set(encoded) & set("/?#\\ ")
    assert encoded not in {".", ".."}
    assert encoded.isascii()
    assert unquote(encoded) == text


@pytest.mark.parametrize(
    ("text", "encoded"), [("a/b?c#d e", "a%2Fb%3Fc%23d%20e"), ("..", "%2E%2E"), ("a.b", "a.b")]
)
def test_segment_encodes_what_has_a_meaning(text: str, encoded: str) -> None:
    """What would end the segment is encoded, and dots where they are all there is."""
    assert segment(text) == encoded


def test_agent_segment_wants_an_agent() -> None:
    """A list that is an agent's cannot be asked for the whole account."""
    assert agent_segment(Query(Window("a/1", None, UNTIL)), "TalkPilot") == "a%2F1"
    with pytest.raises(UnsupportedError, match="agents: TalkPilot lists calls agent by agent"):
        agent_segment(Query(Window(None, None, UNTIL)), "TalkPilot")


def test_numbered_counts_from_one() -> None:
    """Our pages count from 0, the APIs' from 1."""
    assert numbered(Cursor(0, 50), "limit") == (("page", "1"), ("limit", "50"))


def test_pairs_are_in_one_order() -> None:
    """The same filters make the same request, whatever order they were given in."""
    assert pairs({"b": "2", "a": "1"}) == pairs({"a": "1", "b": "2"}) == (("a", "1"), ("b", "2"))


def test_shifted_ends_with_the_calendar() -> None:
    """Beyond the first and last day there is nothing to ask for."""
    day = timedelta(days=1)
    assert shifted(UNTIL, day) == datetime(2026, 4, 2, tzinfo=UTC)
    assert shifted(datetime.min.replace(tzinfo=UTC), -day) is None
    assert shifted(datetime.max.replace(tzinfo=UTC), day) is None


@pytest.mark.parametrize(
    ("call_id", "encoded"),
    [
        ("../x", "..%2Fx"), ("..", "%2E%2E"), (".", "%2E"), ("a?b#c", "a%3Fb%23c"), ("\0", "%00"), ("%2e", "%252e"),
        ("a\\b", "a%5Cb"), ("é", "%C3%A9"),
    ],
)  # fmt: skip
def test_a_call_is_one_segment_below_its_agent(call_id: str, encoded: str) -> None:
    """Whatever is in an id, it leads to the call of that id and nowhere else."""
    assert call_segment(call_id) == encoded
    assert agent_call_path("/v1", call_id, call_id, "X") == f"/v1/agents/{encoded}/calls/{encoded}"


def test_a_call_without_an_id_is_not_asked_for() -> None:
    """An empty id would lead to the list, and half a character cannot be sent."""
    for call_id, agent_id in (("", "a"), ("\ud83d", "a"), ("a", "\ud83d")):
        with pytest.raises(UsageError, match="id is"):
            agent_call_path("/v1", agent_id, call_id, "X")


@pytest.mark.parametrize("agent_id", [None, ""])
def test_a_call_below_its_agent_wants_the_agent(agent_id: str | None) -> None:
    """Without an agent there is no such path."""
    with pytest.raises(UnsupportedError, match="--agent: X finds a call by its agent"):
        agent_call_path("/v1", agent_id, "a", "X")


def test_whole_is_all_there_is() -> None:
    """The query for all calls has no beginning, and ends with the calendar."""
    window = whole("a", {"b": "c"}).window
    assert (window.agent_id, window.since, window.until.year) == ("a", None, 9999)
