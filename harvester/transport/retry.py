"""When to ask again: (attempt, error, budget) -> delay or stop. Pure but for the dice it is handed.

The policy asks the error, not a list of classes. A wait the provider asked for is kept in full.

Two things end it. A request gives up after `max_attempts` answers that were no answer; being told to slow down is not
one of them, for it says that the request is welcome later. A source gives up when its budget is spent: every retry
takes one from it and every success gives a part back, so that an account that is down costs a bounded number of
requests however many windows it has.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from harvester.errors import ProviderError, RateLimitError


class Budget:
    """What a source may still spend on asking again.

    Args:
        retries: The retries it starts with, and the most it ever holds.
        per_success: The part of a retry that each good answer gives back.
    """

    def __init__(self, retries: float = 100, per_success: float = 1.0) -> None:
        self.left: float = retries
        self._most = retries
        self._per_success = per_success

    def earn(self) -> None:
        """Count a good answer."""
        self.left = min(self.left + self._per_success, self._most)

    def spend(self) -> bool:
        """Take one retry; False where there is none left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long.

    `max_refusals` bounds the refusals of one request for its rate that name no wait or a short one: with the longest
    delay it is over half an hour of an account that says nothing but "later".
    """

    max_attempts: int = 8
    max_refusals: int = 64
    base_s: float = 0.25
    longest_s: float = 30.0

    def delay_s(
        self, attempt: int, error: ProviderError, budget: Budget, dice: Callable[[], float]
    ) -> float | None:
        """Return how long to wait before asking again, None to stop.

        Args:
            attempt: How often this request was sent, 1 after the first.
            error: What came back.
            budget: The source's; one retry is taken from it unless the provider only asked to slow down.
            dice: A number from 0 to 1: full jitter, so that those refused together do not come back together.
        """
        if not error.is_retryable:
            return None
        if isinstance(error, RateLimitError):
            return self._slow_down_s(attempt, error, dice)
        if attempt >= self.max_attempts or not budget.spend():
            return None
        return max(error.retry_after_s or 0.0, self._backoff_s(attempt) * dice())

    def _slow_down_s(self, attempt: int, error: RateLimitError, dice: Callable[[], float]) -> float | None:
        """A named wait is kept by the gate, for all of its key; the jitter only spreads those who wait there."""
        if attempt >= self.max_refusals:
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s
        return self._backoff_s(min(attempt, 4)) * dice()

    def _backoff_s(self, attempt: int) -> float:
        return float(min(self.longest_s, self.base_s * 2 ** min(attempt, 16)))
