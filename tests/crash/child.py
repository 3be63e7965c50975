"""`python -m tests.crash.child`: runs exports in processes forked from this one, which are made to be killed.

Forked, because what an export imports takes longer than an export of a few hundred calls. An order is a line of stdin,
its outcome a line of stdout; this ends with stdin, so with the test that started it, however that one ends.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import msgspec

from harvester.app import Harvester
from harvester.config import load_config
from harvester.export import file_sinks
from harvester.job.run import Answered
from harvester.job.write import Limits
from harvester.journal import Journal
from harvester.sinks import parquet
from harvester.testing import KillPoints
from harvester.transport.aiohttp import AiohttpTransport

from .system import watch_system

LONGEST_S = 60
CODES = {"complete": 0, "gaps": 3, "failed": 1, "interrupted": 130}
STEPS = "steps.json"

_ = parquet  # imported once here, and not by each run


class Order(msgspec.Struct, kw_only=True):
    """An export of the config in a folder.

    `step`: where to kill it, the `nth` time; `stop_after`: requests after which it is stopped cleanly, 0 for never;
    `is_watched`: with kill points, and the steps it passed written to a file when it ends by itself; else as anybody
    runs it.
    """

    folder: str
    is_fresh: bool = False
    is_watched: bool = False
    step: str | None = None
    nth: int = 0
    stop_after: int = 0
    segment_rows: int = 1_000_000


class Outcome(msgspec.Struct):
    """How a run ended: its exit code, or less than 0 for a signal."""

    code: int


def main() -> None:
    """Carry out orders until there are no more."""
    for line in sys.stdin:
        order = msgspec.json.decode(line.encode(), type=Order)
        child = os.fork()
        if not child:
            _be_child(order)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{msgspec.json.encode(Outcome(os.waitstatus_to_exitcode(status))).decode()}\n")
        sys.stdout.flush()


def _be_child(order: Order) -> None:
    """Export, and end this process whatever happens, in time too."""
    signal.alarm(LONGEST_S)
    code = 1
    try:
        code = _run(order)
    except BaseException:  # noqa: BLE001 - the end of this process; what happened is told on stderr
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(order: Order) -> int:
    points = KillPoints()
    folder = Path(order.folder)
    if order.is_watched:
        watch_system(points, folder / "out")
    points.arm(order.step, order.nth)
    code: int = anyio.run(partial(_export, order, points), backend_options={"use_uvloop": True})
    if order.is_watched:
        (folder / STEPS).write_bytes(msgspec.json.encode(dict(points.passed)))
    return code


async def _export(order: Order, points: KillPoints) -> int:
    folder = Path(order.folder)
    text = (folder / "harvester.toml").read_text()
    config = load_config(text, folder=folder, environ={}, now=datetime.now(UTC))
    transport = AiohttpTransport()
    left = order.stop_after

    def count(_: Answered) -> None:
        nonlocal left
        left -= 1
        if not left:
            harvester.stop("enough")

    journal: type[Journal] = Journal
    if order.is_watched:
        journal = points.journal()
        journal.pack_bytes = 4_096  # so little that answers are packed between flushes here as well

    harvester = Harvester(
        config,
        transport=points.transport(transport) if order.is_watched else transport,
        hooks=[count],
        limits=Limits(segment_rows=order.segment_rows),
        journal=journal,
    )
    sink = points.sinks(file_sinks(config)) if order.is_watched else None
    try:
        async with harvester:
            report = await harvester.export(fresh=order.is_fresh, sink=sink)
    finally:
        await transport.aclose()
    return CODES[report.outcome]


if __name__ == "__main__":
    main()
