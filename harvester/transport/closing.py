"""Pauses: nobody with this key sends, until when, and who goes first then. Pure: time is an argument."""

from __future__ import annotations

from .finder import LOOK_AGAIN_S

UNNAMED_PAUSE_S = 0.1
"""How long a refusal that names no wait closes the gate; twice as long each time that nothing got through between.

Short, because the finder holds what was too much: the pause itself only has to be noticed. A tenth of 1,000 requests
refused by chance costs ten seconds so, and a second each would cost two minutes."""

LONGEST_UNNAMED_PAUSE_S = 60.0
TRIAL_S = 5.0
"""How long the others wait for the first request after a pause; one that takes longer says nothing of limits."""


class Closing:
    """Why nobody may send for a while: a refusal, or a window that is used up. Pure: time is an argument."""

    def __init__(self) -> None:
        self.until: float = 0.0
        self._refused_at = float("-inf")
        self._in_a_row = 0
        self._is_trial = False
        self._trial_at: float | None = None

    def wait_s(self, now: float) -> float:
        """Return 0 where a request may go, else how long until it may."""
        if now < self.until:
            return self.until - now
        if self._is_trial and self._trial_at is not None and now < self._trial_at + TRIAL_S:
            return LOOK_AGAIN_S
        return 0.0

    def spend(self, now: float) -> None:
        """Count a request: the first after a pause is the one that the others wait for."""
        if self._is_trial:
            self._trial_at = now

    def settle(self, sent_at: float, *, is_answer: bool) -> None:
        """Let the others follow where the first got through."""
        if not self._is_trial or self._trial_at is None or sent_at < self._trial_at:
            return
        self._trial_at = None
        if is_answer:
            self._is_trial, self._in_a_row = False, 0

    def refused(self, named_s: float | None, sent_at: float, now: float) -> float:
        """Close for what the refusal names, in full; return how long that is."""
        if sent_at >= self._refused_at:
            self._in_a_row += 1
            self._refused_at = now
        pause_s = named_s or min(
            UNNAMED_PAUSE_S * 2.0 ** min(self._in_a_row - 1, 16), LONGEST_UNNAMED_PAUSE_S
        )
        self.close(now + pause_s)
        self._is_trial, self._trial_at = True, None
        return pause_s

    def close(self, until: float) -> None:
        """Close until then, or for as long as it was closed before."""
        self.until = max(self.until, until)
