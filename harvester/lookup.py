"""Single questions: check, agents, plan."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import ceil
from typing import TypeVar

import anyio
import msgspec

from harvester.clock import Clock
from harvester.fetch import Account, Fetcher
from harvester.model import Agent, Cursor, Query, Rate, Response, Window
from harvester.transport.hints import read_hint

T = TypeVar("T")
U = TypeVar("U")

AT_ONCE = 16
"""Sources that are asked at the same time."""

PAGE_SIZE = 100
"""Rows of a page: of the lists of agents read here, and of the calls that a plan reckons with."""


class CheckRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one question to a source came to; the skew is the server's clock less ours, in whole seconds."""

    source: str
    provider: str
    ok: bool
    message: str
    elapsed_ms: float
    clock_skew_s: float | None
    limits: str


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that a source can see."""

    source: str
    agent_id: str
    agent_name: str | None


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """What `export` would do for one agent, or for a whole account.

    `calls` is the provider's own total, None where it tells none; where a list has no filter by range it is the whole
    list's. `requests` are pages and details; `recordings` come beside them, from storages: at most one a call, as it is
    not known before which have one. `seconds` is what the limits alone take, None where none is known.
    """

    source: str
    agent_id: str | None
    agent_name: str | None
    since: datetime | None
    until: datetime
    calls: int | None
    pages: int | None
    requests: int | None
    recordings: int | None
    seconds: float | None


async def check(accounts: Sequence[Account], fetcher: Fetcher, clock: Clock) -> list[CheckRow]:
    """Ask each source its cheapest question, once; a row a source, in their order."""
    return await each(accounts, lambda account: _check(account, fetcher, clock))


async def _check(account: Account, fetcher: Fetcher, clock: Clock) -> CheckRow:
    await fetcher.admit(account)
    started = clock.monotonic()
    response, error = await fetcher.exchange(account, account.provider.check_request())
    return CheckRow(
        source=account.source.name,
        provider=account.source.provider,
        ok=error is None,
        message="" if error is None else error.message,
        elapsed_ms=(clock.monotonic() - started) * 1000,
        clock_skew_s=None if response is None else _skew_s(response),
        limits=_limits(account, response),
    )


def _skew_s(response: Response) -> float | None:
    try:
        there = parsedate_to_datetime(response.headers.get("Date", ""))
        return round((there - response.received_at).total_seconds())
    except (ValueError, TypeError):  # none, or one without a zone
        return None


def _limits(account: Account, response: Response | None) -> str:
    known = ", ".join(map(str, account.gate.rates)) or "none known"
    announced = None if response is None else read_hint(response.headers, response.received_at).limit
    return known if announced is None else f"{known}; announced: {announced}"


async def agents(accounts: Sequence[Account], fetcher: Fetcher) -> list[AgentRow]:
    """List the agents of each source; one whose provider has no such list shows those of its config.

    Raises:
        ProviderError: A list did not come.
    """
    listed = await each(accounts, lambda account: _agents_of(account, fetcher))
    return [
        AgentRow(source=account.source.name, agent_id=agent.id, agent_name=agent.name)
        for account, found in zip(accounts, listed, strict=True)
        for agent in found
    ]


async def _agents_of(account: Account, fetcher: Fetcher) -> list[Agent]:
    if not account.provider.capabilities.lists_agents:
        return [Agent(agent_id) for agent_id in account.source.agents or ()]
    return [agent async for agent in list_agents(account, fetcher)]


async def list_agents(account: Account, fetcher: Fetcher) -> AsyncGenerator[Agent, None]:
    """Yield the agents that an account can see, page by page.

    Raises:
        ProviderError: The list did not come.
    """
    page, seen = 0, set[str]()
    while True:
        request = account.provider.agents_request(Cursor(page, PAGE_SIZE))
        listing = await fetcher.fetch(account, request, account.provider.read_agents)
        fresh = [agent for agent in {a.id: a for a in listing.agents}.values() if agent.id not in seen]
        for agent in fresh:
            yield agent
        if not listing.has_more or not fresh:
            return  # a page that brings no new agent is the end, whatever the server says
        seen.update(agent.id for agent in fresh)
        page += 1


async def plan(accounts: Sequence[Account], fetcher: Fetcher, now: datetime) -> list[PlanRow]:
    """Ask for one row of each agent's list, and reckon from its total.

    Raises:
        ProviderError: A list did not come.
    """
    rows = await each(accounts, lambda account: _plan(account, fetcher, now))
    return [row for source in rows for row in source]


async def _plan(account: Account, fetcher: Fetcher, now: datetime) -> list[PlanRow]:
    source, capabilities = account.source, account.provider.capabilities
    found: list[Agent | None] = [Agent(agent_id) for agent_id in source.agents or ()]
    if source.agents is None:
        found = [None] if capabilities.walks_account else [a async for a in list_agents(account, fetcher)]
    return [await _plan_one(account, fetcher, agent, now) for agent in found]


async def _plan_one(account: Account, fetcher: Fetcher, agent: Agent | None, now: datetime) -> PlanRow:
    source, provider = account.source, account.provider
    window = Window(agent.id if agent else None, source.since, source.until or now)
    request = provider.list_request(Query(window, source.filters, source.details), Cursor(0, 1))
    listing = await fetcher.fetch(account, request, provider.read_listing)
    calls = listing.total
    pages = None if calls is None else max(ceil(calls / PAGE_SIZE), 1)
    wants_details = bool(source.details) or source.recordings
    details = calls if wants_details and provider.capabilities.details == "request" else 0
    requests = None if pages is None or details is None else pages + details
    return PlanRow(
        source=source.name,
        agent_id=window.agent_id,
        agent_name=agent.name if agent else None,
        since=window.since,
        until=window.until,
        calls=calls,
        pages=pages,
        requests=requests,
        recordings=calls if source.recordings else 0,
        seconds=_seconds(requests, account.gate.rates),
    )


def _seconds(requests: int | None, rates: Sequence[Rate]) -> float | None:
    """Return the time that limits alone take; a budget that is enough for all takes none."""
    if requests is None or not rates:
        return None
    shortest, *longer = rates
    waits = [max(requests - rate.limit, 0) / rate.per_second for rate in longer]
    return max([requests / shortest.per_second, *waits])


async def each(items: Sequence[T], ask: Callable[[T], Awaitable[U]], *, at_once: int = AT_ONCE) -> list[U]:
    """Ask for all items, some at once; their answers in the items' order. The first error ends it."""
    answers: dict[int, U] = {}
    limiter = anyio.CapacityLimiter(at_once)
    failed: list[Exception] = []

    async def ask_one(index: int, item: T) -> None:
        async with limiter:
            try:
                answers[index] = await ask(item)
            except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
                failed.append(error)
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for index, item in enumerate(items):
            tasks.start_soon(ask_one, index, item)
    if failed:
        raise failed[0]
    return [answers[index] for index in range(len(items))]
