"""`harvester verify`: the output against the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .engine import open_harvester
from .options import AsJson, ConfigFile, Out, Quiet, Sources, Verbose
from .session import run_async
from .settings import prepare, read_config
from .tables import print_json, print_table
from .words import counted, several

if TYPE_CHECKING:
    from harvester.config import Config
    from harvester.verify import Verified

EXAMPLES = ("harvester verify", "harvester verify --source sales --json")


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
    """Check the output against the journal: files, row counts, hashes, doubles; exit 1 for any finding."""
    screen = prepare(context)
    settings = read_config(context, screen)
    verified = run_async(lambda: _verify(settings))
    if as_json:
        print_json(verified)
    else:
        print_table(
            ("source", "file", "finding"), [(row.source, row.path, row.problem) for row in verified.findings]
        )
    looked_at = f"{several(verified.segments, 'segment')} with {counted(verified.rows)} rows"
    if verified.findings:
        screen.error(
            f"{several(len(verified.findings), 'finding')} in {looked_at}; export a damaged source again with --fresh"
        )
        return 1
    screen.info(f"{looked_at}: all as the journal has them")
    return 0


async def _verify(config: Config) -> Verified:
    async with open_harvester(config) as harvester:
        return await harvester.verify()
