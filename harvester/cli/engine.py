"""The way to the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harvester.app import Harvester
    from harvester.config import Config


def open_harvester(config: Config) -> Harvester:
    """Return what does the work; an async context manager.

    The engine is imported here and not before: a mistake in the config is told without waiting for it.
    """
    from harvester.app import Harvester  # noqa: PLC0415

    return Harvester(config)
