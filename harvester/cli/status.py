"""`harvester status`: what is there and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from .engine import open_harvester
from .options import AsJson, ConfigFile, Out, Quiet, Sources, Verbose
from .session import run_async
from .settings import prepare, read_config
from .tables import print_json, print_table
from .words import counted, stamped

if TYPE_CHECKING:
    from harvester.config import Config
    from harvester.verify import StatusRow

EXAMPLES = ("harvester status", "harvester status --json")

_COLUMNS = (
    "source",
    "provider",
    "last run",
    "outcome",
    "written",
    "left",
    "missing",
    "open",
    "up to",
    "next",
)
_NUMBERS = ("written", "left", "missing", "open")


def command(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    sources: Sources = None,
    out: Out = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Say per source what the last run did, and what is left to resume."""
    settings = read_config(context, prepare(context))
    rows = run_async(lambda: _status(settings))
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [_cells(row) for row in rows], right=_NUMBERS)
    return 0


async def _status(config: Config) -> Sequence[StatusRow]:
    async with open_harvester(config) as harvester:
        return await harvester.status()


def _cells(row: StatusRow) -> tuple[object, ...]:
    return (
        row.source, row.provider, row.last_run, row.outcome, counted(row.written), counted(row.left),
        counted(row.missing), counted(row.open_windows), stamped(row.up_to), row.hint,
    )  # fmt: skip
