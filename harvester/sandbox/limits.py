"""What one credential may ask: exact sliding windows, judged at arrival. Pure: time is an argument."""

from collections import deque
from email.utils import formatdate
from math import ceil

from .config import Limits, parse_rate


class Window:
    """At most `count` requests in any `period_s` seconds."""

    def __init__(self, count: int, period_s: float) -> None:
        self.count = count
        self.period_s = period_s
        self.most: int = 0
        self._taken: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Give the seconds until a request fits; 0 if it fits now."""
        taken = self._taken
        while taken and taken[0] <= now - self.period_s:
            taken.popleft()
        if len(taken) < self.count:
            return 0.0
        return taken[len(taken) - self.count] + self.period_s - now

    def take(self, now: float) -> None:
        """Count a request."""
        self._taken.append(now)
        self.most = max(self.most, len(self._taken))

    def left(self) -> int:
        """Give how many more fit."""
        return max(0, self.count - len(self._taken))

    def reset_s(self, now: float) -> float:
        """Give the seconds until the window is as good as new."""
        return self._taken[-1] + self.period_s - now if self._taken else 0.0


class Limiter:
    """The limits of one credential."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.windows: tuple[Window, ...] = tuple(Window(*parse_rate(rate)) for rate in limits.rates)

    def arrive(self, now: float, *, in_flight: int, luck: float) -> float | None:
        """Judge a request.

        Args:
            now: Monotonic seconds.
            in_flight: Requests of this credential that are open, this one included.
            luck: A number in [0, 1) for refusals by chance.

        Returns:
            None if it may pass, else the seconds to wait.
        """
        limits = self._limits
        wait = max((window.wait_s(now) for window in self.windows), default=0.0)
        crowded = limits.max_in_flight and in_flight > limits.max_in_flight
        if not wait and (crowded or luck < limits.random_refusals):
            wait = 1.0
        if not wait or limits.count_refused:
            for window in self.windows:
                window.take(now)
        return wait or None

    def headers(self, now: float, wall: float, wait_s: float | None) -> dict[str, str]:
        """Give the headers that tell of the limit, in the configured dialect.

        Args:
            now: Monotonic seconds.
            wall: Unix seconds.
            wait_s: What a refused request has to wait, None for one that passed.
        """
        limits, told = self._limits, {}
        if limits.headers != "none" and self.windows:
            first = self.windows[0]
            reset = ceil(first.reset_s(now) + (wall if limits.headers == "epoch" else 0.0))
            told = {
                "X-RateLimit-Limit": str(first.count),
                "X-RateLimit-Remaining": str(first.left()),
                "X-RateLimit-Reset": str(reset),
            }
        if wait_s is None or limits.retry_after == "none":
            return told
        if limits.retry_after == "date":
            return told | {"Retry-After": formatdate(ceil(wall + wait_s), usegmt=True)}
        seconds = limits.constant_s if limits.retry_after == "constant" else ceil(wait_s)
        return told | {"Retry-After": str(seconds)}

    def wait_in_body(self, wait_s: float) -> int | None:
        """Give the wait to put into the body, None where the dialect has none there."""
        return ceil(wait_s) if self._limits.in_body else None
