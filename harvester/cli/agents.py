"""`harvester agents`: the agents each source can see."""

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
    from harvester.lookup import AgentRow

EXAMPLES = ("harvester agents", "harvester agents --source sales --json")


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
    """List the agents each source can see."""
    settings = read_config(context, prepare(context))
    rows = run_async(lambda: _agents(settings))
    if as_json:
        print_json(rows)
    else:
        cells = [(row.source, row.agent_id, row.agent_name) for row in rows]
        print_table(("source", "agent", "name"), cells)
    return 0


async def _agents(config: Config) -> Sequence[AgentRow]:
    async with open_harvester(config) as harvester:
        return await harvester.agents()
