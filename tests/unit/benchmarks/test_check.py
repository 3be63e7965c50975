"""What is told of wrong output."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.check import main


@pytest.fixture
def ids(tmp_path: Path) -> str:
    """Return a file with the ids of an account."""
    path = tmp_path / "ids.txt"
    path.write_text("a\nb\n")
    return str(path)


@pytest.mark.parametrize("name", ["id", "call_id"])
def test_right_calls_are_counted(
    tmp_path: Path, ids: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In any order and any number of files, native and unified."""
    (tmp_path / "one.ndjson").write_text(f'{{"{name}":"b","x":1}}\n')
    (tmp_path / "two.jsonl").write_text(f'{{"{name}":"a","x":{{}}}}\n')
    (tmp_path / "empty.ndjson").write_text("")
    assert main(str(tmp_path), ids) == 0
    assert capsys.readouterr().out == "2\n"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("ab b", "3 calls were written, there are 2"),
        ("aa", "1 are there more than once"),
        ("ac", "0 are there more than once"),
    ],
)
def test_wrong_calls_are_told(
    tmp_path: Path, ids: str, found: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too many, doubles, and others than there are."""
    lines = [f'{{"id":"{each}"}}\n' for each in found.replace(" ", "")]
    (tmp_path / "calls.ndjson").write_text("".join(lines))
    assert main(str(tmp_path), ids) == 1
    assert said in capsys.readouterr().err
