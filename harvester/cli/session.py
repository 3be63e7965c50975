"""One run of the engine under the command line: progress beside it, signals into it, its errors out of it."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio
from anyio.abc import TaskStatus

from harvester.clock import Clock, SystemClock

from .progress import View
from .screen import Screen

if TYPE_CHECKING:
    from harvester.job.report import Report, SourceProgress

T = TypeVar("T")

_FIRST = (
    "stopping: what is fetched is being written; once more stops at once, and loses at most a second of work"
)


class Exporter(Protocol):
    """What the command line needs of a Harvester to export."""

    async def export(self, *, fresh: bool = False) -> Report:
        """Export; an end asked for by `stop` is a report too."""
        ...

    def stop(self, reason: str) -> None:
        """Flush and end."""
        ...

    def progress(self) -> Sequence[SourceProgress]:
        """Return the state of each source."""
        ...


class Stopped:
    """Whether and by which signal the run was asked to end."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """128 and the signal, as shells have it."""
        return 128 + (self.signal or signal.SIGINT)


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function to its end, on uvloop where there is one.

    What is imported by now stays, so the collector need not look at it; and pages are many objects that are soon gone,
    so it looks less often (a tenth of the CPU of Parquet).
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return anyio.run(main, backend_options={"use_uvloop": find_spec("uvloop") is not None})


async def export_watched(
    harvester: Exporter,
    *,
    fresh: bool,
    screen: Screen,
    view: View | None,
    stopped: Stopped,
    clock: Clock | None = None,
    leave: Callable[[int], None] = os._exit,
) -> Report:
    """Export, showing progress; a first signal ends it cleanly, a second at once.

    Args:
        harvester: What exports.
        fresh: Whether to export again what is there.
        screen: Where messages go.
        view: Where progress goes, None for nowhere.
        stopped: Learns of the signal.
        clock: What the view's intervals are measured by.
        leave: Ends the process where it stands; nothing committed is lost by that.
    """
    failure: Exception | None = None
    report: Report | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(_watch_signals, harvester, screen, view, stopped, leave)
        if view is not None:
            tasks.start_soon(_watch_progress, harvester, view, clock or SystemClock())
        try:
            report = await harvester.export(fresh=fresh)
        except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    assert report is not None
    return report


async def _watch_progress(harvester: Exporter, view: View, clock: Clock) -> None:
    # A terminal that is gone ends the view, not the export. The last look is at the end, when all is done.
    with suppress(OSError):
        try:
            while True:
                view.show(harvester.progress(), clock.now())
                await clock.sleep(view.interval_s)
        finally:
            view.show(harvester.progress(), clock.now())


async def _watch_signals(
    harvester: Exporter,
    screen: Screen,
    view: View | None,
    stopped: Stopped,
    leave: Callable[[int], None],
    *,
    task_status: TaskStatus[None],
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            if stopped.signal is not None:
                if view is not None:
                    view.close()
                leave(128 + number)
            stopped.signal = number
            screen.warning(_FIRST)
            harvester.stop(number.name)
