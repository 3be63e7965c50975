"""What is said of a run that was cut short: what is left, and the command that goes on."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harvester.sandbox import PROVIDERS

from .exporting import (
    Output,
    SandboxProcess,
    assert_same_ids,
    document,
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


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=SLOW)])
def test_command_that_goes_on_is_printed_as_it_was_typed(
    tmp_path: Path, serve: Callable[..., SandboxProcess], number: signal.Signals
) -> None:
    """The last line of a run that was stopped ends in a command line to copy; with it every call is there."""
    sandbox = serve(calls=1000, latency_s=0.05)
    write_config(tmp_path, document(four(sandbox.url), run={"concurrency": 4})).rename(
        tmp_path / "my own.toml"
    )
    with started(tmp_path, "export", "-c", "my own.toml", "--out", "out") as running:
        wait_for(lambda: requests_of(sandbox.stats()) >= 20 or not running.is_running)
        running.send(number)
        done = running.wait()
    assert done.code == 128 + number
    command = done.err.splitlines()[-1].partition("goes on from here: ")[2]
    assert command == "harvester export -c 'my own.toml' --out out"
    again = harvest(tmp_path, *shlex.split(command)[1:])
    assert again.code == 0, again.err
    for provider in PROVIDERS:
        assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=SLOW)])
def test_status_tells_what_is_left(
    tmp_path: Path, serve: Callable[..., SandboxProcess], number: signal.Signals
) -> None:
    """Written, fetched and not written, and left to fetch make up the account; afterwards nothing is left."""
    sandbox = serve(calls=1500, latency_s=0.1)
    write_config(tmp_path, document([source("talkover", sandbox.url)], run={"concurrency": 2}))
    with started(tmp_path, "export") as running:
        wait_for(lambda: requests_of(sandbox.stats()) >= 6 or not running.is_running)
        running.send(number)
        running.wait()
    (row,) = json.loads(harvest(tmp_path, "status", "--json").out)
    assert row["written"] + row["kept"] + row["left"] == 1500
    assert (row["kept"] if number == signal.SIGKILL else row["written"]) > 0
    assert 0 < row["left"] < 1500
    assert "harvester export goes on" in row["hint"]
    assert harvest(tmp_path, "export").code == 0
    (row,) = json.loads(harvest(tmp_path, "status", "--json").out)
    assert (row["written"], row["kept"], row["left"], row["hint"]) == (1500, 0, 0, "")
