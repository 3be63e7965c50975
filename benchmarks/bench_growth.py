"""A large account: memory must not grow with it, nor the time of a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from .bench import Bench, Series
from .report import Section, bar, failed, spread, table
from .roster import HARVESTERS

CONTENDERS = (HARVESTERS[0], HARVESTERS[3])
"""The least that is done with a call, and the most."""


def run(bench: Bench) -> Iterator[Section]:
    """Measure three sizes; those that were measured before are not measured again."""
    sizes = bench.sizes
    measured: list[list[Series]] = []
    for calls in (sizes.peer_calls, sizes.calls, sizes.large_calls):
        rounds = sizes.large_rounds if calls == sizes.large_calls else sizes.slow_rounds
        with bench.nginx(calls) as target:
            measured.append(bench.measure(target, CONTENDERS, rounds=rounds))
    bench.drop(sizes.large_calls)
    columns = list(zip(*measured, strict=True))
    all_series = [series for column in columns for series in column]
    heads = [f"{series[0].target.calls:,}" for series in measured if series]
    head = ("", *(f"peak MB at {calls}" for calls in heads), *(f"µs a call at {calls}" for calls in heads))
    yield Section(
        "growth",
        f"One account, larger and larger, up to {sizes.large_calls:,} calls",
        all_series,
        table(head, [_row(column, len(head)) for column in columns]),
        {name: value for column in columns for name, value in _ratios(column).items()},
        [bar(_label(series), [peak / 1e6 for peak in series.peaks]) for series in all_series if series.runs],
        "peak MB",
    )


def _row(column: Sequence[Series], columns: int) -> list[str]:
    for series in column:
        if (row := failed(series, columns)) is not None:
            return row
    peaks = [spread(series.peaks, 1e6) for series in column]
    times = [f"{1e6 / series.speed:.1f}" for series in column]
    return [column[0].contender.title, *peaks, *times]


def _ratios(column: Sequence[Series]) -> dict[str, float]:
    if not all(series.runs for series in column):
        return {}
    *_, usual, large = column
    name = usual.contender.name
    sizes = f"{large.target.calls:,} / {usual.target.calls:,} calls"
    return {
        f"growth: {name}, peak at {sizes}": median(large.peaks) / median(usual.peaks),
        f"growth: {name}, time a call at {sizes}": usual.speed / large.speed,
    }


def _label(series: Series) -> str:
    return f"{series.contender.title}, {series.target.calls:,} calls"
