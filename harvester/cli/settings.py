"""What the options come to: where messages go, and a Config."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .logs import set_up_logs
from .options import LogName
from .screen import Screen

if TYPE_CHECKING:
    from harvester.config import Config


def prepare(context: typer.Context) -> Screen:
    """Set up where messages go, as the options say."""
    said = context.params
    screen: Screen = context.obj
    screen.verbosity = -1 if said.get("quiet") else int(said.get("verbose") or 0)
    screen.as_json = said.get("log_format") == LogName.JSON
    set_up_logs(screen)
    return screen


def read_config(context: typer.Context, screen: Screen) -> Config:
    """Read the config that the options name, or make one of the options alone.

    Raises:
        UsageError: There is no config, or it or an option is wrong.
    """
    from .configs import config_of  # noqa: PLC0415 - help needs none

    config = config_of(context.params)
    screen.hide(secret.reveal() for source in config.sources for secret in source.credentials.values())
    for notice in config.notices:
        screen.warning(notice)
    return config
