"""What reaches stderr, and what never does."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from harvester.cli.logs import set_up_logs
from harvester.cli.screen import Screen, is_terminal, plain


class Gone(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def logger(screen: Screen) -> Iterator[logging.Logger]:
    logger = logging.getLogger("harvester")
    before = (logger.handlers, logger.level, logger.propagate)
    set_up_logs(screen)
    yield logging.getLogger("harvester.some.room")
    logger.handlers, logger.level, logger.propagate = before


def test_text_names_what_is_no_information(screen: Screen, stream: io.StringIO) -> None:
    """Warnings and errors say so, information is plain."""
    screen.info("a")
    screen.warning("b")
    screen.error("c")
    assert stream.getvalue() == "a\nwarning: b\nerror: c\n"


def test_quiet_keeps_warnings_and_errors(screen: Screen, stream: io.StringIO) -> None:
    """With -q information is left out."""
    screen.verbosity = -1
    screen.info("a")
    screen.warning("b")
    assert stream.getvalue() == "warning: b\n"


def test_json_lines_have_stable_keys(screen: Screen, stream: io.StringIO) -> None:
    """Each message is an object with ts, level and event; fields do not hide these."""
    screen.as_json = True
    screen.info("a\nb", source="sales", level="mine", at=None)
    line = json.loads(stream.getvalue())
    assert list(line) == ["ts", "level", "event", "source", "at"]
    assert (line["level"], line["event"], line["source"]) == ("info", "a\nb", "sales")


@pytest.mark.parametrize("as_json", [False, True])
def test_secrets_links_and_numbers_are_not_shown(screen: Screen, stream: io.StringIO, as_json: bool) -> None:
    """A credential, a signature and a phone number are left out wherever they come from."""
    screen.as_json = as_json
    screen.hide(["hunter2-hunter2", "sandbox"])
    screen.error(
        "hunter2-hunter2 https://h/a.wav?sig=abc +15550100999 sandbox 2026-03-01T00:00:00+00:00",
        token="hunter2-hunter2",
        to="+15550100999",
    )
    told = stream.getvalue()
    assert "hunter2" not in told
    assert "sig=abc" not in told
    assert "15550100999" not in told
    assert "https://h/a.wav?*** +*** sandbox 2026-03-01T00:00:00+00:00" in told


def test_nothing_steers_the_terminal(screen: Screen, stream: io.StringIO) -> None:
    """Escape sequences from elsewhere are not passed on."""
    screen.info("a\x1b[2Jb\r\x07c")
    assert stream.getvalue() == "a?[2Jb??c\n"
    assert plain("x\ty\n") == "x\ty\n"


def test_stream_that_is_gone_stops_nothing() -> None:
    """A closed stderr is no reason to lose hours of work."""
    Screen(Gone()).error("a")
    closed = io.StringIO()
    closed.close()
    Screen(closed).error("a")
    assert not is_terminal(closed)


def test_lines_go_above_a_live_bar(screen: Screen, stream: io.StringIO) -> None:
    """While a bar is drawn, messages are handed to it."""
    lines: list[str] = []
    screen.above = lines.append
    screen.warning("a")
    assert (lines, stream.getvalue()) == (["warning: a"], "")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_that_want_it(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR is honoured."""
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    Screen(stream).error("a")
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_default_stream_is_stderr() -> None:
    """Messages never go to stdout."""
    assert Screen().stream is sys.stderr


@pytest.mark.parametrize(
    ("verbosity", "levels"), [(-1, "WE"), (0, "WE"), (1, "IWE"), (2, "DIWE"), (5, "DIWE")]
)
def test_logs_of_other_rooms_follow_verbosity(
    screen: Screen, stream: io.StringIO, logger: logging.Logger, verbosity: int, levels: str
) -> None:
    """Warnings are always shown, information with -v, the rest with -vv."""
    screen.verbosity = verbosity
    set_up_logs(screen)
    for level, text in ((10, "D"), (20, "I"), (30, "W"), (40, "E")):
        logger.log(level, text)
    assert "".join(line[-1] for line in stream.getvalue().splitlines()) == levels


def test_logs_become_fields(screen: Screen, stream: io.StringIO, logger: logging.Logger) -> None:
    """What a room gives as extra is a field of the JSON line."""
    screen.as_json = True
    logger.warning("slow %s", "page", extra={"window": 3})
    line = json.loads(stream.getvalue())
    assert (line["event"], line["logger"], line["window"]) == ("slow page", "harvester.some.room", 3)


@pytest.mark.parametrize(("verbosity", "lines"), [(0, 1), (1, 2)])
def test_traceback_is_for_those_who_ask(
    screen: Screen, stream: io.StringIO, logger: logging.Logger, verbosity: int, lines: int
) -> None:
    """A logged exception is shown in full with -v only."""
    screen.verbosity = verbosity
    logger.error("failed", exc_info=LookupError("x"))
    assert stream.getvalue().count("\n") == lines
    assert ("LookupError: x" in stream.getvalue()) is (verbosity > 0)
