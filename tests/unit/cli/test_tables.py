"""Answers on stdout."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from harvester.cli.tables import aligned, print_json, print_table
from harvester.cli.written import check_report_path, write_report
from harvester.errors import OutputError, UsageError
from harvester.model import Agent


def test_text_table_is_aligned() -> None:
    """Columns are as wide as their widest cell; numbers stand at the right; lines have no spaces at their end."""
    text = aligned(("name", "calls"), [["a", "1,000"], ["longer", "7"], ["x", ""]], right=("calls",))
    assert text.splitlines() == ["NAME    CALLS", "a       1,000", "longer      7", "x"]


def test_table_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a table has a bold head, and the same cells."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    print_table(("name", "calls"), [("a", 7)], right=("calls",))
    assert stream.getvalue().split()[-2:] == ["a", "7"]


def test_cells_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """None is empty, a flag is a word, and a name cannot break the table."""
    print_table(("a", "b", "c", "d"), [(None, True, False, "x\ny\x1b[2J")])
    assert capsys.readouterr().out.splitlines()[1].split() == ["yes", "no", "x", "y?[2J"]


def test_json_has_the_fields_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Structs become objects."""
    print_json([Agent("1", "Reception")])
    assert json.loads(capsys.readouterr().out) == [{"id": "1", "name": "Reception"}]


def test_report_goes_to_a_file_or_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`-` is stdout, anything else a file."""
    write_report(b"{}", "-")
    assert capsys.readouterr().out == "{}\n"
    write_report(b"{}", str(tmp_path / "r.json"))
    assert (tmp_path / "r.json").read_bytes() == b"{}"


def test_report_that_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    """A missing folder is told before the work, a failing disk after it."""
    check_report_path(None)
    check_report_path("-")
    check_report_path(str(tmp_path / "r.json"))
    with pytest.raises(UsageError, match="is a folder"):
        check_report_path(str(tmp_path))
    with pytest.raises(UsageError, match="there is no folder"):
        check_report_path(str(tmp_path / "none" / "r.json"))
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(b"", str(tmp_path))
