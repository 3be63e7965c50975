"""Command lines and their exit codes, in one process."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pytest

from harvester.cli import main
from harvester.cli.init import TEMPLATE
from harvester.cli.main import COMMANDS, run
from harvester.cli.screen import Screen
from harvester.config import load_config
from harvester.testing import FakeClock

CONFIG = '[[source]]\nname = "sales"\nprovider = "talkover"\ntoken = "t"\n'


def told(*arguments: str) -> tuple[int, str]:
    """Run a command line; return its code and what it told."""
    stream = io.StringIO()
    return run(arguments, Screen(stream)), stream.getvalue()


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "harvester.toml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_an_example(
    command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Help is an answer: it goes to stdout, with code 0."""
    assert told(command, flag) == (0, "")
    out = capsys.readouterr().out
    assert f"Usage: harvester {command}" in out
    assert f"Example:\n    harvester {command}" in out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`harvester --help` names each command."""
    assert told("--help") == (0, "")
    out = capsys.readouterr().out
    assert all(f"\n  {command} " in out for command in COMMANDS)


def test_version_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version."""
    assert told("--version") == (0, "")
    assert capsys.readouterr().out.startswith("harvester 0.")


def test_interrupt_that_an_import_turned_into_an_error_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 makes a RuntimeError of what is raised while a class learns the names of its attributes."""

    def broken(*_: object) -> int:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(main, "_invoke", broken)
    assert told("export") == (main.INTERRUPTED, "")


def test_no_command_is_wrong_usage() -> None:
    """Nothing asked is nothing done: the help on stderr, and code 2."""
    assert told()[0] == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["exprt"], "no such command 'exprt'; did you mean 'export'?"),
        (["frobnicate"], "'harvester --help' lists them"),
        (["export", "--sorce", "x"], "--sorce"),
        (["export", "--format", "csv"], "--format"),
        (["export", "--concurrency", "0"], "--concurrency"),
        (["export", "extra"], "extra"),
        (["export", "--filter", "x"], "--filter: must be KEY=VALUE"),
        (["export", "--out", ""], "--out: is empty"),
        (["export", "--base-url", "http://h"], "--base-url: only with --provider"),
        (["export", "--provider", "talkover", "-c", "x"], "--config: not with --provider"),
        (["export", "--provider", "talkover"], "--credential token: missing"),
        (["export", "--since", "soon"], "--since: "),
        (
            ["export", "--since", "2026-03-02", "--until", "2026-03-01"],
            "--since: 2026-03-02T00:00:00Z is not before",
        ),
        (["export", "--source", "saless"], 'did you mean "sales"?'),
        (["export", "--details"], "--details: no source can do this"),
        (["export", "--report", "/no/such/folder/x"], "--report: there is no folder"),
        (["export", "--report", "/"], "--report: / is a folder"),
        (["plan", "--until", "x"], "--until: "),
        (["sandbox", "--quirk", "x=1"], "unknown field `x`"),
        (["sandbox", "--quirk", "=1"], "has no name"),
        (["sandbox", "--limit", "0/s"], "no limit"),
        (["sandbox", "--spec", "/no/such/file"], "--spec: "),
    ],
)
def test_wrong_usage_is_told_with_code_2(arguments: list[str], text: str, config: str) -> None:
    """A wrong command line is named and nothing is done."""
    needs_config = arguments[0] in {"export", "plan"} and not {"-c", "--provider"} & set(arguments)
    code, message = told(*arguments, *(["-c", config] if needs_config else []))
    assert code == 2
    assert text in message
    assert all(line.startswith("error: ") for line in message.splitlines())


@pytest.mark.parametrize("command", ["check", "agents", "plan", "export", "status"])
def test_missing_config_says_where_it_was_looked_for(command: str, tmp_path: Path) -> None:
    """The message has the whole path."""
    code, message = told(command, "-c", str(tmp_path / "none.toml"))
    assert (code, message) == (2, f"error: there is no config {tmp_path / 'none.toml'}\n")


@pytest.mark.parametrize(
    ("content", "text"), [(b"\xff", "no UTF-8"), (b"a = ", "line 1, column 5"), (b"", "[[source]]")]
)
def test_broken_config_is_told(tmp_path: Path, content: bytes, text: str) -> None:
    """What cannot be a config is told with its place."""
    (tmp_path / "c.toml").write_bytes(content)
    code, message = told("status", "-c", str(tmp_path / "c.toml"))
    assert code == 2
    assert text in message


def test_config_that_is_a_folder_is_told(tmp_path: Path) -> None:
    """A folder is no config."""
    code, message = told("status", "-c", str(tmp_path))
    assert (code, "cannot be read" in message) == (2, True)


def test_config_may_begin_with_a_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A byte order mark, as some editors write it, is no mistake."""
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf" + CONFIG.encode())
    assert told("status", "-c", str(tmp_path / "c.toml"), "--json") == (0, "")
    assert json.loads(capsys.readouterr().out)[0]["source"] == "sales"


def test_option_without_its_value_is_told() -> None:
    """An option that ends the line too early is named."""
    code, message = told("export", "--source")
    assert (code, "'--source' requires an argument" in message) == (2, True)


def test_init_can_print(capsys: pytest.CaptureFixture[str]) -> None:
    """`-c -` prints the config."""
    assert told("init", "-c", "-") == (0, "")
    assert capsys.readouterr().out == TEMPLATE


def test_unexpected_end_of_typer_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion, which ends the process itself, is left to."""
    monkeypatch.setenv("_HARVESTER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "harvester ex")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as caught:
        told()
    assert caught.value.code == 0


def test_init_writes_once(tmp_path: Path) -> None:
    """A config is written, and never written over."""
    path = tmp_path / "harvester.toml"
    assert told("init", "-c", str(path))[0] == 0
    path.write_text("mine")
    code, message = told("init", "-c", str(path))
    assert (code, "is there already" in message, path.read_text()) == (2, True, "mine")


def test_init_says_what_it_cannot_write(tmp_path: Path) -> None:
    """A folder that is not there is a failure, not a wrong usage."""
    code, message = told("init", "-c", str(tmp_path / "none" / "x.toml"))
    assert (code, "cannot be written: No such file or directory" in message) == (1, True)


def test_template_is_a_config_as_it_is_and_with_all_its_comments_in() -> None:
    """The template parses with its variables set, and so does every line it offers."""
    environ = dict.fromkeys(
        [
            "TALKOVER_TOKEN",
            "AGENTVOICE_API_KEY",
            "AGENTVOICE_ORGANIZATION_ID",
            "TALKPILOT_API_KEY",
            "BIMPE_API_KEY",
        ],
        "x",
    )
    now = FakeClock().now()
    plain = load_config(TEMPLATE, folder=Path(), environ=environ, now=now)
    assert [source.name for source in plain.sources] == ["talkover"]
    lines = [
        line.removeprefix("# ") if "=" in line or "[[" in line else line for line in TEMPLATE.splitlines()
    ]
    sections = "\n".join(line for line in lines if not line.startswith(("harvester", "`harvester", "One ")))
    full = load_config(sections, folder=Path(), environ=environ, now=now)
    assert [source.provider for source in full.sources] == ["talkover", "agentvoice", "talkpilot", "bimpe"]


def test_providers_as_json_has_stable_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """`providers --json` is what the registry says, by the names of its struct."""
    assert told("providers", "--json") == (0, "")
    providers = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in providers] == ["talkover", "agentvoice", "talkpilot", "bimpe"]
    assert {"credentials", "filters", "details", "recordings", "rates", "quirks", "base_url"} <= providers[
        0
    ].keys()


def test_providers_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line for each provider with its limits as a config writes them."""
    assert told("providers") == (0, "")
    out = capsys.readouterr().out
    assert "60/min, 1000/h" in out
    assert "not published" in out


def test_schema_is_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """`schema` prints the record's JSON Schema."""
    assert told("schema") == (0, "")
    schema = json.loads(capsys.readouterr().out)
    assert "call_id" in schema["$defs"]["Record"]["properties"]


def test_schema_is_arrow(capsys: pytest.CaptureFixture[str]) -> None:
    """`schema --arrow` prints the schema that files have, as text or as JSON."""
    assert told("schema", "--arrow") == (0, "")
    assert "created_at: timestamp[us, tz=UTC]" in capsys.readouterr().out
    assert told("schema", "--arrow", "--json") == (0, "")
    assert json.loads(capsys.readouterr().out)[2] == {"name": "call_id", "type": "string", "nullable": False}


def test_status_of_nothing(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An output that is not there yet has a row for each source that says how to start."""
    assert told("status", "-c", config) == (0, "")
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[:2] == ["SOURCE", "PROVIDER"]
    assert "harvester export starts it" in out[1]


def test_notices_are_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a default was left out of is told, and is no error."""
    more = '[[source]]\nname = "b"\nprovider = "bimpe"\napi_key = "k"\n'
    (tmp_path / "c.toml").write_text("[defaults]\ndetails = true\n" + CONFIG + more)
    code, message = told("status", "-q", "-c", str(tmp_path / "c.toml"))
    assert (code, message) == (0, "warning: defaults.details: not for sales: Talkover documents no details\n")
    capsys.readouterr()


def test_template_names_the_defaults() -> None:
    """The template's [output] and [run] are what holds without them."""
    document = tomllib.loads(TEMPLATE)
    assert document["output"] == {
        "path": "out", "format": "parquet", "shape": "unified", "compression": "zstd", "raw": True,
    }  # fmt: skip
    assert document["run"] == {"concurrency": 32}
