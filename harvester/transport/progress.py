"""Whether a body that drips is still worth waiting for. Pure: what was waited is an argument."""

from __future__ import annotations

LEAST_BYTES_PER_S = 1024
"""A recording slower than this is given up: a quarter of what the plainest sound (32 kbit/s) takes to be heard."""

OVER_S = 60.0
"""The rate is judged over so many seconds of waiting, so that a short standstill ends nothing."""

LONGEST_S = 6 * 3600.0
"""The longest wait for one body in all: the largest recordings, 2 GB, need 100 kB/s for that."""


class Progress:
    """Counts what came while it was waited for; time that the reader took for itself does not count.

    Args:
        least_per_s: Bytes a second that are enough.
        over_s: Judged over so many seconds.
        longest_s: The wait in all.
    """

    def __init__(
        self,
        *,
        least_per_s: float = LEAST_BYTES_PER_S,
        over_s: float = OVER_S,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._least_per_s = least_per_s
        self._over_s = over_s
        self._longest_s = longest_s
        self._waited_s = 0.0
        self._total_s = 0.0
        self._bytes = 0

    def is_too_slow(self, waited_s: float, size: int) -> bool:
        """Count a piece and what it was waited for; say whether to give up."""
        self._waited_s += waited_s
        self._total_s += waited_s
        self._bytes += size
        if self._total_s > self._longest_s:
            return True
        if self._waited_s < self._over_s:
            return False
        is_slow = self._bytes < self._least_per_s * self._waited_s
        self._waited_s, self._bytes = 0.0, 0
        return is_slow
