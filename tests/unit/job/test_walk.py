"""What a walk asks, when it stops, and that it loses nothing in silence, whatever the list does."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.job.nouns import Answer, Ask, Sifted
from harvester.job.walk import MAX_PASSES, Walk
from harvester.model import Cursor, Listing, Window

from .servers import RAW, Call, Server, Walked, at, calls, moment, walk_over

PAGE = 10


def ids_between(rows: list[Call], since: float | None, until: float) -> set[str]:
    start = at(since)
    return {
        row.id
        for row in rows
        if row.at is None or ((not start or row.at >= start) and row.at < moment(until))
    }


def assert_exact(walked: Walked, expected: set[str]) -> None:
    assert len(walked.written) == len(set(walked.written))
    assert set(walked.written) == expected


# A list that stands still.


@given(st.integers(0, 130), st.integers(1, PAGE), st.booleans(), st.booleans(), st.integers(0, 2**16))
def test_walk_of_a_list_at_rest_asks_for_each_page_once(
    count: int, most: int, by_order: bool, ends_now: bool, seed: int
) -> None:
    """One request a page, one pass, no gap, every row once; a list in order may cost three looks at its ends."""
    server = Server(calls(count), most=most, asked=[])
    walked = walk_over(server, page_size=PAGE, seed=seed, by_order=by_order, ends_now=ends_now)
    assert_exact(walked, {row.id for row in server.rows})
    assert (walked.walk.passes, walked.is_whole, walked.walk.missing) == (1, True, 0)
    assert 0 <= walked.requests - max(-(-count // most), 1) <= (3 if by_order and not ends_now else 0)


@given(
    st.integers(0, 100),
    st.sampled_from([-37, -11, -3, -1, 1, 3, 11, 37, None]),
    st.sampled_from([None, "truth", "always"]),
    st.dictionaries(st.integers(0, 10), st.integers(1, PAGE), max_size=3),
    st.sampled_from([None, None, 0, 3]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_walk_of_a_lying_list_ends_and_doubles_nothing(
    count: int,
    off: int | None,
    more: str | None,
    short: dict[int, int],
    frozen: int | None,
    is_offset: bool,
    seed: int,
) -> None:
    """Wrong totals, endless pages, short, empty and repeated ones: it ends, soon, and no row is written twice."""
    server = Server(
        calls(count),
        total_off=off,
        says_more=more,
        short=short,
        frozen_at=frozen,
        is_offset=is_offset,
        asked=[],
    )
    walked = walk_over(server, page_size=PAGE, seed=seed)
    assert len(walked.written) == len(set(walked.written))
    assert walked.requests <= 3 * (count + 40 + PAGE)


@given(st.integers(0, 100), st.integers(-40, 0), st.integers(1, PAGE), st.booleans(), st.integers(0, 2**16))
def test_walk_reads_past_a_total_that_is_too_low(
    count: int, off: int, most: int, says_more: bool, seed: int
) -> None:
    """A list that says it goes on, or holds more rows than it counts, is read to its end."""
    server = Server(
        calls(count), most=most, total_off=off, says_more="truth" if says_more else None, asked=[]
    )
    walked = walk_over(server, page_size=PAGE, seed=seed)
    assert walked.is_whole
    is_hidden = not says_more and (count + off) % most == 0  # full pages, and as many rows as it counts
    if not is_hidden or not off:
        assert_exact(walked, {row.id for row in server.rows})


@given(st.integers(1, 100), st.integers(1, 40), st.integers(0, 2**16))
def test_walk_names_rows_that_are_counted_and_never_given(count: int, off: int, seed: int) -> None:
    """A total that stays too high is a gap, of as many rows; what there is was written."""
    server = Server(calls(count), total_off=off, asked=[])
    walked = walk_over(server, page_size=PAGE, seed=seed)
    assert_exact(walked, {row.id for row in server.rows})
    assert walked.walk.missing == off
    assert f"counts {off} more calls than it lists" in walked.walk.gaps[0].message


@given(st.integers(0, 90), st.integers(1, PAGE), st.booleans(), st.booleans(), st.integers(0, 2**16))
def test_walk_finds_a_clamp_that_is_not_said(
    count: int, most: int, is_offset: bool, has_total: bool, seed: int
) -> None:
    """A server that gives fewer rows than asked and does not say so is asked for as many as it gives."""
    server = Server(
        calls(count),
        most=most,
        says_size=False,
        total_off=0 if has_total else None,
        is_offset=is_offset,
        asked=[],
    )
    walked = walk_over(server, page_size=PAGE, seed=seed)
    assert_exact(walked, {row.id for row in server.rows})
    assert walked.is_whole


@pytest.mark.parametrize("lost", [PAGE, 4])
@pytest.mark.parametrize("total_off", [0, None])
def test_walk_names_a_page_that_stays_short(lost: int, total_off: int | None) -> None:
    """A page in the middle that lacks rows, all or some, is a gap where the list shows that it goes on."""
    server = Server(calls(100), short={3: lost}, total_off=total_off, says_more="truth", asked=[])
    walked = walk_over(server, page_size=PAGE)
    assert len(walked.written) == 100 - lost
    assert len(walked.walk.gaps) == 1


def test_walk_names_short_pages_of_a_list_whose_total_moves() -> None:
    """Rows that every page counts and none gives are missing, also where the total is not the same all through."""
    server = Server(calls(60), short={2: 5}, asked=[])

    def churn(dice: Random) -> None:
        if dice.random() < 0.2:
            server.rows.append(Call(f"new{dice.random()}", moment(5_000)))

    walked = walk_over(server, page_size=PAGE, churn=churn, until=1_000, ends_now=True)
    assert walked.walk.gaps


def test_walk_names_a_list_that_ignores_the_page() -> None:
    """The same full page again and again, with no total: whether there is more is not known, so it is a gap."""
    walked = walk_over(Server(calls(50), frozen_at=0, total_off=None, asked=[]), page_size=PAGE)
    assert "the same page again" in walked.walk.gaps[0].message
    assert walked.requests < 10


def test_walk_takes_a_bare_array_of_everything() -> None:
    """A server that knows no pages and gives its few rows whatever is asked is no gap."""
    walked = walk_over(Server(calls(7), frozen_at=0, total_off=None, asked=[]), page_size=PAGE)
    assert_exact(walked, {f"c{n}" for n in range(7)})
    assert walked.is_whole


def test_walk_reads_again_where_a_page_was_short_once() -> None:
    """A page that lacked rows in one pass and has them in the next is no gap."""
    server = Server(calls(100), short={3: 4}, asked=[])

    def mend(_: Random) -> None:
        if len(server.asked) > 10:
            server.short.clear()

    walked = walk_over(server, page_size=PAGE, churn=mend)
    assert_exact(walked, {row.id for row in server.rows})
    assert walked.is_whole
    assert walked.walk.passes == 2


def test_walk_names_a_page_that_does_not_come() -> None:
    """A page given up is a gap that names it; the others are read, and what it held is missing."""
    walked = walk_over(Server(calls(100), asked=[]), page_size=PAGE, loses=lambda ask: ask.cursor.page == 3)
    assert [gap.message for gap in walked.walk.gaps] == ["page 4 of the list: given up"]
    assert (len(walked.written), walked.walk.missing, walked.walk.passes) == (90, 10, 1)


def test_walk_ends_where_page_one_does_not_come() -> None:
    """Without its first page a window is one gap and no more requests."""
    walked = walk_over(Server(calls(100), asked=[]), loses=lambda _: True)
    assert (walked.requests, walked.written, len(walked.walk.gaps)) == (1, [], 1)


def test_walk_counts_what_is_left_to_ask() -> None:
    """`pages_left` is what can be asked for at once: one at first, then the rest of the list."""
    walk = Walk(Window("a", None, moment(1e6)), page_size=PAGE)
    assert walk.pages_left == 1
    ask = walk.next()
    assert ask == Ask(Cursor(0, PAGE))
    assert (walk.pages_left, walk.next(), walk.is_done) == (0, None, False)
    walk.take(ask, Answer(Listing([RAW] * PAGE, 95), [], [], Sifted(distinct=PAGE, first=PAGE, unknown=PAGE)))
    assert (walk.pages_left, walk.next()) == (9, Ask(Cursor(1, PAGE)))


# A list that moves.


class Churn:
    """Moves a list a limited number of times, by dice: new calls at its head or tail, deletions anywhere."""

    def __init__(self, server: Server, *, rate: float, kinds: str, at_head: bool, moves: int) -> None:
        self._server = server
        self._rate = rate
        self._kinds = kinds
        self._at_head = at_head
        self._left = moves
        self.begun = {row.id for row in server.rows}

    def __call__(self, dice: Random) -> None:
        if self._left and dice.random() < self._rate:
            self._left -= 1
            for kind in dice.choice(self._kinds.split()):
                self._move(kind, dice)

    def _move(self, kind: str, dice: Random) -> None:
        rows = self._server.rows
        if kind == "+":
            rows.insert(
                0 if self._at_head else len(rows), Call(f"new{self._left}", moment(5_000 - self._left))
            )
        elif rows:
            del rows[dice.randrange(len(rows))]

    def stayed(self, since: float | None, until: float) -> set[str]:
        """The calls of a range that were there throughout."""
        return ids_between([row for row in self._server.rows if row.id in self.begun], since, until)


def assert_nothing_lost(walked: Walked, stayed: set[str]) -> None:
    assert len(walked.written) == len(set(walked.written))
    assert not walked.is_whole or stayed <= set(walked.written)


CHURN = (
    st.sampled_from([0.01, 0.05, 0.2]),
    st.sampled_from(["+", "-", "+ -", "+-", "+- + -"]),
    st.integers(0, 2**32),
)


@settings(max_examples=300)
@given(*CHURN, st.integers(1, 70), st.integers(1, 8))
def test_walk_of_a_moving_list_loses_nothing_in_silence(
    rate: float, kinds: str, seed: int, count: int, askers: int
) -> None:
    """The newest first, with new calls at the head and deletions anywhere: what stays is written, or a gap is named."""
    server = Server(calls(count)[::-1], asked=[])
    churn = Churn(server, rate=rate, kinds=kinds, at_head=True, moves=8)
    walked = walk_over(
        server, until=1_000, page_size=PAGE, seed=seed, ends_now=True, churn=churn, askers=askers
    )
    assert_nothing_lost(walked, churn.stayed(None, 1_000))


@settings(max_examples=200)
@given(*CHURN, st.integers(1, 70))
def test_walk_of_a_closed_range_loses_nothing_in_silence(
    rate: float, kinds: str, seed: int, count: int
) -> None:
    """A filter that shows no new calls, and deletions: what stays is written, or a gap is named."""
    server = Server(calls(count)[::-1], asked=[])
    churn = Churn(server, rate=rate, kinds="-", at_head=True, moves=8)
    walked = walk_over(server, until=1_000, page_size=PAGE, seed=seed, churn=churn)
    assert_nothing_lost(walked, churn.stayed(None, 1_000))


@settings(max_examples=200)
@given(*CHURN, st.sampled_from([(150, 250), (None, 250), (5, 25), (380, 1_000), (0, 399)]))
def test_walk_of_a_moving_list_in_order_loses_nothing_in_silence(
    rate: float, kinds: str, seed: int, window: tuple[float | None, float]
) -> None:
    """The oldest first, a part of it found by bisection, growing at its end and deleted from anywhere."""
    server = Server(calls(400), asked=[])
    churn = Churn(server, rate=rate, kinds=kinds, at_head=False, moves=6)
    since, until = window
    walked = walk_over(
        server, since=since, until=until, page_size=PAGE, seed=seed, by_order=True, churn=churn
    )
    assert_nothing_lost(walked, churn.stayed(since, until))


def test_walk_of_a_list_that_grows_at_its_end_takes_one_pass() -> None:
    """New calls at the end of an ordered list move no row: the range found in it needs no second reading."""
    server = Server(calls(400), asked=[])
    churn = Churn(server, rate=1.0, kinds="+", at_head=False, moves=3_000)
    walked = walk_over(server, since=100, until=200, page_size=PAGE, by_order=True, churn=churn)
    assert_exact(walked, ids_between(server.rows, 100, 200))
    assert (walked.walk.passes, walked.is_whole) == (1, True)


@pytest.mark.parametrize("seed", range(5))
def test_walk_reads_a_list_whole_that_keeps_shrinking_under_the_bisection(seed: int) -> None:
    """Where calls keep going, the ends of a range are not looked for again and again: the walk comes to its end."""
    server = Server(calls(400), asked=[])
    churn = Churn(server, rate=0.05, kinds="-", at_head=False, moves=200)
    walked = walk_over(server, since=100, until=200, page_size=PAGE, seed=seed, by_order=True, churn=churn)
    assert_nothing_lost(walked, churn.stayed(100, 200))
    assert walked.is_whole


def test_walk_ends_in_a_gap_where_calls_keep_coming_in() -> None:
    """A list in which every pass brings calls of the window is given up after the last pass, by name."""
    server = Server(calls(60), asked=[])
    names = iter(range(10_000))

    def churn(dice: Random) -> None:
        if dice.random() < 0.1:
            server.rows.insert(0, Call(f"late{next(names)}", moment(3)))

    walked = walk_over(server, page_size=PAGE, churn=churn, until=1_000)
    assert walked.walk.passes == MAX_PASSES
    assert "kept changing" in walked.walk.gaps[0].message


def test_walk_is_complete_where_its_last_pass_proves_it() -> None:
    """A list that comes to rest only for the eighth pass has no gap."""
    walk = Walk(Window("a", None, moment(1e6)), page_size=PAGE)
    for number in range(1, MAX_PASSES + 1):
        assert walk.passes == number
        is_last = number == MAX_PASSES
        for total in (11, 11 if is_last else 12):
            ask = walk.next()
            assert ask is not None
            sifted = Sifted(distinct=10 if ask.cursor.page == 0 else 1, first=1, unknown=1)
            walk.take(ask, Answer(Listing([RAW] * sifted.distinct, total), [], [], sifted))
    assert walk.is_done
    assert walk.gaps == []


# A part of a list in order.


@settings(max_examples=200)
@given(
    st.integers(0, 400),
    st.one_of(st.none(), st.integers(-50, 450)),
    st.integers(-50, 450),
    st.sampled_from([1.0, 0.1, 0.0]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_walk_finds_any_part_of_a_list_in_order(
    count: int, since: int | None, length: int, every: float, ends_now: bool, seed: int
) -> None:
    """Wherever a range begins and ends, many calls of one moment or none, what is in it is written, and no more."""
    until = (since or 0) + max(length, 1)
    server = Server(calls(count, every=every), asked=[])
    walked = walk_over(
        server, since=since, until=until, page_size=PAGE, seed=seed, by_order=True, ends_now=ends_now
    )
    assert_exact(walked, ids_between(server.rows, since, until))
    assert walked.is_whole
    assert walked.walk.missing == 0
    assert walked.walk.unread + walked.walk.given >= len(server.rows)


@given(st.integers(0, 100), st.integers(300, 5_000))
def test_walk_looks_for_a_small_part_of_a_long_list(start: int, count: int) -> None:
    """A day of a long list costs its own pages and a handful of single rows, not the list."""
    server = Server(calls(count), asked=[])
    walked = walk_over(server, since=100 + start, until=120 + start, page_size=PAGE, by_order=True)
    assert len(walked.written) == 20
    assert walked.requests <= 1 + 3 + 2 * count.bit_length() + 3
    assert walked.walk.passes == 1


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 400), min_size=0, max_size=12),
    st.sampled_from(["swap", "dateless", "reverse", "shuffle"]),
    st.integers(0, 400),
    st.integers(0, 2**16),
)
def test_walk_reads_everything_where_the_order_does_not_hold(
    places: list[int], kind: str, since: int, seed: int
) -> None:
    """Disorder that shows in what is read means reading the list whole, with no false gap."""
    rows = calls(401)
    for place in places:
        if kind == "swap":
            rows[place], rows[-1 - place] = rows[-1 - place], rows[place]
        elif kind == "dateless":
            rows[place] = Call(rows[place].id, None)
    if kind == "reverse":
        rows.reverse()
    elif kind == "shuffle":
        Random(seed).shuffle(rows)
    server = Server(rows, asked=[])
    walked = walk_over(server, since=since, until=since + 40, page_size=PAGE, seed=seed, by_order=True)
    assert walked.is_whole
    assert walked.walk.missing == 0
    if walked.walk.unread == 0:
        assert_exact(walked, ids_between(rows, since, since + 40))


@pytest.mark.parametrize("place", [0, 400])
def test_walk_keeps_calls_without_a_moment_at_either_end(place: int) -> None:
    """Where the server sorts the dateless first or last the list is read whole, and they are kept."""
    rows = calls(400)
    rows.insert(place, Call("dateless", None))
    walked = walk_over(Server(rows, asked=[]), since=100, until=120, page_size=PAGE, by_order=True)
    assert_exact(walked, {"dateless", *(f"c{n}" for n in range(100, 120))})
    assert walked.is_whole


def test_walk_reads_everything_where_a_probe_does_not_come() -> None:
    """A single row that is not to be had costs the bisection, not the window."""
    walked = walk_over(
        Server(calls(400), asked=[]),
        since=100,
        until=120,
        page_size=PAGE,
        by_order=True,
        loses=lambda ask: ask.is_probe,
    )
    assert_exact(walked, {f"c{n}" for n in range(100, 120)})
    assert walked.is_whole


def test_walk_asks_again_where_a_page_of_a_part_comes_short() -> None:
    """A page that stays short between the two ends is a gap, not a proof by the rows around it."""
    server = Server(calls(400), short={12: 3}, asked=[])
    walked = walk_over(server, since=100, until=150, page_size=PAGE, by_order=True)
    assert len(walked.written) == 47
    assert len(walked.walk.gaps) == 1
