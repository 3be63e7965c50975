"""Accounts that move while they are read: calls come, go and change; those that stay are in the output exactly once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harvester.sandbox import PROVIDERS

from .exporting import (
    Output,
    SandboxProcess,
    assert_adds_up,
    document,
    export,
    four,
    harvest,
    source,
    truth,
    violations_of,
    write_config,
)

MOVING: dict[str, float] = {"inserts_per_s": 30, "deletes_per_s": 15}
Serve = Callable[..., SandboxProcess]


def _assert_once(
    out: Output, sandbox: SandboxProcess, provider: str, *, until: datetime | None = None
) -> None:
    """Every call that was there all the time is written once, none twice, and none that never was."""
    history, ids = sandbox.history(provider), out.ids(provider)
    assert history.started_at is not None
    assert history.last_at is not None
    at_first = truth(sandbox.world.account(provider), until=until).keys() - _born(history.lives)
    moved = {
        call_id
        for call_id, life in history.lives.items()
        if not life.existed(history.started_at, history.last_at)
    }
    assert len(set(ids)) == len(ids)
    lost = at_first - moved - set(ids)
    assert not lost, f"{provider}: {len(lost)} lost, such as {sorted(lost)[:3]}"
    assert set(ids) <= at_first | history.lives.keys()
    assert moved, "nothing moved"


def _born(lives: Any) -> set[str]:
    return {call_id for call_id, life in lives.items() if life.inserted_at is not None}


async def test_calls_that_stay_are_there_once(tmp_path: Path, serve: Serve) -> None:
    """Of every provider, while thirty calls a second come and fifteen go; the run is complete."""
    sandbox = serve(calls=1200, latency_s=0.03, churn=MOVING)
    report = await export(document(four(sandbox.url), run={"concurrency": 32}), tmp_path)
    for provider in PROVIDERS:
        _assert_once(Output(tmp_path / "out"), sandbox, provider)
    assert report.outcome == "complete", [gap for one in report.sources for gap in one.gaps]
    assert_adds_up(report)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("concurrency", "latency_s"), [(32, 0.03), (4, 0.03), (1, 0.03), (4, 0.2)])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_moving_account_is_exit_code_0(
    tmp_path: Path, serve: Serve, provider: str, concurrency: int, latency_s: float, seed: int
) -> None:
    """The same of 8,000 calls by the command, whether a pass takes a part of a second or many."""
    sandbox = serve(calls=8000, latency_s=latency_s, churn=MOVING, seed=seed)
    write_config(tmp_path, document([source(provider, sandbox.url)], run={"concurrency": concurrency}))
    done = harvest(tmp_path, "export", longest_s=300)
    _assert_once(Output(tmp_path / "out"), sandbox, provider)
    assert done.code == 0, done.err
    assert violations_of(sandbox.stats()) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("events", [MOVING, {"deletes_per_s": 15}], ids=["both ways", "deletes alone"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_part_of_a_moving_account_is_exit_code_0(
    tmp_path: Path, serve: Serve, provider: str, events: dict[str, float], seed: int
) -> None:
    """A range that ended long ago is complete though calls go from it, and may come at the end of the list."""
    until = datetime(2026, 3, 1, tzinfo=UTC)
    sandbox = serve(calls=8000, latency_s=0.03, churn=events, seed=seed)
    write_config(tmp_path, document([source(provider, sandbox.url, until=until)], run={"concurrency": 4}))
    done = harvest(tmp_path, "export", longest_s=300)
    _assert_once(Output(tmp_path / "out"), sandbox, provider, until=until)
    assert done.code == 0, done.err


OTHER: dict[str, dict[str, float]] = {
    "changes": {"changes_per_s": 20},
    "late": {"late_inserts_per_s": 5},
    "purges": {"purges_per_s": 5},
    "all": {"changes_per_s": 20, "late_inserts_per_s": 5, "purges_per_s": 5, "live_s": 1.0, "unfinished": 20},
}


@pytest.mark.slow
@pytest.mark.parametrize("events", OTHER)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_whatever_happens_calls_that_stay_are_there_once(
    tmp_path: Path, serve: Serve, provider: str, events: str
) -> None:
    """Changes and purges cost nothing; where calls keep turning up in the past the gap is named."""
    sandbox = serve(calls=8000, latency_s=0.03, churn={**MOVING, **OTHER[events]})
    write_config(tmp_path, document([source(provider, sandbox.url)], run={"concurrency": 4}))
    done = harvest(tmp_path, "export", longest_s=300)
    _assert_once(Output(tmp_path / "out"), sandbox, provider)
    gaps = Output(tmp_path / "out").report()["sources"][0]["gaps"]
    assert done.code == (3 if gaps else 0), done.err
    assert not gaps or "late_inserts_per_s" in OTHER[events]
    assert {gap["kind"] for gap in gaps} <= {"page"}
