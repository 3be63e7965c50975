"""Faults on the way: answers that break, fail or are not what they should be cost a retry and no call."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.sandbox import PROVIDERS, FaultRule, Faults, Quirks, SandboxConfig, open_sandbox

from .exporting import (
    Output,
    SandboxProcess,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    four,
    harvest,
    of,
    truth,
    write_config,
)

KINDS = ("500", "502", "503", "504", "408", "429", "reset", "truncated", "half_json", "html", "success_false")


async def _assert_exact(folder: Path, faults: Faults, *, calls: int = 500, gzip: bool = False) -> None:
    config = SandboxConfig(calls=calls, agents=3, faults=faults, gzip=gzip, quirks=Quirks(clamp=20))
    async with open_sandbox(config) as sandbox:
        report = await export(document(four(sandbox.url)), folder)
        for provider in PROVIDERS:
            wanted = truth(sandbox.world.account(provider))
            assert_same_ids(Output(folder / "out").ids(provider), wanted)
            assert Output(folder / "out").raws(provider) == wanted
            assert of(report, provider).outcome == "complete", of(report, provider).gaps
            tally = sandbox.stats()[provider]["keys"][0]
            assert of(report, provider).requests == sum(tally["requests"].values())
            assert of(report, provider).retries == sum(tally["faults"].values()) > 0
    assert_adds_up(report)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "429"])
async def test_modest_share_of_faults_costs_no_call(tmp_path: Path, kind: str) -> None:
    """A tenth of all answers gone wrong: exact all the same, each fault one retry, every request counted."""
    await _assert_exact(tmp_path, Faults(rates={kind: 0.1}))


async def test_all_kinds_of_faults_together_cost_no_call(tmp_path: Path) -> None:
    """The same for a fifth of all answers, compressed ones, of all kinds."""
    rates = {kind: 0.02 for kind in KINDS if kind != "429"}
    await _assert_exact(tmp_path, Faults(rates=rates), gzip=True)


@pytest.mark.parametrize(
    "kind", [pytest.param("429", marks=pytest.mark.slow), *(kind for kind in KINDS if kind != "429")]
)
async def test_first_answer_of_all_may_be_a_fault(tmp_path: Path, kind: str) -> None:
    """Lists of agents and first pages are asked for again like any other."""
    rules = (FaultRule(kind, request=1), FaultRule(kind, request=2))
    async with open_sandbox(SandboxConfig(calls=120, agents=2, faults=Faults(rules=rules))) as sandbox:
        report = await export(document(four(sandbox.url)), tmp_path)
        for provider in PROVIDERS:
            assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))
    assert report.outcome == "complete"


async def test_page_that_never_comes_is_a_gap_until_it_does(tmp_path: Path) -> None:
    """It is named, the rest is there; the same export asks for it again, and then all is there once.

    Where a range can be asked for it is gone around: its calls come in parts of the window.
    """
    rules = (
        FaultRule("500", endpoint="agent_calls", page=2, times=8),
        FaultRule("500", endpoint="calls", page=2, times=8),
    )
    async with open_sandbox(SandboxConfig(calls=500, agents=1, faults=Faults(rules=rules))) as sandbox:
        text = document(four(sandbox.url))
        first = await export(text, tmp_path)
        for provider in PROVIDERS:
            one = of(first, provider)
            is_gap = provider in {"agentvoice", "bimpe"}
            wanted = ("gaps", {"page"}) if is_gap else ("complete", set())
            assert (one.outcome, {gap.kind for gap in one.gaps}) == wanted, provider
            assert (one.missing > 0) == is_gap, provider
        assert_adds_up(first)
        second = await export(text, tmp_path)
        for provider in PROVIDERS:
            assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))
    assert second.outcome == "complete"
    assert_adds_up(second)


async def test_account_that_is_down_costs_a_bounded_number_of_requests(tmp_path: Path) -> None:
    """However many agents it has, a source that answers nothing but errors is given up soon."""
    faults = Faults(rules=(FaultRule("503", endpoint="agent_calls"), FaultRule("503", endpoint="calls")))
    async with open_sandbox(SandboxConfig(calls=500, agents=200, faults=faults)) as sandbox:
        report = await export(document(four(sandbox.url)), tmp_path)
        for provider in PROVIDERS:
            assert of(report, provider).outcome == "failed"
            assert sum(sandbox.stats()[provider]["keys"][0]["requests"].values()) < 250
    assert report.outcome == "failed"


@pytest.mark.slow
def test_faults_by_the_command_are_exit_code_0(tmp_path: Path) -> None:
    """With the policy users have, faults of all kinds end with 0 and every call."""
    rates = {kind: 0.02 for kind in KINDS if kind != "429"}
    with SandboxProcess(calls=5000, agents=3, faults={"rates": rates}) as sandbox:
        write_config(tmp_path, document(four(sandbox.url)))
        done = harvest(tmp_path, "export", longest_s=300)
        assert done.code == 0, done.err
        for provider in PROVIDERS:
            assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))
