"""`harvester export`: every call of the query, to segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .engine import open_exporter
from .options import (
    Agents,
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
from .progress import open_view
from .screen import Screen
from .session import Stopped, export_watched, run_async
from .settings import prepare, read_config
from .summary import fields, summary
from .written import check_report_path, write_report

if TYPE_CHECKING:
    from harvester.config import Config
    from harvester.job.report import Report

EXAMPLES = (
    "harvester export",
    "harvester export --source sales --since 7d --until now --format ndjson",
    "harvester export --provider talkover --credential token=env:TALKOVER_TOKEN --since 2026-03-01 --out out/",
)

_CODES = {"complete": 0, "failed": 1, "gaps": 3}


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
    log_format: LogFormat = LogName.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Fetch every call of the query into files; cut short, the same command goes on."""
    screen = prepare(context)
    settings = read_config(context, screen)
    check_report_path(report)
    stopped = Stopped()
    done = run_async(lambda: _export(settings, screen, stopped, fresh=fresh, progress=progress))
    _tell(done, settings, screen)
    if report is not None:
        write_report(done.to_json(), report)
    return exit_code(done, screen, stopped)


async def _export(
    config: Config, screen: Screen, stopped: Stopped, *, fresh: bool, progress: ProgressName
) -> Report:
    async with open_exporter(config) as harvester:
        view = open_view(progress, screen)
        try:
            return await export_watched(harvester, fresh=fresh, screen=screen, view=view, stopped=stopped)
        finally:
            if view is not None:
                view.close()


def _tell(report: Report, config: Config, screen: Screen) -> None:
    if screen.as_json:
        screen.info("finished", **fields(report, config.output))
        return
    for line in summary(report, config.output):
        screen.info(line)


def exit_code(report: Report, screen: Screen, stopped: Stopped) -> int:
    """Return the code for how a run ended, and say how to go on where it is not complete."""
    again = _again(screen)
    if report.outcome == "interrupted":
        screen.warning(f"stopped; what is committed stays, and the same command goes on from here{again}")
        return stopped.exit_code
    if report.outcome == "gaps":
        screen.warning(f"finished with gaps; the same command asks for them again{again}")
    if report.outcome == "failed":
        screen.error(
            f"no source could be exported; what is committed stays, and the same command tries again{again}"
        )
    return _CODES[report.outcome]


def _again(screen: Screen) -> str:
    """Return the command to copy, nothing where it holds what may not be shown."""
    command = screen.command
    return f": {command}" if command and screen.redacted(command) == command else ""
