"""Who sends what next: the lanes with work, in turn, past those that have to wait.

A lane is ready, waiting for a time, or idle until something changes for it. So a paused source costs its turn and
nothing else, and thousands of lanes cost no scan.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable

import anyio

from harvester.clock import Clock

from .errands import Errand, Replay
from .lane import Lane


class Board:
    """The lanes of a run, from which any number of senders take work.

    Args:
        clock: The time that waits go by.
        max_in_flight: Requests in flight, all lanes together.
    """

    def __init__(self, clock: Clock, *, max_in_flight: int) -> None:
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._ready: deque[Lane] = deque()
        self._waiting: list[tuple[float, int, Lane]] = []
        self._count = 0
        self._latest: dict[Lane, int] = {}
        self._state: dict[Lane, str] = {}
        self._changed = anyio.Event()
        self._is_awaited = False
        self._turn = anyio.Lock()
        self._is_stopped = False

    @property
    def is_done(self) -> bool:
        """No lane is left, or the run was stopped."""
        return self._is_stopped or not self._state

    def add(self, lanes: Iterable[Lane]) -> None:
        """Add lanes that have work."""
        for lane in lanes:
            self._make_ready(lane)

    def remove(self, lane: Lane) -> None:
        """Take a lane off that is done."""
        self._state.pop(lane, None)
        self._latest.pop(lane, None)
        self._wake()

    def changed(self, lane: Lane) -> None:
        """Say that a lane may have something to send: an answer of it came."""
        if self._state.get(lane) in {"idle", "waiting"}:
            self._make_ready(lane)
        self._wake()

    def stop(self) -> None:
        """Give out nothing more."""
        self._is_stopped = True
        self._wake()

    async def next(self) -> tuple[Lane, Errand | Replay] | None:
        """Return what to send now, its place at the gate taken; wait until there is something, None at the end.

        One sender at a time waits for the time or for news, the others behind it.
        """
        if (taken := await self._take()) is not None:
            return taken
        async with self._turn:
            while not self.is_done:
                if (taken := await self._take()) is not None:
                    return taken
                self._is_awaited = True
                await self._clock.wait(self._changed, self._due_in_s())
        return None

    async def _take(self) -> tuple[Lane, Errand | Replay] | None:
        """Take work and its place at the gate; nothing else runs between, for an open gate does not wait."""
        if self._is_stopped or (taken := self._pick()) is None:
            return None
        lane, work = taken
        lane.in_flight += 1
        if isinstance(work, Errand):
            await lane.account.gate.spend()
        return taken

    def _pick(self) -> tuple[Lane, Errand | Replay] | None:
        now = self._clock.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, count, lane = heapq.heappop(self._waiting)
            if self._state.get(lane) == "waiting" and self._latest[lane] == count:
                self._make_ready(lane)
        share = self._share()
        for _ in range(len(self._ready)):
            lane = self._ready.popleft()
            if lane not in self._state:
                continue
            errand = self._from(lane, now, share)
            if errand is not None:
                self._ready.append(lane)
                return lane, errand
        return None

    def _from(self, lane: Lane, now: float, share: int) -> Errand | Replay | None:
        """Take from one lane, or note what it waits for."""
        if lane.in_flight >= (lane.account.source.concurrency or share):
            self._state[lane] = "idle"
            return None
        if (replay := lane.replay_next()) is not None:
            return replay
        wait_s = lane.account.gate.wait_s()
        if wait_s > 0:
            self._wait(lane, wait_s)
            return None
        errand = lane.take(now)
        if errand is None:
            self._state[lane] = "idle"
            if (due_s := lane.due_in_s(now)) is not None:
                self._wait(lane, due_s)
        return errand

    def _share(self) -> int:
        """Return the places in flight of a lane that has no number of its own: equal among those with work."""
        return max(self._max_in_flight // max(len(self._state), 1), 1)

    def _make_ready(self, lane: Lane) -> None:
        self._state[lane] = "ready"
        self._ready.append(lane)

    def _wait(self, lane: Lane, wait_s: float) -> None:
        self._state[lane] = "waiting"
        self._count += 1
        self._latest[lane] = self._count
        heapq.heappush(self._waiting, (self._clock.monotonic() + wait_s, self._count, lane))

    def _due_in_s(self) -> float | None:
        return max(self._waiting[0][0] - self._clock.monotonic(), 0.0) if self._waiting else None

    def _wake(self) -> None:
        if self._is_awaited:  # an event for each answer would cost more than all else here
            self._is_awaited = False
            self._changed.set()
            self._changed = anyio.Event()
