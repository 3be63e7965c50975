"""What an account at rest costs: its pages, a list of agents, and next to nothing more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harvester.sandbox import PROVIDERS

from .exporting import (
    SandboxProcess,
    document,
    export,
    four,
    harvest,
    of,
    requests_of,
    source,
    violations_of,
    write_config,
)

LEAN = {"format": "ndjson", "compression": "none", "shape": "native"}
PAGE = 100
AGENTS = 4


def _lean(calls: int, agents: int) -> int:
    """Return what it costs to ask for each page and each agent once."""
    return calls // PAGE + agents


async def test_account_at_rest_costs_its_pages(tmp_path: Path, serve: Callable[..., SandboxProcess]) -> None:
    """Of 24,000 calls of one agent, cut in time or not, at most 2 % and ten requests more, whoever the provider is."""
    sandbox = serve(calls=24_000, agents=1)
    report = await export(document(four(sandbox.url), output=LEAN), tmp_path)
    assert report.outcome == "complete"
    for provider in PROVIDERS:
        assert of(report, provider).missing == 0
        assert requests_of(sandbox.stats(), provider) <= 1.02 * _lean(24_000, 1) + 10, provider
    assert violations_of(sandbox.stats()) == []


@pytest.mark.slow
@pytest.mark.parametrize("half_in_first", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_million_calls_cost_their_pages(
    tmp_path: Path, serve: Callable[..., SandboxProcess], provider: str, *, half_in_first: bool
) -> None:
    """At most 2 % more than pages and agents, however the calls are spread over these."""
    sandbox = serve(calls=1_000_000, agents=AGENTS, half_in_first=half_in_first)
    write_config(tmp_path, document([source(provider, sandbox.url)], output=LEAN))
    done = harvest(tmp_path, "export", longest_s=900)
    assert done.code == 0, done.err
    assert requests_of(sandbox.stats(), provider) <= 1.02 * _lean(1_000_000, AGENTS)
    assert violations_of(sandbox.stats()) == []
