"""The options that commands share, each declared once.

A command lists those it takes, under the names that `settings` reads them by out of typer's context.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

DEFAULT_CONFIG = "harvester.toml"


class FormatName(StrEnum):
    """What `--format` takes."""

    PARQUET = "parquet"
    NDJSON = "ndjson"


class ShapeName(StrEnum):
    """What `--shape` takes."""

    UNIFIED = "unified"
    NATIVE = "native"


class ProgressName(StrEnum):
    """What `--progress` takes."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


class LogName(StrEnum):
    """What `--log-format` takes."""

    TEXT = "text"
    JSON = "json"


ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The config (-: stdin); else $HARVESTER_CONFIG, else harvester.toml.",
    ),
]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Without a config: the provider.")
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="With --provider: its address, if not the public one."),
]
Credential = Annotated[
    list[str] | None,
    typer.Option(
        "--credential", metavar="KEY=env:NAME", help="With --provider: a credential; or KEY=file:PATH."
    ),
]
Sources = Annotated[
    list[str] | None, typer.Option("--source", metavar="NAME", help="Only this source; may be repeated.")
]
Agents = Annotated[
    list[str] | None,
    typer.Option("--agent", metavar="ID", help="Only this agent, in every source in use; may be repeated."),
]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="KEY=VALUE", help="One of the provider's own filters; may be repeated."),
]
Out = Annotated[str | None, typer.Option("--out", metavar="PATH", help="Where the output goes.")]
FormatOption = Annotated[FormatName | None, typer.Option("--format", help="The files' format.")]
ShapeOption = Annotated[
    ShapeName | None, typer.Option("--shape", help="One record for all, or each provider's own rows.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="Calls created from then on: 2026-03-01, today, 7d."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Calls created before then; as --since, or now.")
]
Details = Annotated[
    bool | None, typer.Option("--details/--no-details", help="Transcripts and all else a call has.")
]
Recordings = Annotated[bool | None, typer.Option("--recordings/--no-recordings", help="The audio files.")]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", metavar="N", min=1, help="Requests in flight in all.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Export again; what is there is replaced at the end.")]
ReportFile = Annotated[
    str | None, typer.Option("--report", metavar="FILE", help="Write the JSON report there too; - is stdout.")
]
ProgressOption = Annotated[ProgressName, typer.Option("--progress", help="How progress is shown.")]
LogFormat = Annotated[LogName, typer.Option("--log-format", help="Messages as text or as JSON lines.")]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Say more; -vv still more.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only warnings and errors.")]
Unread = Annotated[
    str | None, typer.Option("--config", "-c", metavar="FILE", help="Not read here.", hidden=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as JSON.")]
