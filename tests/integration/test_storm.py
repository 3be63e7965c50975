"""A storm: one answer in six goes wrong, some never come; every call is there all the same, and the run is complete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harvester.app import Harvester
from harvester.config import load_config
from harvester.sandbox import PROVIDERS, Faults, Quirks, SandboxConfig, open_sandbox
from harvester.transport.aiohttp import AiohttpTransport

from .exporting import (
    PROMPT,
    Output,
    SandboxProcess,
    assert_adds_up,
    assert_same_ids,
    document,
    four,
    harvest,
    requests_of,
    source,
    truth,
    violations_of,
    write_config,
)

STORM = {
    "500": 0.04,
    "503": 0.02,
    "reset": 0.02,
    "truncated": 0.02,
    "html": 0.02,
    "half_json": 0.02,
    "success_false": 0.02,
    "hang": 0.002,
}
PAGE = 5
LONGER_THAN_ANYBODY_WAITS_S = 600.0


def _assert_few_requests(stats: dict[str, Any], provider: str, *, pages: int) -> None:
    """Beside the pages there is a request for each fault that was met, and little more."""
    (tally,) = stats[provider]["keys"]
    faults = sum(tally["faults"].values())
    assert faults >= pages // 10
    assert requests_of(stats, provider) - faults <= pages * 1.01 + 20


async def test_storm_costs_no_call(tmp_path: Path) -> None:
    """Of every provider all calls are there once, though a request in six fails and some are never answered."""
    faults = Faults(rates={**STORM, "hang": 0.01}, hang_s=LONGER_THAN_ANYBODY_WAITS_S)
    config = SandboxConfig(calls=1000, agents=3, faults=faults, quirks=Quirks(clamp=PAGE))
    async with open_sandbox(config) as sandbox:
        text = document(four(sandbox.url), run={"concurrency": 64})
        read = load_config(text, folder=tmp_path, environ={}, now=datetime.now(UTC))
        transport = AiohttpTransport(read_s=0.5)
        async with Harvester(read, transport=transport, policy=PROMPT) as harvester:
            report = await harvester.export()
        await transport.aclose()
        for provider in PROVIDERS:
            assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))
            _assert_few_requests(sandbox.stats(), provider, pages=1000 // PAGE)
            assert sandbox.stats()[provider]["keys"][0]["faults"]["hang"] > 0
    assert report.outcome == "complete"
    assert_adds_up(report)


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_long_storm_is_exit_code_0(
    tmp_path: Path, serve: Callable[..., SandboxProcess], provider: str
) -> None:
    """The same of 20,000 pages, by the command as users have it, with its own patience for answers that never come."""
    faults = {"rates": STORM, "hang_s": LONGER_THAN_ANYBODY_WAITS_S}
    sandbox = serve(calls=100_000, latency_s=0.05, faults=faults, quirks={"clamp": PAGE})
    text = document([source(provider, sandbox.url)], run={"concurrency": 64}, output={"format": "ndjson"})
    write_config(tmp_path, text)
    done = harvest(tmp_path, "export", longest_s=900)
    assert done.code == 0, done.err
    assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account(provider)))
    _assert_few_requests(sandbox.stats(), provider, pages=100_000 // PAGE)
    assert violations_of(sandbox.stats()) == []
