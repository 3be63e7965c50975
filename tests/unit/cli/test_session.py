"""One run of the engine: its report, its errors, its signals."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime

import anyio
import pytest

from harvester.cli.export import exit_code
from harvester.cli.main import run
from harvester.cli.screen import Screen
from harvester.cli.session import Stopped, export_watched, run_async
from harvester.errors import HeldError, JournalError, OutputError, UsageError
from harvester.job.report import Report, SourceProgress, SourceReport

Make = Callable[..., Report]


class FakeExporter:
    """An engine that does as it is told.

    Args:
        report: What it ends with.
        error: What it ends with instead.
        signals: What it sends to its own process, one after the other.
    """

    def __init__(
        self, report: Report, *, error: Exception | None = None, signals: Sequence[signal.Signals] = ()
    ) -> None:
        self._report = report
        self._error = error
        self._signals = signals
        self.reasons: list[str] = []
        self.fresh: bool | None = None
        self.left = anyio.Event()
        self._told = anyio.Event()

    async def export(self, *, fresh: bool = False) -> Report:
        self.fresh = fresh
        for number in self._signals:
            os.kill(os.getpid(), number)
            await self._told.wait()
        if len(self._signals) > 1:
            await self.left.wait()
        if self._error is not None:
            raise self._error
        return self._report

    def stop(self, reason: str) -> None:
        self.reasons.append(reason)
        self._told.set()

    def progress(self) -> list[SourceProgress]:
        return []


class FakeView:
    """Counts what it is shown."""

    interval_s = 0.0

    def __init__(self) -> None:
        self.shown = 0
        self.closed = 0

    def show(self, rows: Sequence[SourceProgress], now: datetime) -> None:
        self.shown += 1

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def report(make_report: Make, make_source: Callable[..., SourceReport]) -> Report:
    return make_report(make_source())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_report_comes_through(report: Report, screen: Screen) -> None:
    """An export without view and signals is its report."""
    exporter = FakeExporter(report)
    stopped = Stopped()
    assert await export_watched(exporter, fresh=True, screen=screen, view=None, stopped=stopped) is report
    assert (exporter.fresh, stopped.signal) == (True, None)


@pytest.mark.parametrize("error", [OutputError("disk full"), HeldError("held"), LookupError("x")])
async def test_error_comes_through_alone(report: Report, screen: Screen, error: Exception) -> None:
    """What the engine raises is raised, never wrapped into a group."""
    exporter = FakeExporter(report, error=error)
    with pytest.raises(type(error)) as caught:
        await export_watched(exporter, fresh=False, screen=screen, view=FakeView(), stopped=Stopped())
    assert caught.value is error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_first_signal_stops_cleanly(
    report: Report, screen: Screen, stream: io.StringIO, number: signal.Signals, code: int
) -> None:
    """The engine is told to end, the user what happens, and the code is that of the signal."""
    exporter, view, stopped = FakeExporter(report, signals=[number]), FakeView(), Stopped()
    await export_watched(exporter, fresh=False, screen=screen, view=view, stopped=stopped)
    assert (exporter.reasons, stopped.signal, stopped.exit_code) == ([number.name], number, code)
    assert "stopping: " in stream.getvalue()
    assert view.shown > 0


async def test_second_signal_leaves_at_once(report: Report, screen: Screen) -> None:
    """Whoever insists need not wait; the screen is given back first."""
    exporter = FakeExporter(report, signals=[signal.SIGTERM, signal.SIGINT])
    codes: list[int] = []
    view = FakeView()

    def leave(code: int) -> None:
        codes.append(code)
        exporter.left.set()

    await export_watched(exporter, fresh=False, screen=screen, view=view, stopped=Stopped(), leave=leave)
    assert codes[0] == 130
    assert view.closed >= 1


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        ("complete", 0, ""),
        ("gaps", 3, "asks for them again"),
        ("failed", 1, "tries again"),
        ("interrupted", 143, "goes on"),
    ],
)
def test_outcome_becomes_a_code(
    outcome: str, code: int, words: str, screen: Screen, stream: io.StringIO,
    make_report: Make, make_source: Callable[..., SourceReport],
) -> None:  # fmt: skip
    """Each outcome has its code, and says how to go on where it is not complete."""
    stopped = Stopped()
    stopped.signal = signal.SIGTERM
    report = make_report(make_source(outcome=outcome), is_interrupted=outcome == "interrupted")
    assert exit_code(report, screen, stopped) == code
    assert words in stream.getvalue()


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("harvester export -c 'my own.toml'", ": harvester export -c 'my own.toml'"),
        ("harvester export --filter phone_number=+12025550123", ""),
        ("harvester export --base-url https://x.test/?token=t", ""),
        ("", ""),
    ],
)
def test_command_to_go_on_is_shown_unless_it_holds_what_may_not_be(
    command: str, shown: str, screen: Screen, stream: io.StringIO,
    make_report: Make, make_source: Callable[..., SourceReport],
) -> None:  # fmt: skip
    """It can be copied as it is; one with a phone number or a query is only called the same."""
    screen.command = command
    exit_code(make_report(make_source(outcome="interrupted"), is_interrupted=True), screen, Stopped())
    assert stream.getvalue().endswith(f"and the same command goes on from here{shown}\n")


def test_coroutines_run_to_their_end() -> None:
    """Whatever loop there is, the answer comes back."""

    async def main() -> int:
        await anyio.lowlevel.checkpoint()
        return 7

    assert run_async(main) == 7


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("a: x", "b: y"), 2), (HeldError("held"), 4), (OutputError("full"), 1), (JournalError("torn"), 1),
     (LookupError("x"), 1), (KeyboardInterrupt(), 130), (BrokenPipeError(), 0)],
)  # fmt: skip
def test_every_error_has_its_code(
    error: BaseException, code: int, screen: Screen, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors on purpose are told as they are, others as a mistake of ours; no traceback unless asked for."""

    class Failing(io.StringIO):
        def flush(self) -> None:
            raise error

        def fileno(self) -> int:
            return spare

    spare = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", Failing())
    try:
        assert run(["--version"], screen) == code
    finally:
        os.close(spare)
    assert "Traceback" not in stream.getvalue()
    if isinstance(error, UsageError):
        assert stream.getvalue() == "error: a: x\nerror: b: y\n"


def test_traceback_comes_with_verbosity(
    screen: Screen, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -v a mistake of ours shows where it is."""

    class Failing(io.StringIO):
        def flush(self) -> None:
            raise LookupError("x")

    screen.verbosity = 1
    monkeypatch.setattr(sys, "stdout", Failing())
    assert run(["--version"], screen) == 1
    assert "Traceback" in stream.getvalue()
