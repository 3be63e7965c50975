"""Every call, transcript and recording out of voice-agent platforms: complete, durable, polite.

The rooms, from what a user touches down to what all share; imports point down and never sideways:

    cli         arguments, signals, exit codes, tables: the only room to print
    app         Harvester: session, gates, journal; its verbs are the commands
    job         export: plan, walk, write, report; `run` is the task graph
    lookup      single questions: check, agents, plan
    verify      reads journal and output, writes nothing
    testing     doubles to pass in: a transport, a clock, a sink
    config      TOML to frozen structs, every mistake at once
    fetch       one answer: gate, send, classify, retry
    providers   what each API says; pure
    transport   how bytes move, and who may send when
    sinks       where rows become files
    journal     what was fetched and which segments are committed
    sandbox     all providers on this machine, with made-up calls
    record      the unified record
    model       the nouns all rooms share
    clock, errors

What is neither in `__all__` nor in `testing` is private. Nothing is imported before it is used, and nothing is global.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harvester.app import Harvester
    from harvester.config import Config, Output, Overrides, load_config
    from harvester.errors import (
        AccessError,
        HarvesterError,
        HeldError,
        JournalError,
        MalformedError,
        OutputError,
        ProviderError,
        RateLimitError,
        RejectedError,
        ServerError,
        TransportError,
        UnsupportedError,
        UsageError,
    )
    from harvester.job.report import Report, SourceProgress, SourceReport
    from harvester.model import Gap, Rate, Secret, Segment, Source, Window
    from harvester.record import Record, Turn

__version__ = "0.1.0"

_HOMES = {
    "harvester.app": ("Harvester",),
    "harvester.config": ("Config", "Output", "Overrides", "load_config"),
    "harvester.errors": (
        "AccessError",
        "HarvesterError",
        "HeldError",
        "JournalError",
        "MalformedError",
        "OutputError",
        "ProviderError",
        "RateLimitError",
        "RejectedError",
        "ServerError",
        "TransportError",
        "UnsupportedError",
        "UsageError",
    ),
    "harvester.job.report": ("Report", "SourceProgress", "SourceReport"),
    "harvester.model": ("Gap", "Rate", "Secret", "Segment", "Source", "Window"),
    "harvester.record": ("Record", "Turn"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccessError",
    "Config",
    "Gap",
    "Harvester",
    "HarvesterError",
    "HeldError",
    "JournalError",
    "MalformedError",
    "Output",
    "OutputError",
    "Overrides",
    "ProviderError",
    "Rate",
    "RateLimitError",
    "Record",
    "RejectedError",
    "Report",
    "Secret",
    "Segment",
    "ServerError",
    "Source",
    "SourceProgress",
    "SourceReport",
    "TransportError",
    "Turn",
    "UnsupportedError",
    "UsageError",
    "Window",
    "load_config",
]


def __getattr__(name: str) -> object:
    """Import a public name where it lives, the first time it is asked for."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'harvester' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
