"""Many sources in one run: none stops another, whatever becomes of it, and a thousand of them cost little."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from harvester.app import Harvester
from harvester.clock import SystemClock
from harvester.config import load_config
from harvester.sandbox import PROVIDERS, FaultRule, Faults, Sandbox, SandboxConfig, open_sandbox
from harvester.transport.aiohttp import AiohttpTransport
from harvester.transport.retry import RetryPolicy

from .exporting import (
    PROMPT,
    Output,
    SandboxProcess,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    four,
    harvest,
    of,
    source,
    truth,
    write_config,
)

HASTY = RetryPolicy(base_s=0.005, longest_s=0.02, max_attempts=2)


@contextmanager
def _silent_host() -> Iterator[str]:
    """Accept connections and never say a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def _assert_others_are_whole(folder: Path, sandbox: Sandbox, report: Any) -> None:
    for provider in PROVIDERS:
        wanted = truth(sandbox.world.account(provider))
        assert_same_ids(Output(folder / "out").ids(provider), wanted)
        assert of(report, provider).outcome == "complete"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_wrong_key_ends_its_own_source_only(tmp_path: Path, provider: str) -> None:
    """One request is spent on it, it is a gap of the source with the way out, and all others are complete."""
    async with open_sandbox(SandboxConfig(calls=200)) as sandbox:
        wrong = source(provider, sandbox.url, credential="mistyped-key", name="wrong")
        report = await export(document([wrong, *four(sandbox.url)]), tmp_path)
        _assert_others_are_whole(tmp_path, sandbox, report)
        assert sum(sandbox.stats()[provider]["strangers"]["requests"].values()) == 1
    one = of(report, "wrong")
    assert (one.outcome, report.outcome) == ("failed", "gaps")
    assert [gap.kind for gap in one.gaps] == ["source"]
    assert "401" in one.gaps[0].message
    assert Output(tmp_path / "out").segments("wrong") == []
    assert_adds_up(report)


async def test_unknown_agent_ends_its_own_windows_only(tmp_path: Path) -> None:
    """It is a gap of that agent; the other agents of the source and the other sources are complete."""
    async with open_sandbox(SandboxConfig(calls=200, agents=3)) as sandbox:
        sources = []
        for provider in ("talkover", "talkpilot", "bimpe"):
            agents = [agent.id for agent in sandbox.world.account(provider).agents()]
            sources.append(source(provider, sandbox.url, agents=[agents[0], "no-such-agent", agents[2]]))
        report = await export(document(sources), tmp_path)
        for provider in ("talkover", "talkpilot", "bimpe"):
            account = sandbox.world.account(provider)
            wanted = truth(account, agents=[account.agents()[0].id, account.agents()[2].id])
            assert_same_ids(Output(tmp_path / "out").ids(provider), wanted)
            one = of(report, provider)
            assert one.outcome == "gaps"
            assert [(gap.kind, gap.agent_id) for gap in one.gaps] == [("agent", "no-such-agent")]
    assert report.outcome == "gaps"
    assert_adds_up(report)


async def test_only_unknown_agents_are_a_failed_source(tmp_path: Path) -> None:
    """A source of which nothing could be had has failed."""
    async with open_sandbox(SandboxConfig(calls=20)) as sandbox:
        report = await export(document([source("bimpe", sandbox.url, agents=["nobody"])]), tmp_path)
    assert report.outcome == "failed"


async def test_dead_host_ends_its_own_source_only(tmp_path: Path) -> None:
    """Where nobody listens the source fails after a few tries, and all others are complete."""
    async with open_sandbox(SandboxConfig(calls=200)) as sandbox:
        dead = source("bimpe", sandbox.url, name="dead", base_url=_closed_port())
        report = await export(document([dead, *four(sandbox.url)]), tmp_path)
        _assert_others_are_whole(tmp_path, sandbox, report)
    one = of(report, "dead")
    assert (one.outcome, [gap.kind for gap in one.gaps]) == ("failed", ["source"])
    assert "127.0.0.1" in one.gaps[0].message
    assert one.requests <= PROMPT.max_attempts * 4


async def test_unknown_host_ends_its_own_source_only(tmp_path: Path) -> None:
    """A name that is nobody's fails likewise, and is named."""
    async with open_sandbox(SandboxConfig(calls=200)) as sandbox:
        dead = source("bimpe", sandbox.url, name="dead", base_url="http://no-such-host.invalid")
        report = await export(document([dead, *four(sandbox.url)]), tmp_path, policy=HASTY)
        _assert_others_are_whole(tmp_path, sandbox, report)
    assert of(report, "dead").outcome == "failed"
    assert "no-such-host.invalid" in of(report, "dead").gaps[0].message


async def test_hanging_host_holds_up_nobody(tmp_path: Path) -> None:
    """While one source waits for an answer that never comes, all others end; then it fails."""
    async with open_sandbox(SandboxConfig(calls=200)) as sandbox:
        with _silent_host() as url:
            hanging = [
                source("talkover", sandbox.url, name=f"hanging-{place}", base_url=url, agents=[str(place)])
                for place in range(8)
            ]
            text = document([*hanging, *four(sandbox.url)], run={"concurrency": 12})
            config = load_config(text, folder=tmp_path, environ={}, now=SystemClock().now())
            transport = AiohttpTransport(read_s=0.5)
            async with Harvester(config, policy=HASTY, transport=transport) as harvester:
                with anyio.fail_after(20):
                    report = await harvester.export()
            await transport.aclose()
        _assert_others_are_whole(tmp_path, sandbox, report)
    assert {one.outcome for one in report.sources if one.name.startswith("hanging")} == {"failed"}
    assert report.outcome == "gaps"


async def test_source_that_breaks_half_way_keeps_what_it_has(tmp_path: Path) -> None:
    """Its calls so far are in a segment, the rest is named, and the next run brings it to its end."""
    rules = (FaultRule("401", request=6, times=1),)
    async with open_sandbox(SandboxConfig(calls=900, agents=2, faults=Faults(rules=rules))) as sandbox:
        text = document(four(sandbox.url, concurrency=1))
        first = await export(text, tmp_path)
        out = Output(tmp_path / "out")
        assert all(0 < len(out.ids(provider)) < 900 for provider in PROVIDERS)
        assert {one.outcome for one in first.sources} == {"failed"}
        assert_adds_up(first)
        second = await export(text, tmp_path)
        _assert_others_are_whole(tmp_path, sandbox, second)
    assert second.outcome == "complete"
    assert_adds_up(second)


def test_exit_code_is_3_if_a_source_fails_and_1_if_all_do(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Each failed source is named with the reason; what the others brought is there."""
    wrong = source("talkpilot", sandbox.url, credential="mistyped-key", name="wrong")
    write_config(tmp_path, document([source("bimpe", sandbox.url), wrong]))
    some = harvest(tmp_path, "export")
    assert some.code == 3, some.err
    assert "wrong" in some.err
    assert "`api_key`" in some.err
    assert_same_ids(Output(tmp_path / "out").ids("bimpe"), truth(sandbox.world.account("bimpe")))
    every = harvest(tmp_path, "export", "--source", "wrong", "--out", "other")
    assert every.code == 1, every.err
    assert "Traceback" not in some.err + every.err
    assert Output(tmp_path / "other").segments() == []


def _many(url: Callable[[str], str], count: int) -> list[dict[str, object]]:
    return [
        source(PROVIDERS[place % 4], url, name=f"source-{place}", credential=f"sandbox-{place}")
        for place in range(count)
    ]


def _assert_many(folder: Path, sandbox: SandboxProcess, count: int) -> None:
    rows: dict[str, list[str]] = {}
    for row in Output(folder / "out").rows():
        rows.setdefault(row["source"], []).append(row["call_id"])
    for place in range(count):
        account = sandbox.world.account(PROVIDERS[place % 4], f"sandbox-{place}")
        assert_same_ids(rows[f"source-{place}"], truth(account))


def test_a_hundred_sources_each_with_its_own_key(
    tmp_path: Path, serve: Callable[..., SandboxProcess]
) -> None:
    """All calls of all accounts are there, each with its own source."""
    sandbox = serve(calls=20, agents=2)
    write_config(tmp_path, document(_many(sandbox.url, 100)))
    done = harvest(tmp_path, "export")
    assert done.code == 0, done.err
    _assert_many(tmp_path, sandbox, 100)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
def test_a_thousand_sources_fit_into_300_megabytes(
    tmp_path: Path, serve: Callable[..., SandboxProcess], file_format: str
) -> None:
    """All calls of all accounts are there, and the process never held more than 300 MB."""
    sandbox = serve(calls=20, agents=2)
    write_config(tmp_path, document(_many(sandbox.url, 1000), output={"format": file_format}))
    done = harvest(tmp_path, "export", longest_s=300)
    assert done.code == 0, done.err
    _assert_many(tmp_path, sandbox, 1000)
    assert 0 < done.peak_mb < 300
