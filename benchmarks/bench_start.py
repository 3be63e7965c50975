"""Start-up: what a command takes before it does anything, beside an interpreter that does nothing."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from .bench import Bench, note
from .measure import ROOT, Measured, run_measured
from .report import Section, bar, rounded, spread, table

_HEAD = ("", "ms", "times a bare interpreter", "peak MB")
BARE = "python -c pass"


def run(bench: Bench) -> Iterator[Section]:
    """Measure in turns, more often than the rest: each is over in a moment."""
    commands = _commands()
    runs: dict[str, list[Measured]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        # As pip leaves a package: where PYTHONDONTWRITEBYTECODE is set, each run would compile all that it imports.
        run_measured([sys.executable, "-m", "compileall", "-q", str(ROOT / "harvester")], Path(folder, "log"))
        for number in range(bench.sizes.start_rounds + 1):
            for name, command in commands.items():
                measured = run_measured(command, Path(folder, "log"))
                if number:  # The first fills the page cache.
                    runs[name].append(measured)
    walls = {name: [1000 * run.elapsed_s for run in each] for name, each in runs.items()}
    bare = median(walls[BARE])
    note(f"start-up, ms: {', '.join(f'{name} {median(each):.0f}' for name, each in walls.items())}")
    rows = [
        [
            f"`{name}`",
            spread(each),
            f"{median(each) / bare:.1f}",
            rounded(median(run.peak_bytes for run in runs[name]) / 1e6),
        ]
        for name, each in walls.items()
    ]
    yield Section(
        "start",
        f"Start-up, {bench.sizes.start_rounds} rounds",
        [],
        table(_HEAD, rows),
        {f"start: {name} / {BARE}": median(each) / bare for name, each in walls.items() if name != BARE},
        [bar(name, each) for name, each in walls.items()],
        "ms",
    )


def _commands() -> dict[str, list[str]]:
    script = Path(sys.executable).with_name("harvester")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "harvester"]
    return {
        BARE: [sys.executable, "-c", "pass"],
        "python -c 'import harvester'": [sys.executable, "-c", "import harvester"],
        "harvester --help": [*command, "--help"],
        "harvester --version": [*command, "--version"],
        "harvester export --help": [*command, "export", "--help"],
    }
