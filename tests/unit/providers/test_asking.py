"""Parts of requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import UnsupportedError
from harvester.model import Cursor, Query, Window
from harvester.providers.asking import agent_segment, numbered, pairs, segment, shifted

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
