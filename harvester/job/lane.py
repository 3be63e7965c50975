"""One source in a run: what it has to ask next, and what becomes of the answers.

A lane starts no task and waits for nothing but the ids, the journal and the writer's queue. `take` gives the next
request, so that whoever has a free place in flight can serve any lane; what has to be sent again is a request like
the others, with a time before which it is not due.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import anyio

from harvester.errors import AccessError, ProviderError
from harvester.fetch import Account, described
from harvester.journal import Job, KeptAnswer, Store, StoredWindow
from harvester.model import Gap, Response

from .dossier import Dossier, RecordingTask
from .enrich import Enricher
from .errands import Errand, Errands, Replay
from .lineup import LineUp
from .nouns import Ask
from .plan import Range
from .report import Outcome
from .roster import Roster
from .shape import Shaper
from .window import OpenWindow, Place, Shared
from .windows import Windows
from .write import Closing, Desk

_log = logging.getLogger("harvester")


class Lane:
    """A source on its way from the first request to the last window.

    Args:
        account: How it is asked.
        job: Its job in the journal.
        desk: What the writer holds of it.
        shaper: Makes pages of answers and rows of pages.
        enricher: Fetches what rows need beside their list.
        shared: What all lanes use.
    """

    def __init__(
        self,
        account: Account,
        job: Job,
        desk: Desk,
        *,
        shaper: Shaper,
        enricher: Enricher,
        shared: Shared,
    ) -> None:
        self.account = account
        self.job = job
        self.desk = desk
        self.in_flight: int = 0
        self.written: int = 0
        self.written_now: int = 0
        self.damaged: int = 0
        self.outcome: Outcome | None = None
        self.is_closed: bool = False
        self.enricher = enricher
        self._shaper = shaper
        self._shared = shared
        self._own_gaps: list[Gap] = []
        self._windows = Windows(account.source, job, shared.journal)
        self._roster = Roster(account, job, shared.journal, shared.page_size)
        self._lineup = LineUp(self._opened)
        self._errands = Errands()

    # Start: which agents, which windows.

    @property
    def wanted(self) -> Range:
        """The range the source asks for; without an end it is the moment the job first started."""
        return self._windows.wanted

    @property
    def stored(self) -> Mapping[int, StoredWindow]:
        """All windows of the job, by their number in the journal."""
        return self._windows.stored

    async def start(self) -> None:
        """Find out what is left; where nothing is the lane is done before its first request."""
        source, roster = self.account.source, self._roster
        await roster.start()
        await self._windows.start(roster.names)
        self.written = sum(window.counts.written for window in self.stored.values())
        agents = self._agents_wanted()
        if agents is None:
            self._errands.add(Errand(roster.begin()))
            if self.job.agent_pages:
                await self._line_up(sorted(roster.names))
            return
        await self._line_up(agents)
        lists_agents = self.account.provider.capabilities.lists_agents
        if (
            source.agents
            and lists_agents
            and self._lineup.has_waiting
            and not set(agents) <= roster.names.keys()
        ):
            self._errands.add(Errand(roster.begin()))

    def _agents_wanted(self) -> Sequence[str | None] | None:
        """Return whose windows to walk; None where the account has to be asked first.

        A job that was cut short goes on with the agents it has; one that asks for more than it has lists them anew.
        """
        source = self.account.source
        if source.agents is not None:
            return source.agents
        if self.account.provider.capabilities.walks_account:
            return [None]
        agents = sorted(self._roster.names)
        is_enough = self.job.is_listed and bool(agents) and self._windows.has_enough(agents)
        return agents if is_enough else None

    async def _line_up(self, agents: Sequence[str | None]) -> None:
        """Enter and line up what is left of these agents' calls."""
        begun, added = await self._windows.left(agents, self._lineup.ids)
        for window in begun:
            if kept := await self._shared.journal.run(Store.answers, window.id):
                await self._restore(window, kept)
            window.state = "open"
        self._lineup.add([*begun, *added])

    # What to ask next.

    @property
    def has_work(self) -> bool:
        """Something is to be asked, on its way or to be sent again."""
        if self.in_flight or self.enricher.running:
            return True
        return self.outcome is None and bool(self._errands or self._lineup or self._roster.is_listing)

    @property
    def gaps(self) -> list[Gap]:
        """What the source lacks beside its windows."""
        return [*self._own_gaps, *self._roster.gaps]

    @property
    def page_size(self) -> int:
        """Rows that are asked for at once."""
        return self._shared.page_size

    @property
    def expected(self) -> int | None:
        """Calls of the whole job as far as its totals are known; None while one is not."""
        if self._roster.is_listing or not self.stored:
            return None
        return self._lineup.expected(self.stored.values())

    def due_in_s(self, now: float) -> float | None:
        """Return when the next request to be sent again is due; None where there is none."""
        return self._errands.due_in_s(now)

    def replay_next(self) -> Replay | None:
        """Return an answer that a walk asks for and an earlier run had; it needs no place at the gate."""
        if self.outcome is not None:
            return None
        while (opened := self._lineup.replaying) is not None:
            if self.enricher.is_full:
                return None
            while opened.has_journaled and (ask := opened.walk.next()) is not None:
                if (kept := opened.journaled(ask)) is not None:
                    return Replay(opened, ask, kept)
                self._errands.add(self._errand(opened, ask))
            if opened.has_journaled and (self.in_flight or self._errands.has_new):
                return None  # what the walk asks next depends on an answer that is still to come
            self._lineup.replayed()
        return None

    def take(self, now: float) -> Errand | Replay | None:
        """Return the next request, None where that depends on an answer or on time.

        A window that is opened may have its first answers in the journal, and lack some of them there.
        """
        if self.outcome is not None:
            return None
        return self._take(now) or self.replay_next() or self._take(now)

    def _take(self, now: float) -> Errand | None:
        if (errand := self._errands.take(now)) is not None:
            return errand
        if self._roster.is_listing and self.account.source.agents is not None:
            return None  # their names are on the way, and go into every row
        # Lists and details both go on: of details as many wait as two pages have, then the lists do.
        first, second = self._next_detail, self._next_page
        if self.enricher.waiting < 2 * self.page_size:
            first, second = second, first
        return first() or second()

    def _next_page(self) -> Errand | None:
        if self.enricher.is_full or (found := self._lineup.next()) is None:
            return None
        return self._errand(*found)

    def _next_detail(self) -> Errand | None:
        task = self.enricher.next_detail()
        return None if task is None else Errand(self.enricher.request(task), task.dossier.opened, task=task)

    def next_recording(self) -> RecordingTask | None:
        """Return the next recording to fetch; whoever gets it calls `record`."""
        return None if self.outcome is not None else self.enricher.next_recording()

    def _errand(self, opened: OpenWindow, ask: Ask) -> Errand:
        request = self.account.provider.list_request(*opened.asked(ask))
        if not (ask.is_probe or self.enricher.is_needed):
            # Rows that need no more than their list can be made where the answer arrives.
            agent_id = opened.stored.window.agent_id
            request = self._shaper.ahead(request, agent_id, self._roster.names.get(agent_id or ""))
        return Errand(request, opened, ask)

    async def _restore(self, stored: StoredWindow, kept: Sequence[KeptAnswer]) -> None:
        """Take up what an earlier run left of a window."""
        opened, written = self._opened(stored), stored.counts.written
        if stored.state == "owed":
            await opened.restore_owed(kept)
        else:
            await opened.restore(kept)
        self.written += opened.kept.written - written
        self._lineup.restore(opened)
        for dossier in opened.owed:
            await self.enricher.take(dossier, is_resumed=True)
            await self._finish(None if dossier.left else dossier)
        await self._end_if_done(opened)

    def _opened(self, stored: StoredWindow) -> OpenWindow:
        place = Place(self.job.id, self.desk, self._shaper, self.enricher, self._roster.names)
        return self._windows.open(stored, self.account.provider.capabilities, place, self._shared)

    # What comes back.

    async def receive(self, errand: Errand, response: Response) -> None:
        """Take an answer: its agents are lined up, its new rows handed over, its window ended when it is complete.

        Raises:
            MalformedError: It is not what the documents say; nothing was taken.
            RejectedError: It says that there is no such call; likewise.
        """
        if errand.task is not None:
            task = errand.task
            await self._finish(await self.enricher.receive(task, response.body, response.received_at))
        elif errand.opened is not None:
            await self._receive_page(errand, errand.opened, response)
        else:
            fresh, request = await self._roster.take(self.account.provider.read_agents(response.body))
            if self.account.source.agents is None:
                await self._line_up(fresh)
            if request is not None:
                self._errands.add(Errand(request))
        self.account.answered(response)

    async def record(self, recording: RecordingTask) -> None:
        """Fetch a recording; its page is handed over if that was the last it waited for.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            outcome = await self.enricher.fetch(recording)
        finally:
            self.enricher.running -= 1
        with anyio.CancelScope(shield=True):
            await self._finish(self.enricher.recorded(recording, outcome))

    async def _finish(self, dossier: Dossier | None) -> None:
        if dossier is not None:
            self._count(await dossier.opened.finish(dossier))
            await self._end_if_done(dossier.opened)

    async def _receive_page(self, errand: Errand, opened: OpenWindow, response: Response) -> None:
        assert errand.ask is not None
        if self._lineup.is_open(opened):
            ask, body = errand.ask, response.body
            self._count(await opened.receive(ask, body, response.received_at, reading=response.reading))
            await self._end_if_done(opened)

    async def replay(self, replay: Replay) -> None:
        """Take an answer from the journal; one that cannot be read there is asked for again."""
        opened = replay.opened
        try:
            self._count(await opened.replay(replay.ask, replay.kept))
        except (ValueError, ProviderError) as error:
            _log.warning("an answer in the journal cannot be read, asking again: %s", error)
            self._errands.add(self._errand(opened, replay.ask))
        await self._end_if_done(opened)

    def _count(self, written: int) -> None:
        self.written += written
        self.written_now += written

    async def _end_if_done(self, opened: OpenWindow) -> None:
        if opened.walk.is_done and not opened.waiting and self._lineup.remove(opened):
            self.damaged += opened.damaged
            await opened.end()

    # What does not come back.

    async def fail(self, errand: Errand, error: ProviderError, now: float) -> None:
        """Take that there was no usable answer: ask again later, or name the gap."""
        delay_s = self._shared.fetcher.delay_s(self.account, errand.attempt, error)
        if delay_s is not None:
            _log.debug("ask again in %.1f s: %s", delay_s, error, extra={"source": self.account.source.name})
            self._errands.send_again(errand, now + delay_s)
            return
        described(error, self.account, errand.request, errand.attempt)
        _log.warning("given up: %s", error, extra={"source": self.account.source.name})
        if errand.opened is None:
            self._lose_agents(error)
        elif not error.is_about_agent and self._is_down(errand, error):
            self._break(error)
        elif errand.task is not None:
            await self._finish(await self.enricher.lose(errand.task, error, self._shared.clock.now()))
        elif error.is_about_agent:
            await self._lose_agent(errand.opened, error)
        else:
            assert errand.ask is not None
            errand.opened.walk.lose(errand.ask, str(error))
            await self._end_if_done(errand.opened)

    def _is_down(self, errand: Errand, error: ProviderError) -> bool:
        """Count a request that was given up; True where it ends the source: its key is refused, or it is down."""
        is_one_call = errand.task is not None
        if isinstance(error, AccessError) and not is_one_call:
            return True
        is_refused = isinstance(error, AccessError) or error.is_retryable
        return is_refused and self.account.given_up(is_one_call=is_one_call)

    def _break(self, error: ProviderError) -> None:
        """End the source: the rest of it is one gap, and the windows stay open for the next run."""
        if self.outcome is None:
            self.outcome = "failed"
            self._own_gaps.append(Gap(kind="source", message=str(error)))

    def _lose_agents(self, error: ProviderError) -> None:
        """Without their list, agents that are named in the config are walked all the same, nameless."""
        self._roster.lose()
        if self.account.source.agents is None:
            self._break(error)

    async def _lose_agent(self, opened: OpenWindow, error: ProviderError) -> None:
        if self._lineup.remove(opened):
            await opened.lose(str(error))

    # The end.

    async def close(self, *, is_interrupted: bool) -> None:
        """Hand over that the source has ended, and settle its outcome."""
        self.is_closed = True
        begun = self._lineup.begun
        for opened in begun:
            opened.settle_so_far()
            self.damaged += opened.damaged
        if begun:
            so_far = {opened.stored.id: opened.so_far for opened in begun}
            await self._shared.journal.run(Store.enter_counts, so_far)
        if self.outcome is None:
            self.outcome = self._outcome(is_interrupted=is_interrupted)
        is_whole = self.outcome in {"complete", "gaps"}
        is_exchange = is_whole and self.job.state == "fresh"
        await self._shared.out.send(Closing(self.desk, is_exchange=is_exchange, is_whole=is_whole))

    def _outcome(self, *, is_interrupted: bool) -> Outcome:
        if is_interrupted and self.has_work:
            return "interrupted"
        lost = [window for window in self.stored.values() if window.gaps]
        if lost and not self.written and all(gap.kind == "agent" for window in lost for gap in window.gaps):
            return "failed" if len(lost) == len(self.stored) else "gaps"
        return "gaps" if lost or self.gaps else "complete"
