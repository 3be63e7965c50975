"""Limits: never passed, well used, shared by all sources of one key, and nobody else's business."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harvester.app import Harvester
from harvester.config import load_config
from harvester.model import Request, Response
from harvester.sandbox import Limits, Overrides, Quirks, SandboxConfig, open_sandbox
from harvester.transport.aiohttp import AiohttpTransport
from harvester.transport.base import Target

from .exporting import (
    Output,
    SandboxProcess,
    assert_same_ids,
    document,
    export,
    of,
    requests_of,
    source,
    started,
    truth,
    wait_for,
    write_config,
)


def _tally(stats: dict[str, Any], provider: str) -> dict[str, Any]:
    """Return what the server counted of the one key."""
    (tally,) = stats[provider]["keys"]
    found: dict[str, Any] = tally
    return found


@pytest.mark.parametrize("provider", ["agentvoice", "bimpe"])
async def test_rate_is_kept_and_used(tmp_path: Path, provider: str) -> None:
    """A server that refuses the 41st request of any second refuses none, and its fullest second is nearly full."""
    limits = Limits(rates=("40/s",))
    async with open_sandbox(
        SandboxConfig(calls=1000, agents=1, limits=limits, quirks=Quirks(clamp=20))
    ) as sandbox:
        report = await export(document([source(provider, sandbox.url, rate="40/s")]), tmp_path)
        tally = _tally(sandbox.stats(), provider)
        assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account(provider)))
    assert (tally["refused"], report.totals.throttled) == (0, 0)
    assert 36 <= tally["max_per_second"] <= 40


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["talkover", "agentvoice"])
def test_rate_is_kept_and_used_for_seconds(
    tmp_path: Path, serve: Callable[..., SandboxProcess], provider: str
) -> None:
    """At `20/s` no request of six seconds is refused, and at least nine tenths of the limit are used."""
    sandbox = serve(calls=2600, agents=1, limits={"rates": ["20/s"]}, quirks={"clamp": 20})
    write_config(tmp_path, document([source(provider, sandbox.url, rate="20/s")]))
    seen: list[tuple[float, int]] = []

    def look() -> int:
        seen.append((time.monotonic(), requests_of(sandbox.stats())))
        return seen[-1][1]

    with started(tmp_path, "export") as running:
        wait_for(lambda: look() >= 5)
        (began, first) = seen[-1]
        wait_for(lambda: look() >= 125)
        (ended, last) = seen[-1]
        done = running.wait()
    assert done.code == 0, done.err
    assert _tally(sandbox.stats(), provider)["refused"] == 0
    assert (last - first) / (ended - began) >= 0.9 * 20


async def test_sources_with_one_key_share_its_limit(tmp_path: Path) -> None:
    """Two sources, each allowed what the key is allowed, do not pass it together."""
    limits = Limits(rates=("40/s",))
    async with open_sandbox(
        SandboxConfig(calls=800, agents=2, limits=limits, quirks=Quirks(clamp=20))
    ) as sandbox:
        agents = [agent.id for agent in sandbox.world.account("bimpe").agents()]
        sources = [
            source("bimpe", sandbox.url, name=f"half-{place}", agents=[agent], rate="40/s")
            for place, agent in enumerate(agents)
        ]
        await export(document(sources), tmp_path)
        tally = _tally(sandbox.stats(), "bimpe")
        for place, agent in enumerate(agents):
            wanted = truth(sandbox.world.account("bimpe"), agents=[agent])
            assert_same_ids(Output(tmp_path / "out").ids(f"half-{place}"), wanted)
    assert tally["refused"] == 0
    assert tally["max_per_second"] > 30


async def test_stricter_rate_of_two_sources_with_one_key_holds(tmp_path: Path) -> None:
    """One says 200/s, the other 40/s: the key gets 40."""
    limits = Limits(rates=("40/s",))
    async with open_sandbox(
        SandboxConfig(calls=600, agents=2, limits=limits, quirks=Quirks(clamp=20))
    ) as sandbox:
        agents = [agent.id for agent in sandbox.world.account("bimpe").agents()]
        sources = [
            source("bimpe", sandbox.url, name=f"half-{place}", agents=[agents[place]], rate=rate)
            for place, rate in enumerate(("200/s", "40/s"))
        ]
        await export(document(sources), tmp_path)
        assert _tally(sandbox.stats(), "bimpe")["refused"] == 0


class _Watched(AiohttpTransport):
    """Notes when each request was sent with which key, and when which status came back."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[float, str]] = []
        self.refused: list[tuple[float, str, float]] = []

    async def send(self, target: Target, request: Request) -> Response:
        """Send, and note it."""
        key = target.headers["Authorization"].removeprefix("Bearer ")
        self.sent.append((time.monotonic(), key))
        response = await super().send(target, request)
        if response.status == 429:
            self.refused.append((time.monotonic(), key, float(response.headers.get("Retry-After", 0))))
        return response


async def test_refusal_pauses_all_sources_of_its_key_and_no_other(tmp_path: Path) -> None:
    """After a 429 nothing is sent with that key until the time it names, while other keys go on."""
    limited = Overrides(limits=Limits(rates=("10/s",), retry_after="seconds"))
    config = SandboxConfig(
        calls=400, agents=2, latency_s=0.02, quirks=Quirks(clamp=20), providers={"talkover": limited}
    )
    async with open_sandbox(config) as sandbox:
        agents = [agent.id for agent in sandbox.world.account("talkover", "sandbox-1").agents()]
        sources = [
            source(
                "talkover",
                sandbox.url,
                name=f"half-{place}",
                agents=[agent],
                credential="sandbox-1",
                concurrency=2,
            )
            for place, agent in enumerate(agents)
        ]
        sources.append(source("bimpe", sandbox.url, credential="sandbox-2", concurrency=1))
        text = document(sources)
        config_read = load_config(text, folder=tmp_path, environ={}, now=datetime.now(UTC))
        transport = _Watched()
        async with Harvester(config_read, transport=transport) as harvester:
            report = await harvester.export()
        await transport.aclose()
        wanted = truth(sandbox.world.account("bimpe", "sandbox-2"))
    assert report.outcome == "complete"
    assert_same_ids(Output(tmp_path / "out").ids("bimpe"), wanted)
    assert transport.refused
    assert len(transport.refused) == of(report, "half-0").throttled + of(report, "half-1").throttled
    others_sent = 0
    for at, key, wait_s in transport.refused:
        during = [name for moment, name in transport.sent if at + 0.01 < moment < at + wait_s - 0.01]
        assert key not in during
        others_sent += len(during)
    assert others_sent > 0
    assert len(transport.refused) <= 4 * (1 + len({round(at) for at, _, _ in transport.refused}))


@pytest.mark.parametrize("keys", [{"rate": "unlimited"}, pytest.param({}, marks=pytest.mark.slow)])
async def test_nobody_comes_back_as_a_herd(tmp_path: Path, keys: dict[str, str]) -> None:
    """After a refusal that names no wait nobody sends for a tenth of a second, then one goes ahead of the others."""
    limits = Limits(random_refusals=0.1)
    config = SandboxConfig(calls=1500, agents=1, latency_s=0.05, quirks=Quirks(clamp=10), limits=limits)
    async with open_sandbox(config) as sandbox:
        told = {key: value for key, value in source("bimpe", sandbox.url).items() if key != "rate"} | keys
        text = document([told], run={"concurrency": 32})
        config_read = load_config(text, folder=tmp_path, environ={}, now=datetime.now(UTC))
        transport = _Watched()
        async with Harvester(config_read, transport=transport) as harvester:
            report = await harvester.export()
        await transport.aclose()
        assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account("bimpe")))
    assert (report.outcome, len(transport.refused) > 5) == ("complete", True)
    herds = [
        sum(at + 0.005 < moment < at + 0.14 for moment, _ in transport.sent) for at, _, _ in transport.refused
    ]
    assert max(herds) <= 1


@pytest.mark.parametrize("manner", ["seconds", pytest.param("date", marks=pytest.mark.slow), "none"])
async def test_refusals_by_chance_cost_no_call(tmp_path: Path, manner: str) -> None:
    """Whatever a refusal says of the wait, no call is lost and the run is complete."""
    limits = Limits(random_refusals=0.05, retry_after=manner)  # type: ignore[arg-type]
    config = SandboxConfig(calls=300, agents=2, seed=3, quirks=Quirks(clamp=20), limits=limits)
    async with open_sandbox(config) as sandbox:
        report = await export(document([source("bimpe", sandbox.url)]), tmp_path)
        tally = _tally(sandbox.stats(), "bimpe")
        assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account("bimpe")))
    assert report.outcome == "complete"
    assert report.totals.throttled == tally["refused"]
