"""Where a long stretch of time is cut, and whether its parts make it up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from harvester.model import Gap, Part, Window

_EVER = datetime.max.replace(tzinfo=UTC)


class Stretch(msgspec.Struct):
    """A part of a window and where its calls seem to lie; `depth` counts the cuts that led to it."""

    part: Part
    begin: datetime | None = None
    end: datetime | None = None
    depth: int = 0

    def cut(self, cuts: Sequence[datetime], *, has_last_day: bool) -> list[Stretch]:
        """Return the stretches between these moments, in order.

        Args:
            cuts: Moments in it, in order.
            has_last_day: The filter's ranges hold the last day they name.
        """
        ends = zip([self.part.since, *cuts], [*cuts, self.part.until], strict=True)
        known = zip([self.begin, *cuts], [*cuts, self.end], strict=True)
        return [
            Stretch(Part(since, until, has_last_day), low, high, self.depth + 1)
            for (since, until), (low, high) in zip(ends, known, strict=True)
        ]


class Split(msgspec.Struct):
    """A stretch being cut: `told` are the totals of its parts so far. `gaps`: what reading it as one came to."""

    stretch: Stretch
    total: int
    parts: list[Stretch]
    told: dict[Part, int] = {}
    gaps: list[Gap] | None = None


def cuts_between(
    begin: datetime,
    end: datetime,
    count: int,
    at: Literal["second", "day"],
    *,
    within: tuple[datetime | None, datetime],
) -> list[datetime]:
    """Return the moments that cut a range into about equal parts, to the second or to the day, in order.

    Args:
        begin: Where its calls seem to begin.
        end: Where they seem to end.
        count: How many parts; there may be fewer.
        at: How finely it can be cut.
        within: The ends of the stretch, of which none is a cut; None for no beginning.
    """
    step = (end - begin) / count
    found = (begin + step * number for number in range(1, count))
    if at == "day":
        floored = (datetime(cut.year, cut.month, cut.day, tzinfo=UTC) for cut in found)
    else:
        floored = (cut.replace(microsecond=0) for cut in found)
    since, until = within
    return sorted({cut for cut in floored if cut < until and (since is None or cut > since)})


def is_made_up(total: int, told: Iterable[int]) -> bool:
    """Return whether parts make up the whole, give or take what went while they were counted."""
    return sum(told) * 200 >= total * 199


def after(window: Window) -> Part:
    """Return what is created after a window's list: its filter ends a second late, and begins a second early."""
    late = window.until.replace(microsecond=0) + timedelta(seconds=2 + (window.until.microsecond > 0))
    return Part(late, _EVER)
