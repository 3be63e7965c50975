"""The way to the engine."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harvester.app import Harvester
    from harvester.config import Config


def open_harvester(config: Config) -> Harvester:
    """Return what does the work; an async context manager.

    The engine is imported here and not before: a mistake in the config is told without waiting for it.
    """
    from harvester.app import Harvester  # noqa: PLC0415

    # What was imported stays to the end of the process: the collector need not go through it again and again.
    gc.collect()
    gc.freeze()
    return Harvester(config)
