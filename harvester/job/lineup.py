"""The windows that a source has before it, and which of them is asked next. It does no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from harvester.journal import StoredWindow

from .nouns import Ask
from .window import OpenWindow

MAX_OPEN = 64
"""Windows of one source that are walked at once: enough to fill every place in flight with first pages."""

TURNS = 16
"""Requests on end for one window of many: so much the largest may lead the others."""


class LineUp:
    """The windows of one source that are not ended: lined up, taken up from an earlier run, or open.

    Args:
        open_window: Makes a window ready to be walked.
    """

    def __init__(self, open_window: Callable[[StoredWindow], OpenWindow]) -> None:
        self._open_window = open_window
        self._todo: deque[StoredWindow] = deque()
        self._restored: dict[int, OpenWindow] = {}
        self._open: dict[int, OpenWindow] = {}
        self._replaying: deque[OpenWindow] = deque()
        self._served: OpenWindow | None = None
        self._turns = 0

    def __bool__(self) -> bool:
        return self.has_waiting or bool(self._open)

    @property
    def has_waiting(self) -> bool:
        """There are windows that are not open yet."""
        return bool(self._todo)

    @property
    def ids(self) -> set[int]:
        """The numbers of all of them."""
        return {window.id for window in self._todo} | self._open.keys()

    @property
    def begun(self) -> list[OpenWindow]:
        """Those that are open, and those that an earlier run began."""
        return [*self._open.values(), *self._restored.values()]

    def add(self, windows: Iterable[StoredWindow]) -> None:
        """Line up windows, but for those that are open already."""
        self._todo.extend(window for window in windows if window.id not in self._open)

    def restore(self, opened: OpenWindow) -> None:
        """Add what an earlier run left of a window: it is open where nothing of it is to be walked."""
        begun = self._open if opened.walk.is_skipped else self._restored
        begun[opened.stored.id] = opened

    def is_open(self, opened: OpenWindow) -> bool:
        """Return whether a window is open still."""
        return opened.stored.id in self._open

    def remove(self, opened: OpenWindow) -> bool:
        """Take a window off; return whether it was open."""
        return self._open.pop(opened.stored.id, None) is not None

    def expected(self, stored: Iterable[StoredWindow]) -> int | None:
        """Return the calls of all windows as far as their totals are known; None while one is not."""
        if self._todo:
            return None
        expected = 0
        for window in stored:
            opened = self._open.get(window.id)
            if opened is None:
                expected += window.counts.written
            elif opened.walk.total is None:
                return None
            else:
                expected += max(opened.walk.total - opened.walk.unread, opened.kept.written)
        return expected

    # What is asked next.

    @property
    def replaying(self) -> OpenWindow | None:
        """The window whose answers of an earlier run are to be taken next, until `replayed`."""
        return self._replaying[0] if self._replaying else None

    def replayed(self) -> None:
        """Go on to the next of them; what this one has left the walk does not ask for."""
        self._replaying.popleft().forget_journaled()

    def next(self) -> tuple[OpenWindow, Ask] | None:
        """Return what to ask next and of which window, None where that depends on an answer, or nothing is left."""
        # One of many windows is served for some requests on end: to find the largest takes a look at them all.
        opened, self._turns = self._served, self._turns - 1
        is_on = opened is not None and self.is_open(opened) and not opened.has_journaled
        if self._turns > 0 and opened is not None and is_on and (ask := opened.walk.next()) is not None:
            return opened, ask
        opened = self._largest() or self._open_next()
        if opened is None or opened.has_journaled or (ask := opened.walk.next()) is None:
            return None
        self._served, self._turns = opened, TURNS
        return opened, ask

    def _largest(self) -> OpenWindow | None:
        """Return the window with the most left to ask, so that all finish together."""
        waiting = [opened for opened in self._open.values() if opened.walk.pages_left]
        if len(waiting) <= 1:
            return waiting[0] if waiting else None
        return max(waiting, key=lambda opened: opened.walk.pages_left)

    def _open_next(self) -> OpenWindow | None:
        if not self._todo or len(self._open) >= MAX_OPEN:
            return None
        stored = self._todo.popleft()
        opened = self._restored.pop(stored.id, None)
        if opened is None:
            opened = self._open_window(stored)
        elif opened.has_journaled:
            self._replaying.append(opened)
        self._open[stored.id] = opened
        return opened
