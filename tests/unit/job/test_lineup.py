"""Whose turn it is among the windows of a source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from harvester.job.lineup import MAX_OPEN, TURNS, LineUp
from harvester.job.nouns import Ask
from harvester.job.window import OpenWindow
from harvester.journal import Counts, StoredWindow
from harvester.model import Cursor, Window

UNTIL = datetime(2026, 4, 1, tzinfo=UTC)


def window(number: int) -> StoredWindow:
    return StoredWindow(number, Window(f"a{number}", None, UNTIL), "open", Counts(written=1), [])


class Pages:
    """A walk of so many pages."""

    def __init__(self, count: int) -> None:
        self.pages_left = count
        self.is_skipped = False
        self.total: int | None = None
        self.unread = 0

    def next(self) -> Ask | None:
        if not self.pages_left:
            return None
        self.pages_left -= 1
        return Ask(Cursor(self.pages_left, 100))


class Opened:
    """An open window that is walked page by page."""

    def __init__(self, stored: StoredWindow, pages: int = 1, *, has_journaled: bool = False) -> None:
        self.stored = stored
        self.walk = Pages(pages)
        self.kept = Counts()
        self.has_journaled = has_journaled

    def forget_journaled(self) -> None:
        self.has_journaled = False


def opened(one: Opened) -> OpenWindow:
    return cast("OpenWindow", one)


def lined_up(*pages: int) -> LineUp:
    """Return windows of so many pages, numbered from 0."""
    line = LineUp(lambda stored: opened(Opened(stored, pages[stored.id])))
    line.add(map(window, range(len(pages))))
    return line


def asked(line: LineUp, most: int = 10_000) -> list[int]:
    """Return whose pages are asked for, one after another."""
    found: list[int] = []
    while len(found) < most and (one := line.next()) is not None:
        found.append(one[0].stored.id)
    return found


def test_window_is_served_for_some_requests_on_end() -> None:
    """Then the one with the most left has its turn, so that all finish together; and each page is asked for once."""
    line = lined_up(TURNS + 1, 3 * TURNS)
    found = asked(line)
    assert found[:TURNS] == [0] * TURNS
    assert found.count(0) == TURNS + 1
    assert found.count(1) == 3 * TURNS
    assert line.next() is None


def test_largest_goes_first() -> None:
    """Of windows that are open the one that would be last."""
    line = lined_up(1, 1)
    small, large = Opened(window(7), 2), Opened(window(8), 2 * TURNS)
    for one in (small, large):
        one.walk.is_skipped = True  # open from the start
        line.restore(opened(one))
    assert asked(line, 2 * TURNS) == [8] * (2 * TURNS)
    assert sorted(asked(line)) == [0, 1, 7, 7]


def test_no_more_are_open_than_may_be() -> None:
    """The others wait until one is taken off."""
    line = lined_up(*[1] * (MAX_OPEN + 2))
    assert asked(line) == list(range(MAX_OPEN))
    assert line.has_waiting
    first, *_ = line.begun
    assert line.remove(first)
    assert not line.remove(first)
    assert asked(line) == [MAX_OPEN]


def test_what_an_earlier_run_kept_is_taken_first() -> None:
    """A window with answers in the journal is not asked for until they are taken."""
    line = lined_up(1, 1)
    kept = opened(Opened(window(0), 1, has_journaled=True))
    line.restore(kept)
    assert line.begun == [kept]
    assert (asked(line), line.replaying) == ([], kept)
    line.replayed()
    assert line.replaying is None
    assert sorted(asked(line)) == [0, 1]


def test_window_that_is_open_is_not_lined_up_again() -> None:
    """As the agents come in pages, it may be found more than once."""
    line = lined_up(2)
    asked(line, 1)
    line.add([window(0)])
    assert (line.has_waiting, line.ids) == (False, {0})


def test_expected_is_known_once_all_totals_are() -> None:
    """Rows beyond the window's ends are none of it; a window that is done counts what it brought."""
    line = lined_up(1, 1)
    stored = [window(0), window(1), window(9)]
    assert line.expected(stored) is None
    asked(line)
    assert line.expected(stored) is None
    for one, total, unread in zip(line.begun, (100, 30), (40, 0), strict=True):
        walk = cast("Pages", one.walk)
        walk.total, walk.unread = total, unread
    assert line.expected(stored) == 60 + 30 + 1
