"""The agents of a source: those the journal knows, and the account's list of them, read page by page."""

from __future__ import annotations

from harvester.fetch import Account
from harvester.journal import Job, Journal, Store
from harvester.model import AgentListing, Cursor, Gap, Request

PASSES = 2
"""How often a list of agents is read that comes shorter than it says."""


class Roster:
    """Whose calls a source can ask for.

    Args:
        account: How the source is asked.
        job: Its job in the journal.
        journal: What keeps agents and how far their list was read.
        page_size: Agents to ask for at once.
    """

    def __init__(self, account: Account, job: Job, journal: Journal, page_size: int) -> None:
        self.names: dict[str, str | None] = {}
        self.gaps: list[Gap] = []
        self.is_listing: bool = False
        self._account = account
        self._job = job
        self._journal = journal
        self._page_size = page_size
        self._page = 0
        self._passes = 1
        self._listed: set[str] = set()

    async def start(self) -> None:
        """Read what the journal knows."""
        known = await self._journal.run(Store.agents, self._job.id)
        self.names = {agent.id: agent.name for agent in known}

    def begin(self) -> Request:
        """Begin to list the agents, where an earlier run left off, and return the first request."""
        if not self._job.is_listed:
            self._page = self._job.agent_pages
            self._listed = set(self.names) if self._page else set()
        self.is_listing = True
        return self._request()

    async def take(self, listing: AgentListing) -> tuple[list[str], Request | None]:
        """Take a page of agents; return those not listed before, and the next request if there is one."""
        is_named = self._account.source.agents is not None
        fresh = [agent for agent in listing.agents if agent.id not in self._listed]
        fresh = list({agent.id: agent for agent in fresh}.values())
        self._listed |= {agent.id for agent in fresh}
        self.names |= {agent.id: agent.name for agent in fresh}
        goes_on = listing.has_more and bool(fresh)
        has_more = goes_on or (not is_named and self._is_short(listing.total))
        self._page = self._page + 1 if goes_on else 0
        is_listed = not is_named and not has_more and not self.gaps
        await self._journal.run(Store.add_agents, self._job.id, fresh, is_listed=is_listed, pages=self._page)
        self.is_listing = has_more
        return [agent.id for agent in fresh], self._request() if has_more else None

    def lose(self) -> None:
        """Take that the list cannot be had."""
        self.is_listing = False

    def _request(self) -> Request:
        return self._account.provider.agents_request(Cursor(self._page, self._page_size))

    def _is_short(self, total: int | None) -> bool:
        """Return whether the list is worth reading once more; where that was done, what it lacks is a gap."""
        if total is None or len(self._listed) >= total:
            return False
        if self._passes < PASSES:
            self._passes += 1
            return True
        listed = len(self._listed)
        message = f"the provider counts {total} agents and lists {listed}: the others' calls are missing"
        self.gaps.append(Gap(kind="source", message=message))
        return False
