"""`python -m benchmarks`: measure, print a table, write JSON.

Exit code 1 if a contender failed or wrote a wrong number of calls, 2 if nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import bench_memory, bench_throughput
from .bench import Bench, Sizes, note
from .contenders import CONTENDERS
from .measure import ROOT
from .report import Section, document, gather, markdown

CASES: dict[str, Callable[[Bench], Iterator[Section]]] = {
    "throughput": bench_throughput.run,
    "memory": bench_memory.run,
    "memory-sandbox": bench_memory.run_sandbox,
}
DEFAULT_CASES = ("throughput", "memory")
QUICK = Sizes(calls=50_000, sandbox_calls=20_000, rounds=1, slow_rounds=1)
JSON = ROOT / "build" / "benchmarks.json"


def main(arguments: Sequence[str]) -> int:
    """Run the cases that are asked for; gives the exit code."""
    asked = _parser().parse_args(arguments)
    sizes = _sizes(asked)
    facts = gather(sizes)
    with tempfile.TemporaryDirectory(prefix="harvester-bench-") as folder:
        free = shutil.disk_usage(folder).free
        if free < sizes.disk_bytes:
            note(
                f"{folder} has {free / 1e9:.1f} GB free, {sizes.disk_bytes / 1e9:.1f} are needed: set TMPDIR, "
                "or ask for fewer --calls"
            )
            return 2
        bench = Bench(Path(folder), sizes, only=asked.contender)
        if not bench.has_nginx:
            note(
                "nginx is not installed (apt-get install nginx): only the sandbox is asked, which is the slower one"
            )
        sections = [section for case in asked.case or DEFAULT_CASES for section in CASES[case](bench)]
    text, plain = markdown(sections, facts), json.dumps(document(sections, facts), indent=2)
    _tell(text, plain, asked.json)
    return 1 if any(series.error for series in bench.series) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory, measured.")
    parser.add_argument("--case", action="append", choices=CASES, help="only this; may be repeated")
    parser.add_argument(
        "--contender",
        action="append",
        default=[],
        choices=[contender.name for contender in CONTENDERS],
        help="only this; may be repeated",
    )
    parser.add_argument("--calls", type=_number, help=f"of the account (default {Sizes().calls:,})")
    parser.add_argument("--rounds", type=_number, help=f"of each contender (default {Sizes().rounds})")
    parser.add_argument(
        "--quick", action="store_true", help="small and once: does it run, not how fast is it"
    )
    parser.add_argument(
        "--json", metavar="FILE", help=f"where the JSON goes (default {JSON}); -: stdout, and no table"
    )
    return parser


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _sizes(asked: argparse.Namespace) -> Sizes:
    base = QUICK if asked.quick else Sizes()
    rounds = asked.rounds or base.rounds
    return Sizes(
        calls=asked.calls or base.calls,
        sandbox_calls=min(asked.calls or base.sandbox_calls, base.sandbox_calls),
        rounds=rounds,
        slow_rounds=min(rounds, base.slow_rounds),
    )


def _tell(text: str, plain: str, wish: str | None) -> None:
    if wish == "-":
        print(plain)
        return
    print(text)
    path = Path(wish) if wish else JSON
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plain + "\n", encoding="utf-8")
    note(f"JSON: {path}")


def _leave(number: int, _frame: object) -> None:
    # Servers are stopped and the temporary folder is removed on the way out.
    sys.exit(128 + number)


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _leave)
    sys.exit(main(sys.argv[1:]))
