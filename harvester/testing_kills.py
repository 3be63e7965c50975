"""A double that kills: a run that ends between any two of its steps, for tests of what the next one makes of it."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from harvester.journal import Journal
from harvester.model import Request, Response, Segment, SegmentKind
from harvester.sinks import Rows, Sink, SinkFactory
from harvester.transport.base import Link, Stream, Target, Transport


class KillPoints:
    """Counts the steps of a run from an answer to a file, and ends the process at the one it is armed for.

    It goes in through the seams of a Harvester, which knows nothing of it. Each step has a `before` and an `after`;
    `passed` says how often which was passed, in the order of their first time:

        points.arm("before journal.commit", 2)
        h = Harvester(config, transport=points.transport(inner), journal=points.journal())
        await h.export(sink=points.sinks(open_one))

    Args:
        kill: What is done there; None for SIGKILL to this process, which no cleanup survives.
    """

    def __init__(self, kill: Callable[[], None] | None = None) -> None:
        self.passed: Counter[str] = Counter()
        self._kill = kill or (lambda: os.kill(os.getpid(), signal.SIGKILL))
        self._name: str | None = None
        self._left = 0
        self._lock = threading.Lock()

    def arm(self, name: str | None, nth: int = 1) -> None:
        """Kill at the n-th time from now that this step is passed; None for any step."""
        self._name, self._left = name, nth

    def step(self, name: str) -> None:
        """Pass a step, in any thread; for steps that no seam shows."""
        with self._lock:
            self.passed[name] += 1
            is_counted = self._left > 0 and self._name in {None, name}
            self._left -= is_counted
            if is_counted and not self._left:
                self._kill()

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Pass `before` and, unless it fails, `after` what is done inside."""
        self.step(f"before {name}")
        yield
        self.step(f"after {name}")

    def transport(self, inner: Transport) -> Transport:
        """Return a transport whose `send` is a step, `transport.send`."""
        return _WatchedTransport(inner, self)

    def journal(self) -> type[Journal]:
        """Return a journal of which each call is a step.

        They are `journal.hand_over`, `journal.catch_up`, `journal.flush` and `journal.<method>` of the database.
        """
        points = self

        class WatchedJournal(Journal):
            async def run(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
                with points.around(f"journal.{method.__name__}"):
                    return await super().run(method, *args, **options)

            async def keep(self, answer: Any) -> None:
                with points.around("journal.hand_over"):
                    await super().keep(answer)

            async def catch_up(self) -> None:
                with points.around("journal.catch_up"):
                    await super().catch_up()

            async def flush(self) -> None:
                with points.around("journal.flush"):
                    await super().flush()

        return WatchedJournal

    def sinks(self, inner: SinkFactory) -> SinkFactory:
        """Return sinks of which each call is a step: `calls.write`, `calls.seal`, `quarantine.publish` and so on."""
        return lambda source, kind: _WatchedSink(inner(source, kind), kind, self)


class _WatchedTransport:
    def __init__(self, inner: Transport, points: KillPoints) -> None:
        self._inner = inner
        self._points = points

    async def send(self, target: Target, request: Request) -> Response:
        with self._points.around("transport.send"):
            return await self._inner.send(target, request)

    def stream(self, link: Link) -> AbstractAsyncContextManager[Stream]:
        return self._inner.stream(link)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _WatchedSink:
    def __init__(self, inner: Sink, kind: SegmentKind, points: KillPoints) -> None:
        self._inner = inner
        self._kind = kind
        self._points = points

    @property
    def rows(self) -> int:
        return self._inner.rows

    @property
    def bytes(self) -> int:
        return self._inner.bytes

    @property
    def buffered_bytes(self) -> int:
        return self._inner.buffered_bytes

    async def write(self, rows: Rows) -> None:
        with self._points.around(f"{self._kind}.write"):
            await self._inner.write(rows)

    async def flush(self) -> None:
        with self._points.around(f"{self._kind}.flush"):
            await self._inner.flush()

    async def seal(self, name: str) -> Segment:
        with self._points.around(f"{self._kind}.seal"):
            return await self._inner.seal(name)

    async def publish(self, segment: Segment) -> None:
        with self._points.around(f"{self._kind}.publish"):
            await self._inner.publish(segment)

    async def aclose(self) -> None:
        with self._points.around(f"{self._kind}.aclose"):
            await self._inner.aclose()
