"""Parts of requests that several APIs build alike; nothing here is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote

from harvester.errors import UnsupportedError
from harvester.model import Cursor, Query


def segment(text: str) -> str:
    """Return an id as one segment of a path: whatever is in it cannot lead elsewhere.

    `.` and `..` would be resolved away on the way (RFC 3986, 5.2.4), so that their dots are encoded too.
    """
    return quote(text, safe="") if text.strip(".") else "%2E" * len(text)


def agent_segment(query: Query, name: str) -> str:
    """Return the agent of a query as a segment, for an API that lists calls agent by agent.

    Raises:
        UnsupportedError: The query is for the whole account.
    """
    if query.window.agent_id is None:
        raise UnsupportedError(f"agents: {name} lists calls agent by agent; name at least one")
    return segment(query.window.agent_id)


def numbered(cursor: Cursor, size: str) -> tuple[tuple[str, str], ...]:
    """Return a page's parameters for an API that counts pages from 1 and calls their size `size`."""
    return (("page", str(cursor.page + 1)), (size, str(cursor.size)))


def pairs(filters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return filters as parameters in the order of their names: the same query is always the same request."""
    return tuple(sorted(filters.items()))


def shifted(at: datetime, by: timedelta) -> datetime | None:
    """Return a moment moved; None beyond the calendar, where there is nothing to leave out."""
    try:
        return at + by
    except OverflowError:
        return None
