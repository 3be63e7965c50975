"""Pages of agents."""

from __future__ import annotations

import pytest
from msgspec import Raw

from harvester.errors import MalformedError
from harvester.model import Agent, Listing
from harvester.providers.agents import agents_in


def test_agents_in_reads_id_and_name() -> None:
    """An agent has an id, and a name or else a label; an id sent as a number is its digits."""
    rows = [b'{"id":"a","name":"A","label":"L"}', b'{"id":2,"name":null,"label":"B"}', b'{"id":"c","name":5}']
    found = agents_in(Listing([Raw(row) for row in rows], total=3, has_more=True))
    assert found.agents == [Agent("a", "A"), Agent("2", "B"), Agent("c", None)]
    assert (found.total, found.has_more) == (3, True)


@pytest.mark.parametrize("row", [b"null", b"{}", b'{"id":""}', b"NaN"])
def test_agents_in_refuses_a_row_that_is_no_agent(row: bytes) -> None:
    """An agent that cannot be named would lose its calls without a word."""
    with pytest.raises(MalformedError, match="no agent"):
        agents_in(Listing([Raw(b'{"id":"a"}'), Raw(row)]))
