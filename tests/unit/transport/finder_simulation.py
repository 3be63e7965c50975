"""A gate and a server that counts, played through event by event: a minute of requests in milliseconds.

The server is written from what servers do, not from what the finder believes: windows that slide, that begin by the
calendar, that fill like a bucket; a cap on requests in flight; refusals by chance.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections import deque
from collections.abc import Sequence
from typing import Literal

import msgspec

from harvester.errors import RateLimitError
from harvester.model import Rate
from harvester.testing import FakeClock
from harvester.transport.finder import Sent
from harvester.transport.gate import Gate
from harvester.transport.hints import NOTHING, Hint

Kind = Literal["sliding", "calendar", "bucket"]


class Limit(msgspec.Struct, frozen=True):
    """At most so many in so long, as one kind of server counts."""

    count: int
    period_s: float
    kind: Kind = "sliding"

    @property
    def per_s(self) -> float:
        """What it allows in the long run."""
        return self.count / self.period_s


class Window:
    """A limit at work."""

    def __init__(self, limit: Limit, *, begins_at: float = 0.0) -> None:
        self._limit = limit
        self._begins_at = begins_at
        self._taken: deque[float] = deque()
        self._level = 0.0
        self._leaked_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return how long until a request fits, 0 if it does now."""
        limit, taken = self._limit, self._taken
        if limit.kind == "bucket":
            self._level = max(self._level - (now - self._leaked_at) * limit.per_s, 0.0)
            self._leaked_at = now
            return max((self._level + 1 - limit.count) / limit.per_s, 0.0)
        began = now - limit.period_s
        if limit.kind == "calendar":
            began = now - (now - self._begins_at) % limit.period_s
        while taken and taken[0] <= began:
            taken.popleft()
        if len(taken) < limit.count:
            return 0.0
        return (taken[-limit.count] if limit.kind == "sliding" else began) + limit.period_s - now

    def take(self, now: float) -> None:
        """Count a request."""
        self._level += 1
        self._taken.append(now)

    def hint(self, now: float) -> Hint:
        """Return what headers would say, with the reset as a moment in whole seconds."""
        end = self._taken[-1] if self._taken else now
        if self._limit.kind == "calendar":
            end = now - (now - self._begins_at) % self._limit.period_s
        reset_s = math.ceil(end + self._limit.period_s) - now
        left = max(self._limit.count - len(self._taken), 0)
        return Hint(self._limit.count, left, reset_s)


class Server(msgspec.Struct, kw_only=True):
    """What one key may ask, how long it takes, and how a refusal says so.

    `latency_s` is what the server takes and `way_s` each way; `jitter` is the share of both that varies. `serves`
    requests at once and queues the rest, 0 for any number.
    `headers` are about the first limit.
    """

    limits: Sequence[Limit] = ()
    max_in_flight: int = 0
    chance: float = 0.0
    latency_s: float = 0.05
    way_s: float = 0.001
    jitter: float = 0.1
    serves: int = 0
    names_wait: bool = False
    headers: bool = False
    counts_refused: bool = False
    begins_at: float = 0.0


class Played(msgspec.Struct):
    """How it went: requests refused and let through, the seconds it took, and every arrival."""

    gate: Gate
    accepted: int = 0
    refused: int = 0
    elapsed_s: float = 0.0
    arrivals: list[tuple[float, bool]] = []

    @property
    def refused_share(self) -> float:
        """Refused, of all that was sent."""
        return self.refused / max(self.refused + self.accepted, 1)

    @property
    def per_s(self) -> float:
        """Let through in a second, over all."""
        return self.accepted / max(self.elapsed_s, 1e-9)

    def most_within(self, span_s: float, *, after: float = 0.0) -> int:
        """Return the most arrivals within any so many seconds."""
        recent: deque[float] = deque()
        most = 0
        for at, _ in self.arrivals:
            if at < after:
                continue
            recent.append(at)
            while recent[0] <= at - span_s:
                recent.popleft()
            most = max(most, len(recent))
        return most


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop that has a clock's time, for what reads the loop's."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._fake_clock = clock

    def time(self) -> float:
        return self._fake_clock.monotonic()


class Flight(msgspec.Struct):
    """A request on its way there, or its answer on its way back."""

    sent: Sent
    is_back: bool = False
    wait_s: float = 0.0
    hint: Hint = NOTHING


class Play:
    """Plays a number of requests through.

    Args:
        server: Whom they are sent to.
        requests: How many have to get through; those refused are sent again.
        concurrency: Requests in flight that the sender allows itself.
        configured, documented: What the gate is told.
        seed: Of the jitter and of chance.
    """

    def __init__(
        self,
        server: Server,
        requests: int,
        *,
        concurrency: int = 32,
        configured: Sequence[Rate] | None = None,
        documented: Sequence[Rate] = (),
        seed: int = 0,
    ) -> None:
        self._server = server
        self._left = requests
        self._concurrency = concurrency
        self._dice = random.Random(seed)
        self.clock = FakeClock()
        self._windows = [Window(limit, begins_at=server.begins_at) for limit in server.limits]
        self._events: list[tuple[float, int, Flight | None]] = []
        self._number = 0
        self._open = 0
        self._busy_until: list[float] = [0.0] * server.serves
        self._in_flight = 0
        self._look_at = math.inf
        self.played = Played(Gate(self.clock, configured, documented), arrivals=[])

    def run(self, *, longest_s: float = 1e5) -> Played:
        """Play it to the end, or as long as it may take."""
        with asyncio.Runner(loop_factory=lambda: ClockLoop(self.clock)) as runner:
            return runner.run(self._run(longest_s))

    async def _run(self, longest_s: float) -> Played:
        played, clock = self.played, self.clock
        self._send()
        while self._events and clock.monotonic() < longest_s:
            at, _, flight = heapq.heappop(self._events)
            clock.advance(max(at - clock.monotonic(), 0.0))
            if flight is None:
                if at < self._look_at:
                    continue
                self._look_at = math.inf
            elif flight.is_back:
                self._answer(flight)
            else:
                self._arrive(flight, at)
                continue
            self._send()
        played.elapsed_s = clock.monotonic()
        return played

    def _push(self, at: float, flight: Flight | None = None) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, flight))

    def _send(self) -> None:
        gate, now = self.played.gate, self.clock.monotonic()
        while self._left > 0 and self._in_flight < self._concurrency:
            if (wait_s := gate.wait_s()) > 0:
                look_at = now + max(wait_s, 0.001)
                if look_at != self._look_at:
                    self._look_at = look_at
                    self._push(look_at)
                return
            self._left -= 1
            self._in_flight += 1
            spend = gate.spend()
            try:
                spend.send(None)
            except StopIteration:
                pass
            else:  # pragma: no cover - an open gate does not wait
                raise AssertionError("the gate waits")
            self._push(now + self._on_the_way(), Flight(gate.sent()))

    def _on_the_way(self) -> float:
        server = self._server
        return server.way_s * (1 + server.jitter * self._dice.uniform(-1, 1))

    def _arrive(self, flight: Flight, now: float) -> None:
        server = self._server
        self._open += 1
        wait_s = max((window.wait_s(now) for window in self._windows), default=0.0)
        is_full = server.max_in_flight and self._open > server.max_in_flight
        if not wait_s and (is_full or self._dice.random() < server.chance):
            wait_s = 1.0
        if not wait_s or server.counts_refused:
            for window in self._windows:
                window.take(now)
        self.played.arrivals.append((now, wait_s > 0))
        if server.headers:
            flight.hint = self._windows[0].hint(now)
        took_s = server.latency_s * (1 + server.jitter * self._dice.uniform(-1, 1))
        done = now + took_s
        if self._busy_until:
            free = heapq.heappop(self._busy_until)
            done = max(free, now) + took_s
            heapq.heappush(self._busy_until, done)
        flight.wait_s, flight.is_back = wait_s, True
        self._push(done + self._on_the_way(), flight)

    def _answer(self, flight: Flight) -> None:
        self._open -= 1
        self._in_flight -= 1
        played, error = self.played, None
        if flight.wait_s:
            named_s = float(math.ceil(flight.wait_s)) if self._server.names_wait else None
            if named_s is None and flight.hint.remaining == 0:
                named_s = flight.hint.reset_s
            error = RateLimitError("too many", status=429, retry_after_s=named_s)
            played.refused += 1
            self._left += 1
        else:
            played.accepted += 1
        played.gate.settle(flight.sent, hint=flight.hint, error=error)


def play(
    server: Server,
    requests: int,
    *,
    concurrency: int = 32,
    configured: Sequence[Rate] | None = None,
    documented: Sequence[Rate] = (),
    seed: int = 0,
) -> Played:
    """Play a number of requests through; see Play."""
    return Play(
        server, requests, concurrency=concurrency, configured=configured, documented=documented, seed=seed
    ).run()
