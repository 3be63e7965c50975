"""Whether a window that was walked in its parts, or by a filter, is whole: its totals at the end.

Totals are asked for one after another, for each says whether there is another to ask; the first of them while the last
pages are on their way. A proof does no I/O: it names the part whose total it needs (`WHOLE`, `UNFILTERED`, or what came
after), and is told it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

from harvester.model import Cursor, Part

from .cuts import after
from .nouns import Ask
from .walk import Walk

WHOLE = Part()
UNFILTERED = Part(is_again=True)
_ROW = 1

Step = Part | bool
"""What is to be asked next, or whether the window is whole."""


class Proof:
    """The proof of one window.

    Args:
        whole: The walk of all of it, or what that came to before it was cut.
        cuts_at: How finely the provider's filter cuts a range; None: there is nothing to compare.
        compare_above: Calls from which on a window without a beginning is compared with all that is listed.
    """

    def __init__(self, whole: Walk, cuts_at: Literal["second", "day"] | None, *, compare_above: int) -> None:
        self._whole = whole
        self._cuts_at = cuts_at
        self._compare_above = compare_above
        self._steps: Generator[Part, int | None, bool] | None = None
        # Totals that were asked for while the last pages were on their way; None: not yet.
        self._early: dict[Part, int | None] | None = None
        self._early_out: set[Part] = set()
        self._is_early_void = False

    @property
    def can_be(self) -> bool:
        """There are totals to compare."""
        return self._cuts_at is not None and self._whole.total is not None

    @property
    def is_early(self) -> bool:
        """Totals were asked for before the end."""
        return self._early is not None

    def ask_early(self, *, is_split: bool) -> list[Part]:
        """Return whose totals the proof will ask for first, for questions beside the last pages."""
        self._early = {}
        wanted = [WHOLE] if is_split else []
        if self._is_compared(self._whole.total or 0):
            wanted.append(UNFILTERED)
        self._early_out = set(wanted)
        return wanted

    def void(self) -> None:
        """Forget what was asked early: a page followed after all."""
        self._is_early_void = True

    def takes_early(self, part: Part, total: int | None) -> bool:
        """Take a total if it is one that was asked early; return whether it was."""
        if part not in self._early_out:
            return False
        assert self._early is not None
        self._early_out.remove(part)
        self._early[part] = total
        return True

    def begin(self, given: int, *, is_split: bool) -> Step:
        """Return the first step, once the window is walked and has brought so many distinct rows."""
        assert self._whole.total is not None
        self._steps = self._prove(self._whole.total, given, is_split=is_split)
        return self.go_on(None)

    def go_on(self, total: int | None) -> Step:
        """Return the step after a total, None where there was no answer."""
        assert self._steps is not None
        try:
            part = self._steps.send(total)
            while self._early and part in self._early and not self._is_early_void:
                part = self._steps.send(self._early.pop(part))
        except StopIteration as proven:
            return bool(proven.value)
        return part

    def _is_compared(self, told: int) -> bool:
        """Return whether the window is compared with what is listed with no filter by time."""
        return self._whole.window.since is None and self._whole.ends_now and told > self._compare_above

    def _prove(self, told: int, given: int, *, is_split: bool) -> Generator[Part, int | None, bool]:
        """Yield whose totals to ask for; return whether nothing speaks for calls that did not come.

        Totals are compared with the lower of two moments, so that calls that come or go meanwhile make no alarm.
        """
        if is_split:
            total = yield WHOLE
            if total is not None and given < min(total, told):
                return False
        if not self._is_compared(told):
            return True
        first = yield UNFILTERED
        if first is None or first <= given:
            return True
        kept = yield WHOLE
        later = (yield after(self._whole.window)) if self._cuts_at == "second" else 0
        last = yield UNFILTERED
        if kept is None or later is None or last is None:
            return True
        return kept + later >= min(first, last)


def total_of(part: Part) -> Ask:
    """Return the question for a part's total."""
    return Ask(Cursor(0, _ROW), is_probe=True, is_check=True, part=part)
