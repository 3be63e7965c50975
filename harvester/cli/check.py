"""`harvester check`: one cheap request per source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from .engine import open_harvester
from .options import AsJson, BaseUrl, ConfigFile, Credential, Provider, Quiet, Sources, Verbose
from .session import run_async
from .settings import prepare, read_config
from .tables import print_json, print_table

if TYPE_CHECKING:
    from harvester.config import Config
    from harvester.lookup import CheckRow

EXAMPLES = ("harvester check", "harvester check --source sales --json")

# Below this a difference is the network's and the second's, not the clock's.
_SKEW_WORTH_SAYING_S = 2.0


def command(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    provider: Provider = None,
    base_url: BaseUrl = None,
    credentials: Credential = None,
    sources: Sources = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Ask each source one cheap question: credentials, reachability, clock, limits; exit 1 if any fails."""
    settings = read_config(context, prepare(context))
    rows = run_async(lambda: _check(settings))
    if as_json:
        print_json(rows)
    else:
        cells = [
            (row.source, row.provider, "ok" if row.ok else "failed", f"{row.elapsed_ms:.0f} ms", _clock(row),
             row.limits, row.message)
            for row in rows
        ]  # fmt: skip
        print_table(
            ("source", "provider", "result", "took", "clock", "limits", "message"), cells, right=("took",)
        )
    return 0 if all(row.ok for row in rows) else 1


async def _check(config: Config) -> Sequence[CheckRow]:
    async with open_harvester(config) as harvester:
        return await harvester.check()


def _clock(row: CheckRow) -> str:
    if row.clock_skew_s is None:
        return ""
    return "ok" if abs(row.clock_skew_s) < _SKEW_WORTH_SAYING_S else f"{row.clock_skew_s:+.0f} s"
