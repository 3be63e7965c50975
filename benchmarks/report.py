"""What a benchmark says: sections with tables for the README, the same as JSON, and bars for the charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .bench import Series
from .measure import floor_bytes

LIMITS_OF_THIS = """\
What this does not show: how fast calls come out of a real account, which its provider's limits decide (Talkover gives
100 requests a minute, so 10,000 calls); a network, for everything is on one machine and one loopback, the servers
taking their share of the same cores, and latency is a fixed delay without loss or jitter; TLS; details that take a
request a call, recordings, or a list that changes while it is read; rows other than these. Static pages know no
filter: harvester, which cuts long lists by date, finds it ignored and reads them as one, a few requests later.

Peers do what they do by themselves: dlt, Airbyte's CDK and Singer's infer or check types and keep state, Scrapy
schedules. The loops by hand keep no journal, prove nothing complete and cannot go on after a crash. Harvester does all
of it here, as it always does. Peers are tuned as their modules in `benchmarks/contenders/` say, by us and not by their
makers. Peak memory is the sum of the peaks of a contender's processes. On a shared machine read the ratios.
"""

FEWEST_ROUNDS = 3
"""With fewer a median says little."""
COLUMNS = 5


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: the median, the least and the greatest."""

    label: str
    value: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Section:
    """One case against one server.

    Attributes:
        case: The case's name.
        title: What was measured, a line.
        series: The runs.
        table: The same as a Markdown table.
        ratios: What follows from them, by name.
        bars: What to draw.
        unit: Of the bars.
    """

    case: str
    title: str
    series: Sequence[Series]
    table: str
    ratios: Mapping[str, float] = field(default_factory=dict)
    bars: Sequence[Bar] = ()
    unit: str = "calls/s"


def compared(
    case: str,
    title: str,
    all_series: Sequence[Series],
    *,
    against: Sequence[tuple[str, str]] = (),
    base: str = "aiohttp",
    base_title: str = "times aiohttp + orjson",
) -> Section:
    """Return a section of speeds, in the contenders' order.

    Args:
        case: The case's name.
        title: What was measured.
        all_series: The runs.
        against: Pairs of names whose ratio of speeds is told.
        base: Who the others are compared with in the table.
        base_title: The same as the table's head has it.
    """
    speeds = {series.contender.name: series.speed for series in all_series if series.runs}
    pairs = [(one, other) for one, other in against if one in speeds and other in speeds]
    head = ("", "calls/s", base_title, "CPU s per 100,000 calls", "peak MB")
    return Section(
        case,
        title,
        all_series,
        table(head, [_row(series, speeds.get(base)) for series in all_series]),
        {f"{case}: {one} / {other}": speeds[one] / speeds[other] for one, other in pairs},
        # A ceiling would make the other bars short.
        [bar(series.contender.title, series.speeds) for series in all_series if _is_drawn(series)],
    )


def _is_drawn(series: Series) -> bool:
    return bool(series.runs) and series.contender.writes


def bar(label: str, values: Sequence[float]) -> Bar:
    """Return the bar of a contender."""
    return Bar(label, median(values), min(values), max(values))


def markdown(sections: Sequence[Section], facts: Mapping[str, Any]) -> str:
    """Return the text but for `LIMITS_OF_THIS`, which is printed before anything is measured."""
    parts = [_measured_on(facts)]
    if facts["sizes"]["rounds"] < FEWEST_ROUNDS:
        parts.append(f"**Fewer than {FEWEST_ROUNDS} rounds: this shows that it runs, not how fast it is.**\n")
    parts += [f"**{section.title}**\n\n{section.table}" for section in sections]
    rows = [[name, f"{value:.2f}"] for section in sections for name, value in section.ratios.items()]
    if rows:
        parts.append(f"**Ratios of medians**\n\n{table(('case: one / other', 'ratio'), rows)}")
    return "\n".join(parts)


def document(sections: Sequence[Section], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything as plain values."""
    told = [
        {
            "case": section.case,
            "title": section.title,
            "ratios": dict(section.ratios),
            "unit": section.unit,
            "bars": [vars(each) for each in section.bars],
            "series": [_plain(series) for series in section.series],
        }
        for section in sections
    ]
    return {"not_shown": LIMITS_OF_THIS, **facts, "sections": told}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values: Sequence[float], unit: float = 1.0) -> str:
    """Return a median and, of more than one run, the least and the greatest."""
    middle = rounded(median(values) / unit)
    if len(values) == 1:
        return middle
    return f"{middle} ({rounded(min(values) / unit)}–{rounded(max(values) / unit)})"  # noqa: RUF001 - a range


def peak(series: Series) -> str:
    """Return the median peak in MB; one at the floor is only known not to be above it."""
    least = floor_bytes()
    middle = median(series.peaks)
    return f"≤ {least / 1e6:.0f}" if middle <= least * 1.02 else f"{middle / 1e6:.0f}"


def rounded(value: float) -> str:
    """Return three figures: more would claim what no run repeats."""
    if value < 100:
        return f"{value:.3g}"
    return f"{int(round(value, 3 - len(str(int(value))))):,}"


def failed(series: Series, columns: int) -> list[str] | None:
    """Return the row of a contender that failed or is missing, else None; all of what it said is in the JSON."""
    reason = series.error or series.missing
    if reason is None:
        return None
    told = f"{'failed' if series.error else 'missing'}: {reason.splitlines()[-1]}".replace("|", "/")[:120]
    return [series.contender.title, told, *[""] * (columns - 2)]


def _row(series: Series, base: float | None) -> list[str]:
    return failed(series, COLUMNS) or [
        series.contender.title,
        spread(series.speeds),
        "" if base is None else f"{series.speed / base:.2f}",
        f"{series.cpu_s:.2f}",
        peak(series),
    ]


def _plain(series: Series) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "server": series.target.server,
        "provider": series.target.provider,
        "account_calls": series.target.calls,
        "contender": series.contender.name,
        "title": series.contender.title,
        "error": series.error,
        "missing": series.missing,
        "runs": [
            {"calls": calls, "elapsed_s": run.elapsed_s, "cpu_s": run.cpu_s, "peak_bytes": run.peak_bytes}
            for calls, run in zip(series.calls, series.runs, strict=True)
        ],
    }
    if series.runs:
        plain["calls_per_s"] = vars(bar("", series.speeds))
        plain["peak_bytes"] = vars(bar("", series.peaks))
        plain["cpu_s_per_100k"] = series.cpu_s
    return plain


def _shortened(commit: str | None) -> str:
    if commit is None:
        return "unknown"
    head, _, mark = commit.partition("-")
    return head[:12] + (f" ({mark})" if mark else "")


def _measured_on(facts: Mapping[str, Any]) -> str:
    machine, versions = facts["machine"], facts["versions"]
    peers = {name: version for found in facts.get("peers", {}).values() for name, version in found.items()}
    told = ", ".join(f"{name} {version}" for name, version in sorted(peers.items()))
    return (
        f"Measured on {facts['started_at'][:10]} at commit {_shortened(facts['commit'])}: {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, Python {versions['python']}, "
        f"nginx {versions['nginx']}, aiohttp {versions['aiohttp']}, pyarrow {versions['pyarrow']}"
        f"{'; peers: ' + told if told else ''}; medians (least to greatest) of whole processes that took turns, from "
        f"start to exit.\n"
    )
