"""One window on its way: what to ask for it, what becomes of the answers, and what an earlier run left of it.

An answer is sifted, handed to the journal, then its new rows to the writer, then to the walk: in this order, so that
what a segment holds is in the journal before the segment is, and a window ends after the last of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectSendStream

from harvester.clock import Clock
from harvester.fetch import Fetcher
from harvester.journal import (
    AnswerKey,
    Counts,
    Digest,
    Journal,
    KeptAnswer,
    NewAnswer,
    Store,
    StoredWindow,
    WindowState,
)
from harvester.model import Cursor, Gap, Listing, Part, Query

from .digests import brought_by, digest_of, page_of
from .dossier import Dossier, what_is_owed
from .enrich import Enricher
from .ids import IdStore
from .nouns import Answer, Ask, Sifted, gap_in
from .parts import Parts
from .plan import Range
from .report import settle_counts
from .shape import Page, Shaper
from .sieve import PASSES, Sieve
from .write import Batch, Desk, Ended, Message


class Shared(msgspec.Struct, frozen=True):
    """What all lanes of a run use."""

    fetcher: Fetcher
    journal: Journal
    ids: IdStore
    out: MemoryObjectSendStream[Message]
    clock: Clock
    page_size: int = 100


class Place(msgspec.Struct, frozen=True):
    """Where the rows of a window go, and what makes them."""

    job_id: int
    desk: Desk
    shaper: Shaper
    enricher: Enricher
    agent_names: Mapping[str, str | None]


class OpenWindow:
    """A window that is being walked, and what it came to so far.

    Args:
        stored: The window as the journal knows it.
        query: What its requests ask.
        walk: What decides which pages to ask for.
        sieve: Makes what tells a part's new rows from the others, of its own range and the base of its numbers.
        place: Where its rows go.
        shared: What all lanes use.
    """

    def __init__(
        self,
        stored: StoredWindow,
        query: Query,
        *,
        walk: Parts,
        sieve: Callable[[Range | None, int], Sieve],
        place: Place,
        shared: Shared,
    ) -> None:
        self.stored = stored
        self.walk = walk
        self.query = query
        self.kept: Counts = Counts()
        self.damaged: int = 0
        self._make_sieve = sieve
        self._sieves: dict[Part, Sieve] = {}
        self._sieve_count = 0
        self._place = place
        self._shared = shared
        self.waiting: int = 0
        self.owed: list[Dossier] = []
        self._gaps: list[Gap] = []
        self._waiting_calls = 0
        # Ids that a replayed answer has and did not bring: they are written with the one that did, or with a new one.
        self._unwritten: set[str] = set()
        self._journaled: dict[AnswerKey, KeptAnswer] = {}
        # Passes of walks that ended with a gap: their answers are known, and have numbers of their own.
        self._passes_before = stored.counts.passes

    async def restore(self, answers: Sequence[KeptAnswer]) -> None:
        """Take what an earlier run kept.

        The ids of rows in segments come first, all of them: an answer that no segment holds may bring them again.
        """
        for answer in answers:
            if what_is_owed(answer.key) is not None:
                await self._restore_owed(answer)
            elif answer.place is None and not answer.key.is_probe:
                digest = await self._shared.journal.run(Store.digest, answer.key)
                self.kept.written += digest.written
                page = brought_by(digest)
                buckets = await self._shared.ids.open(self.stored.id, set(page.hours))
                await self._shared.ids.settle(self._sieve(Part()).know(page, buckets))
        self._journaled = {
            answer.key: answer for answer in answers if answer.key.pass_number > self._passes_before
        }

    async def restore_owed(self, answers: Sequence[KeptAnswer]) -> None:
        """Take what an earlier run still owed a window that it walked to its end; it is not walked again.

        Its count is made anew from the digests: rows may have come to a segment without the window's end after them.
        """
        self.walk.skip()
        self.kept = self.stored.counts
        self.kept.written = 0
        for answer in answers:
            if what_is_owed(answer.key) is not None:
                await self._restore_owed(answer)
            elif not answer.key.is_probe:
                digest = await self._shared.journal.run(Store.digest, answer.key)
                self.kept.written += digest.written
        if not self.owed:  # all of them came to a segment, but not the window's end
            nothing = Page(Listing([]), [], [], [], [], [])
            key = AnswerKey(self.stored.id, 0, 0, 0)
            self._owe(Dossier(self, key, nothing, [], self._shared.clock.now(), owed="recording"))

    async def _restore_owed(self, answer: KeptAnswer) -> None:
        """Line up a row that lacks something; its page counted it as written."""
        what, journal = what_is_owed(answer.key), self._shared.journal
        if answer.place is None or what is None:
            return
        digest = await journal.run(Store.digest, answer.key)
        self.kept.written -= digest.written
        try:
            page = self._place.shaper.read_row(await journal.run(Store.body, answer.place))
        except ValueError:
            message = "what the journal kept of it is damaged; --fresh exports the source again"
            self._gaps.append(gap_in(self.stored.window, what, message, call_id=digest.ids[0]))
        else:
            self._owe(Dossier(self, answer.key, page, [0], digest.received_at, owed=what))

    def _owe(self, dossier: Dossier) -> None:
        self.owed.append(dossier)
        self.waiting += 1

    def asked(self, ask: Ask) -> tuple[Query, Cursor]:
        """Return what to ask the provider for."""
        return msgspec.structs.replace(self.query, part=ask.part), ask.cursor

    @property
    def has_journaled(self) -> bool:
        """Answers of an earlier run are left that the walk may ask for."""
        return bool(self._journaled)

    def journaled(self, ask: Ask) -> KeptAnswer | None:
        """Return the answer to what the walk asks if an earlier run had it."""
        return None if ask.is_check else self._journaled.pop(self._key(ask), None)

    def forget_journaled(self) -> None:
        """Give up what is left: the walk went another way."""
        self._journaled.clear()

    async def receive(
        self,
        ask: Ask,
        body: bytes,
        received_at: datetime,
        *,
        kept: Digest | None = None,
        reading: bytes = b"",
    ) -> int:
        """Take an answer; its new rows are handed over. Return how many calls that were.

        Args:
            ask: What was asked.
            body: The answer.
            received_at: When it came.
            kept: What the journal has of it already.
            reading: What the request's `read_by` made of it, if it did.

        Raises:
            MalformedError: It is not what the documents say; nothing was taken.
        """
        page = self._place.shaper.read(body, keys_only=ask.is_probe, reading=reading)
        key = self._key(ask)
        new, sifted = ([], Sifted()) if ask.is_probe else await self._sift(ask, key, page)
        if self._unwritten or (kept is not None and kept.brought is not None):
            new = self._brought(page, new, kept)
        written = sum(page.calls[i] is not None for i in new) if page.problems else len(new)
        if kept is None and not ask.is_check:
            digest = digest_of(page, received_at, new, written=written)
            await self._shared.journal.keep(NewAnswer(self._place.job_id, key, digest, body))
        if ask.is_probe:
            written = 0
        elif written and self._place.enricher.is_needed:
            written = await self._enrich(
                Dossier(self, key, page, new, received_at), is_resumed=kept is not None
            )
        else:
            await self._hand_over(Dossier(self, key, page, new, received_at))
            self.kept.written += written
        self._take(ask, page, sifted)
        return written

    def _brought(self, page: Page, new: Sequence[int], kept: Digest | None) -> list[int]:
        """Return the rows that an answer brings to the output: each is brought by one answer, in whatever run.

        So what the journal says of an answer stays true of the segment that comes to hold it.
        """
        fresh = set(new)
        found = [i for i, call_id in enumerate(page.ids) if i in fresh or call_id in self._unwritten]
        mine = found if kept is None or kept.brought is None else [i for i in found if i in set(kept.brought)]
        self._unwritten |= {page.ids[i] for i in found}
        self._unwritten -= {page.ids[i] for i in mine}
        return mine

    async def _enrich(self, dossier: Dossier, *, is_resumed: bool) -> int:
        self.waiting += 1
        self._waiting_calls += len(dossier.new)
        await self._place.enricher.take(dossier, is_resumed=is_resumed)
        return 0 if dossier.left else await self.finish(dossier)

    async def finish(self, dossier: Dossier) -> int:
        """Hand over a page whose rows have what they need; return how many calls that were."""
        self.waiting -= 1
        self._waiting_calls -= len(dossier.new) if dossier.owed is None else 0
        self._gaps += dossier.gaps
        if dossier.owed is not None:
            if dossier.held_back:
                return 0
            if dossier.owed == "recording":
                dossier.new = []
        new = [i for i in dossier.new if i not in dossier.held_back]
        written = sum(dossier.page.calls[i] is not None for i in new)
        dossier.new = new
        await self._hand_over(dossier)
        self.kept.written += written
        return written

    async def replay(self, ask: Ask, kept: KeptAnswer) -> int:
        """Take an answer of an earlier run from the journal; return how many calls were handed over.

        Raises:
            ValueError: Its body is damaged; nothing was taken.
            MalformedError: It cannot be read any more; nothing was taken.
        """
        journal = self._shared.journal
        digest = await journal.run(Store.digest, kept.key)
        if kept.place is not None:
            body = await journal.run(Store.body, kept.place)
            return await self.receive(ask, body, digest.received_at, kept=digest)
        page = page_of(digest)
        new, sifted = ([], Sifted()) if ask.is_probe else await self._sift(ask, kept.key, page)
        self._unwritten |= {page.ids[i] for i in new}
        self._take(ask, page, sifted)
        return 0

    @property
    def so_far(self) -> Counts:
        """What it came to, for the journal; the passes of a walk that is not over are no part of it yet."""
        return msgspec.structs.replace(self.kept, passes=self._passes_before)

    def settle_so_far(self) -> None:
        """Say in the window what it came to, where its walk was cut short."""
        walk, kept = self.walk, self.kept
        if walk.is_skipped:
            self.stored.gaps = self._gaps
            return
        kept.passes = self._passes_before + walk.passes
        if walk.total is not None:
            given = walk.given - self._waiting_calls
            settle_counts(kept, walk.total, unread=0, given=given, missing=walk.total - given)
        self.stored.counts, self.stored.gaps = kept, self._gaps

    async def end(self) -> None:
        """Hand over that the window is done, after the last of its rows."""
        walk = self.walk
        if not walk.is_skipped:
            missing = walk.missing + sum(gap.kind == "detail" and not gap.final for gap in self._gaps)
            settle_counts(self.kept, walk.total, unread=walk.unread, given=walk.given, missing=missing)
        await self._end([*walk.gaps, *self._row_gaps(), *self._lost_gaps(), *self._gaps])

    async def lose(self, message: str) -> None:
        """Hand over that the window's agent cannot be asked."""
        await self._end([gap_in(self.stored.window, "agent", message)])

    async def _end(self, gaps: list[Gap]) -> None:
        self._shared.ids.forget(self.stored.id)
        stored = self.stored
        if not self.walk.is_skipped:
            self.kept.passes = self._passes_before + self.walk.passes
        stored.counts, stored.gaps, stored.state = self.kept, gaps, _state(gaps)
        await self._shared.out.send(Ended(self._place.desk, stored))

    def _key(self, ask: Ask) -> AnswerKey:
        pass_number = self._passes_before + self.walk.pass_of(ask.part)
        return AnswerKey(
            self.stored.id, pass_number, ask.cursor.page, ask.cursor.size, ask.is_probe, str(ask.part)
        )

    def _sieve(self, part: Part) -> Sieve:
        sieve = self._sieves.get(part)
        if sieve is None:
            window = self.stored.window
            is_whole = part.since is None and part.until is None
            own = None if is_whole else (part.since or window.since, part.until or window.until)
            sieve = self._sieves[part] = self._make_sieve(own, self._sieve_count * PASSES)
            self._sieve_count += 1
        return sieve

    def _take(self, ask: Ask, page: Page, sifted: Sifted) -> None:
        self.kept.duplicates += sifted.repeated
        self.kept.quarantined += sifted.nameless
        self.walk.take(ask, Answer(page.listing, page.ids, page.moments, sifted))
        if not self.walk.is_walked(ask.part):
            self._sieves.pop(ask.part, None)

    async def _sift(self, ask: Ask, key: AnswerKey, page: Page) -> tuple[Sequence[int], Sifted]:
        """Tell which rows of a page are new; it is handed to the journal before the next call that awaits."""
        ids, sieve, pass_number = self._shared.ids, self._sieve(ask.part), self.walk.pass_of(ask.part)
        if sieve.is_plain(page) and ids.keep_by_span(key, page, sieve.number_of(pass_number)):
            return range(len(page.ids)), Sifted.all_new(len(page.ids))
        hours = page.hours
        is_one = page.span is not None and hours.count(hours[0]) == len(hours)
        buckets = await ids.open(self.stored.id, hours[:1] if is_one else set(hours))
        agents = self._place.shaper.agents(page) if sieve.has_covered else None
        new, sifted = sieve.sift(page, agents, buckets, pass_number)
        await ids.settle(sifted.added)
        return new, sifted

    async def _hand_over(self, dossier: Dossier) -> None:
        place, agent_id = self._place, self.stored.window.agent_id
        page, new, received_at = dossier.page, dossier.new, dossier.received_at
        quarantined = place.shaper.quarantined(
            page, new, endpoint="list calls", agent_id=agent_id, fetched_at=received_at
        )
        if dossier.extras:
            quarantined += place.shaper.misfits(page, new, dossier.extras, agent_id=agent_id)
        self.damaged += len({line.call_id for line in quarantined if line.call_id is not None})
        agent_name = place.agent_names.get(agent_id or "")
        rows = place.shaper.rows(
            page, new, agent_id=agent_id, agent_name=agent_name, fetched_at=received_at, extras=dossier.extras
        )
        # Where there is a span, every row has a moment.
        dateless = [page.ids[i] for i in new if page.moments[i] is None] if page.span is None else ()
        batch = Batch(
            place.desk, dossier.key, rows, quarantined, dateless, details=dossier.details, owed=dossier.owing
        )
        try:
            # Most often there is room, and a turn of the loop costs as much.
            self._shared.out.send_nowait(batch)
        except anyio.WouldBlock:
            await self._shared.out.send(batch)

    def _lost_gaps(self) -> list[Gap]:
        count = len(self._unwritten)
        message = (
            f"{count} calls were listed in an earlier run whose answers are lost, and were not listed again"
        )
        return [gap_in(self.stored.window, "page", message)] if count else []

    def _row_gaps(self) -> list[Gap]:
        count = self.kept.quarantined
        message = f"{count} rows are no JSON object or have no id; they are whole in quarantine"
        return [gap_in(self.stored.window, "row", message)] if count else []


def _state(gaps: Sequence[Gap]) -> WindowState:
    """Return what is left of a window: nothing, single calls, or all of it; what is gone for good is nothing."""
    open_gaps = [gap for gap in gaps if not gap.final]
    if not open_gaps:
        return "complete"
    return "owed" if all(gap.kind in {"detail", "recording"} for gap in open_gaps) else "gap"
