"""The task graph: what comes out of it when something in it fails, and that nothing hangs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from harvester.errors import OutputError
from harvester.job.run import Answered
from harvester.model import SegmentKind
from harvester.sinks import Rows
from harvester.testing import MemoryOutput, MemorySink

from .apis import Api, Bench, source
from .test_export import named


class FullSink(MemorySink):
    """A sink whose disk is full."""

    async def write(self, rows: Rows) -> None:
        raise OutputError("no space left")


class FullOutput(MemoryOutput):
    """Opens sinks that cannot be written, or not sealed."""

    def __call__(self, source: str, kind: SegmentKind) -> MemorySink:
        return FullSink(self, source, kind)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **apis: Bench(tmp_path / "out", **apis)


async def test_output_that_fails_ends_the_run_with_its_error(bench: Callable[..., Bench]) -> None:
    """A full disk comes out as one error, not as a group; the same command goes on from the journal."""
    api = Api("bimpe", {f"a{n}": named(f"a{n}-", 300) for n in range(4)})
    b = bench(sales=api)
    memory, b.output = b.output, FullOutput()
    with pytest.raises(OutputError, match="no space left"):
        await b.export(source())
    b.output = memory
    report = await b.export(source())
    assert (report.outcome, len(b.ids()), len(set(b.ids()))) == ("complete", 1_200, 1_200)


async def test_mistake_in_a_hook_comes_out(bench: Callable[..., Bench]) -> None:
    """What a hook raises ends the run as it is; what was handed over is kept."""
    b = bench(sales=Api("bimpe", {"a": named("a", 300)}))
    calls: list[Answered] = []

    def hook(event: Answered) -> None:
        calls.append(event)
        if len(calls) == 2:
            raise LookupError("a mistake")

    harvester = b.open(source(), hooks=[hook])
    async with harvester:
        with pytest.raises(LookupError, match="a mistake"):
            await harvester.export(sink=b.output)
    report = await b.export(source())
    assert (report.outcome, len(b.ids())) == ("complete", 300)


async def test_cancelled_export_lets_go_of_the_output(bench: Callable[..., Bench]) -> None:
    """An export that is torn away leaves neither lock nor open file; the next one goes on."""
    api = Api("bimpe", {"a": named("a", 500)})
    b = bench(sales=api)
    with anyio.CancelScope() as scope:
        api.fault = lambda _t, _r, number: scope.cancel() if number == 3 else None
        await b.export(source(), on_files=True, format="ndjson", compression="none")
    api.fault = None
    report = await b.export(source(), on_files=True, format="ndjson", compression="none")
    assert (report.outcome, report.totals.written) == ("complete", 500)
    assert len(api.asked) <= 6 + 2


class SlowSink(MemorySink):
    """A sink that takes its time, so that the queue before it fills."""

    async def write(self, rows: Rows) -> None:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        await super().write(rows)


class SlowOutput(MemoryOutput):
    """Opens slow sinks."""

    def __call__(self, source: str, kind: SegmentKind) -> MemorySink:
        return SlowSink(self, source, kind)


async def test_stop_while_the_writer_is_behind_counts_what_is_written(bench: Callable[..., Bench]) -> None:
    """Pages that came are written though the queue is full, so that the report's counts are the output's."""
    api = Api("bimpe", {f"a{n}": named(f"a{n}-", 600) for n in range(10)})
    b = bench(sales=api)
    b.output = SlowOutput()

    def stop(_target: object, _request: object, number: int) -> None:
        if number == 50 and b.harvester is not None:
            b.harvester.stop()

    api.fault = stop
    report = await b.export(source(), concurrency=32)
    assert report.outcome == "interrupted"
    assert report.totals.written == len(b.ids()) == len(set(b.ids()))
