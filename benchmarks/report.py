"""What a benchmark says: JSON with versions, machine and commit, and a table for the README."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from .bench import Series, Sizes
from .measure import ROOT, floor_bytes
from .server import find_nginx

LIMITS_OF_THIS = """\
What this does not show: how fast calls come out of a real account, which its provider's limits decide (Talkover gives
100 requests a minute, so 10,000 calls); what latency does, for everything is on one machine and one loopback, the
servers taking their share of the same cores; details, transcripts and recordings, or a list that changes while it is
read; rows other than these, light ones of about 440 bytes, 100 a page, newest first. The loop and plain aiohttp keep no
journal, prove nothing complete and cannot go on after a crash; harvester does all of it here, as it always does. On a
shared machine read the ratios.
"""

FEWEST_ROUNDS = 3
"""With fewer a median says little."""

_PACKAGES = (
    "aiohttp",
    "anyio",
    "harvester",
    "msgspec",
    "orjson",
    "pyarrow",
    "requests",
    "urllib3",
    "uvloop",
    "zstandard",
)


@dataclass(frozen=True)
class Section:
    """One case against one server.

    Attributes:
        case: The case's name.
        title: What was measured, a line.
        series: The runs.
        table: The same as a Markdown table.
        findings: What follows from them, as the JSON has it.
    """

    case: str
    title: str
    series: Sequence[Series]
    table: str
    findings: Mapping[str, Any] = field(default_factory=dict)


def markdown(sections: Sequence[Section], facts: Mapping[str, Any]) -> str:
    """Return the text; it opens with what it does not show."""
    parts = [LIMITS_OF_THIS, _measured_on(facts)]
    if facts["sizes"]["rounds"] < FEWEST_ROUNDS:
        parts.append(f"**Fewer than {FEWEST_ROUNDS} rounds: this shows that it runs, not how fast it is.**\n")
    parts += [f"**{section.title}**\n\n{section.table}" for section in sections]
    return "\n".join(parts)


def document(sections: Sequence[Section], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything as plain values."""
    told = [
        {
            "case": section.case,
            "title": section.title,
            "findings": dict(section.findings),
            "series": [_plain(series) for series in section.series],
        }
        for section in sections
    ]
    return {"not_shown": LIMITS_OF_THIS, **facts, "sections": told}


def gather(sizes: Sizes) -> dict[str, Any]:
    """Return what the figures depend on: machine, versions, commit, sizes."""
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
        "sizes": {"calls": sizes.calls, "sandbox_calls": sizes.sandbox_calls, "rounds": sizes.rounds},
        "floor_bytes": floor_bytes(),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values: Sequence[float], unit: float = 1.0) -> str:
    """Return a median and, of more than one run, the least and the greatest."""
    middle = f"{_rounded(median(values) / unit):,}"
    if len(values) == 1:
        return middle
    return f"{middle} ({_rounded(min(values) / unit):,}–{_rounded(max(values) / unit):,})"  # noqa: RUF001 - a range


def peak(series: Series) -> str:
    """Return the median peak in MB; one at the floor is only known not to be above it."""
    least = floor_bytes()
    middle = median(series.peaks)
    return f"≤ {least / 1e6:.0f}" if middle <= least * 1.02 else f"{middle / 1e6:.0f}"


def failed(series: Series, columns: int) -> list[str]:
    """Return the row of a contender that failed; the whole of what it said is in the JSON."""
    reason = (series.error or "").replace("\n", " ").replace("|", "/")[:120]
    return [series.contender.title, f"failed: {reason}", *[""] * (columns - 2)]


def _rounded(value: float) -> int:
    """Round to three figures: more would claim what no run repeats."""
    digits = max(len(str(int(value))) - 3, 0)
    return int(round(value, -digits))


def _plain(series: Series) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "server": series.target.server,
        "account_calls": series.target.calls,
        "contender": series.contender.name,
        "title": series.contender.title,
        "error": series.error,
        "runs": [
            {"calls": calls, "elapsed_s": run.elapsed_s, "cpu_s": run.cpu_s, "peak_bytes": run.peak_bytes}
            for calls, run in zip(series.calls, series.runs, strict=True)
        ],
    }
    if series.runs:
        plain["calls_per_s"] = _three(series.speeds)
        plain["peak_bytes"] = _three(series.peaks)
        plain["cpu_s_per_100k"] = series.cpu_s
    return plain


def _three(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def _measured_on(facts: Mapping[str, Any]) -> str:
    machine, versions = facts["machine"], facts["versions"]
    return (
        f"Measured on {facts['started_at'][:10]} at commit {(facts['commit'] or 'unknown')[:12]}: {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, Python {versions['python']}, "
        f"nginx {versions['nginx'] or 'not installed'}; medians (least to greatest) of whole processes that took "
        f"turns, from start to exit.\n"
    )


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(terse=True),
        "load_before": os.getloadavg()[0],
    }


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    nginx = find_nginx()
    versions["nginx"] = _first_version([nginx, "-v"]) if nginx else None
    versions["wrk"] = _first_version(["wrk", "-v"])
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _first_version(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.search(r"\d+\.\d+[\w.+-]*", done.stdout + done.stderr)
    return found[0] if found else None


def _commit() -> str | None:
    """Return the commit, `-dirty` where the code is not quite that; None where there is no git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "harvester", "benchmarks")
    except (OSError, subprocess.CalledProcessError):
        print("the commit is not known: there is no git, or this is no checkout", file=sys.stderr)
        return None
    return f"{head}-dirty" if changed else head


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
