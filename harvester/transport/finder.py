"""Limits that nobody told: found from what gets through and what is refused. Pure: time is an argument.

The rate starts low and doubles while it is really used. A refusal is put to three kinds of reasons, one after another:
too many at once, too many within a second, too many within ten seconds or a minute. Each knows the heights at which
requests got through; a height that has worked is no reason. So a limit is measured by the very count the server keeps,
and a longer window is found because the shorter ones cannot explain that the next request is refused as well.

What no height explains is chance: a server that refuses a tenth of all requests refuses them at any rate, and whoever
slows down for it never stops slowing down. Chance is believed for a minute, then tested again.
"""

from __future__ import annotations

import msgspec

from .ceiling import CERTAIN, CUTS, SURE, Ceiling, Verdict
from .crowd import Crowd
from .ledger import Ledger

START_PER_S = 10.0
"""Slow enough that a limit of a few a second costs a few refusals, fast enough to be at 200 within a second."""

DOUBLE_EVERY_S = 0.25
"""The rate doubles after so long, or after a round trip where that is longer."""

USED = 0.6
"""A rate is really used if so much of it was sent; of the first step that is two requests of two and a half."""

TOO_FAST_TO_MATTER = 20_000.0
"""Requests a second beyond which nothing is spaced: no sender of ours gets there."""

PERIODS_S = (1.0, 10.0, 60.0)
"""The windows that are looked for. Longer ones are used up and waited for, with no more than a request a minute."""

SHARE = 0.97
"""Of a limit that was found so much is used; the same as of one that is known."""

STRETCH = 1.02
"""A window is taken so much longer than it is: requests arrive later than they are sent, and not all by the same."""

HOLD_S = 15.0
"""How long a limit is kept before more is tried. A count is exact, so there is little to gain: with 15 s a minute has
two probes, and 0.94 of a limit of 20/s is used where each costs a pause of a second."""

HOLD_PER_PAUSE = 20.0
"""A probe that fails costs the pause it earns; so it may cost a twentieth."""

AGAIN = 1.25
"""Where too many at once was the reason the rate goes on at what got through, and a little more."""

BELIEVED_S = 60.0
"""How long refusals are put down to chance before that is tested again, by holding."""

MEMORY = 40.0
"""The share of refusals is that of about so many requests."""

TOO_MANY = 0.25
STORM = 0.5
"""Where so much is refused it is no chance, whatever it is: of the requests that were sent knowing of the last refusal,
and of all of them, which with a long latency are many more."""

ENOUGH = 25.0
"""Fewer requests say nothing of shares."""

FEW = 4
"""A rate is measured over the shortest window in which so many got through."""

ROUNDED_S = 1.0
"""A wait in whole seconds is up to so much longer than it has to be."""

CATCH_UP_S = 0.004
"""Timers are late by a millisecond or two; what they lose may be made up for."""

LOOK_AGAIN_S = 0.05
"""When to ask again where only an answer makes room."""


class Sent(msgspec.Struct, frozen=True):
    """A request on its way: when it was sent, and how many were on their way then, itself among them."""

    at: float
    in_flight: int


class Finder:
    """Finds limits that were neither told nor documented.

    Args:
        per_s: The rate to start with; None where limits are known, and this only looks for others.
    """

    def __init__(self, per_s: float | None = START_PER_S) -> None:
        self.crowd: Crowd = Crowd()
        self.ledger: Ledger = Ledger(PERIODS_S[-1] * 2)
        self._through = Ledger(PERIODS_S[-1])
        self._open_per_s = per_s
        self._grows = per_s is not None
        self._windows = {
            period_s: Ceiling(
                certain=CERTAIN if period_s == 1 else SURE,
                hold_s=HOLD_S,
                cut_every_s=period_s,
                in_a_row=period_s > 1,
            )
            for period_s in PERIODS_S
        }
        self.sent_at: float = 0.0
        self._next_at = 0.0
        self._step_at: float | None = None
        self._step_sent = 0
        self._judged_at = float("-inf")
        self._seen = self._refused = 0.0
        self._storm = 0.0
        self._got_through = 0
        self._since_held = self._refused_since_held = 0
        self._unclaimed = 0
        self._chance = 0.0
        self._believed_until = float("-inf")

    # What may be sent.

    @property
    def limits(self) -> list[tuple[float, float]]:
        """Return what was found: (requests, seconds), the shortest first."""
        return [(one.limit, period_s) for period_s, one in self._windows.items() if one.limit is not None]

    def per_s(self, now: float) -> float | None:
        """Return the rate that is allowed, None for any."""
        rates = [
            allowed * SHARE / period_s
            for period_s, window in self._windows.items()
            if (allowed := window.allowed(now)) is not None
        ]
        if self._open_per_s is not None and not (rates and self._grows):
            rates.append(self._open_per_s)
        return min(rates, default=None)

    def wait_s(self, now: float, in_flight: int) -> float:
        """Return 0 where one more request than so many may go, else how long until it may be asked again."""
        most = self.crowd.allowed(now)
        wait_s = self._next_at - now
        if most is not None and in_flight >= most:
            wait_s = max(wait_s, LOOK_AGAIN_S)
        for period_s, window in self._windows.items():
            if (allowed := window.allowed(now)) is None:
                continue
            last = self.ledger.newest(max(int(allowed), 1))
            if last is not None:
                wait_s = max(wait_s, last + period_s * STRETCH - now)
        return max(wait_s, 0.0)

    def told(self, per_s: float | None) -> None:
        """Keep to a rate that was told, instead of one that grows; None where the limit is kept elsewhere."""
        self._open_per_s, self._grows = per_s, False

    # What is sent, and what becomes of it.

    def sent(self, now: float) -> None:
        """Count a request that is sent now."""
        self.sent_at = now
        self.ledger.add(now)
        self._grow(now)
        per_s = self.per_s(now)
        if per_s is not None:
            self._next_at = max(self._next_at, now - CATCH_UP_S - 0.1 / per_s) + 1 / per_s

    def answered(self, sent: Sent, now: float) -> None:
        """Learn that a request got through."""
        self._count(is_refused=False)
        self._storm -= self._storm / MEMORY
        self.crowd.answered(sent.in_flight, now - sent.at, now)
        self._got_through += 1
        self._through.add(sent.at)
        is_chancy, per_s = now < self._believed_until, self.per_s(now)
        for period_s, window in self._windows.items():
            height = self._through.count(sent.at - period_s, sent.at)
            if window.worked(height, in_a_row=is_chancy) and self._grows:
                self._open_per_s, self._step_at = per_s, None

    def refused(self, sent: Sent, now: float, *, pause_s: float, named_s: float | None = None) -> None:
        """Learn that a request was refused, and that the gate closes for so long; whether that was named, or chosen."""
        self.ledger.drop(sent.at)
        self._storm += (1 - self._storm) / MEMORY
        if sent.at <= self._judged_at:
            return  # it was on its way when another was refused: the same event
        self._judged_at = now
        self._count(is_refused=True)
        self._next_at = max(self._next_at, now + pause_s)
        self._step_at = None
        hold_s = max(pause_s * HOLD_PER_PAUSE - HOLD_S, pause_s)
        is_chancy = now < self._believed_until
        chance = max(self._chance if is_chancy else 0.0, 1 / (self._got_through + 2))
        if self._storm > STORM or (self._seen >= ENOUGH and self._refused > TOO_MANY * self._seen):
            self._measure(sent.at, now)
            return
        heights = {period_s: self.ledger.count(sent.at - period_s, sent.at) for period_s in PERIODS_S}
        cap = self.crowd.cap
        verdict = self.crowd.judge(
            sent.in_flight, now, chance=chance, pause_s=hold_s, in_last_s=heights[PERIODS_S[0]]
        )
        if verdict is not Verdict.MINE:
            self._ask_windows(heights, now, chance, hold_s, named_s or 0.0)
        elif self._grows and self.crowd.cap != cap:
            self._open_per_s = max(heights[PERIODS_S[0]] * AGAIN, 1.0)

    def _ask_windows(
        self, heights: dict[float, int], now: float, chance: float, hold_s: float, named_s: float
    ) -> None:
        """Put a refusal to the windows: to one that stands where it is held, else to the shortest, which costs least.

        A longer one comes into question when the shorter ones are next to empty and the request is refused all the
        same; or when one is kept and the wait that is named is longer than it: no window asks for that.
        """
        for period_s, window in self._windows.items():
            if window.is_at(heights[period_s]):
                window.judge(heights[period_s], now, chance=chance, pause_s=hold_s)
                return
        is_kept = False
        for period_s, window in self._windows.items():
            is_held = window.limit is not None
            is_kept = is_kept or is_held
            if is_kept and named_s > period_s + ROUNDED_S:
                continue
            height = heights[period_s]
            verdict = window.judge(height, now, chance=chance, pause_s=hold_s)
            if verdict is Verdict.CLEARED:
                self._believe(now)
            if verdict is Verdict.MINE and not is_held:
                self._found(period_s)
            if verdict is not Verdict.NOT_MINE:
                return
            if not (window.is_empty(height) or named_s > period_s):
                break
        self._unclaimed += 1
        if self._unclaimed > len(CUTS):
            self._believe(now)

    def _found(self, period_s: float) -> None:
        """Take back what was held for the reason that was found only now."""
        self.crowd.forgive()
        self._since_held = self._refused_since_held = self._unclaimed = 0
        for shorter_s, window in self._windows.items():
            if shorter_s < period_s:
                window.restore()

    def _believe(self, now: float) -> None:
        """Holding did not help: refusals come by chance, as often as they came meanwhile."""
        self._chance = self._refused_since_held / max(self._since_held, 1)
        self._believed_until = now + BELIEVED_S
        self._unclaimed = 0
        if self._grows:
            self._open_per_s = max(self._windows[PERIODS_S[0]].best, START_PER_S)
        for window in self._windows.values():
            window.lift()

    def _measure(self, until: float, now: float) -> None:
        """Keep to what got through before a refusal: so much is never refused by chance, whatever the reason is."""
        self._believed_until = float("-inf")
        self._seen = self._refused = self._storm = 0.0
        through = {period_s: self._through.count(until - period_s, until) for period_s in PERIODS_S}
        measured_s = next((period_s for period_s in PERIODS_S if through[period_s] >= FEW), PERIODS_S[-1])
        for period_s, window in self._windows.items():
            if period_s < measured_s:
                window.lift()
        self._windows[measured_s].hold(max(through[measured_s], 1), now)
        self._found(measured_s)

    def _count(self, *, is_refused: bool) -> None:
        self._seen += 1 - self._seen / MEMORY
        self._refused += is_refused - self._refused / MEMORY
        self._since_held += 1
        self._refused_since_held += is_refused

    def _grow(self, now: float) -> None:
        """Double the rate at the end of a step in which it was used."""
        if self._open_per_s is None or not self._grows or self._windows[1.0].limit is not None:
            return
        if self._step_at is None:
            self._step_at, self._step_sent = now, 0
        self._step_sent += 1
        length_s = max(DOUBLE_EVERY_S, self.crowd.latency_s)
        if now < self._step_at + length_s:
            return
        is_used = self._step_sent >= self._open_per_s * (now - self._step_at) * USED
        if is_used and not self.crowd.is_crowded:
            self._open_per_s = min(self._open_per_s * 2, TOO_FAST_TO_MATTER)
        self._step_at, self._step_sent = now, 0
