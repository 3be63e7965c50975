"""What a contender is: a command to run, and a way to count what it did."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import ROOT, ContenderError


@dataclass(frozen=True)
class Target:
    """An account on a server: its address, as a config's `base_url`, and how many calls it has."""

    server: str
    url: str
    calls: int


@dataclass(frozen=True)
class Contender:
    """Something that reads all calls of an account.

    Attributes:
        name: Short, unique.
        title: As the table has it.
        prepare: Given the target and an empty folder, returns the command; what it writes goes into that folder.
        count: Given that folder and the command's stdout, returns the calls it wrote or, if it writes none, read.
        writes: Whether the calls are to be all of the account's, each once.
        is_slow: Gets fewer rounds.
        lacks: Says what it needs and is not installed here; None where nothing is missing.
    """

    name: str
    title: str
    prepare: Callable[[Target, Path], list[str]]
    count: Callable[[Path, Path], int]
    writes: bool = True
    is_slow: bool = False
    lacks: Callable[[], str | None] = lambda: None


def program(module: str) -> Callable[[Target, Path], list[str]]:
    """Return how to run a module of this folder: with the URL, and the file it writes to."""

    def prepare(target: Target, folder: Path) -> list[str]:
        out = str(folder / "calls.ndjson")
        return [sys.executable, "-m", f"benchmarks.contenders.{module}", target.url, out]

    return prepare


def count_written(folder: Path, _log: Path) -> int:
    """Count the calls in the files of a folder; in a process of its own, see `measure`."""
    return _number_of([sys.executable, "-m", "benchmarks.count", str(folder)])


def count_said(_folder: Path, log: Path) -> int:
    """Return the number that a contender which writes nothing printed last."""
    return int(log.read_text().split()[-1])


def _number_of(command: list[str]) -> int:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ContenderError(f"what was written cannot be counted: {done.stderr.strip()[-2000:]}")
    return int(done.stdout)
