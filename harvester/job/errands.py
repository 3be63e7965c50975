"""What a source's lane gives out: requests, with what their answers are for, and answers that the journal has."""

from __future__ import annotations

import heapq
from collections import deque

import msgspec

from harvester.journal import KeptAnswer
from harvester.model import Request

from .dossier import Task
from .nouns import Ask
from .window import OpenWindow


class Replay(msgspec.Struct):
    """An answer of an earlier run that a walk asks for: it is in the journal, and nothing is sent."""

    opened: OpenWindow
    ask: Ask
    kept: KeptAnswer


class Errand(msgspec.Struct):
    """A request on its way, with what its answer is for: a page of a window, a detail, or else the list of agents."""

    request: Request
    opened: OpenWindow | None = None
    ask: Ask | None = None
    task: Task | None = None
    attempt: int = 1


class Errands:
    """Requests that wait: those to be sent next, and those to be sent again, each not before it is due."""

    def __init__(self) -> None:
        self._next: deque[Errand] = deque()
        self._again: list[tuple[float, int, Errand]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._next or self._again)

    @property
    def has_new(self) -> bool:
        """Some were never sent."""
        return bool(self._next)

    def add(self, errand: Errand) -> None:
        """Line up a request."""
        self._next.append(errand)

    def send_again(self, errand: Errand, due_at: float) -> None:
        """Line up a request for another try, at a moment of the monotonic clock."""
        errand.attempt += 1
        self._count += 1
        heapq.heappush(self._again, (due_at, self._count, errand))

    def take(self, now: float) -> Errand | None:
        """Return what is to be sent now, what is due again before what is new."""
        if self._again and self._again[0][0] <= now:
            return heapq.heappop(self._again)[2]
        return self._next.popleft() if self._next else None

    def due_in_s(self, now: float) -> float | None:
        """Return when the next request to be sent again is due; None where there is none."""
        return max(self._again[0][0] - now, 0.0) if self._again else None
