"""`harvester schema`: the unified record."""

from __future__ import annotations

from typing import Annotated

import typer

from harvester.record import json_schema

from .options import AsJson, Unread
from .tables import print_json

EXAMPLES = ("harvester schema", "harvester schema --arrow")


def command(
    *,
    arrow: Annotated[
        bool, typer.Option("--arrow", help="The Arrow schema, as Parquet files have it.")
    ] = False,
    _config: Unread = None,
    as_json: AsJson = False,
) -> int:
    """Print the unified record as JSON Schema."""
    if not arrow:
        print_json(json_schema())
        return 0
    # Only who asks for it pays for Arrow.
    from harvester.sinks.arrow import unified_schema  # noqa: PLC0415

    schema = unified_schema()
    if as_json:
        print_json([{"name": one.name, "type": str(one.type), "nullable": one.nullable} for one in schema])
    else:
        print(schema.to_string(show_field_metadata=False, show_schema_metadata=False))
    return 0
