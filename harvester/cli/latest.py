"""`harvester latest`: the most recent call, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .calls import CallShape, SourceName, print_call, print_calls
from .engine import open_harvester
from .options import BaseUrl, ConfigFile, Credential, LogFormat, LogName, Provider, Quiet, ShapeName, Verbose
from .session import run_async
from .settings import prepare, read_config

if TYPE_CHECKING:
    from harvester.config import Config
    from harvester.single import Call

EXAMPLES = (
    "harvester latest sales",
    "harvester latest support -n 20 --agent 51d0 > newest.ndjson",
    "harvester latest sales --phone +15550100",
)

Count = Annotated[
    int | None, typer.Option("-n", metavar="N", min=1, help="So many, as NDJSON; the newest first.")
]
AgentId = Annotated[str | None, typer.Option("--agent", metavar="ID", help="Of this agent only.")]
Phone = Annotated[
    str | None,
    typer.Option(
        "--phone", metavar="+E164", help="With this phone number only, where the provider can look for one."
    ),
]


def command(
    context: typer.Context,
    source: SourceName,
    *,
    count: Count = None,
    agent: AgentId = None,
    phone: Phone = None,
    shape: CallShape = ShapeName.UNIFIED,
    config: ConfigFile = None,
    provider: Provider = None,
    base_url: BaseUrl = None,
    credentials: Credential = None,
    log_format: LogFormat = LogName.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Print the most recent call as JSON, or several as NDJSON; exit 1 if there is none."""
    screen = prepare(context)
    settings = read_config(context, screen)
    calls = run_async(lambda: _latest(settings, source, count or 1, agent, phone))
    if not calls:
        screen.error(f"{source}: there is no {'call with this number' if phone else 'call'}")
        return 1
    if count is None:
        print_call(calls[0], shape)
    else:
        print_calls(calls, shape)
    return 0


async def _latest(
    config: Config, source: str, count: int, agent: str | None, phone: str | None
) -> list[Call]:
    async with open_harvester(config) as harvester:
        return await harvester.latest(source, count=count, agent_id=agent, phone=phone)
