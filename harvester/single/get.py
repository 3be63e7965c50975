"""One call by its id; where its agent is not known the agents are asked, in the order of their list."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from harvester.errors import ProviderError, RejectedError
from harvester.fetch import BROKEN_AFTER
from harvester.lookup import each, list_agents
from harvester.model import Agent

from .asker import Asker, Call, Row, refuse, text_problem

AT_ONCE = 4
"""Agents that are asked at the same time: a few requests too many at most, for a quarter of the time."""


async def get(asker: Asker, call_id: str, *, agent_id: str | None = None) -> Call:
    """Fetch one call with all its details.

    Args:
        asker: Asks the source.
        call_id: The provider's id of the call.
        agent_id: Its agent; None to find it: in the source's `agents`, else in the account's list of them.

    Raises:
        UnsupportedError: The provider has no way to ask for one call; nothing was sent.
        UsageError: An id cannot be sent; nothing was sent.
        RejectedError: `is_gone`: there is no such call.
        ProviderError: No usable answer, so that nobody knows whether there is one.
    """
    refuse(text_problem("agent", agent_id))
    # What cannot be asked is refused here, before anything is sent.
    asker.provider.detail_request(agent_id or "any", call_id)
    if agent_id is not None or asker.provider.capabilities.walks_account:
        row = await _known(asker, Agent(agent_id) if agent_id else None, call_id)
    else:
        row = await _found(asker, call_id)
    return asker.call_of(row)


async def _known(asker: Asker, agent: Agent | None, call_id: str) -> Row:
    try:
        row = await asker.detail(agent, call_id)
    except RejectedError as error:
        if error.is_gone:
            raise _none(asker) from error
        raise
    named = asker.provider.agent_of(row.call)
    if agent is not None and named is not None and named.casefold() != agent.id.casefold():
        raise _none(asker, " of this agent")
    return row


async def _found(asker: Asker, call_id: str) -> Row:
    """Ask agent by agent; one that fails does not hide what another has, but leaves the question open."""
    asked, failed = 0, list[ProviderError]()
    async with aclosing(_agents(asker)) as agents:
        while batch := await _some(agents, min(AT_ONCE, asker.at_once)):
            asked += len(batch)
            for answer in await each(batch, partial(_if_there, asker, call_id)):
                if isinstance(answer, Row):
                    return answer
                if answer is not None:
                    failed.append(answer)
            if len(failed) >= BROKEN_AFTER:
                break
    if failed:
        raise failed[0]
    raise _none(asker, f"; agents asked: {asked}")


async def _if_there(asker: Asker, call_id: str, agent: Agent) -> Row | ProviderError | None:
    """Return the call if this agent has it, an error if that is not known.

    Raises:
        ProviderError: Asking the other agents is no use either.
    """
    try:
        return await asker.detail(agent, call_id)
    except ProviderError as error:
        if error.is_gone or error.is_about_agent:
            return None
        if not error.is_retryable:
            raise
        return error


async def _some(agents: AsyncGenerator[Agent, None], most: int) -> list[Agent]:
    batch: list[Agent] = []
    while len(batch) < most and (agent := await anext(agents, None)) is not None:
        batch.append(agent)
    return batch


async def _agents(asker: Asker) -> AsyncGenerator[Agent, None]:
    if asker.account.source.agents is not None:
        for agent_id in asker.account.source.agents:
            yield Agent(agent_id)
    else:
        async with aclosing(list_agents(asker.account, asker.fetcher)) as listed:
            async for agent in listed:
                yield agent


def _none(asker: Asker, more: str = "") -> ProviderError:
    error = RejectedError(f"there is no such call{more}", endpoint="get call", status=404, is_gone=True)
    return asker.named(error)
