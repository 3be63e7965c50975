"""What `get` and `latest` print: one line a call in a pipe, readable on a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harvester.cli.calls import indented, line_of, print_call, print_calls, write_all
from harvester.cli.main import run
from harvester.cli.options import ShapeName
from harvester.cli.screen import Screen
from harvester.record import Record
from harvester.single import Call
from harvester.testing import START

if TYPE_CHECKING:
    from typing_extensions import Buffer

RAW = b'{"id": "c1",\r\n "n": 1.50, "n": "\\ud83d"}'


def call(raw: bytes = RAW, *, agent_id: str | None = None) -> Call:
    record = Record(provider="bimpe", source="s", call_id="c1", fetched_at=START, run_id="")
    return Call(record=record, raw=raw, agent_id=agent_id)


def test_native_line_is_as_the_provider_sent_it() -> None:
    """Byte for byte but for line breaks; the agent is added where the JSON names none."""
    assert line_of(call(), ShapeName.NATIVE) == b'{"id": "c1", "n": 1.50, "n": "\\ud83d"}\n'
    line = line_of(call(agent_id="a"), ShapeName.NATIVE)
    assert line == b'{"id": "c1", "n": 1.50, "n": "\\ud83d","_agent_id":"a"}\n'


def test_unified_line_has_every_column() -> None:
    """Absent values are null and moments end in Z."""
    found = json.loads(line_of(call(), ShapeName.UNIFIED))
    assert list(found) == list(Record.__struct_fields__)
    assert (found["transcript"], found["fetched_at"], found["run_id"]) == (None, "2026-04-01T12:00:00Z", "")


def test_several_calls_are_a_line_each(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Off a terminal one call is a line too."""
    print_calls([call(), call()], ShapeName.NATIVE)
    print_call(call(), ShapeName.NATIVE)
    assert capfdbinary.readouterr().out == line_of(call(), ShapeName.NATIVE) * 3


@pytest.mark.parametrize("line", ['{"a":"\x9b31m\x7f","b":[1]}\n', '{"a":"\x9b31m\x7f","b":NaN}\n'])
def test_terminal_is_not_steered(line: str) -> None:
    """What would steer it is escaped, and what cannot be indented is shown as it came."""
    shown = indented(line.encode()).decode()
    assert "\\u009b31m\\u007f" in shown
    assert shown.isprintable() or "\n" in shown
    assert shown.endswith("}\n")


class Sparing(io.BytesIO):
    """A raw file that takes seven bytes at a time."""

    def write(self, data: Buffer) -> int:
        return super().write(bytes(data)[:7])


def test_file_that_takes_less_than_it_is_given_is_given_the_rest() -> None:
    """A raw file may write a part and raise nothing."""
    out = Sparing()
    write_all(out, b"0123456789" * 3)
    assert out.getvalue() == b"0123456789" * 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["get", "sales"], "CALL_ID"),
        (["get", "saless", "c1"], 'did you mean "sales"?'),
        (["get", "sales", "c1"], "Talkover has no route for one call"),
        (["get", "sales", "c1", "--shape", "raw"], "--shape"),
        (["latest"], "SOURCE"),
        (["latest", "sales", "-n", "0"], "-n"),
        (["latest", "sales", "-n", "x"], "-n"),
        (["latest", "sales", "--phone", "O100"], "error: phone: must be a phone number"),
        (["latest", "sales", "--agent", ""], "error: agent: is empty"),
        (["latest", "sales", "--base-url", "http://h"], "--base-url: only with --provider"),
    ],
)
def test_wrong_usage_is_code_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    """Nothing is asked and nothing is on stdout."""
    config = tmp_path / "c.toml"
    config.write_text('[[source]]\nname = "sales"\nprovider = "talkover"\ntoken = "t"\n')
    stream = io.StringIO()
    assert run([*arguments, "-c", str(config)], Screen(stream)) == 2
    assert told in stream.getvalue()
