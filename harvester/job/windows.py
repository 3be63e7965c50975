"""The windows of a job: those the journal has, and what is left of them for what a source wants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from harvester.journal import Job, Journal, Store, StoredWindow
from harvester.model import Part, Query, Source, Window
from harvester.providers.base import Capabilities

from .parts import Parts
from .plan import Range, covered, windows_left
from .sieve import Sieve
from .walk import Walk
from .window import OpenWindow, Place, Shared

RECENT = timedelta(days=3)
"""A range that ended so long ago, widened or not, holds no calls created now."""


class Windows:
    """All windows of a source's job.

    Args:
        source: What it asks for.
        job: Its job in the journal.
        journal: What keeps them.
    """

    def __init__(self, source: Source, job: Job, journal: Journal) -> None:
        self.stored: dict[int, StoredWindow] = {}
        self.dateless: dict[str, int] = {}
        self.covered: dict[str, list[Range]] = {}
        self._source = source
        self._job = job
        self._journal = journal
        self._by_agent: dict[str | None, list[StoredWindow]] = {}

    @property
    def wanted(self) -> Range:
        """The range the source asks for; without an end it is the moment the job first started."""
        return self._source.since, self._source.until or self._job.until

    async def start(self, agents: Collection[str]) -> None:
        """Read what the journal has.

        Args:
            agents: The agents that were ever listed.
        """
        self.dateless = await self._journal.run(Store.dateless_ids, self._job.id)
        for window in await self._journal.run(Store.windows, self._job.id):
            # What is gone for good counted in the run that found it.
            window.gaps = [gap for gap in window.gaps if not gap.final]
            self._add(window)
        await self._forget_unwanted(agents if self._source.agents is None else self._source.agents)

    async def _forget_unwanted(self, wanted: Collection[str]) -> None:
        """Forget agents that could not be asked, brought nothing, and are asked for no more: a slip of the pen."""
        kept = {None, *wanted}
        unwanted = [
            window
            for window in self.stored.values()
            if window.window.agent_id not in kept
            and not window.counts.written
            and window.gaps
            and all(gap.kind == "agent" for gap in window.gaps)
        ]
        for window in unwanted:
            del self.stored[window.id]
            self._by_agent[window.window.agent_id].remove(window)
        await self._journal.run(Store.drop_windows, [window.id for window in unwanted])

    def has_enough(self, agents: Sequence[str | None]) -> bool:
        """Return whether these agents' windows hold all that is wanted, or some of it is yet to be finished."""
        begun, new = windows_left(agents, self.wanted, list(self.stored.values()))
        return bool(begun or not new)

    async def left(
        self, agents: Sequence[str | None], lined_up: Collection[int]
    ) -> tuple[list[StoredWindow], list[StoredWindow]]:
        """Return the windows of these agents to go on with, and those that were entered now.

        Args:
            agents: Whose; None alone for the whole account.
            lined_up: The numbers of windows that are being seen to.
        """
        if None in agents or None in self._by_agent:
            # Windows of the whole account leave out what those of single agents hold, whoever is asked for now.
            self.covered = covered(list(self.stored.values()))
        if None in agents:
            relevant = list(self.stored.values())
        else:
            relevant = [window for agent in (None, *agents) for window in self._by_agent.get(agent, ())]
        begun, new = windows_left(agents, self.wanted, relevant)
        begun = [window for window in begun if window.id not in lined_up]
        await self._journal.run(Store.reopen, [window.id for window in begun])
        added = await self._journal.run(Store.add_windows, self._job.id, new)
        for window in added:
            self._add(window)
        return begun, added

    def open(
        self, stored: StoredWindow, capabilities: Capabilities, place: Place, shared: Shared
    ) -> OpenWindow:
        """Open a window to be walked.

        Args:
            stored: The window.
            capabilities: How its list can be asked for.
            place: Where its rows go.
            shared: What all lanes use.
        """
        window, covered_here = stored.window, self.covered if stored.window.agent_id is None else None

        def sieve(own: Range | None, base: int) -> Sieve:
            return Sieve(window, stored.id, dateless=self.dateless, covered=covered_here, own=own, base=base)

        def walk(part: Part) -> Walk:
            until = part.until or window.until
            return Walk(
                Window(window.agent_id, part.since or window.since, until),
                page_size=shared.page_size,
                by_order=capabilities.range_by == "order",
                ends_now=until > shared.clock.now() - RECENT,
            )

        parts = Parts(walk, cuts_at=capabilities.cuts_at)
        query = Query(window, self._source.filters, self._source.details)
        return OpenWindow(stored, query, walk=parts, sieve=sieve, place=place, shared=shared)

    def _add(self, window: StoredWindow) -> None:
        self.stored[window.id] = window
        self._by_agent.setdefault(window.window.agent_id, []).append(window)
