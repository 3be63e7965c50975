"""`python -m benchmarks`: measure, print tables, write JSON and a page of charts.

Exit code 1 if a contender failed or wrote wrong calls, 2 if nothing could be measured. A peer that cannot be installed
is missing from the figures, with its reason, and is no failure.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import (
    bench_growth,
    bench_journal,
    bench_latency,
    bench_rates,
    bench_sources,
    bench_start,
    bench_throughput,
)
from .bench import Bench, note
from .environments import CHARTS, MissingError
from .facts import gather, peer_versions
from .measure import ROOT
from .report import LIMITS_OF_THIS, Section, document, markdown
from .server import find_nginx
from .sizes import QUICK, Sizes
from .wrk import lacking

CASES: dict[str, Callable[[Bench], Iterator[Section]]] = {
    "start": bench_start.run,
    "throughput": bench_throughput.run,
    "journal": bench_journal.run,
    "gzip": bench_throughput.run_gzip,
    "peers": bench_throughput.run_peers,
    "transcripts": bench_throughput.run_transcripts,
    "sources": bench_sources.run,
    "agents": bench_sources.run_agents,
    "latency": bench_latency.run,
    "latency-vendor": bench_latency.run_vendor,
    "latency-peers": bench_latency.run_peers,
    "rates": bench_rates.run,
    "growth": bench_growth.run,
}
QUICK_CASES = ("start", "throughput", "latency", "journal")
OUT = ROOT / "build" / "benchmarks"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run the cases that are asked for; gives the exit code."""
    asked = _parser().parse_args(arguments)
    cases = asked.case or (QUICK_CASES if asked.quick else tuple(CASES))
    sizes = _sizes(asked)
    print(LIMITS_OF_THIS, flush=True)
    started, facts = time.monotonic(), gather(sizes)
    with tempfile.TemporaryDirectory(prefix="harvester-bench-") as folder:
        if not _can_measure(Path(folder), sizes, is_large="growth" in cases):
            return 2
        bench = Bench(Path(folder), sizes, only=asked.contender)
        sections = [section for case in cases for section in CASES[case](bench)]
    facts["peers"] = peer_versions(bench.environments.values())
    facts["took_s"] = round(time.monotonic() - started)
    _tell(sections, facts, asked.out)
    return 1 if any(series.error for series in bench.series) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory, measured.")
    parser.add_argument("--case", action="append", choices=CASES, help="only this; may be repeated")
    parser.add_argument(
        "--contender", action="append", default=[], help="only this, by its name in the JSON; may be repeated"
    )
    parser.add_argument("--calls", type=_number, help=f"of the usual account (default {Sizes().calls:,})")
    parser.add_argument("--rounds", type=_number, help=f"of each contender (default {Sizes().rounds})")
    parser.add_argument(
        "--quick", action="store_true", help="small, few cases and rounds: does it run, and about how fast"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for JSON, tables and charts")
    return parser


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _sizes(asked: argparse.Namespace) -> Sizes:
    base = QUICK if asked.quick else Sizes()
    rounds = asked.rounds or base.rounds
    return replace(
        base, calls=asked.calls or base.calls, rounds=rounds, slow_rounds=min(rounds, base.slow_rounds)
    )


def _can_measure(folder: Path, sizes: Sizes, *, is_large: bool) -> bool:
    """Say what is missing; gives whether that which is there is enough."""
    if (reason := lacking()) is not None:
        note(f"{reason}: there will be no ceiling of the server")
    if find_nginx() is None:
        note("nginx is not installed (apt-get install nginx): there is nothing to serve pages")
        return False
    free, needed = shutil.disk_usage(folder).free, sizes.disk_bytes(is_large=is_large)
    if free < needed:
        note(f"{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} are needed: set TMPDIR")
        return False
    return True


def _tell(sections: Sequence[Section], facts: dict[str, Any], out: Path) -> None:
    text = markdown(sections, facts)
    print(text)
    out.mkdir(parents=True, exist_ok=True)
    told, page = out / "benchmarks.json", out / "benchmarks.html"
    (out / "benchmarks.md").write_text(f"{LIMITS_OF_THIS}\n{text}", encoding="utf-8")
    told.write_text(json.dumps(document(sections, facts), indent=2) + "\n", encoding="utf-8")
    note(f"JSON and tables: {out}")
    try:
        CHARTS.make()
        subprocess.run([CHARTS.python, "-m", "benchmarks.charts", told, page], cwd=ROOT, check=True)
        note(f"charts: {page}")
    except (MissingError, subprocess.CalledProcessError) as error:
        note(f"no charts: {error}")


def _leave(number: int, _frame: object) -> None:
    # Servers are stopped and the temporary folder is removed on the way out; a second signal must not cut that short.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    for each in _SIGNALS:
        signal.signal(each, _leave)
    sys.exit(main(sys.argv[1:]))
