"""`harvester tail`: new messages of a conversation as they come."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from anyio.abc import TaskStatus

from .calls import SourceName
from .engine import open_harvester
from .options import BaseUrl, ConfigFile, Credential, LogFormat, LogName, Provider, Quiet, Verbose
from .session import run_async
from .settings import prepare, read_config

if TYPE_CHECKING:
    from harvester.config import Config

EXAMPLES = (
    "harvester tail support 7f3c2a --agent 51d0",
    "harvester tail support 7f3c2a --agent 51d0 --after 2026-03-01T12:00:00Z > messages.ndjson",
)

_LOOK_S = 0.5
"""So often the reader of the output is looked after: an idle conversation writes nothing that could fail."""

_FULL_S = 0.02
"""So often it is looked whether a full pipe has room again."""

_PIECE_BYTES: int = getattr(select, "PIPE_BUF", 512)
_WRITABLE: int = getattr(select, "POLLOUT", 4)

ConversationId = Annotated[str, typer.Argument(metavar="CONVERSATION_ID", help="The conversation.")]
AgentId = Annotated[str, typer.Option("--agent", metavar="ID", help="The agent that leads it.")]
After = Annotated[
    str | None,
    typer.Option(
        "--after", metavar="ID", help="Begin behind this message, or this moment; else with what is new."
    ),
]


def command(
    context: typer.Context,
    source: SourceName,
    conversation_id: ConversationId,
    *,
    agent: AgentId,
    after: After = None,
    config: ConfigFile = None,
    provider: Provider = None,
    base_url: BaseUrl = None,
    credentials: Credential = None,
    log_format: LogFormat = LogName.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Print new messages of a conversation as they come, one JSON object a line, until it is stopped."""
    settings = read_config(context, prepare(context))
    return run_async(lambda: _tail(settings, source, conversation_id, agent, after))


async def _tail(config: Config, source: str, conversation_id: str, agent: str, after: str | None) -> int:
    async with (
        open_harvester(config) as harvester,
        harvester.tail(source, conversation_id, agent_id=agent, after=after) as messages,
    ):
        return await print_lines(messages, sys.stdout.fileno())


class _End:
    """How the printing ended: an exit code, or an error to raise."""

    def __init__(self) -> None:
        self.code = 0
        self.failure: Exception | None = None


async def print_lines(lines: AsyncIterator[bytes], out: int) -> int:
    """Write lines to a descriptor as they come, until they end, a signal comes, or nobody reads any longer.

    Returns:
        0, or 128 and the signal.
    """
    end = _End()
    async with anyio.create_task_group() as tasks:
        await tasks.start(_watch_signals, tasks.cancel_scope, end)
        tasks.start_soon(_watch_reader, out, tasks.cancel_scope)
        try:
            async for line in lines:
                await _write(out, line + b"\n")
        except BrokenPipeError:
            pass  # `| head -1` has what it wanted
        except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
            end.failure = error
        tasks.cancel_scope.cancel()
    if end.failure is not None:
        raise end.failure
    return end.code


async def _write(out: int, data: bytes) -> None:
    """Write without ever blocking: a pipe that has room at all has it for so much, and a thread could not be left."""
    while data:
        while not _events(out, _WRITABLE):  # noqa: ASYNC110 - a file cannot be waited for as a socket can
            await anyio.sleep(_FULL_S)
        data = data[os.write(out, data[:_PIECE_BYTES]) :]


def _events(out: int, wanted: int) -> bool:
    """Say whether something is true of a descriptor: what is wanted, or that nobody reads it any longer."""
    if not hasattr(select, "poll"):  # pragma: no cover - Windows has none: there a write may block
        return bool(wanted)
    poller = select.poll()
    poller.register(out, wanted)  # errors and hang-ups are always told
    return bool(poller.poll(0))


async def _watch_signals(scope: anyio.CancelScope, end: _End, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            end.code = 128 + number
            scope.cancel()


async def _watch_reader(out: int, scope: anyio.CancelScope) -> None:
    while not _events(out, 0):  # noqa: ASYNC110 - nothing else tells that a reader has left
        await anyio.sleep(_LOOK_S)
    scope.cancel()
