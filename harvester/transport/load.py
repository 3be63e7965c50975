"""How much of a core a thread works, and whether that leaves it time to spare."""

from __future__ import annotations

import time
from collections.abc import Callable

SPARE_SHARE = 0.7
"""Who works less than this share of a core has time to spare. Of 64 requests in flight behind 50 ms the busier thread
works 0.4 to 0.6, of 32 behind nothing 0.6 to 0.8."""

LOOK_EACH = 32
"""Pieces of work from one look to the next: a look costs a microsecond."""


class Load:
    """The load of one thread, which counts its work here; until the first look it has time to spare.

    Args:
        monotonic: The time that passes, in seconds.
        worked: The time that the calling thread worked, in seconds.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        self.has_time: bool = True
        self._monotonic = monotonic
        self._worked = worked
        self._count = 0
        self._at, self._worked_s = monotonic(), worked()

    def count(self) -> None:
        """Count a piece of work; once in a while look at what all of them took."""
        self._count += 1
        if self._count % LOOK_EACH:
            return
        at, worked_s = self._monotonic(), self._worked()
        self.has_time = worked_s - self._worked_s < SPARE_SHARE * (at - self._at)
        self._at, self._worked_s = at, worked_s
