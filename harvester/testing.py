"""Doubles we ship, for whoever tests what is built on harvester: no network, no files, no waiting.

`FakeTransport` answers as it is told, `FakeClock` moves when everybody waits, `MemoryOutput` keeps what an output
folder would hold; `KillPoints` end a run between any two steps of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from harvester.clock import Clock
from harvester.errors import ProviderError
from harvester.journal import Journal
from harvester.model import Request, Response
from harvester.testing_kills import KillPoints as KillPoints  # noqa: PLC0414 - it is a double like these
from harvester.testing_output import MemoryOutput as MemoryOutput  # noqa: PLC0414
from harvester.testing_output import MemorySink as MemorySink  # noqa: PLC0414
from harvester.transport.base import Link, Stream, Target

START = datetime(2026, 4, 1, 12, tzinfo=UTC)
"""When a FakeClock begins unless it is told otherwise."""


class FakeClock:
    """A Clock that stands still while there is work and moves on when everybody waits, to the next who is due.

    So an hour's pause takes no time, and always the same course: what works in a thread is waited for too.

    Args:
        start: The moment it begins at.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed_s = 0.0
        self._waiting: dict[asyncio.Task[Any], tuple[float, Callable[[], bool]]] = {}

    def monotonic(self) -> float:
        """Return the seconds passed since the start."""
        return self._passed_s

    def now(self) -> datetime:
        """Return the moment."""
        return self._start + timedelta(seconds=self._passed_s)

    def advance(self, by_s: float) -> None:
        """Let time pass; whoever is due goes on at the next turn of the loop."""
        self._passed_s += by_s

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds of this clock."""
        await self._wait(delay_s, lambda: False)

    async def wait(self, event: anyio.Event, timeout_s: float | None) -> None:
        """Wait for the event, at most `timeout_s` seconds of this clock; None is for ever."""
        if timeout_s is None:
            await event.wait()
        else:
            await self._wait(timeout_s, event.is_set)

    async def _wait(self, delay_s: float, is_over: Callable[[], bool]) -> None:
        due = self._passed_s + delay_s
        task = asyncio.current_task()
        assert task is not None
        self._waiting[task] = (due, is_over)
        try:
            await anyio.lowlevel.checkpoint()
            while self._passed_s < due and not is_over():
                await anyio.lowlevel.checkpoint()
                if self._is_quiet():
                    self._passed_s = min(due for due, _ in self._waiting.values())
        finally:
            del self._waiting[task]

    def _is_quiet(self) -> bool:
        """Return whether nobody can go on before time does."""
        if any(due <= self._passed_s or is_over() for due, is_over in self._waiting.values()):
            return False
        others = [task for task in asyncio.all_tasks() if task not in self._waiting]
        if not all(map(_is_blocked, others)):
            return False
        borrowed = anyio.to_thread.current_default_thread_limiter().borrowed_tokens
        if borrowed or any(map(_is_in_a_thread, others)):
            time.sleep(_FOR_THREADS_S)
            return False
        return True


_FOR_THREADS_S = 0.00005
"""Who looks again at once keeps the interpreter to itself, and a thread gets it each 5 ms only: where each has a core,
tests whose journal works in one took forty times as long."""

_IN_THREADS = {Journal.run.__code__, Journal.open.__func__.__code__}  # type: ignore[attr-defined]


def _is_blocked(task: asyncio.Task[Any]) -> bool:
    # As anyio's own `wait_all_tasks_blocked` tells it, which waits in real time between two looks.
    waiter = getattr(task, "_fut_waiter", None)
    return waiter is not None and not waiter.done()


def _is_in_a_thread(task: asyncio.Task[Any]) -> bool:
    step: Any = task.get_coro()
    while hasattr(inner := getattr(step, "cr_await", None), "cr_code"):
        step = inner
    return getattr(step, "cr_code", None) in _IN_THREADS


Reply = Response | ProviderError
Answerer = Callable[[Target, Request], Reply | Awaitable[Reply]]


def reply(
    body: object = b"",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    received_at: datetime = START,
) -> Response:
    """Return an answer to script.

    Args:
        body: Bytes as they are, anything else as JSON.
        status: The HTTP status.
        headers: By their names as the documents write them.
        received_at: When it came; a FakeTransport with a clock sets it.
    """
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(status, dict(headers or {}), data, received_at)


class Streamed(msgspec.Struct):
    """An answer in pieces to script: bytes come, seconds pass, an error is raised."""

    pieces: Sequence[bytes | float | ProviderError]
    status: int = 200
    headers: Mapping[str, str] = {}


Flow = Streamed | ProviderError


def streamed(
    *pieces: bytes | float | ProviderError, status: int = 200, headers: Mapping[str, str] | None = None
) -> Streamed:
    """Return an answer in pieces to script; see `Streamed`."""
    return Streamed(pieces, status, dict(headers or {}))


class FakeTransport:
    """A Transport that answers as it is told, and remembers what it was asked.

    Args:
        answers: A function of what is asked, or the answers one after another; an error among them is raised.
        streams: The same for links, whose answers come in pieces; `links` remembers what was asked.
        clock: What an answer's time is read from and its latency goes by.
        latency_s: How long each answer takes.
    """

    def __init__(
        self,
        answers: Answerer | Iterable[Reply] = (),
        *,
        streams: Callable[[Link], Flow] | Iterable[Flow] = (),
        clock: Clock | None = None,
        latency_s: float = 0.0,
    ) -> None:
        self._answerer = answers if callable(answers) else _one_after_another(answers)
        self._streamer = streams if callable(streams) else _flow_after_flow(streams)
        self.links: list[Link] = []
        self.streams_open: int = 0
        self._clock = clock
        self._latency_s = latency_s
        self.sent: list[tuple[Target, Request]] = []
        self.sent_at: list[float] = []
        self.in_flight: int = 0
        self.most_in_flight: int = 0
        self.is_closed: bool = False

    @property
    def requests(self) -> list[Request]:
        """What was asked, in order."""
        return [request for _, request in self.sent]

    async def send(self, target: Target, request: Request) -> Response:
        """Return, or raise, what is next."""
        self.sent.append((target, request))
        self.sent_at.append(0.0 if self._clock is None else self._clock.monotonic())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self._clock is not None and self._latency_s:
                await self._clock.sleep(self._latency_s)
            else:
                await anyio.lowlevel.checkpoint()
            answer = self._answerer(target, request)
            if isawaitable(answer):
                answer = await answer
        finally:
            self.in_flight -= 1
        return self._stamped(answer)

    def _stamped(self, answer: Reply) -> Response:
        if isinstance(answer, ProviderError):
            raise answer
        if self._clock is None:
            return answer
        return msgspec.structs.replace(answer, received_at=self._clock.now(), elapsed_s=self._latency_s)

    @asynccontextmanager
    async def stream(self, link: Link) -> AsyncIterator[Stream]:
        """Give, or raise, what is next."""
        self.links.append(link)
        self.streams_open += 1
        try:
            await anyio.lowlevel.checkpoint()
            answer = self._streamer(link)
            if isinstance(answer, ProviderError):
                raise answer
            yield _FakeStream(answer, self._clock)
        finally:
            self.streams_open -= 1

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True


def _one_after_another(answers: Iterable[Reply]) -> Answerer:
    left = iter(answers)

    def answer(_target: Target, request: Request) -> Reply:
        try:
            return next(left)
        except StopIteration:
            raise AssertionError(f"asked once more than there are answers: {request.endpoint}") from None

    return answer


def _flow_after_flow(flows: Iterable[Flow]) -> Callable[[Link], Flow]:
    left = iter(flows)

    def answer(link: Link) -> Flow:
        try:
            return next(left)
        except StopIteration:
            raise AssertionError(f"asked once more than there are streams: {link!r}") from None

    return answer


class _FakeStream:
    def __init__(self, told: Streamed, clock: Clock | None) -> None:
        self.status: int = told.status
        self.headers: Mapping[str, str] = told.headers
        self._left = iter(told.pieces)
        self._clock = clock

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for piece in self._left:
            if isinstance(piece, bytes):
                return piece
            if isinstance(piece, ProviderError):
                raise piece
            assert self._clock is not None, "seconds pass on a clock: give the transport one"
            await self._clock.sleep(piece)
        raise StopAsyncIteration
