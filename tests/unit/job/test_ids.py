"""Which rows are new: the same answer as one large dictionary would give, in little memory."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.job.ids import BUCKET_COST, MOST_HOURS, IdStore, hour_of
from harvester.job.nouns import Sifted
from harvester.job.sieve import Sieve
from harvester.journal import (
    DATELESS,
    NAMELESS,
    AnswerKey,
    Digest,
    Job,
    JobSpec,
    Journal,
    NewAnswer,
    Store,
    StoredWindow,
)
from harvester.model import Window

from .servers import T0, Call, Keys, calls, keys, moment

Buckets = dict[tuple[int, int], dict[str, int]]


class Scratch:
    """Keeps spilled buckets in memory, as the journal does on its thread: in the order it was told, and later."""

    def __init__(self) -> None:
        self.spilled: Buckets = {}
        self.loads = 0
        self.pages = itertools.count()
        self.handed_over: dict[AnswerKey, Digest] = {}
        self.read: list[AnswerKey] = []

    async def hand_over(self, key: AnswerKey, page: Keys) -> None:
        """Take an answer; it is there at once."""
        self.handed_over[key] = digest_of(page)

    async def load_ids(self, window_id: int, hours: Sequence[int]) -> dict[int, dict[str, int]]:
        self.loads += 1
        found = {hour: self.spilled.pop((window_id, hour), {}) for hour in hours}
        await anyio.lowlevel.checkpoint()
        return found

    async def spill_ids(self, buckets: Buckets) -> None:
        self.spilled |= {key: dict(bucket) for key, bucket in buckets.items()}
        await anyio.lowlevel.checkpoint()

    async def digests(self, keys: Sequence[AnswerKey]) -> list[Digest]:
        self.read += keys
        await anyio.lowlevel.checkpoint()
        return [self.handed_over[key] for key in keys]


class OnDisk(Scratch):
    """The journal itself."""

    def __init__(self, journal: Journal, window: StoredWindow, job: Job) -> None:
        super().__init__()
        self._journal = journal
        self._job_id = job.id
        self.window_id = window.id
        self.load_ids = journal.load_ids  # type: ignore[method-assign]
        self.spill_ids = journal.spill_ids  # type: ignore[method-assign]
        self.digests = journal.digests  # type: ignore[method-assign]

    @classmethod
    async def open(cls, folder: Path) -> OnDisk:
        journal = await Journal.open(folder, holder="test")
        spec = JobSpec("bimpe", "https://x.test", {}, (), False, "native", "ndjson", True)
        job = await journal.run(Store.begin_job, "s", spec, T0, state="current")
        (window,) = await journal.run(Store.add_windows, job.id, [Window("a", None, moment(1e6))])
        return cls(journal, window, job)

    async def hand_over(self, key: AnswerKey, page: Keys) -> None:
        """Take an answer, which is durable some time."""
        await super().hand_over(key, page)
        await self._journal.keep(NewAnswer(self._job_id, key, digest_of(page), b"{}"))

    async def aclose(self) -> None:
        await self._journal.aclose()


def digest_of(page: Keys) -> Digest:
    return Digest(None, None, None, None, page.ids, page.moments, [], len(page.ids), T0)


def at_hours(rows: Sequence[tuple[int, int]]) -> Keys:
    """Keys of rows by number and hour."""
    return keys([Call(f"c{number}", T0 + timedelta(hours=hour)) for number, hour in rows])


ROWS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=0, max_size=8).map(
    # A call's hour does not change.
    lambda rows: at_hours([(number, number % 6 + 0 * hour) for number, hour in rows])
)

# As lists in order give them: calls, some at the same moment, of which each page has some that follow one another.
RUNS = st.tuples(st.integers(0, 90), st.integers(0, 7)).map(
    lambda run: keys([Call(f"r{n}", moment(n // 2 * 17.3)) for n in range(run[0], run[0] + run[1])])
)
PAGES = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), ROWS | RUNS), max_size=25)


def store(max_ids: int = 20, *, recent_pages: int = 2) -> tuple[IdStore, Scratch]:
    journal = Scratch()
    return IdStore(journal, max_ids=max_ids, recent_pages=recent_pages), journal


async def sift(
    ids: IdStore, journal: Scratch, sieve: Sieve, window_id: int, page: Keys, number: int
) -> tuple[list[str], Sifted]:
    """Sift a page as a window does, and hand its answer to the journal."""
    key = AnswerKey(window_id, number, next(journal.pages), 100)
    if sieve.is_plain(page) and ids.keep_by_span(key, page, sieve.number_of(number)):
        await journal.hand_over(key, page)
        return page.ids, Sifted.all_new(len(page.ids))
    buckets = await ids.open(window_id, set(page.hours))
    new, sifted = sieve.sift(page, None, buckets, number)
    await ids.settle(sifted.added)
    await journal.hand_over(key, page)
    return [page.ids[i] for i in new], sifted


def expected(page: Keys, known: dict[str, int], number: int) -> tuple[list[str], int]:
    """What a plain dictionary says is new, and how many rows were seen in this pass before."""
    new: list[str] = []
    repeated = 0
    for call_id in page.ids:
        repeated += known.get(call_id) == number
        if call_id not in known:
            new.append(call_id)
        known[call_id] = number
    return new, repeated


@given(PAGES, st.integers(1, 40))
async def test_sieve_and_store_agree_with_a_dictionary(
    pages: list[tuple[int, int, Keys]], max_ids: int
) -> None:
    """However few ids are kept in memory, what is new and what is repeated is what a dictionary says."""
    ids, journal = store(max_ids)
    sieves = {number: Sieve(Window("a", None, moment(1e6)), number, dateless={}) for number in (1, 2)}
    known: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for window_id, number, page in sorted(pages, key=lambda page: page[1]):
        new, sifted = await sift(ids, journal, sieves[window_id], window_id, page, number)
        wanted, repeated = expected(page, known[window_id], number)
        assert (new, sifted.repeated) == (wanted, repeated)
        assert sifted.distinct == len(page.ids) - repeated
        assert sifted.unknown == len(new)


@settings(max_examples=15)
@given(PAGES, st.integers(1, 20))
async def test_sieve_and_store_agree_with_a_dictionary_on_disk(
    pages: list[tuple[int, int, Keys]], max_ids: int
) -> None:
    """The same with the journal's own scratch file and digests."""
    with TemporaryDirectory() as folder:
        journal = await OnDisk.open(Path(folder))
        ids = IdStore(journal, max_ids=max_ids, recent_pages=1)
        sieve = Sieve(Window("a", None, moment(1e6)), journal.window_id, dateless={})
        known: dict[str, int] = {}
        for _, number, page in sorted(pages, key=lambda page: page[1]):
            new, _sifted = await sift(ids, journal, sieve, journal.window_id, page, number)
            assert new == expected(page, known, number)[0]
        await journal.aclose()


@given(PAGES, st.integers(1, 12))
async def test_store_serves_many_at_once(pages: list[tuple[int, int, Keys]], max_ids: int) -> None:
    """Pages sifted by several tasks at once, ids going out and coming back between: each call is new once."""
    ids, journal = store(max_ids)
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    found: list[str] = []

    async def sift_one(page: Keys) -> None:
        found.extend((await sift(ids, journal, sieve, 1, page, 1))[0])

    async with anyio.create_task_group() as tasks:
        for _, _, page in pages:
            tasks.start_soon(sift_one, page)
    assert len(found) == len(set(found))
    assert set(found) == {call_id for _, _, page in pages for call_id in page.ids}


@given(PAGES, st.integers(1, 60))
async def test_store_keeps_no_more_than_it_may(pages: list[tuple[int, int, Keys]], max_ids: int) -> None:
    """After each page the ids in memory are within the limit, but for the hour used last; forgotten ones go."""
    ids, journal = store(max_ids)
    sieves = {number: Sieve(Window("a", None, moment(1e6)), number, dateless={}) for number in (1, 2)}
    for window_id, number, page in pages:
        await sift(ids, journal, sieves[window_id], window_id, page, number)
        kept = [len(bucket) + BUCKET_COST for bucket in ids._buckets.values()]
        assert sum(kept) == ids._count
        assert sum(kept) <= max_ids or len(kept) == 1
    ids.forget(1)
    ids.forget(2)
    assert (ids._count, ids._buckets, ids._elsewhere, ids._spans) == (0, {}, {}, {})


async def test_page_beside_all_others_is_kept_by_its_span() -> None:
    """Of a list in order nothing is kept of the ids, and nothing is read again."""
    ids, journal = store()
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    rows = calls(60)
    for begin in (0, 40, 20, 10, 50, 30):  # as they come with many in flight
        page = keys(rows[begin : begin + 10])
        assert (await sift(ids, journal, sieve, 1, page, 1))[0] == page.ids
    assert (len(ids._buckets), len(ids._elsewhere), journal.read) == (0, 0, [])
    assert len(ids._recent) == 2


def at_minutes(*minutes: float) -> Keys:
    """Keys of calls that are told apart by their minute."""
    return keys([Call(f"c{minute}", moment(minute)) for minute in minutes])


FIRST = at_minutes(*range(11))


@pytest.mark.parametrize(
    ("page", "reads"),
    [
        (at_minutes(10, 11, 12), 1),
        (at_minutes(4.5), 1),
        (at_minutes(-3, 30), 1),
        (at_minutes(5, 6), 1),
        (at_minutes(200, 200), 0),
        (keys([Call("c1", None)]), 0),
        (at_minutes(200, 200 + 60 * MOST_HOURS), 0),
    ],
    ids=["touching", "within", "around", "all known", "a row twice", "no moment", "too long"],
)
async def test_page_that_its_span_does_not_show_to_be_new_is_looked_at(page: Keys, reads: int) -> None:
    """Pages that touch, or whose time says too little, are told apart by their ids."""
    ids, journal = store(recent_pages=0)
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    await sift(ids, journal, sieve, 1, FIRST, 1)
    wanted, repeated = expected(page, dict.fromkeys(FIRST.ids, 1), 1)
    if page.moments[0] is None:
        wanted = ["c1"]  # of another day, as far as is known
        repeated = 0
    new, sifted = await sift(ids, journal, sieve, 1, page, 1)
    assert (new, sifted.repeated, len(journal.read)) == (wanted, repeated, reads)
    assert ids._buckets


async def test_page_may_begin_in_the_moment_another_ends_with() -> None:
    """In an order of seconds many do: the two are told apart by their ids, as long as those are here."""
    ids, journal = store(recent_pages=2)
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    second = keys([Call("other", moment(10)), Call("c13", moment(13))])
    for page in (FIRST, second, keys([Call("later", moment(13))])):
        assert (await sift(ids, journal, sieve, 1, page, 1))[0] == page.ids
    assert not ids._buckets
    assert (await sift(ids, journal, sieve, 1, keys([Call("early", moment(0))]), 1))[0] == ["early"]
    assert ids._buckets  # that page is not recent any more


async def test_hour_that_was_opened_keeps_no_page_by_its_span() -> None:
    """What is known of it is in one place; the hours beside it are as they were."""
    ids, journal = store(max_ids=100, recent_pages=0)
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    for page in (FIRST, at_minutes(58, 59, 60, 61), at_minutes(10, 11)):
        await sift(ids, journal, sieve, 1, page, 1)
    hour = FIRST.hours[0]
    assert list(ids._buckets) == [(1, hour)]
    assert set(ids._buckets[1, hour]) == {*FIRST.ids, "c11", "c58", "c59"}
    assert (await sift(ids, journal, sieve, 1, at_minutes(12, 13), 1))[0] == ["c12", "c13"]
    assert (await sift(ids, journal, sieve, 1, at_minutes(59, 60), 1))[0] == []
    assert set(ids._buckets[1, hour + 1]) == {"c60", "c61"}
    assert (await sift(ids, journal, sieve, 1, at_minutes(130), 1))[0] == ["c130"]
    assert (1, hour + 2) not in ids._buckets


async def test_hour_is_opened_in_the_order_its_pages_came() -> None:
    """The journal keeps what came together in one piece; each page is read once, though more come meanwhile."""
    ids, journal = store(recent_pages=0)
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    pages = [at_minutes(n / 4) for n in range(150)]
    for page in pages[::-1]:
        await sift(ids, journal, sieve, 1, page, 1)
    found: list[list[str]] = []
    async with anyio.create_task_group() as tasks:

        async def see(page: Keys) -> None:
            found.append((await sift(ids, journal, sieve, 1, page, 1))[0])

        for page in (pages[7], at_minutes(50, 51), at_minutes(51, 52)):
            tasks.start_soon(see, page)
    assert sorted(found) == [[], ["c50", "c51"], ["c52"]]
    assert [key.page for key in journal.read] == [*range(150), 151]


async def test_neighbour_is_known_before_it_is_durable() -> None:
    """Pages that touch come one after another; the journal is not asked for what came just now."""
    ids, journal = store(recent_pages=1)
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    await sift(ids, journal, sieve, 1, FIRST, 1)
    assert (await sift(ids, journal, sieve, 1, at_minutes(10, 11), 1))[0] == ["c11"]
    assert not journal.read


def sieve_of(
    since: float | None = None,
    until: float = 1e6,
    covered: dict[str, list[tuple[datetime | None, datetime]]] | None = None,
) -> Sieve:
    start = None if since is None else moment(since)
    return Sieve(Window("a", start, moment(until)), 1, dateless={}, covered=covered)


def test_sieve_leaves_out_what_is_beyond_the_window() -> None:
    """Rows outside the range are seen, counted as above where they are, and not new."""
    page = keys(calls(10))
    buckets: defaultdict[int, dict[str, int]] = defaultdict(dict)
    buckets[page.hours[0]]
    new, sifted = sieve_of(3, 7).sift(page, None, buckets, 1)
    assert list(new) == [3, 4, 5, 6]
    assert (sifted.distinct, sifted.above, sifted.first, sifted.unknown) == (10, 3, 10, 4)


def test_sieve_leaves_out_what_other_windows_cover() -> None:
    """A walk of the account leaves out the rows of agents whose range is covered, and keeps those that name none."""
    page = keys(calls(4))
    sieve = sieve_of(covered={"a": [(moment(0), moment(2))]})
    new, _ = sieve.sift(page, ["a", "b", "a", None], {hour: {} for hour in page.hours}, 1)
    assert sieve.has_covered
    assert list(new) == [1, 2, 3]


def test_sieve_gives_a_row_without_a_moment_to_the_first_window() -> None:
    """What has no moment is in every window: the one that wrote it first keeps it, in any pass and any run."""
    dateless: dict[str, int] = {}
    sieves = [Sieve(Window("a", None, moment(9)), number, dateless=dateless) for number in (1, 2)]
    page = keys([Call("x", None)])
    assert page.hours == [DATELESS]
    assert [list(sieve.sift(page, None, {DATELESS: {}}, 1)[0]) for sieve in (*sieves, sieves[0])] == [
        [0],
        [],
        [0],
    ]


def test_sieve_counts_a_row_without_an_id_in_every_window() -> None:
    """A row that is no call is quarantined by each window that meets it, once."""
    page = Keys(["hash"], [None], [NAMELESS])
    buckets: dict[int, dict[str, int]] = {NAMELESS: {}}
    sieve = sieve_of()
    assert list(sieve.sift(page, None, buckets, 1)[0]) == [0]
    assert list(sieve.sift(page, None, buckets, 2)[0]) == []


def test_sieve_knows_what_an_earlier_run_wrote() -> None:
    """Rows that were put in as known are distinct, first seen by this walk, and not new."""
    page = keys(calls(3))
    sieve = sieve_of()
    buckets: dict[int, dict[str, int]] = {page.hours[0]: {}}
    assert sieve.know(page, buckets) == 3
    assert sieve.know(page, buckets) == 0
    new, sifted = sieve.sift(keys(calls(4)), None, buckets, 1)
    assert list(new) == [3]
    assert (sifted.distinct, sifted.first, sifted.unknown) == (4, 4, 1)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001 - plain days
def test_hours_are_told_apart(at: datetime) -> None:
    """Moments of one hour share it, those of the next do not, and no hour is one of the two special ones."""
    start = at.replace(minute=0, second=0, microsecond=0)
    assert hour_of(at) == hour_of(start) == hour_of(start + timedelta(hours=1)) - 1
    assert hour_of(at) >= 0
