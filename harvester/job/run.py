"""The task graph of a run; the only file of an export that starts tasks or makes queues.

```
board ── N senders: fetch, read, sift ──(bounded stream of batches)── one writer ── journal
              └── a task for each recording, as many as have a place
```
Senders take work from the board, so that a place in flight is held by requests alone: never by a wait at a gate or for
a retry. Pages travel, not rows; a full queue makes the senders wait, and with them the provider's pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from harvester.clock import Clock
from harvester.errors import HarvesterError, ProviderError
from harvester.fetch import Fetcher
from harvester.journal import Journal

from .board import Board
from .dossier import RecordingTask
from .errands import Errand, Replay
from .lane import Lane
from .memory import GateMemory
from .write import Message, Writer

QUEUE_PAGES = 16
"""Pages between the senders and the writer, few enough to be no memory. More than 8 come in a turn of the loop: of
10,000 that were sent 4,500 had to wait for a place then, with 16 650."""

FLUSH_S = 0.2
"""How long an answer waits for others to be made durable with it; the promise is a second."""


class Answered(msgspec.Struct, frozen=True):
    """What a hook is told after each request: whose, what for, and how many calls of the source are written now."""

    source: str
    endpoint: str
    agent_id: str | None
    written: int


Hook = Callable[[Answered], None]


def open_queue() -> tuple[MemoryObjectSendStream[Message], MemoryObjectReceiveStream[Message]]:
    """Open the queue from the lanes to the writer."""
    return anyio.create_memory_object_stream[Message](QUEUE_PAGES)


class Run:
    """All lanes of a run, from the first request to the last commit.

    Args:
        lanes: The sources, started.
        fetcher: What sends.
        writer: What writes; it holds the other end of the lanes' queue.
        journal: What keeps answers until they are written.
        memory: What keeps the account of the gates.
        clock: The time that waits go by.
        max_in_flight: Requests in flight, all lanes together.
        hooks: Called after each request, whether its answer was taken or there was none.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        *,
        fetcher: Fetcher,
        writer: Writer,
        journal: Journal,
        memory: GateMemory,
        clock: Clock,
        max_in_flight: int,
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.is_interrupted: bool = False
        self._lanes = lanes
        self._fetcher = fetcher
        self._writer = writer
        self._journal = journal
        self._memory = memory
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._hooks = hooks
        self._board = Board(clock, max_in_flight=max_in_flight)
        # Of the tasks that wait for an answer now. What came is taken whole, for its rows are counted.
        self._fetching: set[anyio.CancelScope] = set()

    def stop(self) -> None:
        """Send nothing more and give up what is on its way; what was handed over is written and committed."""
        self.is_interrupted = True
        self._board.stop()
        for scope in list(self._fetching):
            scope.cancel()

    async def carry_out(
        self, sent: MemoryObjectSendStream[Message], received: MemoryObjectReceiveStream[Message]
    ) -> None:
        """Run until every lane is done or `stop` was called.

        Args:
            sent: The lanes' end of the queue; closed here.
            received: The writer's end.

        Raises:
            OutputError: A file cannot be written.
            JournalError: The journal cannot be trusted.
        """
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._writer.run, received)
                async with sent, anyio.create_task_group() as beside:
                    beside.start_soon(self._flush)
                    await self._send_all()
                    for lane in self._lanes:
                        if not lane.is_closed:
                            await lane.close(is_interrupted=self.is_interrupted)
                    beside.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _send_all(self) -> None:
        self._board.add(lane for lane in self._lanes if lane.has_work)
        async with anyio.create_task_group() as self._senders:
            for _ in range(self._max_in_flight):
                self._senders.start_soon(self._send)
            for lane in self._lanes:
                self._start_recordings(lane)

    async def _send(self) -> None:
        # The writer may be gone: then what ended it is what comes out.
        with suppress(anyio.BrokenResourceError), anyio.CancelScope() as scope:
            while (taken := await self._board.next()) is not None:
                await self._settle(*taken, scope)

    async def _settle(self, lane: Lane, work: Errand | Replay, scope: anyio.CancelScope) -> None:
        """Carry out one piece of work, and go on with what it makes possible."""
        try:
            if isinstance(work, Replay):
                await lane.replay(work)
            else:
                await self._fetch(lane, work, scope)
        finally:
            lane.in_flight -= 1
        await self._go_on(lane)

    async def _go_on(self, lane: Lane) -> None:
        """Go on with what an answer made possible; close the lane if nothing is left."""
        self._start_recordings(lane)
        if lane.has_work:
            self._board.changed(lane)
        elif not lane.is_closed:
            self._board.remove(lane)
            with anyio.CancelScope(shield=True):
                await lane.close(is_interrupted=False)

    def _start_recordings(self, lane: Lane) -> None:
        while not self.is_interrupted and (recording := lane.next_recording()) is not None:
            self._senders.start_soon(self._record, lane, recording)

    async def _record(self, lane: Lane, recording: RecordingTask) -> None:
        with suppress(anyio.BrokenResourceError), anyio.CancelScope() as scope:
            self._fetching.add(scope)
            try:
                await lane.record(recording)
            finally:
                self._fetching.discard(scope)
            await self._go_on(lane)

    async def _fetch(self, lane: Lane, errand: Errand, scope: anyio.CancelScope) -> None:
        """Send one request and give its lane what comes back."""
        try:
            self._fetching.add(scope)
            try:
                response = await self._fetcher.attempt(lane.account, errand.request)
            finally:
                self._fetching.discard(scope)
            # An answer that came just when all were given up is taken whole like the others.
            with anyio.CancelScope(shield=True) if scope.cancel_called else nullcontext():
                await lane.receive(errand, response)
        except ProviderError as error:
            with anyio.CancelScope(shield=True):
                await lane.fail(errand, error, self._clock.monotonic())
        if self._hooks:
            window = errand.opened.stored.window if errand.opened is not None else None
            event = Answered(
                lane.account.source.name,
                errand.request.endpoint,
                window.agent_id if window is not None else None,
                lane.written,
            )
            for hook in self._hooks:
                hook(event)

    async def _flush(self) -> None:
        """Make answers durable as they come."""
        flushed_at = self._clock.monotonic()
        while True:
            await self._clock.wait(self._journal.is_due, flushed_at + FLUSH_S - self._clock.monotonic())
            if self._clock.monotonic() < flushed_at + FLUSH_S:
                await self._journal.catch_up()
                continue
            flushed_at = self._clock.monotonic()
            await self._journal.flush()
            await self._memory.save()


def _first(group: BaseExceptionGroup) -> BaseException:
    """Return the error a caller can act on: ours before anybody's."""
    found: list[BaseException] = []
    stack: list[BaseException] = [group]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack.extend(error.exceptions)
        else:
            found.append(error)
    ours = [error for error in found if isinstance(error, HarvesterError)]
    return (ours or found)[0]
