"""Limits: how much of a provider's limit is used, and how many requests it refuses; counted by a server that has one.

The sandbox refuses what is over its limit in any second. Harvester is told the limit, reads it from the answers, or is
told nothing at all and has to find it. Budget used is of the whole process, from start to exit.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .bench import Bench, Series
from .contender import Target
from .ours import harvester
from .report import Bar, Section, bar, failed, table

PROVIDER = "agentvoice"
"""It documents no limit, so that what is not said is not known."""
PAGE = 20
_HEAD = ("", "requests", "budget used, %", "refused", "most in a second")


@dataclass(frozen=True)
class Limited:
    """A limit and what is known of it.

    Attributes:
        title: As the table has it.
        per_s: Requests a second.
        rate: As the config has it; None: nothing.
        headers: Whether answers announce it.
    """

    title: str
    per_s: int
    rate: str | None
    headers: str = "none"


CASES = (
    Limited("20/s, configured", 20, "20/s"),
    Limited("100/s, configured", 100, "100/s"),
    Limited("20/s, announced by the answers", 20, None, "epoch"),
    Limited("20/s, neither told nor announced", 20, None),
)


@dataclass
class Told:
    """What the server counted, round by round."""

    requests: list[int] = field(default_factory=list)
    used: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    most: list[int] = field(default_factory=list)


def run(bench: Bench) -> Iterator[Section]:
    """Measure all limits in turns."""
    told = {case.title: Told() for case in CASES}
    series = {case.title: _series(bench, case) for case in CASES}
    for number in range(bench.sizes.slow_rounds):
        for case in CASES:
            if series[case.title].error is None:
                _run(bench, case, series[case.title], told[case.title], number + 1)
    yield Section(
        "rates",
        f"Limits of a server that counts ({PROVIDER}, {PAGE} calls a page, {bench.sizes.rate_s} s)",
        list(series.values()),
        table(_HEAD, [_row(title, each, series[title]) for title, each in told.items()]),
        {f"rates: {title}, budget used": median(each.used) for title, each in told.items() if each.used},
        [_bar(title, each) for title, each in told.items() if each.used],
        "% of the budget",
    )


def _series(bench: Bench, case: Limited) -> Series:
    contender = harvester("ndjson", "native", rate=case.rate)
    return bench.series_of(Target(f"sandbox, {case.title}", PROVIDER, "", _calls(bench, case)), contender)


def _run(bench: Bench, case: Limited, series: Series, told: Told, number: int) -> None:
    limits = {"rates": [f"{case.per_s}/s"], "headers": case.headers}
    settings = {"calls": _calls(bench, case), "agents": 1, "limits": limits, "quirks": {"clamp": PAGE}}
    with bench.sandbox(case.title, PROVIDER, settings) as target:
        bench.run(series, target, number)
        if series.error is None:
            _count(told, case, target, series.runs[-1].elapsed_s)


def _count(told: Told, case: Limited, target: Target, elapsed_s: float) -> None:
    with urllib.request.urlopen(f"{target.url.removesuffix(PROVIDER)}_sandbox/stats") as answer:
        (tally,) = json.load(answer)[PROVIDER]["keys"]
    asked = sum(tally["requests"].values())
    told.requests.append(asked)
    told.refused.append(tally["refused"])
    told.most.append(tally["max_per_second"])
    told.used.append((asked - tally["refused"]) / (elapsed_s * case.per_s))


def _calls(bench: Bench, case: Limited) -> int:
    return bench.sizes.rate_s * case.per_s * PAGE


def _row(title: str, told: Told, series: Series) -> list[str]:
    if (row := failed(series, len(_HEAD))) is not None:
        return [title, *row[1:]]
    middles: list[Any] = [median(each) for each in (told.requests, told.refused, told.most)]
    requests, refused, most = (f"{middle:g}" for middle in middles)
    return [title, requests, f"{100 * median(told.used):.0f}", refused, most]


def _bar(title: str, told: Told) -> Bar:
    return bar(title, [100 * share for share in told.used])
