"""`harvester get`: one call, in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .calls import CallShape, SourceName, print_call
from .engine import open_harvester
from .options import BaseUrl, ConfigFile, Credential, LogFormat, LogName, Provider, Quiet, ShapeName, Verbose
from .session import run_async
from .settings import prepare, read_config

if TYPE_CHECKING:
    from harvester.config import Config
    from harvester.single import Call

EXAMPLES = ("harvester get sales 8f14e45f", "harvester get support 8f14e45f --agent 51d0 --shape native")

CallId = Annotated[str, typer.Argument(metavar="CALL_ID", help="The provider's id of the call.")]
AgentId = Annotated[
    str | None,
    typer.Option("--agent", metavar="ID", help="Its agent; else, where it is needed, the agents are asked."),
]


def command(
    context: typer.Context,
    source: SourceName,
    call_id: CallId,
    *,
    agent: AgentId = None,
    shape: CallShape = ShapeName.UNIFIED,
    config: ConfigFile = None,
    provider: Provider = None,
    base_url: BaseUrl = None,
    credentials: Credential = None,
    log_format: LogFormat = LogName.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Print one call, in full, as JSON; exit 1 if there is no such call."""
    settings = read_config(context, prepare(context))
    print_call(run_async(lambda: _get(settings, source, call_id, agent)), shape)
    return 0


async def _get(config: Config, source: str, call_id: str, agent: str | None) -> Call:
    async with open_harvester(config) as harvester:
        return await harvester.get(source, call_id, agent_id=agent)
