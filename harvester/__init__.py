"""Every call, transcript and recording out of voice-agent platforms: complete, durable, polite.

The rooms, from what a user touches down to what all share; imports point down and never sideways:

    cli         arguments, signals, exit codes, tables: the only room to print
    app         Harvester: session, gates, journal; its verbs are the commands
    export      what an export is put together from, from the config to the report
    job         export: plan, walk, write, report; `run` is the task graph
    single      one call in full: by its id, or the most recent ones
    lookup      single questions: check, agents, plan
    tail        the messages of a conversation as they come
    verify      reads journal and output, writes nothing
    testing     doubles to pass in: a transport, a clock, a sink, points to be killed at
    config      TOML to frozen structs, every mistake at once
    fetch       one answer: gate, send, classify, retry
    recordings  one recording: its link followed until the file is there
    providers   what each API says; pure
    transport   how bytes move, and who may send when
    sinks       where rows become files
    journal     what was fetched and which segments are committed
    sandbox     all providers on this machine, with made-up calls
    record      the unified record
    model       the nouns all rooms share
    block       rows side by side in an answer
    clock, errors

What is neither in `__all__` nor in `testing` is private. Nothing is imported before it is used, and no setting is
global.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` takes 6 ms, and the command line begins another process first
if TYPE_CHECKING:
    from harvester.app import Harvester
    from harvester.clock import Clock
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
        RecordingError,
        RejectedError,
        ServerError,
        TransportError,
        UnsupportedError,
        UsageError,
    )
    from harvester.job.report import Report, SourceProgress, SourceReport
    from harvester.job.run import Answered
    from harvester.job.write import Limits
    from harvester.journal import Journal
    from harvester.lookup import AgentRow, CheckRow, PlanRow
    from harvester.model import (
        Gap,
        Rate,
        Request,
        Response,
        Secret,
        Segment,
        Source,
        Window,
    )
    from harvester.record import Record, Turn
    from harvester.single import Call
    from harvester.sinks import Sink, SinkFactory
    from harvester.transport.base import Link, Stream, Transport
    from harvester.transport.retry import RetryPolicy
    from harvester.verify import Finding, StatusRow, Verified

__version__ = "0.1.0"

_HOMES = {
    "harvester.app": ("Harvester",),
    "harvester.clock": ("Clock",),
    "harvester.config": (
        "Config",
        "Output",
        "Overrides",
        "load_config",
    ),
    "harvester.errors": (
        "AccessError",
        "HarvesterError",
        "HeldError",
        "JournalError",
        "MalformedError",
        "OutputError",
        "ProviderError",
        "RateLimitError",
        "RecordingError",
        "RejectedError",
        "ServerError",
        "TransportError",
        "UnsupportedError",
        "UsageError",
    ),
    "harvester.job.report": (
        "Report",
        "SourceProgress",
        "SourceReport",
    ),
    "harvester.job.run": ("Answered",),
    "harvester.job.write": ("Limits",),
    "harvester.journal": ("Journal",),
    "harvester.lookup": (
        "AgentRow",
        "CheckRow",
        "PlanRow",
    ),
    "harvester.model": (
        "Gap",
        "Rate",
        "Request",
        "Response",
        "Secret",
        "Segment",
        "Source",
        "Window",
    ),
    "harvester.record": (
        "Record",
        "Turn",
    ),
    "harvester.single": ("Call",),
    "harvester.sinks": (
        "Sink",
        "SinkFactory",
    ),
    "harvester.transport.base": (
        "Link",
        "Stream",
        "Transport",
    ),
    "harvester.transport.retry": ("RetryPolicy",),
    "harvester.verify": (
        "Finding",
        "StatusRow",
        "Verified",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccessError",
    "AgentRow",
    "Answered",
    "Call",
    "CheckRow",
    "Clock",
    "Config",
    "Finding",
    "Gap",
    "Harvester",
    "HarvesterError",
    "HeldError",
    "Journal",
    "JournalError",
    "Limits",
    "Link",
    "MalformedError",
    "Output",
    "OutputError",
    "Overrides",
    "PlanRow",
    "ProviderError",
    "Rate",
    "RateLimitError",
    "Record",
    "RecordingError",
    "RejectedError",
    "Report",
    "Request",
    "Response",
    "RetryPolicy",
    "Secret",
    "Segment",
    "ServerError",
    "Sink",
    "SinkFactory",
    "Source",
    "SourceProgress",
    "SourceReport",
    "StatusRow",
    "Stream",
    "Transport",
    "TransportError",
    "Turn",
    "UnsupportedError",
    "UsageError",
    "Verified",
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
