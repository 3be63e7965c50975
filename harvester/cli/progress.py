"""How an export goes on: which view of it is shown, and what the views have in common.

A view is shown the same rows again and again and decides itself what is worth a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from .options import ProgressName
from .screen import Screen
from .words import clocked, counted, lasting, paced

if TYPE_CHECKING:
    from harvester.job.report import SourceProgress

# Off a terminal; the contract's.
LINE_EVERY_S = 30.0

_ENDED = frozenset({"done", "failed"})


class View(Protocol):
    """Shows progress."""

    interval_s: float

    def show(self, rows: Sequence[SourceProgress], now: datetime) -> None:
        """Show the state of all sources."""
        ...

    def close(self) -> None:
        """Give the screen back."""
        ...


class Line(msgspec.Struct, frozen=True):
    """What is shown of one source, or of all together; `expected` is None where it is not known."""

    name: str
    written: int
    expected: int | None
    text: str
    is_done: bool


def open_view(asked: ProgressName, screen: Screen) -> View | None:
    """Return the view that was asked for; None for none.

    `auto`: bars on a terminal, lines elsewhere, nothing with `-q`.
    """
    if asked is ProgressName.AUTO:
        if screen.verbosity < 0:
            return None
        asked = ProgressName.BAR if screen.is_terminal and not screen.as_json else ProgressName.PLAIN
    if asked is ProgressName.NONE:
        return None
    if asked is ProgressName.PLAIN:
        return Lines(screen)
    # Only who sees bars pays for the import.
    from .drawn import Bars  # noqa: PLC0415

    return Bars(screen, screen.stream)


class Lines:
    """A line for all sources every half a minute, and one at the start of each pause.

    Args:
        screen: Where they go.
    """

    interval_s: float = 1.0

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._last: datetime | None = None
        self._paused: set[str] = set()

    def show(self, rows: Sequence[SourceProgress], now: datetime) -> None:
        """Write the lines that are due."""
        paused = {row.name for row in rows if row.state == "paused"}
        for row in rows:
            if row.name in paused - self._paused:
                text = f"{row.name}: {pause_text(row.paused_until, now)}"
                self._write(text, now, source=row.name, paused_until=row.paused_until)
        self._paused = paused
        if self._last is None:
            self._last = now
        elif (now - self._last).total_seconds() >= LINE_EVERY_S:
            self._last = now
            self._write_total(rows, now)

    def close(self) -> None:
        """Nothing to give back."""

    def _write_total(self, rows: Sequence[SourceProgress], now: datetime) -> None:
        total = total_of(rows)
        text = f"{share_of(total)} calls"
        self._write(
            f"{text}, {total.text}" if total.text else text,
            now,
            written=total.written,
            expected=total.expected,
            per_second=round(pace_of(rows), 1),
        )

    def _write(self, text: str, now: datetime, **fields: object) -> None:
        # Asked for by name, lines are shown with -q too; a JSON line has its own time.
        stamp = "" if self._screen.as_json else f"{now.astimezone():%H:%M:%S} "
        self._screen.say("info", stamp + text, fields)


def pause_text(until: datetime | None, now: datetime) -> str:
    """Return what a pause looks like to the user."""
    return f"paused until {clocked(until, now)} (provider's limit)" if until else "paused (provider's limit)"


def share_of(line: Line) -> str:
    """Return how much is written of how much."""
    return counted(line.written) + (f" of {counted(line.expected)}" if line.expected is not None else "")


def line_of(row: SourceProgress, now: datetime) -> Line:
    """Return one source."""
    return Line(
        name=row.name,
        written=row.written,
        expected=row.expected,
        text=_doing(row, now),
        is_done=row.state == "done",
    )


def _doing(row: SourceProgress, now: datetime) -> str:
    if row.state == "paused":
        return pause_text(row.paused_until, now)
    if row.state == "running":
        return f"{paced(row.rate)}, {lasting(row.eta_s)} left" if row.eta_s is not None else paced(row.rate)
    return str(row.state)


def pace_of(rows: Sequence[SourceProgress]) -> float:
    """Return the calls a second of all sources."""
    return sum(row.rate for row in rows if row.state not in _ENDED)


def total_of(rows: Sequence[SourceProgress]) -> Line:
    """Return all sources together."""
    expected = [row.expected for row in rows if row.expected is not None]
    waits = [row.eta_s for row in rows if row.eta_s is not None and row.state not in _ENDED]
    numbers = {state: sum(row.state == state for row in rows) for state in ("paused", "failed")}
    parts = [paced(pace_of(rows))] if waits or pace_of(rows) else []
    parts += [f"{lasting(max(waits))} left"] if waits else []
    parts += [f"{number} {state}" for state, number in numbers.items() if number]
    return Line(
        name="all",
        written=sum(row.written for row in rows),
        expected=sum(expected) if len(expected) == len(rows) else None,
        text=", ".join(parts),
        is_done=all(row.state == "done" for row in rows),
    )


def chosen(rows: Sequence[SourceProgress], most: int) -> list[SourceProgress]:
    """Return the sources to show, in their own order: all, or the busiest where they are too many."""
    if len(rows) <= most:
        return list(rows)
    order = {"running": 0, "paused": 1, "listing agents": 2, "failed": 3, "waiting": 4, "done": 5}
    busiest = sorted(range(len(rows)), key=lambda at: (order.get(rows[at].state, 4), -rows[at].rate))[:most]
    return [rows[at] for at in sorted(busiest)]
