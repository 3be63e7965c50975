"""What a benchmark says of its runs."""

from __future__ import annotations

import pytest

from benchmarks.bench import Series
from benchmarks.contender import Target
from benchmarks.measure import Measured
from benchmarks.report import compared, rounded, spread
from benchmarks.roster import AIOHTTP, REQUESTS

TARGET = Target("nginx", "talkover", "", 1000)


def _series(*walls: float) -> Series:
    return Series(TARGET, AIOHTTP, [Measured(wall, 1.0, 10**9) for wall in walls], [1000] * len(walls))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (99.96, "100"),
        (123.4, "123"),
        (98765.4, "98,800"),
        (1e6, "1,000,000"),
    ],
)
def test_rounded_keeps_three_figures(value: float, text: str) -> None:
    """More would claim what no run repeats."""
    assert rounded(value) == text


def test_spread_tells_median_least_and_greatest() -> None:
    """Of a single run there is only the one."""
    assert spread([3.0, 1.0, 2.0]) == "2 (1–3)"  # noqa: RUF001 - a range
    assert spread([2.0]) == "2"


def test_compared_tells_ratios_of_medians() -> None:
    """Who failed or is missing has a row that says so, and no ratio."""
    fast, slow = _series(1.0, 2.0, 4.0), Series(TARGET, REQUESTS, error="first line\nthe last | of it")
    section = compared(
        "case", "title", [fast, slow], against=[("aiohttp", "aiohttp"), ("aiohttp", "requests")]
    )
    assert section.ratios == {"case: aiohttp / aiohttp": 1.0}
    assert "| 500 (250–1,000) | 1.00 | 100.00 | 1000 |" in section.table  # noqa: RUF001 - a range
    assert "failed: the last / of it" in section.table
    assert [(bar.value, bar.least, bar.greatest) for bar in section.bars] == [(500.0, 250.0, 1000.0)]
