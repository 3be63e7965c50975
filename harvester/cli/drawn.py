"""What is drawn on a terminal: tables, and a bar for each source. Imported only where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress import Line, chosen, line_of, share_of, total_of

if TYPE_CHECKING:
    from harvester.job.report import SourceProgress

    from .screen import Screen

_MAX_BARS = 15
_BAR_WIDTH = 24
_MIN_BAR_WIDTH = 8
_TEXT_WIDTH = 72  # of a usual name, counts, and the longest words about a pause


def draw_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Draw a table on stdout."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


class Bars:
    """A bar for each source, redrawn in place; messages are printed above.

    Args:
        screen: Whose messages these are.
        stream: The terminal.
    """

    # Five times a second reads as motion, and drawing 15 bars then takes about 1 % of a core.
    interval_s: float = 0.2

    def __init__(self, screen: Screen, stream: TextIO) -> None:
        self._screen = screen
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()
        screen.above = self._print

    def show(self, rows: Sequence[SourceProgress], now: datetime) -> None:
        """Redraw the bars."""
        self._live.update(bars(rows, now, self._console.width), refresh=True)

    def close(self) -> None:
        """Leave the last state on the screen and give the cursor back."""
        self._screen.above = None
        self._live.stop()

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def bars(rows: Sequence[SourceProgress], now: datetime, width: int) -> Table:
    """Return the bars: all sources, or the busiest, and a line for all together.

    Args:
        rows: The sources.
        now: What pauses are measured from.
        width: Of the terminal; what is narrow costs the bars first, then the words at the end.
    """
    lines = [line_of(row, now) for row in chosen(rows, _MAX_BARS)]
    if len(rows) > 1:
        lines.append(total_of(rows))
    bar_width = max(min(width - _TEXT_WIDTH, _BAR_WIDTH), _MIN_BAR_WIDTH)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, max_width=24, overflow="ellipsis")
    grid.add_column(width=bar_width)
    shares = [share_of(line) for line in lines]
    grid.add_column(justify="right", no_wrap=True, min_width=max(map(len, shares), default=0))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for line, share in zip(lines, shares, strict=True):
        grid.add_row(Text(line.name), _bar(line, bar_width), share, Text(line.text))
    return grid


def _bar(line: Line, width: int) -> ProgressBar:
    if line.is_done:
        return ProgressBar(total=1, completed=1, width=width)
    if not line.expected:
        return ProgressBar(total=None, pulse=True, width=width)
    return ProgressBar(total=line.expected, completed=min(line.written, line.expected), width=width)
