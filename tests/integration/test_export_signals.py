"""Cut short: SIGINT and SIGTERM end an export cleanly, `kill -9` ends it anywhere, and the same command goes on."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harvester.sandbox import PROVIDERS

from .exporting import (
    Done,
    Output,
    Running,
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
CASES = [
    ("parquet", "zstd", "unified", signal.SIGINT),
    ("ndjson", "none", "unified", signal.SIGTERM),
    ("ndjson", "gzip", "native", signal.SIGINT),
    ("ndjson", "zstd", "unified", signal.SIGTERM),
    pytest.param("parquet", "snappy", "native", signal.SIGTERM, marks=SLOW),
    pytest.param("ndjson", "none", "native", signal.SIGINT, marks=SLOW),
    pytest.param("ndjson", "gzip", "unified", signal.SIGTERM, marks=SLOW),
    pytest.param("ndjson", "zstd", "native", signal.SIGINT, marks=SLOW),
]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def _assert_valid(out: Output, sandbox: SandboxProcess) -> int:
    """Every visible file can be read to its end, and holds calls that exist, each once; return how many."""
    count = 0
    for provider in PROVIDERS:
        ids = out.ids(provider)
        assert len(ids) == len(set(ids))
        assert set(ids) <= truth(sandbox.world.account(provider)).keys()
        count += len(ids)
    return count


def _assert_finished(folder: Path, done: Done, sandbox: SandboxProcess) -> None:
    assert done.code == 0, done.err
    out = Output(folder / "out")
    for provider in PROVIDERS:
        wanted = truth(sandbox.world.account(provider))
        assert_same_ids(out.ids(provider), wanted)
    report = out.report()
    assert report["outcome"] == "complete"
    for one in report["sources"]:
        assert one["expected"] == one["written"] == len(out.ids(one["name"])), one["name"]
    assert {one["path"] for one in report["segments"]} == set(out.files())
    assert out.aside() == []


def _cut_short(
    running: Running, sandbox: SandboxProcess, number: signal.Signals, *, after_requests: int
) -> Done:
    wait_for(lambda: requests_of(sandbox.stats()) >= after_requests or not running.is_running)
    running.send(number)
    return running.wait()


@pytest.mark.parametrize(("file_format", "compression", "shape", "number"), CASES)
def test_signal_ends_an_export_cleanly_and_the_same_command_goes_on(
    tmp_path: Path,
    serve: Callable[..., SandboxProcess],
    file_format: str,
    compression: str,
    shape: str,
    number: signal.Signals,
) -> None:
    """What was fetched is in valid segments, the exit code is the signal's, and nothing is doubled or lost."""
    sandbox = serve(calls=1500, latency_s=0.03)
    output = {"format": file_format, "compression": compression, "shape": shape}
    write_config(tmp_path, document(four(sandbox.url), output=output, run={"concurrency": 4}))
    with started(tmp_path, "export") as running:
        done = _cut_short(running, sandbox, number, after_requests=25)
    assert done.code == CODES[number], done.err
    assert "the same command goes on" in done.err
    assert _assert_valid(Output(tmp_path / "out"), sandbox) > 0
    assert Output(tmp_path / "out").report()["outcome"] == "interrupted"
    _assert_finished(tmp_path, harvest(tmp_path, "export"), sandbox)


@pytest.mark.parametrize(
    "manners",
    [
        {"latency_s": 40.0},
        {"limits": {"rates": ["2/h"], "retry_after": "seconds"}},
        {"faults": {"rates": {"500": 1.0}, "retry_after_s": 600}},
    ],
    ids=["hanging", "paused", "retrying"],
)
def test_signal_ends_an_export_that_waits(
    tmp_path: Path, serve: Callable[..., SandboxProcess], manners: dict[str, object]
) -> None:
    """A hanging server, a pause the provider asked for or a retry to come do not hold it."""
    sandbox = serve(calls=500, **manners)
    write_config(tmp_path, document(four(sandbox.url)))
    with started(tmp_path, "export") as running:
        wait_for(lambda: requests_of(sandbox.stats()) >= 4)
        running.send(signal.SIGINT)
        done = running.wait(longest_s=10)
    assert done.code == 130, done.err
    assert "Traceback" not in done.err


def _assert_survives(folder: Path, sandbox: SandboxProcess, dice: random.Random, *, kills: int) -> None:
    """Kill an export again and again, each time a little further on, then let it end."""
    out = Output(folder / "out")
    for kill in range(kills):
        sandbox.reset()
        with started(folder, "export") as running:
            if kill % 3 == 2:
                wait_for(lambda: bool(out.aside()) or not running.is_running)
                done = running
                done.send(signal.SIGKILL)
                running.wait()
            else:
                _cut_short(running, sandbox, signal.SIGKILL, after_requests=dice.randrange(1, 70))
        _assert_valid(out, sandbox)
    _assert_finished(folder, harvest(folder, "export"), sandbox)


@pytest.mark.parametrize(
    ("file_format", "shape"), [("parquet", "unified"), pytest.param("ndjson", "native", marks=SLOW)]
)
def test_kill_anywhere_loses_and_doubles_nothing(
    tmp_path: Path, serve: Callable[..., SandboxProcess], file_format: str, shape: str
) -> None:
    """After `kill -9` visible files are whole, and the same command ends with every call once."""
    sandbox = serve(calls=1500, latency_s=0.02)
    output = {"format": file_format, "shape": shape}
    write_config(tmp_path, document(four(sandbox.url), output=output, run={"concurrency": 4}))
    _assert_survives(tmp_path, sandbox, random.Random(file_format), kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", ["unified", "native"])
@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
def test_kill_anywhere_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, serve: Callable[..., SandboxProcess], file_format: str, shape: str, seed: int
) -> None:
    """The same for a dozen kills, with rows that have no moment or no id among the others."""
    quirks = {"null_created": 31} if seed % 2 else {}
    sandbox = serve(calls=3000, agents=5, latency_s=0.02, quirks=quirks, seed=seed)
    output = {"format": file_format, "shape": shape}
    write_config(tmp_path, document(four(sandbox.url), output=output, run={"concurrency": 4}))
    _assert_survives(tmp_path, sandbox, random.Random(seed), kills=12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_signals_and_kills_in_turn_lose_and_double_nothing(
    tmp_path: Path, serve: Callable[..., SandboxProcess], seed: int
) -> None:
    """Segments that a signal flushed in the middle of a window are not written again after a kill."""
    dice = random.Random(seed)
    sandbox = serve(
        calls=3000, agents=3, latency_s=0.02, quirks={"null_created": 31, "order": "random"}, seed=seed
    )
    write_config(tmp_path, document(four(sandbox.url), output={"format": "ndjson"}, run={"concurrency": 4}))
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        sandbox.reset()
        with started(tmp_path, "export") as running:
            _cut_short(running, sandbox, number, after_requests=dice.randrange(10, 120))
        _assert_valid(Output(tmp_path / "out"), sandbox)
    _assert_finished(tmp_path, harvest(tmp_path, "export"), sandbox)


def test_rows_in_quarantine_are_not_doubled_by_a_resumed_run(
    tmp_path: Path, serve: Callable[..., SandboxProcess]
) -> None:
    """Rows without an id, flushed to quarantine by a signal, are there once when the job is done."""
    sandbox = serve(calls=1500, agents=2, latency_s=0.03, quirks={"no_id": 30})
    config = document([source("bimpe", sandbox.url)], run={"concurrency": 2})
    write_config(tmp_path, config)
    with started(tmp_path, "export") as running:
        done = _cut_short(running, sandbox, signal.SIGINT, after_requests=8)
    assert done.code == 130
    assert Output(tmp_path / "out").quarantine()
    assert harvest(tmp_path, "export").code == 3
    out = Output(tmp_path / "out")
    raws = [line["raw"] for line in out.quarantine()]
    nameless = [row.raw.decode() for row in sandbox.world.account("bimpe").rows() if row.call_id is None]
    assert sorted(raws) == sorted(nameless)
    assert_same_ids(out.ids(), truth(sandbox.world.account("bimpe")))


def test_page_that_is_not_in_the_journal_is_asked_for_again(
    tmp_path: Path, serve: Callable[..., SandboxProcess]
) -> None:
    """What a run kept of later pages does not hold up the next where the first page was lost, as on a full disk."""
    sandbox = serve(calls=1500, latency_s=0.3)
    write_config(tmp_path, document([source("agentvoice", sandbox.url)], run={"concurrency": 2}))
    journal = tmp_path / "out/_harvester/journal.db"
    with started(tmp_path, "export") as running:
        wait_for(lambda: requests_of(sandbox.stats()) >= 12 or not running.is_running)
        running.send(signal.SIGKILL)
        running.wait()
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        assert db.execute("DELETE FROM answer WHERE page = 0").rowcount == 1
        assert db.execute("SELECT count(*) FROM answer").fetchone()[0] > 0
    done = harvest(tmp_path, "export", longest_s=10)
    assert done.code == 0, done.err
    assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account("agentvoice")))
