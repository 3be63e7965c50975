"""Parts of requests that several APIs build alike; nothing here is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from urllib.parse import quote

from harvester.errors import UnsupportedError, UsageError
from harvester.model import Cursor, Query, Window


def segment(text: str) -> str:
    """Return an id as one segment of a path: whatever is in it cannot lead elsewhere.

    `.` and `..` would be resolved away on the way (RFC 3986, 5.2.4), so that their dots are encoded too.
    """
    return quote(text, safe="") if text.strip(".") else "%2E" * len(text)


def call_segment(call_id: str) -> str:
    """Return a call's id as a segment.

    Raises:
        UsageError: It is empty, which would lead to the list, or no text that can be sent.
    """
    if not call_id:
        raise UsageError("the call's id is empty")
    try:
        return segment(call_id)
    except UnicodeEncodeError as error:
        raise UsageError("the call's id is no text") from error


def agent_call_path(prefix: str, agent_id: str | None, call_id: str, name: str) -> str:
    """Return the path of a call, for an API that has calls below their agents.

    Raises:
        UnsupportedError: There is no agent.
        UsageError: An id cannot be sent.
    """
    if not agent_id:
        raise UnsupportedError(f"--agent: {name} finds a call by its agent; name the agent")
    try:
        return f"{prefix}/agents/{segment(agent_id)}/calls/{call_segment(call_id)}"
    except UnicodeEncodeError as error:
        raise UsageError("the agent's id is no text") from error


def agent_segment(query: Query, name: str) -> str:
    """Return the agent of a query as a segment, for an API that lists calls agent by agent.

    Raises:
        UnsupportedError: The query is for the whole account.
    """
    if query.window.agent_id is None:
        raise UnsupportedError(f"agents: {name} lists calls agent by agent; name at least one")
    return segment(query.window.agent_id)


def whole(agent_id: str | None, filters: Mapping[str, str] = MappingProxyType({})) -> Query:
    """Return the query for all calls there are."""
    return Query(Window(agent_id, None, datetime.max.replace(tzinfo=UTC)), filters)


def numbered(cursor: Cursor, size: str) -> tuple[tuple[str, str], ...]:
    """Return a page's parameters for an API that counts pages from 1 and calls their size `size`."""
    return (("page", str(cursor.page + 1)), (size, str(cursor.size)))


def stretch(query: Query) -> Window:
    """Return the part of a query's window that is asked for, for a filter that cuts as finely as we do."""
    window, part = query.window, query.part
    return Window(window.agent_id, part.since or window.since, part.until or window.until)


def is_unfiltered(query: Query) -> bool:
    """Return whether a window is asked for without its range: one that has no beginning, and is read once more."""
    part = query.part
    return part.is_again and part.since is None and part.until is None and query.window.since is None


def pairs(filters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return filters as parameters in the order of their names: the same query is always the same request."""
    return tuple(sorted(filters.items()))


def shifted(at: datetime, by: timedelta) -> datetime | None:
    """Return a moment moved; None beyond the calendar, where there is nothing to leave out."""
    try:
        return at + by
    except OverflowError:
        return None
