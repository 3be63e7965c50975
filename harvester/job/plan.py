"""From what a source wants and what the journal has to the windows that are left. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from harvester.journal import StoredWindow
from harvester.model import Window

Range = tuple[datetime | None, datetime]

ALWAYS = datetime.min.replace(tzinfo=UTC)


def subtract(wanted: Range, done: Iterable[Range]) -> list[Range]:
    """Return the parts of a half-open range that are in none of the others, in order."""
    left: list[Range] = []
    start, end = wanted
    for since, until in sorted(done, key=lambda part: part[0] or ALWAYS):
        if until <= (start or ALWAYS) or (since or ALWAYS) >= end:
            continue
        if (since or ALWAYS) > (start or ALWAYS):
            assert since is not None
            left.append((start, since))
        start = until
        if start >= end:
            return left
    return [*left, (start, end)] if (start or ALWAYS) < end else left


def windows_left(
    agents: Sequence[str | None], wanted: Range, stored: Sequence[StoredWindow]
) -> tuple[list[StoredWindow], list[Window]]:
    """Return which of the journal's windows to go on with, and which new ones to add.

    Ranges and agents add up. A window that was begun is finished as it is, because its ids are what keeps its rows
    from being doubled; windows of the whole account cover every agent.

    Args:
        agents: Whose calls; None alone for the whole account.
        wanted: The range.
        stored: All windows of the job.
    """
    by_agent: dict[str | None, list[StoredWindow]] = {}
    for window in stored:
        by_agent.setdefault(window.window.agent_id, []).append(window)
    account = by_agent.get(None, [])
    begun = {w.id: w for w in account if w.state != "complete" and overlaps(w, wanted)}
    new: list[Window] = []
    for agent_id in agents:
        own = by_agent.get(agent_id, []) if agent_id is not None else []
        begun |= {w.id: w for w in own if w.state != "complete" and overlaps(w, wanted)}
        taken = [(w.window.since, w.window.until) for w in (*own, *account)]
        new += [Window(agent_id, since, until) for since, until in subtract(wanted, taken)]
    if None in agents:
        begun |= {w.id: w for w in stored if w.state != "complete" and overlaps(w, wanted)}
    return list(begun.values()), new


def covered(stored: Sequence[StoredWindow]) -> dict[str, list[Range]]:
    """Return the ranges that windows of single agents hold, by agent: a walk of the account leaves them out."""
    ranges: dict[str, list[Range]] = {}
    for window in stored:
        if window.window.agent_id is not None:
            ranges.setdefault(window.window.agent_id, []).append((window.window.since, window.window.until))
    return ranges


def overlaps(stored: StoredWindow, wanted: Range) -> bool:
    """Return whether a window and a range have a moment in common."""
    window = stored.window
    return window.until > (wanted[0] or ALWAYS) and (window.since or ALWAYS) < wanted[1]
