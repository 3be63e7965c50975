"""Limits over real sockets, judged by the server's own counts: configured, announced, found, and refusals by chance."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harvester.transport.retry import RetryPolicy

from .exporting import SandboxProcess, document, export, source

PAGE = 100


class Seen(msgspec.Struct, frozen=True):
    """What the server has seen of an export, and how long it took here."""

    outcome: str
    passed: int
    refused: int
    most_per_s: int
    most_in_flight: int
    elapsed_s: float

    @property
    def refused_share(self) -> float:
        """Refused, of all requests."""
        return self.refused / (self.passed + self.refused)

    @property
    def per_s(self) -> float:
        """Let through in a second."""
        return self.passed / self.elapsed_s


Asker = Callable[..., Any]


@pytest.fixture
def ask(serve: Callable[..., SandboxProcess], tmp_path: Path) -> Asker:
    """Export so many pages of one agent from a sandbox with limits."""

    async def _ask(
        pages: int, limits: Mapping[str, Any], *, latency_s: float = 0.02, concurrency: int = 32, **keys: Any
    ) -> Seen:
        sandbox = serve(calls=pages * PAGE, agents=1, cache_mb=64, latency_s=latency_s, limits=limits)
        told = {key: value for key, value in source("bimpe", sandbox.url).items() if key != "rate"} | keys
        text = document(
            [told],
            run={"concurrency": concurrency},
            output={"format": "ndjson", "compression": "none", "raw": False},
        )
        started = time.monotonic()
        report = await export(text, tmp_path / str(started), policy=RetryPolicy())
        elapsed_s = time.monotonic() - started
        tally = sandbox.stats()["bimpe"]["keys"][0]
        return Seen(
            report.outcome,
            tally["answers"]["200"],
            tally["answers"].get("429", 0),
            tally["max_per_second"],
            tally["max_in_flight"],
            elapsed_s,
        )

    return _ask


async def test_unknown_limit_is_found_soon(ask: Asker) -> None:
    """A bare 429 above 50/s: within a few seconds all pages are there, few refused, and no storm."""
    seen = await ask(150, {"rates": ["50/s"]})
    assert seen.outcome == "complete"
    assert seen.refused <= 12
    assert seen.most_per_s <= 75


@pytest.mark.slow
async def test_configured_limit_is_kept_and_used(ask: Asker) -> None:
    """20/s over 300 pages: no refusal, 0.93 of it used."""
    seen = await ask(300, {"rates": ["20/s"]}, rate="20/s")
    assert seen.refused == 0
    assert seen.most_per_s <= 20
    assert seen.per_s >= 0.9 * 20  # less what starting and writing take here


@pytest.mark.slow
async def test_two_configured_windows_meet_no_refusal(ask: Asker) -> None:
    """A short and a long window at once."""
    seen = await ask(300, {"rates": ["30/s", "100/10s"]}, rate=["30/s", "100/10s"])
    assert seen.refused == 0
    assert seen.per_s >= 0.9 * 10


@pytest.mark.slow
@pytest.mark.parametrize("retry_after", ["none", "seconds"])
@pytest.mark.parametrize("headers", ["epoch", "delta"])
async def test_announced_limit_is_used_without_refusals(ask: Asker, headers: str, retry_after: str) -> None:
    """20/s told by headers over 1,000 pages: at most 0.5 % refused, 0.9 used."""
    seen = await ask(1000, {"rates": ["20/s"], "headers": headers, "retry_after": retry_after})
    assert seen.refused_share <= 0.005
    assert seen.per_s >= 0.9 * 20


@pytest.mark.slow
@pytest.mark.parametrize("retry_after", ["none", "seconds", "date"])
async def test_unknown_limit_is_found_and_used(ask: Asker, retry_after: str) -> None:
    """20/s told by nothing but refusals over 1,000 pages: at most 1.5 % refused, 0.85 used."""
    seen = await ask(1000, {"rates": ["20/s"], "retry_after": retry_after})
    assert seen.refused_share <= 0.015
    assert seen.per_s >= 0.85 * 20


@pytest.mark.slow
async def test_unknown_limit_on_requests_in_flight_is_found(ask: Asker) -> None:
    """Refused above 8 at once over 5,000 pages: 0.8 of what eight senders get out of the same server."""
    possible = await ask(1500, {}, latency_s=0.05, concurrency=8, rate="unlimited")
    seen = await ask(5000, {"max_in_flight": 8}, latency_s=0.05)
    assert seen.outcome == "complete"
    assert seen.refused_share <= 0.01
    assert seen.per_s >= 0.8 * possible.per_s


@pytest.mark.slow
@pytest.mark.parametrize("keys", [{}, {"rate": "unlimited"}])
async def test_refusals_by_chance_do_not_slow_down(ask: Asker, keys: Mapping[str, Any]) -> None:
    """A tenth refused at random, no wait named: 1,000 pages within a minute, and never more at once than asked for."""
    seen = await ask(1000, {"random_refusals": 0.1}, latency_s=0.05, **keys)
    assert seen.outcome == "complete"
    assert seen.passed == 1001
    assert seen.elapsed_s <= 60
    assert seen.most_in_flight <= 32
