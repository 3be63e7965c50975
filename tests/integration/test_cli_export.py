"""Exports as a user starts them, against the sandbox: files, codes, streams, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import harvester

ROOT = Path(harvester.__file__).parent.parent
CALLS = 400

pytestmark = pytest.mark.slow


def environ(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HARVESTER")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harvester", *arguments]


def harvest(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environ(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def serve(cwd: Path, *arguments: str) -> Iterator[Path]:
    """Serve until the test has ended; yield the folder with the config."""
    with subprocess.Popen(
        command(
            "sandbox", "--port", "0", "--config-out", "harvester.toml", "--calls", str(CALLS), *arguments
        ),
        cwd=cwd,
        env=environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline().startswith("serving ")
        yield cwd
        child.terminate()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield from serve(tmp_path)


@pytest.fixture
def slow_folder(tmp_path: Path) -> Iterator[Path]:
    yield from serve(tmp_path, "--latency", "0.3", "--agents", "2")


def ids(folder: Path, source: str = "*") -> tuple[int, int]:
    """Return how many calls there are, and how many different ones."""
    files = folder / "out" / "calls" / source / "*.parquet"
    query = f"select count(*), count(distinct (source, call_id)) from '{files}'"
    row = duckdb.connect().execute(query).fetchone()
    assert row is not None
    return row


def test_export_ends_complete_and_then_has_nothing_to_do(folder: Path) -> None:
    """Everything is there once; the report is the answer on stdout; the same command then asks for nothing."""
    done = harvest("export", "--no-details", "--report", "-", cwd=folder)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["outcome"] == "complete"
    assert ids(folder) == (report["totals"]["written"], report["totals"]["written"])
    kept = folder / "out" / "_harvester" / "runs" / report["run_id"] / "report.json"
    assert json.loads(kept.read_bytes()) == report
    assert "duckdb -c" in done.stderr
    again = harvest("export", "--no-details", cwd=folder)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do: complete up to " in again.stderr


def test_quiet_export_says_nothing(folder: Path) -> None:
    """With -q and no trouble both streams stay empty."""
    done = harvest("export", "-q", "--source", "talkover", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_messages_are_json_lines(folder: Path) -> None:
    """With --log-format json every line of stderr is an object."""
    done = harvest(
        "export", "--log-format", "json", "--source", "talkover", "--source", "agentvoice", cwd=folder
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (lines[-1]["event"], lines[-1]["outcome"]) == ("finished", "complete")


def test_export_without_a_config(folder: Path) -> None:
    """Options alone are enough; the source is named after its provider."""
    text = (folder / "harvester.toml").read_text()
    url = next(line.split('"')[1] for line in text.splitlines() if line.endswith('/talkover"'))
    done = harvest(
        "export", "--provider", "talkover", "--base-url", url, "--credential", "token=env:T", "--out", "out",
        "--since", "2026-02-01", "--until", "2026-03-01", cwd=folder, T="sandbox",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows, distinct = ids(folder, "talkover")
    assert 0 < rows == distinct < CALLS


def test_other_query_on_the_same_output_is_code_2(folder: Path) -> None:
    """What cannot be added to an output is refused, with the ways out."""
    assert harvest("export", "--source", "talkover", cwd=folder).returncode == 0
    done = harvest("export", "--source", "talkover", "--filter", "direction=inbound", cwd=folder)
    assert done.returncode == 2
    assert "--fresh" in done.stderr
    assert "--out" in done.stderr


def test_failed_source_beside_a_complete_one_is_code_3(folder: Path) -> None:
    """A source that fails is a gap, named on stderr; the others are exported all the same."""
    path = folder / "harvester.toml"
    path.write_text(path.read_text().replace('token = "sandbox"', 'token = "wrong-credential"'))
    done = harvest("export", "--source", "talkover", "--source", "agentvoice", cwd=folder)
    assert done.returncode == 3
    assert "gap: source: " in done.stderr
    assert "asks for them again" in done.stderr
    assert ids(folder, "agentvoice") == (CALLS, CALLS)


def test_refused_credential_fails(folder: Path) -> None:
    """Where every source fails the code is 1, and the credential is not shown."""
    path = folder / "harvester.toml"
    path.write_text(path.read_text().replace('token = "sandbox"', 'token = "wrong-credential"'))
    done = harvest("export", "--source", "talkover", cwd=folder)
    assert done.returncode == 1
    assert "wrong-credential" not in done.stderr
    checked = harvest("check", cwd=folder)
    assert checked.returncode == 1
    assert "failed" in checked.stdout


def test_answers_about_the_account(folder: Path) -> None:
    """`agents` and `plan` answer on stdout, as a table and as JSON with the same rows."""
    for name, key in (("agents", "agent_id"), ("plan", "requests")):
        table = harvest(name, cwd=folder)
        assert (table.returncode, table.stderr) == (0, "")
        rows = json.loads(harvest(name, "--json", cwd=folder).stdout)
        assert len(rows) == len(table.stdout.splitlines()) - 1
        assert all(key in row for row in rows)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_export_goes_on(slow_folder: Path, number: signal.Signals, code: int) -> None:
    """A signal ends the run cleanly with its own code; the same command then completes it, nothing doubled."""
    arguments = ("export", "--no-details", "--source", "talkpilot", "--progress", "plain", "-v")
    with subprocess.Popen(
        command(*arguments), cwd=slow_folder, env=environ(), stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        journal = slow_folder / "out" / "_harvester" / "journal.db"
        while not journal.exists():
            os.sched_yield()
        child.send_signal(number)
        told = child.stderr.read()
    assert child.returncode == code, told
    assert "the same command goes on" in told
    done = harvest(*arguments, cwd=slow_folder)
    assert done.returncode == 0, done.stderr
    rows, distinct = ids(slow_folder, "talkpilot")
    assert 0 < rows == distinct


def test_held_output_is_code_4(slow_folder: Path) -> None:
    """A second run on the same output does nothing."""
    with subprocess.Popen(
        command("export", "--source", "talkover"),
        cwd=slow_folder,
        env=environ(),
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        journal = slow_folder / "out" / "_harvester" / "journal.db"
        while not journal.exists():
            os.sched_yield()
        done = harvest("export", "--source", "talkover", cwd=slow_folder)
        child.communicate()
    assert child.returncode == 0
    assert done.returncode == 4
