"""What gates have spent, kept in the journal: an hour's budget does not start anew because a process did.

Nor does a pause that the provider asked for end because of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil

from harvester.clock import Clock
from harvester.fetch import Account
from harvester.journal import Journal
from harvester.journal.gates import enter_spent, spent_by
from harvester.transport.gate import Gate

UNSEEN_S = 0.5
"""What was sent so shortly before a run was killed may not have been entered; as much as the limit allows counts."""

PAUSE_S = 2.0
"""A pause that lasts no longer is over by the time another process could keep it."""


class GateMemory:
    """What gates count of long windows, and their pauses, kept under the names of their sources.

    Args:
        clock: The time that the gates go by.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._journal: Journal | None = None
        self._gates: dict[Gate, list[str]] = {}
        self._saved_at = float("-inf")
        self._paused_until: dict[Gate, float] = {}

    async def open(self, accounts: Iterable[Account], journal: Journal, *, was_killed: bool) -> None:
        """Tell gates that are new here what earlier runs sent, and keep their account in this journal from now on.

        Args:
            accounts: The sources of a run, those with one key sharing a gate.
            journal: The journal of its output.
            was_killed: The last run did not end by itself, so that something may be missing from its account.
        """
        known = set(self._gates)
        self._journal, self._gates = journal, {}
        for account in accounts:
            self._gates.setdefault(account.gate, []).append(account.source.name)
        await self._restore(self._gates.keys() - known, journal, was_killed=was_killed)

    async def _restore(self, gates: Iterable[Gate], journal: Journal, *, was_killed: bool) -> None:
        now = self._clock.now()
        for gate in gates:
            since = now - timedelta(seconds=gate.memory_s)
            sent, until = await journal.run(spent_by, self._gates[gate], since)
            ages = _ages_s(sent, now)
            if was_killed and ages:
                ages += [ages[-1]] * ceil(gate.rates[0].per_second * UNSEEN_S)
            paused_s = (until - now).total_seconds() if until is not None else 0.0
            gate.remember(ages, paused_s=max(paused_s, 0.0))

    async def save(self) -> None:
        """Enter what was sent since the last time, and pauses that last."""
        if self._journal is None:
            return
        now, moment = self._clock.monotonic(), self._clock.now()
        since, self._saved_at = self._saved_at, now
        spent: list[tuple[str, datetime]] = []
        pauses: list[tuple[str, datetime]] = []
        for gate, names in self._gates.items():
            if gate.memory_s:
                spent += [(names[0], moment - timedelta(seconds=now - at)) for at in gate.spent(since)]
            if self._is_new_pause(gate, now):
                pauses.append((names[0], moment + timedelta(seconds=gate.paused_s)))
        if spent or pauses:
            await self._journal.run(enter_spent, spent, pauses)

    def _is_new_pause(self, gate: Gate, now: float) -> bool:
        """Return whether there is a pause to enter: each is entered once, though it may last an hour."""
        until, before = now + gate.paused_s, self._paused_until.get(gate, 0.0)
        if gate.paused_s <= PAUSE_S or abs(until - before) <= PAUSE_S:
            return False
        self._paused_until[gate] = until
        return True


def _ages_s(sent: Sequence[datetime], now: datetime) -> list[float]:
    return [max((now - at).total_seconds(), 0.0) for at in sent]
