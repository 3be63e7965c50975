"""When requests were sent: counted over any stretch of time. Pure: time is an argument."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort

_TIDY_AT = 256
"""Forgotten times are cut off in lots: moving the rest costs as much for one as for hundreds."""


class Ledger:
    """Moments in order; eight bytes each.

    Args:
        keep_s: How long a moment is kept at least, measured from the newest.
    """

    def __init__(self, keep_s: float) -> None:
        self.keep_s = keep_s
        self._times: array[float] = array("d")

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at: float) -> None:
        """Enter a moment."""
        times = self._times
        if times and at < times[-1]:
            insort(times, at)
            return
        times.append(at)
        if len(times) > _TIDY_AT and times[_TIDY_AT] < at - self.keep_s:
            del times[: bisect_left(times, at - self.keep_s)]

    def drop(self, at: float) -> None:
        """Take a moment out that was entered."""
        place = bisect_left(self._times, at)
        if place < len(self._times) and self._times[place] == at:
            del self._times[place]

    def count(self, after: float, until: float) -> int:
        """Return how many moments are later than one and not later than the other."""
        return bisect_right(self._times, until) - bisect_right(self._times, after)

    def since(self, after: float) -> list[float]:
        """Return the moments later than one, the oldest first."""
        return self._times[bisect_right(self._times, after) :].tolist()

    def newest(self, number: int, until: float | None = None) -> float | None:
        """Return the moment that is so many from the end, 1 being the last of all (or the last until a moment)."""
        end = len(self._times) if until is None else bisect_right(self._times, until)
        return self._times[end - number] if 1 <= number <= end else None
