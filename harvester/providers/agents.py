"""Agents out of a page of them, for the APIs that list their agents."""

from __future__ import annotations

import msgspec

from harvester.errors import MalformedError
from harvester.model import Agent, AgentListing, Listing

from .envelope import has_more
from .rows import fit_row


class AgentRow(msgspec.Struct, frozen=True, gc=False):
    """What is read of an agent; `label` is what it is displayed as where it has no name."""

    id: str
    name: str | None = None
    label: str | None = None


def agents_in(listing: Listing) -> AgentListing:
    """Return the agents of a page, in its order.

    `has_more` is what the answer says, else whether there were rows: whoever asks for the next page stops at
    one that brings no new agent, since there are servers that always say yes.

    Raises:
        MalformedError: A row is no agent. Its calls would be missing without a word.
    """
    found = [_agent(bytes(row)) for row in listing.rows]
    return AgentListing(found, has_more=has_more(listing), total=listing.total)


def _agent(row: bytes) -> Agent:
    agent, problems = fit_row(row, AgentRow)
    if agent is None:
        raise MalformedError(
            f"a row in the list of agents is no agent ({problems[0][1]}): name `agents` in the config"
        )
    return Agent(agent.id, agent.name or agent.label)
