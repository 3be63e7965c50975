"""When calls come, change and go, which ones, and what is remembered of it. Pure: time is an argument.

Events of one kind are spread evenly, each by chance within its own turn, so that a rate holds in every second.
"""

from heapq import heappop, heappush
from typing import Protocol

import msgspec
from msgspec import Struct

from .config import Churn
from .living import LivingLedger, Version
from .seed import GOLDEN, key_of, mix

_SECOND_US = 1_000_000
_FULL_CIRCLE = 1 << 64
_TRIES = 8


class ChangingRows(Protocol):
    """Knows what of a call may change, in terms of its noise."""

    def going_on(self, noise: int) -> int:
        """Give the noise of the call before its end."""
        ...

    def changed(self, noise: int, luck: int) -> int:
        """Give the noise of the call after a change, drawn by `luck`."""
        ...


class PurgingRows(ChangingRows, Protocol):
    """Knows soft deletion and purging as well."""

    def is_purged(self, noise: int) -> bool:
        """Say whether its sensitive data are gone."""
        ...

    def purged(self, noise: int) -> int:
        """Give the noise of the call without its sensitive data."""
        ...


class Life(Struct):
    """What happened to a call, each in monotonic seconds of the server; None for what did not.

    Attributes:
        inserted_at: It came; None: it was there from the beginning.
        hidden_at: It was soft-deleted.
        deleted_at: It was deleted for good.
        changed_at: It was changed, purged, or came to its end.
    """

    inserted_at: float | None = None
    hidden_at: float | None = None
    deleted_at: float | None = None
    changed_at: list[float] = []

    def existed(self, begin: float, end: float, *, include_deleted: bool = False) -> bool:
        """Say whether the call could be seen from `begin` to `end` without a break."""
        gone = [self.deleted_at, None if include_deleted else self.hidden_at]
        is_in_time = self.inserted_at is None or self.inserted_at <= begin
        return is_in_time and all(at is None or at > end for at in gone)


class History(Struct, frozen=True):
    """What happened to an account.

    Attributes:
        started_at: The first request, in monotonic seconds; None: there was none.
        last_at: The last request; nothing later has happened yet.
        lives: Calls by id, all to which anything happened, in order of the first.
    """

    started_at: float | None
    last_at: float | None
    lives: dict[str, Life]


class Turmoil:
    """Lets an account live.

    Args:
        churn: What happens, and how often.
        ledger: The account.
        rows: What may change in a call.
        span_us: The first and the last possible creation of calls that are inserted late.
    """

    def __init__(
        self,
        churn: Churn,
        ledger: LivingLedger,
        rows: ChangingRows,
        *,
        purging: PurgingRows | None,
        span_us: tuple[int, int],
    ) -> None:
        self._churn = churn
        self._ledger = ledger
        self._rows = rows
        self._purging = purging
        self._span_us = span_us
        self._started_at: float | None = None
        self._last_at: float | None = None
        self._wall_s = 0.0
        self._lives: dict[int, Life] = {}
        self._versions: dict[int, list[Version]] = {}
        purges = churn.purges_per_s if purging else 0.0
        self._kinds = (
            (churn.inserts_per_s, self._insert),
            (churn.late_inserts_per_s, self._insert_late),
            (churn.deletes_per_s, self._delete),
            (churn.changes_per_s, self._change),
            (purges, self._purge),
        )
        self._keys = tuple(key_of(ledger.key, "churn", kind) for kind in range(len(self._kinds)))
        # (when, kind, number of the event), or (when, `len(kinds)`, a call that comes to its end).
        self._due: list[tuple[float, int, int]] = []
        self._unfinished = list(range(ledger.calls))[-churn.unfinished :] if churn.unfinished else []
        for call in self._unfinished:
            self._begin(call)

    def advance(self, now: float, wall: float) -> None:
        """Let happen what is due.

        Args:
            now: Monotonic seconds; the first time ever is the beginning.
            wall: Unix seconds at the same moment.
        """
        if self._started_at is None:
            self._start(now, wall)
        self._last_at = now
        while self._due and self._due[0][0] <= now:
            at, kind, number = heappop(self._due)
            if kind == len(self._kinds):
                self._finish(number, at)
                continue
            self._plan(kind, number + 1)
            self._kinds[kind][1](at, mix(self._keys[kind] + (2 * number + 1) * GOLDEN))

    def history(self) -> History:
        """Give what happened so far."""
        lives = {self._ledger.call_id(call): life for call, life in self._lives.items()}
        return History(self._started_at, self._last_at, lives)

    def existed(self, call: int, begin: float, end: float, *, include_deleted: bool) -> bool:
        """Say whether a call could be seen from `begin` to `end` without a break."""
        life = self._lives.get(call, Life())
        was_hidden = life.hidden_at is None and self._ledger.deleted_us(call) is not None
        if was_hidden and not include_deleted:
            return False
        return life.existed(begin, end, include_deleted=include_deleted)

    def versions(self, call: int) -> list[Version]:
        """Give how a call has looked, the first version first."""
        return self._versions.get(call) or [self._ledger.version(call)]

    def _start(self, now: float, wall: float) -> None:
        self._started_at = now
        self._wall_s = wall - now
        for kind in range(len(self._kinds)):
            self._plan(kind, 0)
        for place, call in enumerate(self._unfinished, 1):
            due = now + self._churn.live_s * place / len(self._unfinished)
            heappush(self._due, (due, len(self._kinds), call))

    def _plan(self, kind: int, number: int) -> None:
        rate = self._kinds[kind][0]
        if not rate:
            return
        after_s = (number + mix(self._keys[kind] + 2 * number * GOLDEN) / _FULL_CIRCLE) / rate
        assert self._started_at is not None
        if not self._churn.ends_after_s or after_s <= self._churn.ends_after_s:
            heappush(self._due, (self._started_at + after_s, kind, number))

    def _wall_us(self, at: float) -> int:
        return int((self._wall_s + at) * _SECOND_US)

    def _life(self, call: int) -> Life:
        return self._lives.setdefault(call, Life())

    def _pick(self, luck: int) -> int | None:
        """Give a call that is there, soft-deleted or not."""
        calls = self._ledger.calls_of(None)
        return calls[luck % len(calls)] if calls else None

    def _alter(self, call: int, version: Version) -> None:
        if call not in self._versions:
            self._versions[call] = [self._ledger.version(call)]
        self._versions[call].append(version)
        self._ledger.alter(call, version)

    def _rewrite(self, call: int, noise: int, at: float) -> None:
        """Give a call other contents."""
        version = msgspec.structs.replace(
            self._ledger.version(call), noise=noise, changed_us=self._wall_us(at), is_going_on=False
        )
        self._alter(call, version)
        self._life(call).changed_at.append(at)

    def _insert(self, at: float, luck: int) -> None:
        del luck
        self._arrive(at, self._wall_us(at))

    def _insert_late(self, at: float, luck: int) -> None:
        first, last = self._span_us
        self._arrive(at, first + luck % (last - first + 1))

    def _arrive(self, at: float, created_us: int) -> None:
        call = self._ledger.insert(created_us)
        self._lives[call] = Life(inserted_at=at)
        if self._churn.live_s:
            self._begin(call)
            heappush(self._due, (at + self._churn.live_s, len(self._kinds), call))

    def _begin(self, call: int) -> None:
        noise = self._rows.going_on(self._ledger.noise(call))
        self._ledger.alter(call, Version(noise, is_going_on=True))

    def _finish(self, call: int, at: float) -> None:
        version = self._ledger.version(call)
        if version.is_going_on and not self._is_deleted(call):
            self._rewrite(call, self._ledger.birth(call, version.noise), at)

    def _is_deleted(self, call: int) -> bool:
        return call in self._lives and self._lives[call].deleted_at is not None

    def _delete(self, at: float, luck: int) -> None:
        call = self._pick(luck)
        if call is None:
            return
        share = mix(luck) / _FULL_CIRCLE
        if self._purging and share < self._churn.soft_deletes and self._ledger.deleted_us(call) is None:
            version = msgspec.structs.replace(self._ledger.version(call), deleted_us=self._wall_us(at))
            self._alter(call, version)
            self._life(call).hidden_at = at
        else:
            self._ledger.remove(call)
            self._life(call).deleted_at = at

    def _change(self, at: float, luck: int) -> None:
        call = self._pick(luck)
        if call is not None:
            self._rewrite(call, self._rows.changed(self._ledger.noise(call), mix(luck)), at)

    def _purge(self, at: float, luck: int) -> None:
        assert self._purging is not None
        for attempt in range(_TRIES):
            call = self._pick(mix(luck + attempt))
            if call is not None and not self._purging.is_purged(self._ledger.noise(call)):
                self._rewrite(call, self._purging.purged(self._ledger.noise(call)), at)
                return
