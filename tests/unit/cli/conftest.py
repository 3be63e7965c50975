"""What the tests of the command line share: reports and progress as an engine gives them."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from harvester.cli.screen import Screen
from harvester.job.report import Report, SegmentReport, SourceProgress, SourceReport, overall, totals

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def screen(stream: io.StringIO) -> Screen:
    return Screen(stream)


@pytest.fixture
def make_source() -> Callable[..., SourceReport]:
    """Make a source's report; what is not said is complete."""

    def make(name: str = "sales", **said: Any) -> SourceReport:
        told = {
            "outcome": "complete",
            "since": None,
            "until": NOW,
            "expected": 100,
            "written": 100,
            "written_now": 50,
            "requests": 5,
        } | said
        return SourceReport(name=name, provider="talkover", **told)

    return make


@pytest.fixture
def make_report() -> Callable[..., Report]:
    """Make a report of sources."""

    def make(*sources: SourceReport, is_interrupted: bool = False) -> Report:
        return Report(
            run_id="run-1",
            command="export",
            outcome=overall(sources, is_interrupted=is_interrupted),
            started_at=NOW,
            finished_at=NOW,
            elapsed_s=10.0,
            totals=totals(sources),
            sources=list(sources),
            segments=[SegmentReport("calls/sales/part-00000-run-1.parquet", 100, 1000, "0" * 64)],
        )

    return make


@pytest.fixture
def make_row() -> Callable[..., SourceProgress]:
    """Make a row of progress; what is not said runs."""

    def make(name: str = "sales", **said: Any) -> SourceProgress:
        told: dict[str, Any] = {
            "provider": "talkover", "state": "running", "written": 500, "expected": 1000, "rate": 50.0,
            "requests": 5, "paused_until": None, "eta_s": 10.0,
        } | said  # fmt: skip
        return SourceProgress(name=name, **told)

    return make
