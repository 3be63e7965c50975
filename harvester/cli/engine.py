"""The way to the engine."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from . import ahead

if TYPE_CHECKING:
    from harvester.app import Harvester
    from harvester.config import Config
    from harvester.transport.base import Transport


def open_harvester(config: Config, transport: Transport | None = None) -> Harvester:
    """Return what does the work; an async context manager.

    The engine is imported here and not before: a mistake in the config is told without waiting for it.
    """
    from harvester.app import Harvester  # noqa: PLC0415

    # What was imported stays to the end of the process: the collector need not go through it again and again.
    gc.freeze()
    return Harvester(config, transport=transport)


@asynccontextmanager
async def open_exporter(config: Config) -> AsyncIterator[Harvester]:
    """Open what does the work of an export, its requests sent by a process of their own where there is a core for it.

    The process was begun with the program, or is started while the engine is still being imported here.
    """
    if ahead.cores() < 2:
        async with open_harvester(config) as harvester:
            yield harvester
        return
    from harvester.transport.process import ProcessTransport  # noqa: PLC0415

    transport = ProcessTransport()
    if (begun := ahead.take()) is not None:
        transport.adopt(begun)
    transport.start()
    try:
        async with open_harvester(config, transport) as harvester:
            yield harvester
    finally:
        await transport.aclose()
