"""What a hostile user broke: rows that a resumed job lost or doubled, and reports that were not true of the output."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harvester.app import Harvester
from harvester.config import load_config
from harvester.job.report import Report
from harvester.job.run import Answered
from harvester.sandbox import FaultRule, Faults, Quirks, SandboxConfig, World, open_sandbox
from harvester.transport.retry import RetryPolicy

from .enriching import detailed
from .exporting import PROMPT, Output, assert_adds_up, assert_same_ids, document, export, source, truth

MIDDLE = datetime(2026, 3, 10, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
ONE_TRY = RetryPolicy(base_s=0.005, longest_s=0.02, max_attempts=1)


class Stopper:
    """A hook that ends a run after so many answers."""

    def __init__(self, after: int) -> None:
        self.harvester: Harvester | None = None
        self._left = after

    def __call__(self, _: Answered) -> None:
        self._left -= 1
        if not self._left and self.harvester is not None:
            self.harvester.stop()


async def cut_short(text: str, folder: Path, after: int) -> Report:
    """Export, and stop after so many answers."""
    config = load_config(text, folder=folder, environ={}, now=datetime.now(UTC))
    stopper = Stopper(after)
    async with Harvester(config, policy=PROMPT, hooks=[stopper]) as harvester:
        stopper.harvester = harvester
        return await harvester.export()


def text_of(provider: str, url: Any, *, at_once: int = 4, **keys: Any) -> str:
    output = {"path": "out", "format": "ndjson"}
    return document([source(provider, url, **keys)], output=output, run={"concurrency": at_once})


@pytest.mark.parametrize(
    ("provider", "quirks"),
    [
        ("bimpe", Quirks()),
        ("talkpilot", Quirks(total="null")),
        ("bimpe", Quirks(total="wobbles", total_off=3)),
    ],
)
async def test_stop_while_details_are_fetched_after_a_second_pass_loses_nothing(
    tmp_path: Path, provider: str, quirks: Quirks
) -> None:
    """A later pass lists what waits for its details; that it was committed says nothing of those rows."""
    async with open_sandbox(SandboxConfig(calls=200, agents=1, latency_s=0.002, quirks=quirks)) as sandbox:
        text = text_of(provider, sandbox.url, details=True, until=MIDDLE)
        assert (await cut_short(text, tmp_path, 60)).outcome == "interrupted"
        report = await export(text, tmp_path)
        assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account(provider), until=MIDDLE))
    assert report.outcome == "complete"


@pytest.mark.parametrize("provider", ["bimpe", "talkpilot"])
async def test_source_that_goes_down_while_details_are_fetched_loses_nothing(
    tmp_path: Path, provider: str
) -> None:
    """No signal is needed: a source that fails is committed like one that is stopped."""
    quirks = Quirks(total="null")
    ids = sorted(detailed(World(SandboxConfig(calls=200, agents=1, quirks=quirks)).account(provider)))
    faults = Faults(rules=tuple(FaultRule("503", endpoint="call", call_id=one, times=1) for one in ids[20:]))
    config = SandboxConfig(calls=200, agents=1, quirks=quirks, latency_s=0.002, faults=faults)
    async with open_sandbox(config) as sandbox:
        text = text_of(provider, sandbox.url, details=True, until=END)
        assert (await export(text, tmp_path, policy=ONE_TRY)).outcome == "failed"
        report = await export(text, tmp_path)
        ids = Output(tmp_path / "out").ids()
        assert_same_ids(ids, truth(sandbox.world.account(provider), until=END))
    assert (report.outcome, report.totals.written) == ("complete", len(ids))


@pytest.mark.parametrize("provider", ["talkover", "agentvoice"])
async def test_account_that_is_gone_on_with_for_some_agents_doubles_nothing(
    tmp_path: Path, provider: str
) -> None:
    """The walk of an account leaves out what an agent's own window has, whichever run goes on with it."""
    async with open_sandbox(SandboxConfig(calls=600, agents=2)) as sandbox:
        account = sandbox.world.account(provider)
        agents = [account.agents()[0].id]
        of_agent = text_of(provider, sandbox.url, at_once=1, until=END, agents=agents)
        of_all = text_of(provider, sandbox.url, at_once=1, until=END)
        assert (await export(of_agent, tmp_path)).outcome == "complete"
        assert (await cut_short(of_all, tmp_path, 3)).outcome == "interrupted"
        await export(of_agent, tmp_path)
        await export(of_all, tmp_path)
        assert_same_ids(Output(tmp_path / "out").ids(), truth(account))


async def test_calls_that_wait_for_details_are_missing_not_outside(tmp_path: Path) -> None:
    """The report of a run that was cut short says how many calls of the range it did not write."""
    async with open_sandbox(SandboxConfig(calls=200, agents=1, latency_s=0.002)) as sandbox:
        report = await cut_short(text_of("talkpilot", sandbox.url, details=True, until=END), tmp_path, 60)
    assert_adds_up(report)
    (window,) = report.sources[0].agents[0].windows
    there = len(truth(sandbox.world.account("talkpilot"), until=END))
    assert (window.outside, window.written + window.missing) == (0, there)


async def test_counts_of_a_window_that_was_cut_short_are_kept(tmp_path: Path) -> None:
    """`written` is of the whole job, also what an interrupted run wrote of a window that this one has no part in."""
    async with open_sandbox(SandboxConfig(calls=600, agents=1)) as sandbox:
        text = text_of("bimpe", sandbox.url, at_once=1, until=MIDDLE)
        first = await cut_short(text, tmp_path, 6)
        assert first.totals.written > 0
        other = text_of("bimpe", sandbox.url, at_once=1, since=MIDDLE, until=END)
        report = await export(other, tmp_path)
    assert report.totals.written == len(Output(tmp_path / "out").ids())
