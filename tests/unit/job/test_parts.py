"""A window walked in parts: what is cut, what is not, and that nothing is lost whatever the filter does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.job.nouns import Answer, Ask, Sifted
from harvester.job.parts import Parts
from harvester.job.sieve import PASSES, Sieve
from harvester.job.walk import Walk
from harvester.model import Listing, Part, Window

from .servers import RAW, Call, at, calls, keys, moment

SPLIT = 60
PAGE = 10
UNTIL = 10_000.0
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class Filter(msgspec.Struct):
    """A list with a filter by range, and how it misbehaves.

    `shift_h` moves its calendar, `is_ignored` gives all, `lossy` leaves out one in so many wherever a range is asked,
    `late_min` is how late a part begins, `deepest` rows can be had of one list, `has_last_day` says whether a day that
    ends a range is in it.
    """

    rows: list[Call]
    cuts_at: Literal["second", "day"] = "second"
    shift_h: int = 0
    is_ignored: bool = False
    lossy: int = 0
    late_min: int = 0
    deepest: int = 1_000_000
    has_last_day: bool = True

    def matching(self, window: Window, part: Part) -> list[Call]:
        """Return the rows a request's range lets through."""
        is_unfiltered = part.is_again and part.since is None and part.until is None and window.since is None
        if self.is_ignored or is_unfiltered:
            return self.rows
        since, until = self._range(window, part)
        return [
            row
            for number, row in enumerate(self.rows)
            if (not self.lossy or number % self.lossy) and self._is_in(row.at, since, until)
        ]

    def _range(self, window: Window, part: Part) -> tuple[datetime | None, datetime]:
        since, until = part.since or window.since, part.until or window.until
        if part.since is not None:
            since = part.since + timedelta(minutes=self.late_min)
        if self.cuts_at == "second":
            return (None if since is None else since - SECOND), until + SECOND if until.year < 9999 else until
        if part.since is None and since is not None:
            since -= 2 * DAY
        if part.until is None:
            return since, until + 2 * DAY
        return since, until if part.has_last_day == self.has_last_day else until + (
            -DAY if part.has_last_day else DAY
        )

    def _is_in(self, when: datetime | None, since: datetime | None, until: datetime) -> bool:
        if when is None:
            return True
        when += timedelta(hours=self.shift_h)
        return (since is None or when >= since) and when < until

    def answer(self, window: Window, ask: Ask) -> tuple[Listing, list[Call]] | None:
        """Return a page, newest first; None where it lies too deep."""
        rows = self.matching(window, ask.part)[::-1]
        start = ask.cursor.page * ask.cursor.size
        if start >= self.deepest:
            return None
        page = rows[start : start + ask.cursor.size]
        return Listing([RAW] * len(page), len(rows), ask.cursor.size), page


class Walked(msgspec.Struct):
    """What a window came to."""

    parts: Parts
    written: list[str]
    requests: int


def walk_over(
    server: Filter,
    *,
    since: float | None = None,
    until: float = UNTIL,
    seed: int = 0,
    askers: int = 4,
    churn: Callable[[Random], None] = lambda _: None,
) -> Walked:
    """Walk a window in parts to its end: answers come back in any order."""
    window, dice = Window("a", at(since), moment(until)), Random(seed)

    def begin(part: Part) -> Walk:
        own = Window("a", part.since or window.since, part.until or window.until)
        return Walk(own, page_size=PAGE, ends_now=True)

    parts = Parts(begin, cuts_at=server.cuts_at, split_above=SPLIT)
    sieves: dict[Part, Sieve] = {}
    buckets: defaultdict[int, dict[str, int]] = defaultdict(dict)
    out: list[tuple[Ask, tuple[Listing, list[Call]] | None]] = []
    walked = Walked(parts, [], 0)
    make = partial(Sieve, window, 1, dateless={})
    asked: set[tuple[object, ...]] = set()
    while not parts.is_done:
        churn(dice)
        is_asking = len(out) < askers and (not out or dice.random() < 0.6)
        if is_asking and (ask := parts.next()) is not None:
            walked.requests += 1
            assert walked.requests < 5_000, "asked without end"
            key = (str(ask.part), parts.pass_of(ask.part), ask.cursor, ask.is_probe)
            assert ask.is_check or key not in asked, "two answers of one name in the journal"
            asked.add(key)
            out.append((ask, server.answer(window, ask)))
        else:
            assert out, "nothing to ask, nothing on its way, and not done"
            ask, answer = out.pop(dice.randrange(len(out)))
            if answer is None:
                parts.lose(ask, "too deep")
                continue
            listing, rows = answer
            page, sifted = keys(rows), Sifted()
            if not ask.is_probe:
                for hour in page.hours:
                    buckets[hour]
                if ask.part not in sieves:
                    is_whole = ask.part.since is None and ask.part.until is None
                    own = (ask.part.since or window.since, ask.part.until or window.until)
                    sieves[ask.part] = make(own=None if is_whole else own, base=len(sieves) * PASSES)
                new, sifted = sieves[ask.part].sift(page, None, buckets, parts.pass_of(ask.part))
                walked.written += [page.ids[i] for i in new]
            parts.take(ask, Answer(listing, page.ids, page.moments, sifted))
    return walked


def assert_exact(walked: Walked, rows: list[Call], since: float | None = None, until: float = UNTIL) -> None:
    wanted = {
        row.id for row in rows if row.at is not None and (at(since) or row.at) <= row.at < moment(until)
    }
    assert len(walked.written) == len(set(walked.written))
    assert set(walked.written) == wanted
    assert not walked.parts.gaps
    assert walked.parts.missing == 0


@given(
    st.integers(0, 600),
    st.sampled_from([0.01, 1.0, 17.0]),
    st.sampled_from([None, 0.0, 100.0, -50_000.0]),
    st.sampled_from(["second", "day"]),
    st.integers(-12, 12),
    st.booleans(),
    st.integers(0, 2**16),
)
@settings(max_examples=150)
def test_parts_are_exact_whatever_the_calendar(
    count: int,
    every: float,
    since: float | None,
    cuts_at: Literal["second", "day"],
    shift_h: int,
    has_last_day: bool,
    seed: int,
) -> None:
    """A filter of days in any zone, with its last day or without: each call of the window comes once."""
    rows = calls(count, every=every)
    shift = shift_h if cuts_at == "day" else 0
    server = Filter(rows, cuts_at=cuts_at, shift_h=shift, has_last_day=has_last_day)
    assert_exact(walk_over(server, since=since, seed=seed), rows, since)


@given(st.integers(100, 600), st.integers(2, 50), st.booleans(), st.integers(0, 2**16))
def test_parts_find_what_a_filter_leaves_out(count: int, lossy: int, is_ignored: bool, seed: int) -> None:
    """Calls that are lacking wherever a range is asked for are found, and a filter that does nothing harms nothing."""
    rows = calls(count, every=13.0)
    walked = walk_over(Filter(rows, lossy=lossy, is_ignored=is_ignored), until=count * 13.0 + 60, seed=seed)
    assert_exact(walked, rows, until=count * 13.0 + 60)


@given(st.integers(100, 600), st.sampled_from([30, 50, 200]), st.booleans(), st.integers(0, 2**16))
def test_parts_go_around_pages_that_cannot_be_had(count: int, deepest: int, is_open: bool, seed: int) -> None:
    """Where a list ends too early its window is cut until each part is short enough."""
    rows = calls(count, every=13.0)
    walked = walk_over(Filter(rows, deepest=deepest), since=None if is_open else 0.0, seed=seed)
    assert_exact(walked, rows)


@given(st.integers(100, 600), st.integers(1, 600), st.integers(0, 2**16))
def test_parts_that_lose_calls_between_them_are_read_again_as_one(
    count: int, late_min: int, seed: int
) -> None:
    """A filter that begins late loses calls at each cut: parts that do not make up the whole are not trusted."""
    rows = calls(count, every=13.0)
    assert_exact(walk_over(Filter(rows, late_min=late_min), until=count * 13.0 + 60, seed=seed), rows)


@pytest.mark.parametrize("seed", range(8))
def test_parts_of_a_moving_list_keep_what_stays(seed: int) -> None:
    """Calls come and go while parts are read: those that stay come once, and the walk ends."""
    rows = calls(400, every=13.0)
    server, dice = Filter(list(rows), cuts_at="second"), Random(seed)
    gone: set[str] = set()

    def churn(_: Random) -> None:
        if dice.random() < 0.02 and len(gone) < 30:
            gone.add(server.rows.pop(dice.randrange(len(server.rows))).id)
        if dice.random() < 0.02:
            server.rows.append(Call(f"new{dice.random()}", moment(UNTIL + 1)))

    walked = walk_over(server, seed=seed, churn=churn)
    assert len(walked.written) == len(set(walked.written))
    assert set(walked.written) >= {row.id for row in rows} - gone
    assert not walked.parts.gaps


@pytest.mark.parametrize("cuts_at", ["second", "day"])
def test_parts_of_a_list_at_rest_cost_little(cuts_at: Literal["second", "day"]) -> None:
    """Beside its pages a window costs the first page as a whole, four looks, and half a page a part."""
    rows = calls(3_000, every=13.0)
    walked = walk_over(Filter(rows, cuts_at=cuts_at), until=40_000)
    assert_exact(walked, rows, until=40_000)
    inner, leaves = 17, 3_000 // (SPLIT // 4)
    assert walked.requests <= 300 + 4 + inner + leaves


def test_parts_leave_a_short_window_whole() -> None:
    """A window that is not long costs nothing more, and one without a filter is never cut."""
    rows = calls(SPLIT // 4)
    assert walk_over(Filter(rows)).requests == 2
    parts = Parts(lambda _: Walk(Window("a", None, moment(UNTIL)), page_size=PAGE, ends_now=False))
    assert parts.pages_left == 1


def test_parts_see_by_a_single_day_that_a_filter_does_nothing() -> None:
    """A day as large as the whole is the whole: it is read on as one, for two looks and the total at the end."""
    rows = calls(600, every=13.0)
    server = Filter(rows, cuts_at="day", is_ignored=True)
    walked = walk_over(server, until=600 * 13.0 + 60)
    assert_exact(walked, rows, until=600 * 13.0 + 60)
    assert walked.requests == 60 + 2 + 1


def _begun(server: Filter) -> tuple[Parts, Callable[[Ask], None]]:
    """Parts whose first page has come, and what takes the next answers."""
    window = Window("a", None, moment(UNTIL))
    parts = Parts(
        lambda _: Walk(window, page_size=PAGE, ends_now=True), cuts_at=server.cuts_at, split_above=SPLIT
    )

    def take(ask: Ask) -> None:
        listing, rows = server.answer(window, ask) or (Listing([]), [])
        count = 0 if ask.is_probe else len(rows)
        page = keys(rows)
        parts.take(
            ask, Answer(listing, page.ids, page.moments, Sifted(distinct=count, first=count, added=count))
        )

    first = parts.next()
    assert first is not None
    take(first)
    return parts, take


def _all_of(parts: Parts) -> list[Ask]:
    return list(iter(parts.next, None))


def test_parts_ask_for_the_total_beside_the_last_pages() -> None:
    """What is asked once all pages came is asked while they are on their way, for nobody has to wait for it."""
    parts, take = _begun(Filter(calls(40)))
    asks = _all_of(parts)
    assert [ask.is_check for ask in asks] == [False, False, False, True]
    for ask in asks:
        take(ask)
    assert parts.is_done
    assert not parts.missing


def test_parts_ask_anew_where_there_were_more_pages() -> None:
    """A total of before the last pages were known says nothing of the end."""
    server = Filter(calls(40))
    parts, take = _begun(server)
    asks = _all_of(parts)
    server.rows = calls(50)
    for ask in asks:
        take(ask)
    more = _all_of(parts)
    assert [ask.is_check for ask in more] == [False]
    take(more[0])
    assert [ask.cursor.page for ask in _all_of(parts)] == [0]
