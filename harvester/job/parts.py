"""A window's walk, cut in time where it is long: deep pages time out, and a short list moves less while it is read.

The first page tells how long the window is. Above `SPLIT_ABOVE` calls, or where pages of it cannot be had, it is cut
into parts that the provider's filter is asked for, and each part that is still long is cut again. A filter may ask for
less, never decide: parts share the ids of their window, what comes in one of them is taken wherever it belongs, and

1. parts are walked only once their own totals make up that of the stretch they were cut from; a filter that is
   ignored (parts as large as the whole) or leaves something out between them is found there;
2. at the end the window has to have brought as many distinct rows as the whole of it is said to hold, then or at first;
3. a window without a beginning is what the provider lists with no filter by time, less what came after its end: calls
   that the filter leaves out are found there, where it is not short.

Questions that depend on one another cost a wait each, so they are asked at once where that costs no more of them, and
the totals of the end while the last pages are on their way: a request or two more where a page follows after all.

Whatever does not add up is read again by its pages, as one and with no filter where there may be none
(`Part.is_again`). Cuts follow from answers alone, so that a resumed walk makes the same ones. Like `Walk` this does no
I/O and can be driven by any number of askers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from harvester.model import Cursor, Gap, Part

from .cuts import Split, Stretch, cuts_between, is_made_up
from .nouns import Answer, Ask
from .proof import WHOLE, Proof, Step, total_of
from .walk import Walk

SPLIT_ABOVE = 20_000
"""Calls that are walked as one: some servers refuse, or take minutes for, pages much deeper.

A part is to have half of them: half a page is lost at each cut, and some result windows end at 10,000. From a quarter
on, a request or two at the end, to see that a filter leaves nothing out, is under 2 in 100.
"""

MAX_CUTS = 16
"""Parts that a stretch is cut into at once: where calls are uneven, more would mostly be empty."""

MAX_DEPTH = 8
"""Cuts of cuts; a stretch that is long even then is walked as one."""

LEAST_GUESS = timedelta(hours=1)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""How far back a first row may lie that cannot be asked for: an hour, then sixteen times more with each cut."""

_ROW = 1


class Parts:
    """The walks of one window.

    Args:
        begin: Begins the walk of a part.
        cuts_at: How finely the provider's filter cuts a range; None: the window is walked as one.
        split_above: Calls that are walked as one.
    """

    def __init__(
        self,
        begin: Callable[[Part], Walk],
        *,
        cuts_at: Literal["second", "day"] | None = None,
        split_above: int = SPLIT_ABOVE,
    ) -> None:
        self.gaps: list[Gap] = []
        self.given: int = 0
        self._begin = begin
        self._cuts_at: Literal["second", "day"] | None = cuts_at
        self._whole = begin(WHOLE)
        window = self._whole.window
        self._walks: dict[Part, Walk] = {WHOLE: self._whole}
        self._stretches: dict[Part, Stretch] = {WHOLE: Stretch(WHOLE)}
        self._splits: dict[Part, Split] = {}
        self._held: set[Part] = set()
        self._questions: list[Ask] = []
        self._day: Part | None = None
        self._has_last_day = True
        self._is_ignored = False
        self._unanswered = 0
        self._knows_first = window.since is not None
        self._most = split_above
        self._part_calls = split_above // 2
        self._is_split = False
        self.is_skipped: bool = False
        self._is_checked = False
        self._proof = Proof(self._whole, cuts_at, compare_above=split_above // 4)
        self._missing = 0
        self._passes = 0
        self._out = 0

    # What it came to.

    @property
    def is_done(self) -> bool:
        """Nothing is left to ask and nothing is on its way that matters."""
        return not (self._walks or self._splits or self._questions or self._out)

    @property
    def passes(self) -> int:
        """The most passes that a walk took, or is in."""
        return max(self._passes, *(walk.passes for walk in self._walks.values()), 0)

    @property
    def total(self) -> int | None:
        """The provider's own total of the window at its last pass, None where it tells none."""
        if not self._is_split:
            return self._whole.total
        return max(self._whole.total or 0, self.given) + self.missing

    @property
    def unread(self) -> int:
        """Rows of the list that lie beyond the window's located ends."""
        return 0 if self._is_split else self._whole.unread

    @property
    def missing(self) -> int:
        """Rows that the provider steadily counts and never gave."""
        return self._missing if self._is_split else self._whole.missing

    @property
    def pages_left(self) -> int:
        """Requests that `next` would give one after another, as far as is known."""
        left = (walk.pages_left for part, walk in self._walks.items() if part not in self._held)
        return len(self._questions) + sum(left)

    def skip(self) -> None:
        """Walk nothing: an earlier run did."""
        self.is_skipped = self._is_checked = True
        self._walks.clear()

    def pass_of(self, part: Part) -> int:
        """Return the pass that the walk of a part is in; they are counted from 1."""
        walk = self._walks.get(part)
        return 1 if walk is None else walk.passes

    def is_walked(self, part: Part) -> bool:
        """Return whether a part is still being walked."""
        return part in self._walks

    # Asking.

    def next(self) -> Ask | None:
        """Return what to ask next, None where that depends on an answer on its way, or nothing is left."""
        if self._questions:
            self._out += 1
            return self._questions.pop()
        is_early = self._proof.is_early
        ask = self._next_page()
        if ask is not None:
            self._out += 1
            if is_early:  # Not the last page, after all: what there is in the end is asked then, once more.
                self._proof.void()
        return ask

    @property
    def _is_all_asked(self) -> bool:
        """The walks have nothing more to ask, if what is on its way is as it is expected."""
        is_open = self._splits or self._held or self._questions
        return not (is_open or any(walk.pages_left for walk in self._walks.values()))

    def _next_page(self) -> Ask | None:
        for part, walk in self._walks.items():
            if part in self._held or (ask := walk.next()) is None:
                continue
            if self._is_counted(part):
                self._held.add(part)  # its first page is on its way; the others wait until the cut is good
            elif ask.cursor.page and not walk.pages_left:
                self._ask_early()
            return ask if part is WHOLE else msgspec.structs.replace(ask, part=part)
        return None

    def _is_counted(self, part: Part) -> bool:
        return any(part == counted.part for split in self._splits.values() for counted in split.parts)

    def take(self, ask: Ask, answer: Answer) -> None:
        """Take the answer to what `next` returned."""
        self._out -= 1
        self.given += answer.sifted.added
        walk = self._walks.get(ask.part)
        if ask.is_probe and self._cuts_at is not None:
            self._learn(ask, answer)
        elif walk is not None:
            is_first = walk.passes == 1 and not ask.cursor.page
            walk.take(ask, answer)
            if is_first:
                self._count(ask.part, walk, answer)
            self._settle(ask.part)
        self._check()

    def lose(self, ask: Ask, message: str) -> None:
        """Take that there will be no answer."""
        self._out -= 1
        walk = self._walks.get(ask.part)
        if ask.is_probe and self._cuts_at is not None:
            self._learn(ask, None)
        elif (split := self._split_of(ask.part)) is not None:
            self._refuse(split)
        elif walk is not None:
            walk.lose(ask, message)
            self._settle(ask.part)
        self._check()

    def _settle(self, part: Part) -> None:
        """Take what the walk of a part came to, if it is done."""
        walk = self._walks.get(part)
        if walk is None or not walk.is_done or part in self._held:
            return
        del self._walks[part]
        self._passes = max(self._passes, walk.passes)
        if walk.gaps and not part.is_again and self._cut_short(part, walk):
            return
        self.gaps += walk.gaps
        self._missing += max(walk.missing, 0)

    # Cutting.

    def _count(self, part: Part, walk: Walk, answer: Answer) -> None:
        """Take the first page of a part: it says whether to cut it, and counts for the one it was cut from."""
        self._place(part, walk, answer)
        split = self._split_of(part)
        if split is not None:
            self._told(split, part, walk.total)
        elif self._is_long(part, walk):
            self._begin_cut(part, walk)

    def _place(self, part: Part, walk: Walk, answer: Answer) -> None:
        """Note where the rows of a part seem to lie; where its first row is not known, that is guessed."""
        stretch = self._stretches[part]
        moments = [at for at in answer.moments if at is not None]
        if moments and part.since is None and (part == WHOLE or not self._knows_first):
            first, last = min(moments), max(moments)
            pages = (walk.total or 0) / len(moments)
            guess = (last - first) * pages + LEAST_GUESS * MAX_CUTS**stretch.depth
            since = walk.window.since
            begin = since or (last - guess if last - EARLIEST > guess else EARLIEST)
            stretch.begin, stretch.end = begin, last if part == WHOLE else stretch.end

    def _is_long(self, part: Part, walk: Walk) -> bool:
        return self._cuts_at is not None and not part.is_again and (walk.total or 0) > self._most

    def _begin_cut(self, part: Part, walk: Walk) -> None:
        """Cut a stretch; the window itself first needs to know where its last row lies, and what a day is."""
        assert walk.total is not None
        stretch = self._stretches[part]
        if part != WHOLE:
            if self._cut(part, walk.total):
                del self._walks[part]
        elif stretch.begin is not None:
            self._held.add(part)
            self._question(Ask(Cursor(walk.total - 1, _ROW), is_probe=True))
            if self._cuts_at == "day" and stretch.end is not None:
                self._ask_day(stretch.end)
        # A first page without a moment says nothing of where to cut: it is walked as one.

    def _learn(self, ask: Ask, answer: Answer | None) -> None:
        """Take the answer to a question about the window: its last row, a day's total, or its total at the end."""
        if ask.is_check:
            total = None if answer is None else answer.listing.total
            if not self._proof.takes_early(ask.part, total):
                self._go_on(self._proof.go_on(total))
            return
        walk, whole = self._walks[WHOLE], self._stretches[WHOLE]
        if ask.part == self._day:
            told = (answer is not None and answer.listing.total) or 0
            self._has_last_day = told > 0
            # Or all there is came in one day, which no cut divides.
            self._is_ignored = told >= (walk.total or 0)
        else:
            moment = answer.moments[0] if answer is not None and answer.moments else None
            if moment is not None and whole.end is not None:
                # The first or the last row of a list in order; of one in none, some row.
                self._knows_first = True
                whole.begin = self._whole.window.since or min(moment, whole.end)
                whole.end = max(whole.end, moment)
        self._unanswered -= 1
        if self._unanswered:
            return
        self._held.discard(WHOLE)
        if not self._is_ignored and self._cut(WHOLE, walk.total or 0):
            del self._walks[WHOLE]

    def _question(self, ask: Ask) -> None:
        """Ask something that has to be known before the window is cut."""
        self._unanswered += 1
        self._questions.append(ask)

    def _ask_day(self, at: datetime) -> None:
        """Ask for a single day that has calls: it is empty where a range leaves its last day out."""
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        self._day = Part(day, day + timedelta(days=1))
        self._question(Ask(Cursor(0, _ROW), is_probe=True, part=self._day))

    def _cut(self, part: Part, total: int, gaps: list[Gap] | None = None) -> bool:
        """Begin to walk a stretch in parts; return whether it can be cut at all."""
        stretch = self._stretches[part]
        begin, end, cuts_at = stretch.begin, stretch.end, self._cuts_at
        if cuts_at is None or stretch.depth >= MAX_DEPTH or begin is None or end is None:
            return False
        wanted = -(-total // min(self._part_calls, self._most)) if self._knows_first else MAX_CUTS
        count = min(max(wanted, 2), MAX_CUTS)
        window = self._whole.window
        bounds = (part.since or window.since, part.until or window.until)
        cuts = cuts_between(begin, end, count, cuts_at, within=bounds)
        if not cuts:
            return False
        parts = stretch.cut(cuts, has_last_day=self._has_last_day)
        self._is_split = True
        self._splits[part] = Split(stretch, total, parts, gaps=gaps)
        for one in parts:
            self._stretches[one.part] = one
            self._walks[one.part] = self._begin(one.part)
        return True

    def _cut_short(self, part: Part, walk: Walk) -> bool:
        """Begin to walk in parts what lacks pages as one; return whether that can be tried."""
        total = walk.total or 0
        if total <= 2 * walk.page_size or not (walk.has_lost or walk.missing >= walk.page_size):
            return False
        self._most = min(self._most, max(walk.seen.distinct, 2 * walk.page_size))
        return self._cut(part, total, walk.gaps)

    def _split_of(self, part: Part) -> Split | None:
        return next(
            (split for split in self._splits.values() if any(one.part == part for one in split.parts)), None
        )

    def _told(self, split: Split, part: Part, total: int | None) -> None:
        """Take a part's total; once all have told theirs, walk them if they make up the stretch."""
        if total is None:
            self._refuse(split)
            return
        split.told[part] = total
        if split.total and sum(told >= split.total for told in split.told.values()) > 1:
            self._refuse(split)  # the filter is ignored: each part is as large as the whole
        elif len(split.told) == len(split.parts):
            if is_made_up(split.total, split.told.values()):
                self._accept(split)
            else:
                self._refuse(split)

    def _accept(self, split: Split) -> None:
        del self._splits[split.stretch.part]
        for one in split.parts:
            self._held.discard(one.part)
            walk = self._walks[one.part]
            if self._is_long(one.part, walk):
                self._begin_cut(one.part, walk)
            self._settle(one.part)

    def _refuse(self, split: Split) -> None:
        """Give up the parts; the stretch is read as one, or was and keeps its gaps."""
        del self._splits[split.stretch.part]
        for one in split.parts:
            self._held.discard(one.part)
            self._walks.pop(one.part, None)
        if split.gaps is not None:
            self.gaps += split.gaps
            return
        self._read_again(split.stretch)

    def _read_again(self, stretch: Stretch) -> None:
        part = msgspec.structs.replace(stretch.part, is_again=True)
        while part in self._stretches:
            part = msgspec.structs.replace(part, reading=part.reading + 1)
        self._stretches[part] = stretch
        self._walks[part] = self._begin(part)

    # The end.

    def _check(self) -> None:
        """Once every walk is done, begin to ask what there is in all; a gap says already that it is not whole."""
        if self._is_checked or not self.is_done:
            return
        self._is_checked = True
        if self._proof.can_be and not self.gaps:
            self._go_on(self._proof.begin(self.given, is_split=self._is_split))

    def _ask_early(self) -> None:
        """Ask while the last pages are on their way for what the proof will ask first."""
        if self._proof.can_be and not (self._proof.is_early or self.gaps) and self._is_all_asked:
            self._questions += map(total_of, self._proof.ask_early(is_split=self._is_split))

    def _go_on(self, step: Step) -> None:
        """Ask for the next total of the proof; where it fails the window is read again as one."""
        if isinstance(step, Part):
            self._questions.append(total_of(step))
        elif not step:
            self._is_split = True
            self._read_again(self._stretches[WHOLE])
