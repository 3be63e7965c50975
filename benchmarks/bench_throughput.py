"""Throughput: calls a second from the start of a process to its end, beside who else could read the same pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .bench import Bench, Series
from .contenders import CONTENDERS, HARVESTERS, REQUESTS
from .report import Section, failed, peak, spread, table

_HEAD = ("", "calls/s", "times the loop", "CPU s per 100,000 calls", "peak MB")


def run(bench: Bench) -> Iterator[Section]:
    """Measure against static pages, which cost a server next to nothing, and against the sandbox."""
    if bench.has_nginx:
        with bench.nginx(bench.sizes.calls) as target:
            series = bench.measure(target, CONTENDERS)
        yield _section(f"{target.calls:,} calls from static pages of nginx (one worker)", series)
    with bench.sandbox(bench.sizes.sandbox_calls) as target:
        series = bench.measure(target, (*HARVESTERS, REQUESTS), slow=True)
    yield _section(
        f"{target.calls:,} calls from the sandbox, which makes up each page when it is asked", series
    )


def _section(title: str, all_series: Sequence[Series]) -> Section:
    loop = next((series for series in all_series if series.contender is REQUESTS and series.runs), None)
    ratios = {
        series.contender.name: series.speed / loop.speed
        for series in all_series
        if loop is not None and series.runs
    }
    rows = [_row(series, ratios) for series in all_series]
    return Section("throughput", title, all_series, table(_HEAD, rows), {"times_the_loop": ratios})


def _row(series: Series, ratios: dict[str, float]) -> list[str]:
    if series.error is not None:
        return failed(series, len(_HEAD))
    ratio = ratios.get(series.contender.name)
    return [
        series.contender.title,
        spread(series.speeds),
        "" if ratio is None else f"{ratio:.1f}",
        f"{series.cpu_s:.2f}",
        peak(series),
    ]
