"""Which rows are new: the same answer as one large dictionary would give, in little memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.job.ids import BUCKET_COST, IdStore, Sieve, hour_of
from harvester.job.nouns import Sifted
from harvester.journal import DATELESS, NAMELESS, Journal
from harvester.model import Window

from .servers import T0, Call, Keys, calls, keys, moment

Buckets = dict[tuple[int, int], dict[str, int]]


class Scratch:
    """Keeps spilled buckets in memory, as the journal does on its thread: in the order it was told, and later."""

    def __init__(self) -> None:
        self.spilled: Buckets = {}
        self.loads = 0

    async def load_ids(self, window_id: int, hours: Sequence[int]) -> dict[int, dict[str, int]]:
        self.loads += 1
        found = {hour: self.spilled.pop((window_id, hour), {}) for hour in hours}
        await anyio.lowlevel.checkpoint()
        return found

    async def spill_ids(self, buckets: Buckets) -> None:
        self.spilled |= {key: dict(bucket) for key, bucket in buckets.items()}
        await anyio.lowlevel.checkpoint()


def at_hours(rows: Sequence[tuple[int, int]]) -> Keys:
    """Keys of rows by number and hour."""
    return keys([Call(f"c{number}", T0 + timedelta(hours=hour)) for number, hour in rows])


ROWS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=0, max_size=8).map(
    # A call's hour does not change.
    lambda rows: at_hours([(number, number % 6 + 0 * hour) for number, hour in rows])
)
PAGES = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), ROWS), max_size=25)


async def sift(
    ids: IdStore, sieve: Sieve, window_id: int, page: Keys, number: int
) -> tuple[list[str], Sifted]:
    buckets = await ids.open(window_id, set(page.hours))
    new, sifted = sieve.sift(page, None, buckets, number)
    await ids.settle(sifted.first)
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
    ids = IdStore(Scratch(), max_ids=max_ids)
    sieves = {number: Sieve(Window("a", None, moment(1e6)), number, dateless={}) for number in (1, 2)}
    known: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for window_id, number, page in sorted(pages, key=lambda page: page[1]):
        new, sifted = await sift(ids, sieves[window_id], window_id, page, number)
        wanted, repeated = expected(page, known[window_id], number)
        assert (new, sifted.repeated) == (wanted, repeated)
        assert sifted.distinct == len(page.ids) - repeated
        assert sifted.unknown == len(new)


@settings(max_examples=15)
@given(PAGES, st.integers(1, 20))
async def test_sieve_and_store_agree_with_a_dictionary_on_disk(
    pages: list[tuple[int, int, Keys]], max_ids: int
) -> None:
    """The same with the journal's own scratch file."""
    with TemporaryDirectory() as folder:
        journal = await Journal.open(Path(folder), holder="test")
        ids = IdStore(journal, max_ids=max_ids)
        sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
        known: dict[str, int] = {}
        for _, number, page in sorted(pages, key=lambda page: page[1]):
            new, _sifted = await sift(ids, sieve, 1, page, number)
            assert new == expected(page, known, number)[0]
        await journal.aclose()


@given(PAGES, st.integers(1, 12))
async def test_store_serves_many_at_once(pages: list[tuple[int, int, Keys]], max_ids: int) -> None:
    """Pages sifted by several tasks at once, ids going out and coming back between: each call is new once."""
    ids = IdStore(Scratch(), max_ids=max_ids)
    sieve = Sieve(Window("a", None, moment(1e6)), 1, dateless={})
    found: list[str] = []

    async def sift_one(page: Keys) -> None:
        found.extend((await sift(ids, sieve, 1, page, 1))[0])

    async with anyio.create_task_group() as tasks:
        for _, _, page in pages:
            tasks.start_soon(sift_one, page)
    assert len(found) == len(set(found))
    assert set(found) == {call_id for _, _, page in pages for call_id in page.ids}


@given(PAGES, st.integers(1, 60))
async def test_store_keeps_no_more_than_it_may(pages: list[tuple[int, int, Keys]], max_ids: int) -> None:
    """After each page the ids in memory are within the limit, but for the hour used last; forgotten ones go."""
    ids = IdStore(Scratch(), max_ids=max_ids)
    sieves = {number: Sieve(Window("a", None, moment(1e6)), number, dateless={}) for number in (1, 2)}
    for window_id, number, page in pages:
        await sift(ids, sieves[window_id], window_id, page, number)
        kept = [len(bucket) + BUCKET_COST for bucket in ids._buckets.values()]
        assert sum(kept) == ids._count
        assert sum(kept) <= max_ids or len(kept) == 1
    ids.forget(1)
    ids.forget(2)
    assert (ids._count, ids._buckets, ids._elsewhere) == (0, {}, {})


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
