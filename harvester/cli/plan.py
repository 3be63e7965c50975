"""`harvester plan`: what `export` would do, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from .engine import open_harvester
from .options import (
    Agents,
    AsJson,
    BaseUrl,
    Concurrency,
    ConfigFile,
    Credential,
    Details,
    Filters,
    FormatOption,
    Fresh,
    LogFormat,
    LogName,
    Out,
    ProgressName,
    ProgressOption,
    Provider,
    Quiet,
    Recordings,
    ReportFile,
    ShapeOption,
    Since,
    Sources,
    Until,
    Verbose,
)
from .session import run_async
from .settings import prepare, read_config
from .tables import json_of, print_json, print_table
from .words import counted, lasting, stamped
from .written import check_report_path, write_report

if TYPE_CHECKING:
    from harvester.config import Config
    from harvester.lookup import PlanRow

EXAMPLES = ("harvester plan", "harvester plan --source sales --since 30d --details")

_COLUMNS = ("source", "agent", "name", "since", "until", "calls", "pages", "requests", "recordings", "time")
_NUMBERS = ("calls", "pages", "requests", "recordings", "time")


def command(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    provider: Provider = None,
    base_url: BaseUrl = None,
    credentials: Credential = None,
    sources: Sources = None,
    agents: Agents = None,
    filters: Filters = None,
    out: Out = None,
    output_format: FormatOption = None,
    shape: ShapeOption = None,
    since: Since = None,
    until: Until = None,
    details: Details = None,
    recordings: Recordings = None,
    concurrency: Concurrency = None,
    fresh: Fresh = False,
    report: ReportFile = None,
    progress: ProgressOption = ProgressName.AUTO,
    as_json: AsJson = False,
    log_format: LogFormat = LogName.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Say what export would do: calls, pages, requests and the time they take under the limits."""
    settings = read_config(context, prepare(context))
    check_report_path(report)
    rows = run_async(lambda: _plan(settings))
    if as_json and report != "-":
        print_json(rows)
    elif report != "-":
        print_table(_COLUMNS, [_cells(row) for row in rows], right=_NUMBERS)
    if report is not None:
        write_report(json_of(rows), report)
    return 0


async def _plan(config: Config) -> Sequence[PlanRow]:
    async with open_harvester(config) as harvester:
        return await harvester.plan()


def _cells(row: PlanRow) -> tuple[object, ...]:
    return (
        row.source, row.agent_id, row.agent_name, stamped(row.since), stamped(row.until),
        counted(row.calls), counted(row.pages), counted(row.requests), _at_most(row.recordings), lasting(row.seconds),
    )  # fmt: skip


def _at_most(recordings: int | None) -> str:
    """Return how many recordings there may be: which calls have one is not known before."""
    return f"<= {counted(recordings)}" if recordings else counted(recordings)
