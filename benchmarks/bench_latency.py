"""Latency: each answer comes 50 ms after it was asked for, so that requests in flight decide.

The bound is pages / in flight x 50 ms. A contender that waits for each page needs in-flight times as long. The server
is ours (`delayed`): plain aiohttp beside the others shows how near to the bound it lets one come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from .bench import Bench, Series
from .contender import Contender
from .ours import harvester
from .pages import pages_of
from .report import Section, bar, failed, peak, spread, table
from .roster import REQUESTS, aiohttp, bimpeai, dlt_deferred, peers

DELAY_S = 0.05
MANY, FEW = 64, 16
_HEAD = ("", "seconds", "times the bound", "CPU s per 100,000 calls", "peak MB")


def run(bench: Bench) -> Iterator[Section]:
    """Measure with many and with few in flight."""
    for in_flight in (MANY, FEW):
        yield _measured(bench, bench.sizes.latency_calls, in_flight, _own(in_flight))


def run_peers(bench: Bench) -> Iterator[Section]:
    """Measure the peers, and ourselves beside them."""
    dlt_arrow = dlt_deferred("parquet", "arrow", MANY)
    contenders = (*_own(MANY), *peers(MANY), dlt_arrow, REQUESTS)
    yield _measured(bench, bench.sizes.peer_latency_calls, MANY, contenders)


def run_vendor(bench: Bench) -> Iterator[Section]:
    """Measure the vendor's own client, on the pages that it reads."""
    contenders = (*_own(MANY), bimpeai(MANY), bimpeai(1))
    yield _measured(bench, bench.sizes.vendor_latency_calls, MANY, contenders, provider="bimpe")


def _own(in_flight: int) -> tuple[Contender, ...]:
    return (
        harvester("ndjson", "native", in_flight=in_flight),
        harvester("parquet", "unified", in_flight=in_flight),
        aiohttp(in_flight),
    )


def _measured(
    bench: Bench, calls: int, in_flight: int, contenders: Sequence[Contender], provider: str = "talkover"
) -> Section:
    with bench.delayed(calls, DELAY_S, provider) as target:
        all_series = bench.measure(target, contenders)
    pages = pages_of(calls)
    bound_s = pages / in_flight * DELAY_S
    walls = {series.contender.name: median(series.walls) for series in all_series if series.runs}
    own = contenders[0].name
    case = f"latency {provider}, {pages:,} pages, {in_flight} in flight"
    ratios = {f"{case}: {own} / bound": walls[own] / bound_s} if own in walls else {}
    if own in walls:
        others = [name for name in walls if not name.startswith("harvester")]
        ratios |= {f"{case}: time of {name} / {own}": walls[name] / walls[own] for name in others}
    return Section(
        case,
        f"{pages:,} pages ({provider}), each answer after {DELAY_S * 1000:g} ms, {in_flight} in flight; the bound is "
        f"{bound_s:.2f} s",
        all_series,
        table(_HEAD, [_row(series, bound_s) for series in all_series]),
        ratios,
        [bar(series.contender.title, series.walls) for series in all_series if series.runs],
        "seconds",
    )


def _row(series: Series, bound_s: float) -> list[str]:
    return failed(series, len(_HEAD)) or [
        series.contender.title,
        spread(series.walls),
        f"{median(series.walls) / bound_s:.2f}",
        f"{series.cpu_s:.2f}",
        peak(series),
    ]
