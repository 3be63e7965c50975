"""`harvester init`: a config to start from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from harvester.errors import OutputError, UsageError

from .options import DEFAULT_CONFIG
from .settings import prepare

EXAMPLES = ("harvester init", "harvester init -c exports/sales.toml")

TEMPLATE = """\
# What harvester exports, and where to. `harvester check` tries it, `harvester plan` says what it costs,
# `harvester export` does it. In any string ${NAME} is an environment variable, ${file:/run/secrets/x} a file's text.

[output]
path = "out"              # relative to this file
format = "parquet"        # parquet | ndjson
shape = "unified"         # unified: one record for all providers | native: each provider's own rows
compression = "zstd"      # parquet: zstd | snappy | none;  ndjson: none | gzip | zstd
raw = true                # keep the provider's JSON in the column raw

[run]
concurrency = 32          # requests in flight, all sources together

[defaults]                # keys of a source, for all that do not set them
since = "7d"              # inclusive; 2026-03-01, 2026-03-01T12:00:00+02:00, "today", "7d", "12h", "30m" (ago)
# until = "now"           # exclusive, same forms; default: the moment the job first starts
# details = true          # transcripts and all else a call has
# recordings = true       # the audio files

# One [[source]] is one account. Keep those you need; each name is yours to choose.

[[source]]
name = "talkover"         # letters, digits, '-' and '_'
provider = "talkover"
token = "${TALKOVER_TOKEN}"
# base_url = "https://app.talkover.ai"          # a reseller's address, or a path prefix
# agents = ["agent-id"]                         # default: all that the account can list
# rate = "100/min"                              # N/s, N/min, N/h, N/day, N/10s, a list of these, or "unlimited"
# concurrency = 8                               # at most so many of all requests in flight
# filters = { status = "completed" }            # the provider's own: status, direction, search

# [[source]]
# name = "agentvoice"
# provider = "agentvoice"
# api_key = "${AGENTVOICE_API_KEY}"
# organization_id = "${AGENTVOICE_ORGANIZATION_ID}"
# details = ["transcript"]                      # or true for all groups
# recordings = true
# filters = { call_type = "inbound" }           # phone_number, contact_id, campaign_id, status, call_type

# [[source]]
# name = "talkpilot"
# provider = "talkpilot"
# api_key = "${TALKPILOT_API_KEY}"
# rate = ["60/min", "1000/h"]                   # what a key may by default; it can be raised
# details = true                                # one request a call
# recordings = true
# filters = { done = true }                     # done, phone_number, search, include_deleted

# [[source]]
# name = "bimpe"
# provider = "bimpe"
# api_key = "${BIMPE_API_KEY}"
# details = true                                # one request a call
# filters = { is_test_call = false }            # search, status, is_test_call
"""


def command(
    context: typer.Context,
    *,
    config: Annotated[
        str | None, typer.Option("--config", "-c", metavar="FILE", help="Where to; else harvester.toml.")
    ] = None,
) -> int:
    """Write a commented harvester.toml to start from; an existing file is left alone."""
    screen = prepare(context)
    path = Path(config or os.environ.get("HARVESTER_CONFIG") or DEFAULT_CONFIG)
    if str(path) == "-":
        print(TEMPLATE, end="")
        return 0
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise UsageError(f"{path} is there already; -c FILE writes another") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None
    screen.info(f"wrote {path}; set TALKOVER_TOKEN or edit it, then run 'harvester check'")
    return 0
