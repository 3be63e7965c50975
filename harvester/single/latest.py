"""The most recent calls of a source, in full.

How they are come by is the provider's affair (`Capabilities.latest`): an API picks the newest itself, or its lists can
begin with them, or only ranges that lead back in time will find them. The source's filters and range, which are an
export's, are not applied.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from harvester.errors import RejectedError, UnsupportedError
from harvester.lookup import each, list_agents
from harvester.model import Agent, Cursor, Query, Request, Window

from .asker import Asker, Call, Row, refuse, text_problem
from .newest import ListReader, Newest

SPANS = (timedelta(days=1), timedelta(days=7), timedelta(days=30), timedelta(days=365))
"""How far back in time ranges lead, one after another; after them comes all there is."""

_NUMBER = re.compile(r"\+?[0-9]{3,15}")  # E.164 has 15 digits at most; short codes have few
_SEPARATORS = str.maketrans("", "", " -.()/\u00a0")
_log = logging.getLogger("harvester")

Owner = Agent | None


async def latest(
    asker: Asker, *, count: int = 1, agent_id: str | None = None, phone: str | None = None
) -> list[Call]:
    """Fetch the most recent calls by the time of their creation.

    Args:
        asker: Asks the source.
        count: How many.
        agent_id: Whose; None for those of the source's `agents`, else of the whole account.
        phone: With this number only.

    Returns:
        0 to `count` calls, the newest first, those without a time of creation last.

    Raises:
        UnsupportedError: The provider cannot look for a phone number; nothing was sent.
        UsageError: An argument is wrong; nothing was sent.
        ProviderError: An answer that is needed did not come.
    """
    number = _checked(asker, count, agent_id, phone)
    search = _Search(asker, count, number)
    search.owners = await _owners(asker, agent_id)
    if asker.provider.capabilities.latest == "range":
        await search.by_ranges()
    else:
        await search.by_pages()
    return await _in_full(asker, search.newest.rows, count)


def _checked(asker: Asker, count: int, agent_id: str | None, phone: str | None) -> str | None:
    """Return the number to look for; a number that is refused is not repeated."""
    number = None if phone is None else phone.translate(_SEPARATORS)
    problems = [] if count >= 1 else [f"count: must be 1 or more, not {count}"]
    problems += text_problem("agent", agent_id)
    if number is not None and not _NUMBER.fullmatch(number):
        problems.append("phone: must be a phone number: 3 to 15 digits, with or without a leading +")
    refuse(problems)
    can = asker.provider.capabilities
    if number is not None and can.phone_filter is None:
        raise UnsupportedError(
            f'source "{asker.account.source.name}": phone: {can.title} has no filter by phone number; '
            "look at the numbers of its calls"
        )
    return number


def _has(asker: Asker, row: Row, number: str) -> bool:
    """Say whether a call has the number: a search finds other texts too, and a filter may be ignored."""
    digits = number.lstrip("+")
    return any(re.sub(r"[^0-9]", "", one) == digits for one in asker.numbers_of(row))


async def _owners(asker: Asker, agent_id: str | None) -> list[Owner]:
    """Return whose lists are to be read; None is the account."""
    source = asker.account.source
    if agent_id is not None:
        return [Agent(agent_id)]
    if source.agents is not None:
        return [Agent(one) for one in source.agents]
    if asker.provider.capabilities.walks_account:
        return [None]
    return [agent async for agent in list_agents(asker.account, asker.fetcher)]


class _Search:
    """The lists that are read for the newest calls; `owners` are those whose lists they are, None the account."""

    def __init__(self, asker: Asker, count: int, number: str | None) -> None:
        self._asker = asker
        self._can = asker.provider.capabilities
        self._count = count
        self._number = number
        self.newest = Newest(count) if number is None else Newest(count, lambda row: _has(asker, row, number))
        self.owners: list[Owner] = []

    async def by_pages(self) -> None:
        """Read the lists that begin with the newest calls."""
        await self._each(self._begin)

    async def _begin(self, owner: Owner, part: Newest) -> None:
        if self._can.latest == "one" and self._count == 1 and await self._is_picked(owner, part):
            return
        # Rows of a light list cost little, and the more there are the surer it is that they come in order.
        size = min(max(self._count, 2), self._most) if self._can.latest == "one" else self._most
        await self._reader(self._page(owner), owner, part, size=size).run()

    async def _is_picked(self, owner: Owner, part: Newest) -> bool:
        """Let the API pick the newest call itself; False where what it picked is none."""
        request, provider = self._page(owner)(Cursor(0, 1)), self._asker.provider
        answer = await self._asker.ask(request, provider.read_latest, provider.call_type, owner)
        part.take(answer.rows)
        return bool(answer.rows) or not answer.keys

    def _page(self, owner: Owner) -> Callable[[Cursor], Request]:
        ask, agent_id = self._asker.provider.latest_request, owner.id if owner else None
        return lambda cursor: ask(agent_id, phone=self._number, count=cursor.size, page=cursor.page)

    async def by_ranges(self) -> None:
        """Read ranges whole, back in time until there are enough calls; each begins where the one before ended."""
        until = now = self._asker.clock.now()
        for since in (*(now - span for span in SPANS), None):
            await self._each(partial(self._range, since, until))
            if since is not None and self.newest.is_full(since):
                return
            until = since or until

    async def _range(self, since: datetime | None, until: datetime, owner: Owner, part: Newest) -> None:
        window = Window(owner.id if owner else None, since, until)
        named = self._can.phone_filter
        query = Query(window, {named: self._number} if named and self._number else {})
        request = partial(self._asker.provider.list_request, query)
        await self._reader(request, owner, part, size=self._most).run()

    def _reader(
        self, request: Callable[[Cursor], Request], owner: Owner, part: Newest, *, size: int
    ) -> ListReader:
        provider, is_range = self._asker.provider, self._can.latest == "range"
        read = provider.read_listing if is_range else provider.read_latest
        return ListReader(self._asker, request, read, part, agent=owner, size=size, is_ordered=not is_range)

    @property
    def _most(self) -> int:
        return self._can.max_page_size

    async def _each(self, read: Callable[[Owner, Newest], Awaitable[None]]) -> None:
        """Read one list of each owner, and keep those owners whose lists there are.

        Raises:
            ProviderError: A list did not come, or there is none at all.
        """
        refused: dict[Owner, RejectedError] = {}

        async def part_of(owner: Owner) -> Newest:
            part = self.newest.empty()
            try:
                await read(owner, part)
            except RejectedError as error:
                if not (error.is_about_agent or error.is_gone):
                    raise
                refused[owner] = error
            return part

        for part in await each(self.owners, part_of, at_once=self._asker.at_once):
            self.newest.take(part.rows)
        for owner, error in refused.items():
            if len(refused) == len(self.owners):
                raise error
            _log.warning("%s; agent %s is left out", error, owner.id if owner else "")
        self.owners = [owner for owner in self.owners if owner not in refused]


async def _in_full(asker: Asker, rows: list[Row], count: int) -> list[Call]:
    """Return the first calls in full; one that is gone by now makes room for the next."""
    if asker.provider.capabilities.details != "request":
        return [asker.call_of(row) for row in rows[:count]]
    calls: list[Call] = []
    while rows and len(calls) < count:
        wanted = count - len(calls)
        found = await each(rows[:wanted], partial(_detailed, asker), at_once=asker.at_once)
        calls += [call for call in found if call is not None]
        rows = rows[wanted:]
    return calls


async def _detailed(asker: Asker, row: Row) -> Call | None:
    """Return a call with its details, None where it is gone."""
    if asker.provider.has_no_detail(row.call):
        return asker.call_of(row)
    try:
        return asker.call_of(await asker.detail(row.agent, row.call.id), row)
    except RejectedError as error:
        if error.is_gone:
            return None
        raise
