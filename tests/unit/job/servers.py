"""Lists that move, lie and forget, and something to walk them with; no network, no time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from harvester.job.ids import hour_of
from harvester.job.nouns import Answer, Ask, Sifted
from harvester.job.sieve import Sieve
from harvester.job.walk import Walk
from harvester.journal import DATELESS
from harvester.model import Cursor, Listing, Window

T0 = datetime(2026, 3, 1, tzinfo=UTC)
RAW = msgspec.Raw(b"{}")


def at(minutes: float | None) -> datetime | None:
    return None if minutes is None else T0 + timedelta(minutes=minutes)


def moment(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


class Call(msgspec.Struct, frozen=True):
    id: str
    at: datetime | None


def calls(count: int, *, every: float = 1.0, start: float = 0.0) -> list[Call]:
    """Calls in the order of their creation."""
    return [Call(f"c{n}", moment(start + n * every)) for n in range(count)]


class Server(msgspec.Struct):
    """A list of calls, and how it misbehaves.

    `most` is the largest page it gives, `says_size` whether it says so; `total_off` is added to its total, None: it
    tells none; `says_more` what it says of pages to come, "truth", "always" or nothing; `short` leaves out that many
    rows at the end of some pages; `frozen_at` gives that page whatever is asked.
    """

    rows: list[Call]
    most: int = 100
    says_size: bool = True
    total_off: int | None = 0
    says_more: str | None = None
    short: dict[int, int] = {}
    frozen_at: int | None = None
    is_offset: bool = False
    asked: list[Cursor] = []

    def answer(self, cursor: Cursor) -> tuple[Listing, list[Call]]:
        self.asked.append(cursor)
        size = min(cursor.size, self.most)
        page = cursor.page if self.frozen_at is None else self.frozen_at
        start = page * (cursor.size if self.is_offset else size)
        rows = self.rows[start : start + size]
        if cursor.page in self.short:
            rows = rows[: max(len(rows) - self.short[cursor.page], 0)]
        more = {"truth": start + size < len(self.rows), "always": True}.get(self.says_more or "")
        total = None if self.total_off is None else max(len(self.rows) + self.total_off, 0)
        listing = Listing([RAW] * len(rows), total, size if self.says_size else None, page, more)
        return listing, rows


class Keys(msgspec.Struct):
    """The keys of a page's rows, as the sieve reads them."""

    ids: list[str]
    moments: list[datetime | None]
    hours: list[int]

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        found = [at for at in self.moments if at is not None]
        return (min(found), max(found)) if found and len(found) == len(self.moments) else None

    @property
    def is_distinct(self) -> bool:
        return len(set(self.ids)) == len(self.ids)


def keys(rows: list[Call]) -> Keys:
    return Keys(
        [row.id for row in rows],
        [row.at for row in rows],
        [DATELESS if row.at is None else hour_of(row.at) for row in rows],
    )


class Walked(msgspec.Struct):
    """What a walk came to: the ids written, in their order, and what it asked."""

    walk: Walk
    written: list[str]
    requests: int

    @property
    def is_whole(self) -> bool:
        return not self.walk.gaps


class Driver:
    """Walks a list with many askers: answers are made and come back in any order, and the list moves between.

    Args:
        server: The list.
        walk: What decides.
        dice: The order of things.
        churn: Called between any two steps; moves the list.
        askers: Requests in flight.
        loses: Says which requests get no answer.
    """

    def __init__(
        self,
        server: Server,
        walk: Walk,
        dice: Random,
        *,
        churn: Callable[[], None] = lambda: None,
        askers: int = 4,
        loses: Callable[[Ask], bool] = lambda _: False,
        most_requests: int = 5_000,
    ) -> None:
        self.server = server
        self.walk = walk
        self.sieve = Sieve(walk.window, 1, dateless={})
        self._buckets: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._dice = dice
        self._churn = churn
        self._askers = askers
        self._loses = loses
        self._most_requests = most_requests
        self._sent: list[Ask] = []
        self._answered: list[tuple[Ask, Listing, list[Call]]] = []
        self.requests = 0
        self.written: list[str] = []

    def run(self) -> Walked:
        while not self.walk.is_done:
            self._churn()
            step = self._dice.choice(("ask", "answer", "deliver"))
            if step == "ask" and len(self._sent) + len(self._answered) < self._askers:
                self._ask()
            elif step == "answer" and self._sent:
                ask = self._sent.pop(self._dice.randrange(len(self._sent)))
                self._answered.append((ask, *self.server.answer(ask.cursor)))
            elif step == "deliver" and self._answered:
                self._take(*self._answered.pop(self._dice.randrange(len(self._answered))))
        assert not self._sent
        assert not self._answered
        return Walked(self.walk, self.written, self.requests)

    def _ask(self) -> None:
        ask = self.walk.next()
        if ask is None:
            assert self._sent or self._answered, "nothing to ask, nothing on its way, and not done"
            return
        self.requests += 1
        assert self.requests <= self._most_requests, "asked without end"
        self._sent.append(ask)

    def _take(self, ask: Ask, listing: Listing, rows: list[Call]) -> None:
        if self._loses(ask):
            self.walk.lose(ask, "given up")
            return
        page = keys(rows)
        sifted = Answer(listing, page.ids, page.moments, self._sift(ask, page)) if not ask.is_probe else None
        self.walk.take(ask, sifted or Answer(listing, page.ids, page.moments, Sifted()))

    def _sift(self, ask: Ask, page: Keys) -> Sifted:
        for hour in page.hours:
            self._buckets[hour]
        new, sifted = self.sieve.sift(page, None, self._buckets, self.walk.passes)
        self.written += [page.ids[i] for i in new]
        return sifted


def walk_over(
    server: Server,
    *,
    since: float | None = None,
    until: float = 1e6,
    page_size: int = 10,
    seed: int = 0,
    by_order: bool = False,
    ends_now: bool = False,
    churn: Callable[[Random], None] | None = None,
    askers: int = 4,
    loses: Callable[[Ask], bool] = lambda _: False,
) -> Walked:
    """Walk a list to its end."""
    window = Window("a", at(since), moment(until))
    walk = Walk(window, page_size=page_size, by_order=by_order, ends_now=ends_now)
    dice = Random(seed)
    moves = (lambda: churn(dice)) if churn else (lambda: None)
    return Driver(server, walk, dice, churn=moves, askers=askers, loses=loses).run()
