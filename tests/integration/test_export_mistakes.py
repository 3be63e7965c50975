"""What a user gets wrong, at the command itself: one message with the key and the way out, and nothing half-done."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harvester.errors import OutputError
from harvester.sandbox import SandboxConfig, open_sandbox

from .exporting import (
    Done,
    Output,
    SandboxProcess,
    assert_same_ids,
    document,
    export,
    four,
    harvest,
    requests_of,
    source,
    started,
    truth,
    wait_for,
    write_config,
)

SLOW = pytest.mark.slow


def _assert_told(done: Done, code: int, *words: str, errors: int = 1) -> None:
    """One message, in words, with the right code."""
    assert done.code == code, (done.code, done.err)
    assert done.err.count("error: ") == errors, done.err
    assert "Traceback" not in done.err
    assert "unexpected" not in done.err
    assert "mistake in harvester" not in done.err
    for word in words:
        assert word in done.err, (word, done.err)
    assert done.out == ""


# What is wrong with a source, and words that its message has.
WRONG: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "unknown key": ("talkover", {"toekn": "x"}, ("toekn", "token")),
    "unset variable": ("talkover", {"token": "${NOT_SET_ANYWHERE}"}, ("token", "NOT_SET_ANYWHERE")),
    "missing file": ("talkover", {"token": "${file:/no/such/secret}"}, ("token", "/no/such/secret")),
    "unknown provider": ("talkover", {"provider": "talkove"}, ("provider", "talkover")),
    "unknown filter": ("talkover", {"filters": {"colour": "red"}}, ("filters", "colour", "status")),
    "unknown value of a filter": ("bimpe", {"filters": {"status": "over"}}, ("filters", "status", "ended")),
    "details there are not": ("talkover", {"details": True}, ("details", "Talkover")),
    "recordings there are not": ("bimpe", {"recordings": True}, ("recordings", "BimpeAI")),
    "group of details there is not": ("agentvoice", {"details": ["transcrip"]}, ("details", "transcript")),
    "details by groups": ("talkpilot", {"details": ["transcript"]}, ("details", "TalkPilot")),
    "day that is none": ("talkover", {"since": "2026-02-30"}, ("since", "2026-02-30")),
    "no date": ("talkover", {"until": "yesterday"}, ("until", "yesterday")),
    "since after until": ("talkover", {"since": "2026-03-02", "until": "2026-03-01"}, ("since", "2026-03-0")),
    "since is until": ("talkover", {"since": "2026-03-01", "until": "2026-03-01"}, ("since", "2026-03-01")),
    "rate that is none": ("talkover", {"rate": "10 a second"}, ("rate", "10 a second")),
    "address that is none": ("talkover", {"base_url": "localhost:1"}, ("base_url",)),
    "agents that are none": ("talkover", {"agents": []}, ("agents",)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_source_is_told_before_the_first_request(
    tmp_path: Path, sandbox: SandboxProcess, wrong: str
) -> None:
    """Exit code 2, the key and what it may be; no request, no folder."""
    provider, keys, words = WRONG[wrong]
    sandbox.reset()
    write_config(tmp_path, document([source(provider, sandbox.url, **keys)]))
    _assert_told(harvest(tmp_path, "export"), 2, *words)
    assert requests_of(sandbox.stats()) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["harvester.toml"]


def test_all_mistakes_are_told_at_once(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Each with its source and key."""
    sources = [
        source("talkover", sandbox.url, details=True, since="soon"),
        source("bimpe", sandbox.url, tokn="x", filters={"colour": "red"}),
    ]
    write_config(tmp_path, document(sources, output={"fromat": "ndjson"}))
    words = ("output", "fromat", '"talkover"', "details", "since", '"bimpe"', "tokn", "colour")
    _assert_told(harvest(tmp_path, "export"), 2, *words, errors=5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--source", "slaes"), ("--source", "slaes")),
        (("--since", "2026-13-01"), ("--since", "2026-13-01")),
        (("--since", "2026-03-02", "--until", "2026-03-01"), ("--since", "--until")),
        (("--filter", "colour=red"), ("--filter", "colour")),
        (("--filter", "status"), ("--filter", "KEY=VALUE")),
        (("--recordings", "--source", "talkover"), ("--recordings", "Talkover")),
        (("--format", "csv"), ("--format", "parquet")),
        (("--formt", "csv"), ("--formt", "--format")),
        (("-c", "other.toml"), ("other.toml",)),
        (("--out", ""), ("--out",)),
    ],
)
def test_wrong_option_is_told_before_the_first_request(
    tmp_path: Path, sandbox: SandboxProcess, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Exit code 2 and the option; nothing is made."""
    write_config(tmp_path, document(four(sandbox.url)))
    done = harvest(tmp_path, "export", *arguments)
    _assert_told(done, 2, *words, errors=done.err.count("error: "))
    assert 1 <= done.err.count("error: ") <= 4
    assert [path.name for path in tmp_path.iterdir()] == ["harvester.toml"]


def test_what_is_wrong_with_a_source_not_in_use_stops_nobody(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """A variable that is not set matters to the sources in use only."""
    other = source("bimpe", sandbox.url, name="other", api_key="${NOT_SET_ANYWHERE}")
    write_config(tmp_path, document([source("talkover", sandbox.url), other]))
    done = harvest(tmp_path, "export", "--source", "talkover")
    assert done.code == 0, done.err


def test_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    """Exit code 2 and where it is broken."""
    write_config(tmp_path, '[output]\npath = "out\n')
    _assert_told(harvest(tmp_path, "export"), 2, "line 2")


OBSTACLES = (
    ("out", "ndjson", "director"),
    ("out/calls", "parquet", "calls"),
    pytest.param("out/calls/talkover", "ndjson", "talkover", marks=SLOW),
    ("out/_harvester", "ndjson", "_harvester"),
    pytest.param("out/_harvester/aside", "parquet", "aside", marks=SLOW),
    ("out/_harvester/runs", "ndjson", "runs"),
)


@pytest.mark.parametrize(("obstacle", "file_format", "word"), OBSTACLES)
def test_file_where_a_folder_should_be_is_told(
    tmp_path: Path, sandbox: SandboxProcess, obstacle: str, file_format: str, word: str
) -> None:
    """Exit code 1 and what is in the way; once it is away, the same command goes on."""
    write_config(tmp_path, document([source("talkover", sandbox.url)], output={"format": file_format}))
    blocked = tmp_path / obstacle
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("mine")
    _assert_told(harvest(tmp_path, "export"), 1, word)
    assert blocked.read_text() == "mine"
    blocked.unlink()
    done = harvest(tmp_path, "export")
    assert done.code == 0, done.err
    assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account("talkover")))


@pytest.mark.parametrize(
    ("file_format", "shape", "room_kb"),
    [
        ("parquet", "unified", 500),
        ("ndjson", "native", 1500),
        pytest.param("parquet", "unified", 2000, marks=SLOW),
        pytest.param("parquet", "native", 700, marks=SLOW),
        pytest.param("ndjson", "unified", 2000, marks=SLOW),
    ],
)
def test_full_disk_is_told_and_gone_on_from(
    tmp_path: Path,
    small_disk: Path,
    serve: Callable[..., SandboxProcess],
    file_format: str,
    shape: str,
    room_kb: int,
) -> None:
    """Exit code 1 and why; nothing half-written is visible, and with room the same command goes on."""
    sandbox = serve(calls=2500, agents=2)
    output = {"path": small_disk / "out", "format": file_format, "shape": shape, "compression": "none"}
    write_config(tmp_path, document(four(sandbox.url), output=output))
    (small_disk / "filler").write_bytes(b"x" * (2048 - room_kb) * 1024)
    done = harvest(tmp_path, "export")
    _assert_told(done, 1, "space")
    out = Output(small_disk / "out")
    out.rows()
    subprocess.run(["mount", "-o", "remount,size=256m", str(small_disk)], check=True)
    done = harvest(tmp_path, "export")
    assert done.code == 0, done.err
    for provider in ("talkover", "agentvoice", "talkpilot", "bimpe"):
        assert_same_ids(out.ids(provider), truth(sandbox.world.account(provider)))
    assert out.aside() == []


@pytest.mark.parametrize(
    "room_kb", [0, 40, *(pytest.param(room, marks=SLOW) for room in (8, 16, 64, 100, 150, 200, 300))]
)
def test_full_disk_from_the_start_is_told(
    tmp_path: Path, small_disk: Path, sandbox: SandboxProcess, room_kb: int
) -> None:
    """Also where there is no room for the journal itself, or hardly any."""
    output = {"path": small_disk / "out", "format": "ndjson"}
    write_config(tmp_path, document(four(sandbox.url), output=output))
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (2048 - room_kb) * 1024)
    done = harvest(tmp_path, "export")
    _assert_told(done, 1, "; ")
    told = done.err.replace(str(tmp_path), "")
    assert "full" in told or "space" in told, told
    Output(small_disk / "out").rows()
    filler.unlink()
    done = harvest(tmp_path, "export", "--source", "talkpilot")
    assert done.code == 0, done.err
    assert_same_ids(Output(small_disk / "out").ids("talkpilot"), truth(sandbox.world.account("talkpilot")))


def test_second_run_in_an_output_is_turned_away(tmp_path: Path, serve: Callable[..., SandboxProcess]) -> None:
    """Exit code 4 and who holds it; the first run is not disturbed."""
    sandbox = serve(calls=6000, latency_s=0.2)
    write_config(tmp_path, document(four(sandbox.url, concurrency=1)))
    with started(tmp_path, "export") as first:
        wait_for(lambda: requests_of(sandbox.stats()) > 0)
        holder = (tmp_path / "out/_harvester/lock").read_text().split()[1]
        second = harvest(tmp_path, "export")
        _assert_told(second, 4, "held", holder, "--out")
        assert first.is_running
        first.send(signal.SIGINT)
        done = first.wait()
    assert done.code == 130, done.err
    assert Output(tmp_path / "out").ids()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def _scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(4096, len(data), 4096):
        data[place : place + 512] = b"\xff" * 512
    path.write_bytes(data)


def _another(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    db.close()


def _headless(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM meta")
    db.close()


DAMAGES = {one.__name__.strip("_"): one for one in (_garbage, _cut, _scribble, _another, _newer, _headless)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess) -> Path:
    """A folder with a config and its finished export."""
    folder = tmp_path_factory.mktemp("finished")
    write_config(folder, document(four(sandbox.url), output={"format": "ndjson"}))
    done = harvest(folder, "export")
    assert done.code == 0, done.err
    return folder


@pytest.mark.parametrize(
    "damage",
    [
        "garbage",
        "scribble",
        "newer",
        *(pytest.param(name, marks=SLOW) for name in ("cut", "another", "headless")),
    ],
)
def test_corrupt_journal_is_told_and_left_alone(tmp_path: Path, finished: Path, damage: str) -> None:
    """Exit code 1, which file and the way out; journal and segments stay as they are, with `--fresh` too."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    out, journal = Output(folder / "out"), folder / "out/_harvester/journal.db"
    DAMAGES[damage](journal)
    before, damaged = out.files(), journal.read_bytes()
    option = ["--fresh"] if damage in {"garbage", "newer"} else []
    _assert_told(harvest(folder, "export", *option), 1, "journal", "--out")
    assert out.files() == before
    assert journal.read_bytes() == damaged


def test_way_out_of_a_corrupt_journal_is_another_output(tmp_path: Path, finished: Path) -> None:
    """As the message says, the same command with `--out` is a whole export."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    _garbage(folder / "out/_harvester/journal.db")
    done = harvest(folder, "export", "--out", "elsewhere")
    assert done.code == 0, done.err
    assert sorted(Output(folder / "elsewhere").ids()) == sorted(Output(folder / "out").ids())


async def test_calls_without_their_journal_are_refused(tmp_path: Path) -> None:
    """Where the journal was deleted its calls would be written twice: they stay, and nothing is fetched."""
    async with open_sandbox(SandboxConfig(calls=120)) as sandbox:
        text = document([source("talkover", sandbox.url)])
        await export(text, tmp_path)
        files = Output(tmp_path / "out").files()
        for path in (tmp_path / "out/_harvester").glob("journal.db*"):
            path.unlink()
        with pytest.raises(OutputError, match="calls/talkover holds files, but the journal knows no job"):
            await export(text, tmp_path)
        assert Output(tmp_path / "out").files() == files
