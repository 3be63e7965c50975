"""Memory: the peak of exporting a large account beside that of one a tenth as large. It must not grow with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from .bench import Bench, Series
from .contenders import HARVESTERS
from .report import Section, failed, spread, table

WITHIN_BYTES = 50_000_000
"""How much more the large account may take; the README's promise."""

FILLED_CALLS = 100_000
"""An account with fewer does not fill the buffers that all exports have, so that nothing follows from its peak."""


def run(bench: Bench) -> Iterator[Section]:
    """Measure with static pages; with the sandbox where there is no nginx."""
    if not bench.has_nginx:
        yield from run_sandbox(bench)
        return
    sizes = bench.sizes
    with bench.nginx(sizes.small_calls) as target:
        small = bench.measure(target, HARVESTERS)
    with bench.nginx(sizes.calls) as target:
        large = bench.measure(target, HARVESTERS)
    yield _section(bench, "nginx", small, large)


def run_sandbox(bench: Bench) -> Iterator[Section]:
    """Measure with the sandbox."""
    sizes = bench.sizes
    with bench.sandbox(sizes.small_calls) as target:
        small = bench.measure(target, HARVESTERS, slow=True)
    with bench.sandbox(sizes.calls) as target:
        large = bench.measure(target, HARVESTERS, slow=True)
    yield _section(bench, "sandbox", small, large)


def _section(bench: Bench, server: str, small: Sequence[Series], large: Sequence[Series]) -> Section:
    sizes = bench.sizes
    is_telling = sizes.small_calls >= FILLED_CALLS
    pairs = list(zip(small, large, strict=True))
    more = {one.contender.name: _more(one, other) for one, other in pairs if one.runs and other.runs}
    head = ("", f"peak MB at {sizes.small_calls:,}", f"peak MB at {sizes.calls:,}", "more")
    title = (
        f"Peak of resident memory, one account of {sizes.small_calls:,} and of {sizes.calls:,} calls ({server}; "
        f"`ru_maxrss` of the whole process)"
    )
    findings = {
        "within_bytes": WITHIN_BYTES,
        "more_bytes": more,
        "is_flat": all(grown <= WITHIN_BYTES for grown in more.values()) if is_telling else None,
    }
    rows = [_row(one, other, columns=len(head), is_telling=is_telling) for one, other in pairs]
    return Section("memory", title, [*small, *large], table(head, rows), findings)


def _more(small: Series, large: Series) -> float:
    return median(large.peaks) - median(small.peaks)


def _row(small: Series, large: Series, *, columns: int, is_telling: bool) -> list[str]:
    for series in (small, large):
        if series.error is not None:
            return failed(series, columns)
    grown = _more(small, large)
    verdict = f": more than {WITHIN_BYTES / 1e6:.0f}" if is_telling and grown > WITHIN_BYTES else ""
    return [
        small.contender.title,
        spread(small.peaks, 1e6),
        spread(large.peaks, 1e6),
        f"{grown / 1e6:+.0f}{verdict}",
    ]
