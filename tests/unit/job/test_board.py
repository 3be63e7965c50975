"""Who sends what next: turns, shares, waits and the end."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import anyio
import pytest

from harvester.errors import RateLimitError
from harvester.fetch import Account
from harvester.job.board import Board
from harvester.job.errands import Errand, Replay
from harvester.job.lane import Lane
from harvester.model import Request
from harvester.providers import get_provider
from harvester.testing import FakeClock
from harvester.transport.gate import Gate

from .apis import source

ASK = Errand(Request("list calls", "/calls"))


class Work:
    """A lane with so many requests to send, of which some are due later."""

    def __init__(
        self,
        clock: FakeClock,
        name: str = "sales",
        *,
        count: int = 1,
        concurrency: int | None = None,
        gate: Gate | None = None,
        due: tuple[float, ...] = (),
        replays: int = 0,
    ) -> None:
        one = source(name=name, concurrency=concurrency)
        self.name = name
        self.account = Account(one, get_provider(one.provider), gate or Gate(clock, ()))
        self.in_flight = 0
        self.most_in_flight = 0
        self.count = count
        self.due = sorted(due)
        self.replays = replays

    @property
    def has_work(self) -> bool:
        return bool(self.in_flight or self.count or self.due or self.replays)

    def replay_next(self) -> Replay | None:
        if not self.replays:
            return None
        self.replays -= 1
        return Replay(cast("Any", None), cast("Any", None), cast("Any", None))

    def take(self, now: float) -> Errand | None:
        if self.due and self.due[0] <= now:
            self.due.pop(0)
            return ASK
        if not self.count:
            return None
        self.count -= 1
        return ASK

    def due_in_s(self, now: float) -> float | None:
        return max(self.due[0] - now, 0) if self.due else None


def lane(work: Work) -> Lane:
    return cast("Lane", work)


class Sending:
    """Senders that take from a board and answer after a while."""

    def __init__(self, clock: FakeClock, lanes: list[Work], *, askers: int = 4, takes_s: float = 1.0) -> None:
        self.clock = clock
        self.board = Board(clock, max_in_flight=askers)
        self.sent: list[tuple[str, float]] = []
        self.most_in_flight = 0
        self._lanes = lanes
        self._askers = askers
        self._takes_s = takes_s

    async def run(self) -> list[tuple[str, float]]:
        self.board.add(lane(one) for one in self._lanes)
        async with anyio.create_task_group() as tasks:
            for _ in range(self._askers):
                tasks.start_soon(self._send)
        return self.sent

    async def _send(self) -> None:
        while (taken := await self.board.next()) is not None:
            work = cast("Work", taken[0])
            self.sent.append((work.name, self.clock.monotonic()))
            work.most_in_flight = max(work.most_in_flight, work.in_flight)
            self.most_in_flight = max(self.most_in_flight, sum(one.in_flight for one in self._lanes))
            await self.clock.sleep(self._takes_s)
            if not isinstance(taken[1], Replay):
                work.account.gate.settle()
            work.in_flight -= 1
            if work.has_work:
                self.board.changed(taken[0])
            else:
                self.board.remove(taken[0])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_board_gives_out_everything_and_ends(clock: FakeClock) -> None:
    """All work is sent, as many at once as there are senders, and then the senders go home."""
    sending = Sending(clock, [Work(clock, count=10)])
    assert len(await sending.run()) == 10
    assert (sending.most_in_flight, clock.monotonic(), sending.board.is_done) == (4, 3.0, True)


async def test_board_with_nothing_to_do_is_done(clock: FakeClock) -> None:
    """A run without lanes ends at once."""
    assert await Sending(clock, []).run() == []


async def test_lanes_take_turns(clock: FakeClock) -> None:
    """Lanes with work are served one after another, none before the others had their turn."""
    lanes = [Work(clock, name, count=30) for name in "abc"]
    sent = await Sending(clock, lanes, askers=3).run()
    for start in range(0, 90, 3):
        assert {name for name, _ in sent[start : start + 3]} == {"a", "b", "c"}


async def test_share_is_equal_among_lanes_with_work(clock: FakeClock) -> None:
    """A lane has its part of the places, and more once another has ended."""
    one, two = Work(clock, "one", count=40), Work(clock, "two", count=4)
    await Sending(clock, [one, two], askers=8).run()
    assert two.most_in_flight == 4
    assert one.most_in_flight == 8


async def test_number_of_its_own_holds_for_a_lane(clock: FakeClock) -> None:
    """`concurrency` of a source is kept, above an equal share as below."""
    few, many = Work(clock, "few", count=20, concurrency=1), Work(clock, "many", count=20, concurrency=6)
    await Sending(clock, [few, many], askers=8).run()
    assert (few.most_in_flight, many.most_in_flight) == (1, 6)


async def test_paused_lane_stops_no_other(clock: FakeClock) -> None:
    """While a gate is closed its lane has no request and no place, and the others have all of them."""
    gate = Gate(clock, ())
    await gate.spend()
    gate.settle(error=RateLimitError("slow", retry_after_s=1000.0))
    paused, free = Work(clock, "paused", count=5, gate=gate), Work(clock, "free", count=40)
    sent = await Sending(clock, [paused, free]).run()
    assert all(at >= 1000 for name, at in sent if name == "paused")
    assert max(at for name, at in sent if name == "free") < 30
    assert len(sent) == 45


async def test_retries_are_sent_when_they_are_due(clock: FakeClock) -> None:
    """Work with a time waits for it without a sender, and is sent then."""
    sent = await Sending(clock, [Work(clock, count=2, due=(50.0, 5.0)), Work(clock, "b", count=1)]).run()
    assert [at for name, at in sent if name == "sales"] == [0.0, 0.0, 5.0, 50.0]


async def test_replays_pass_a_closed_gate(clock: FakeClock) -> None:
    """What is in the journal already needs no place at the gate."""
    gate = Gate(clock, ())
    await gate.spend()
    gate.settle(error=RateLimitError("slow", retry_after_s=100.0))
    sent = await Sending(clock, [Work(clock, count=1, replays=3, gate=gate)]).run()
    assert [at < 50 for _, at in sent] == [True, True, True, False]
    assert gate.in_flight == 0


async def test_stopped_board_gives_out_nothing(clock: FakeClock) -> None:
    """`stop` wakes all who wait, and nobody gets anything from then on."""
    sending = Sending(clock, [Work(clock, count=1, due=(3600.0,))])

    async def stop() -> None:
        await clock.sleep(10)
        sending.board.stop()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop)
        sent = await sending.run()
    assert (len(sent), clock.monotonic()) == (1, 10.0)
    assert await sending.board.next() is None


async def test_removed_lane_is_forgotten(clock: FakeClock) -> None:
    """A lane taken off while it waits does not come back when its time does."""
    sending = Sending(clock, [])
    waiting = Work(clock, count=0, due=(5.0,))
    other = Work(clock, "other", count=0, due=(9.0,))
    sending.board.add([lane(waiting), lane(other)])

    async def remove() -> None:
        await clock.sleep(1)
        sending.board.remove(lane(waiting))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(remove)
        taken = await sending.board.next()
    assert taken is not None
    assert cast("Work", taken[0]).name == "other"


async def test_thousand_lanes_are_served_alike(clock: FakeClock) -> None:
    """With far more lanes than places each has one request at a time, and all end together."""
    lanes = [Work(clock, f"s{n}", count=3) for n in range(1_000)]
    sent = await Sending(clock, lanes, askers=32).run()
    assert set(Counter(name for name, _ in sent).values()) == {3}
    assert max(one.most_in_flight for one in lanes) == 1
    first_round = {name for name, _ in sent[:1_000]}
    assert len(first_round) == 1_000
