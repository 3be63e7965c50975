"""Windows that are too long to be walked as one: cut in time, whatever the provider's filter does, and resumed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harvester.app import Harvester
from harvester.config import load_config
from harvester.job.run import Answered

from .exporting import PROMPT, Output, SandboxProcess, assert_same_ids, document, export, source, truth

CALLS = 24_000
PAGES = CALLS // 100

FILTERS: dict[str, dict[str, Any]] = {
    "by the book": {},
    "ignored": {"ignore_times": True},
    "lossy": {"lossy_times": 400},
    "other zone": {"date_zone_h": 9},
    "last day left out": {"exclusive_date_to": True},
    "edges in": {"inclusive_edges": True},
    "ends at 10,000 rows": {"window": 10_000},
    "refuses beyond 10,000 rows": {"window": 10_000, "window_error": True},
    "no order": {"order": "random"},
}


class Stopper:
    """A hook that ends a run after so many answers."""

    def __init__(self, after: int) -> None:
        self.harvester: Harvester | None = None
        self._left = after

    def __call__(self, _: Answered) -> None:
        self._left -= 1
        if not self._left and self.harvester is not None:
            self.harvester.stop()


def text_of(provider: str, sandbox: SandboxProcess) -> str:
    return document(
        [source(provider, sandbox.url)], output={"path": "out", "format": "ndjson", "shape": "native"}
    )


def assert_exact(provider: str, sandbox: SandboxProcess, folder: Path) -> None:
    assert_same_ids(Output(folder / "out").ids(), truth(sandbox.world.account(provider)))


@pytest.mark.parametrize("provider", ["talkover", "talkpilot"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if number in {0, 2} else pytest.mark.slow)
        for number, name in enumerate(FILTERS)
    ],
)
async def test_export_of_a_long_window_is_exact(provider: str, name: str, tmp_path: Path) -> None:
    """More calls than are walked as one come once each, however the filter that they are cut by behaves."""
    with SandboxProcess(calls=CALLS, agents=1, quirks=FILTERS[name]) as sandbox:
        report = await export(text_of(provider, sandbox), tmp_path)
        assert report.outcome == "complete"
        assert_exact(provider, sandbox, tmp_path)


@pytest.mark.parametrize("provider", ["talkover", "talkpilot"])
async def test_export_of_a_long_window_goes_on_where_it_was_stopped(provider: str, tmp_path: Path) -> None:
    """A window in parts that is stopped again and again makes the same cuts, and asks for hardly a page twice."""
    with SandboxProcess(calls=CALLS, agents=1, latency_s=0.002) as sandbox:
        config = load_config(text_of(provider, sandbox), folder=tmp_path, environ={}, now=datetime.now(UTC))
        requests, outcome = 0, ""
        for stop_after in (40, 90, 60, 10_000):
            stopper = Stopper(stop_after)
            async with Harvester(config, policy=PROMPT, hooks=[stopper]) as harvester:
                stopper.harvester = harvester
                report = await harvester.export()
            requests, outcome = requests + report.totals.requests, report.outcome
        assert outcome == "complete"
        assert_exact(provider, sandbox, tmp_path)
        assert requests <= PAGES + 12 + 3 * config.concurrency
