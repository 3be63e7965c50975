"""How an export goes on, as lines and as bars."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from harvester.cli.drawn import Bars, bars, draw_table
from harvester.cli.options import ProgressName
from harvester.cli.progress import Lines, chosen, line_of, open_view, total_of
from harvester.cli.screen import Screen
from harvester.job.report import SourceProgress

Make = Callable[..., SourceProgress]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(rows: list[SourceProgress], now: datetime, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(bars(rows, now, width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def test_a_line_comes_every_half_minute(
    screen: Screen, stream: io.StringIO, now: datetime, make_row: Make
) -> None:
    """However often it is shown, a line is written every 30 seconds and none at the start."""
    lines = Lines(screen)
    for second in range(0, 61, 5):
        lines.show([make_row()], now + timedelta(seconds=second))
    assert [line[9:] for line in stream.getvalue().splitlines()] == [
        "500 of 1,000 calls, 50/s, 10 s left"
    ] * 2


def test_a_line_comes_at_the_start_of_each_pause(
    screen: Screen, stream: io.StringIO, now: datetime, make_row: Make
) -> None:
    """A pause is told once, and again only when it begins anew."""
    lines = Lines(screen)
    paused = make_row(state="paused", paused_until=now + timedelta(minutes=32))
    for row in (paused, paused, make_row(), paused):
        lines.show([row], now)
    told = stream.getvalue().splitlines()
    assert len(told) == 2
    assert all("sales: paused until " in line and "(provider's limit)" in line for line in told)


def test_lines_as_json_have_fields(
    screen: Screen, stream: io.StringIO, now: datetime, make_row: Make
) -> None:
    """A JSON line carries the numbers, not only their text."""
    screen.as_json = True
    lines = Lines(screen)
    lines.show([make_row()], now)
    lines.show([make_row()], now + timedelta(seconds=30))
    line = json.loads(stream.getvalue())
    assert (line["written"], line["expected"], line["per_second"]) == (500, 1000, 50.0)


def test_total_knows_only_what_all_know(make_row: Make) -> None:
    """What is expected in all is known once every source knows; who ended counts no more for the pace."""
    rows = [make_row(), make_row("b", expected=None, eta_s=77.0), make_row("c", state="failed", rate=9.0)]
    total = total_of(rows)
    assert (total.written, total.expected, total.text) == (1500, None, "100/s, 1 min 17 s left, 1 failed")
    assert total_of([make_row(), make_row("b")]).expected == 2000
    assert total_of([]).text == ""


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "50/s, 10 s left"),
        ({"eta_s": None}, "50/s"),
        ({"state": "waiting"}, "waiting"),
        ({"state": "listing agents"}, "listing agents"),
        ({"state": "done"}, "done"),
        ({"state": "failed"}, "failed"),
        ({"state": "paused"}, "paused (provider's limit)"),
    ],
)
def test_each_state_has_its_words(said: dict[str, object], text: str, now: datetime, make_row: Make) -> None:
    """The words beside a bar say what its source is doing."""
    assert line_of(make_row(**said), now).text == text


def test_one_source_has_one_bar(now: datetime, make_row: Make) -> None:
    """A single source needs no line for all."""
    (line,) = drawn([make_row()], now)
    assert line.startswith("sales")
    assert line.endswith("500 of 1,000  50/s, 10 s left")


def test_narrow_terminals_keep_the_numbers(now: datetime, make_row: Make) -> None:
    """Where there is little room, bars and words give way, counts do not."""
    rows = [
        make_row(written=1_234_567, expected=9_876_543, state="paused", paused_until=now + timedelta(hours=1))
    ]
    (line,) = drawn(rows, now, width=60)
    assert "1,234,567 of 9,876,543" in line
    assert len(line) <= 60


@pytest.mark.parametrize("said", [{"expected": None}, {"expected": 0}, {"state": "done"}, {"written": 2000}])
def test_bars_are_drawn_whatever_is_known(said: dict[str, object], now: datetime, make_row: Make) -> None:
    """An unknown total pulses, a done source is full, more than expected is full too."""
    assert len(drawn([make_row(**said), make_row("b")], now)) == 3


def test_many_sources_show_the_busiest_and_all(now: datetime, make_row: Make) -> None:
    """With more sources than fit, those that run fastest are shown in the config's order."""
    rows = [make_row(f"s{n:02}", rate=float(n)) for n in range(40)]
    rows[39] = make_row("s39", state="done")
    lines = drawn(rows, now)
    assert [line[:3] for line in lines] == [*(f"s{n}" for n in range(24, 39)), "all"]
    assert len(chosen(rows, 50)) == 40


def test_bars_take_messages_above_them(
    now: datetime, make_row: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While bars are live, messages are printed above; afterwards they go on below."""
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    screen = Screen(stream)
    view = open_view(ProgressName.AUTO, screen)
    assert isinstance(view, Bars)
    view.show([make_row()], now)
    screen.warning("look [here]")
    view.close()
    view.close()
    screen.info("after")
    assert "warning: look [here]\n" in stream.getvalue()
    assert stream.getvalue().endswith("after\n")


@pytest.mark.parametrize(
    ("asked", "verbosity", "kind"),
    [
        (ProgressName.AUTO, 0, Lines),
        (ProgressName.AUTO, -1, None),
        (ProgressName.PLAIN, -1, Lines),
        (ProgressName.NONE, 0, None),
    ],
)
def test_view_is_chosen(
    asked: ProgressName, verbosity: int, kind: type[Lines] | None, screen: Screen
) -> None:
    """Off a terminal progress is lines, with -q nothing; --progress overrides both."""
    screen.verbosity = verbosity
    view = open_view(asked, screen)
    assert (view is None) if kind is None else isinstance(view, kind)
    if view is not None:
        view.close()


def test_table_is_drawn_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells are text, never markup."""
    draw_table(("name", "calls"), [["[bold]x", "7"]], right=("calls",))
    assert "[bold]x" in capsys.readouterr().out
