"""`harvester get` and `harvester latest` as processes: what is on stdout, exit codes, readers that leave, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import harvester
from harvester.sandbox import PROVIDERS

from .exporting import SandboxProcess, document, four, harvest, requests_of, wait_for, write_config

Serve = Callable[..., SandboxProcess]


@pytest.fixture(scope="module")
def folder(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a config of four sources."""
    path = tmp_path_factory.mktemp("single")
    write_config(path, document(four(sandbox.url)))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_command_prints_json_and_nothing_else(folder: Path, provider: str) -> None:
    """One line of the unified record, the same call natively, and `-n` as NDJSON."""
    done = harvest(folder, "latest", provider)
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    record = json.loads(done.out)
    assert record["source"] == provider
    done = harvest(folder, "latest", provider, "-n", "30", "--shape", "native")
    rows = [json.loads(line) for line in done.out.split("\n")[:-1]]
    assert (done.code, done.err, len(rows), rows[0]["id"]) == (0, "", 30, record["call_id"])
    assert ("_agent_id" in rows[0]) == (provider == "bimpe")
    done = harvest(folder, "get", provider, record["call_id"])
    if provider == "talkover":
        assert (done.code, done.out) == (2, "")
    else:
        assert (done.code, done.err) == (0, "")
        assert json.loads(done.out)["raw"] == record["raw"]


@pytest.mark.slow
def test_command_works_without_a_config(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """The source is named after its provider."""
    options = ("--provider", "bimpe", "--base-url", sandbox.url("bimpe"), "--credential", "api_key=env:KEY")
    done = harvest(tmp_path, "latest", "bimpe", *options, environ={"KEY": "sandbox"})
    assert done.code == 0
    call_id = json.loads(done.out)["call_id"]
    done = harvest(
        tmp_path, "get", "bimpe", call_id, "--shape", "native", *options, environ={"KEY": "sandbox"}
    )
    assert (done.code, json.loads(done.out)["id"]) == (0, call_id)
    done = harvest(tmp_path, "get", "sales", call_id, *options, environ={"KEY": "sandbox"})
    assert (done.code, done.out) == (2, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["get", "bimpe", "nothing"], 1, "error: bimpe: get call: there is no such call; agents asked: 3\n"),
        (["get", "agentvoice", "nothing"], 1, "error: agentvoice: get call: there is no such call\n"),
        (["get", "talkpilot", ""], 2, "error: the call's id is empty\n"),
        (["latest", "talkpilot", "--phone", "+15550199"], 1, "error: talkpilot: there is no call with this number\n"),
        (["latest", "agentvoice", "--agent", "nobody"], 1, "error: agentvoice: there is no call\n"),
        (["latest", "talkpilot", "--agent", "nobody"], 1, "error: talkpilot: list calls: not found (404"),
        (["latest", "bimpe", "--phone", "+15550100"], 2, 'error: source "bimpe": phone: BimpeAI has no filter'),
        (["latest", "other"], 2, 'error: --source: no source "other"'),
    ],
)  # fmt: skip
def test_code_says_what_was_not_there(folder: Path, arguments: list[str], code: int, told: str) -> None:
    """1 where there is no such call, 2 where nothing was asked; nothing on stdout, and no number in a message."""
    done = harvest(folder, *arguments)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(told)
    assert "555" not in done.err


@contextmanager
def running(folder: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    clean |= {"PYTHONPATH": str(Path(harvester.__file__).parent.parent), **variables}
    command = [sys.executable, "-m", "harvester", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_reader_that_leaves_is_no_error(folder: Path) -> None:
    """`harvester latest -n 300 | head -1` ends quietly."""
    with running(folder, "latest", "talkpilot", "-n", "300") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["source"] == "talkpilot"
        process.stdout.close()
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == b""


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_slow_reader_gets_everything(folder: Path, unbuffered: str) -> None:
    """More than a pipe holds arrives whole, also where Python does not buffer it."""
    with running(folder, "latest", "bimpe", "-n", "300", PYTHONUNBUFFERED=unbuffered) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert len({json.loads(line)["call_id"] for line in out.splitlines()}) == 300


@pytest.mark.slow
def test_interrupt_ends_it(tmp_path: Path, serve: Serve) -> None:
    """Ctrl-C while an answer is waited for: code 130, no word and no traceback."""
    sandbox = serve(latency_s=20.0)
    write_config(tmp_path, document(four(sandbox.url)))
    with running(tmp_path, "get", "agentvoice", "x") as process:
        wait_for(lambda: requests_of(sandbox.stats(), "agentvoice") > 0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, b"", b"")
