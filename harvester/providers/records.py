"""From an API's structs to the unified record, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harvester.model import Origin
from harvester.record import Record, Records

from .base import Provider


def to_records(
    provider: Provider,
    calls: Sequence[Any],
    origin: Origin,
    **also: Any,
) -> Records:
    """Return calls in the unified shape.

    Args:
        provider: Whose calls.
        calls: One or more structs of one type.
        origin: What they have in common.
        also: Further columns, such as `raw`: a list of as many values, or one that holds for all.
    """
    common: Mapping[str, Any] = {
        "provider": origin.provider,
        "source": origin.source,
        "fetched_at": origin.fetched_at,
        "run_id": origin.run_id,
    }
    return Records(len(calls), {**common, **provider.to_columns(calls, origin), **also})


def to_record(
    provider: Provider, call: Any, raw: str | None, origin: Origin, raw_list: str | None = None
) -> Record:
    """Return one call in the unified shape.

    Args:
        provider: Whose call.
        call: Its struct.
        raw: The JSON it was decoded from, for the column.
        origin: Where it comes from.
        raw_list: The list row's JSON, where `raw` is a detail.
    """
    return to_records(provider, [call], origin, raw=raw, raw_list=raw_list)[0]
