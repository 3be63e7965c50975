"""What a contender is: a command to run on a target, and a way to check what it did."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .environments import Environment
from .measure import ROOT, ContenderError


@dataclass(frozen=True)
class Target:
    """An account on a server.

    Attributes:
        server: What serves, as keys and notes have it.
        provider: Whose API it speaks.
        url: Its address, as a config's `base_url`.
        calls: How many calls it has.
        ids: The file with the id of each; None where they are not known.
    """

    server: str
    provider: str
    url: str
    calls: int
    ids: Path | None = None


@dataclass(frozen=True)
class Contender:
    """Something that reads all calls of an account.

    Attributes:
        name: Short, unique.
        title: As the tables have it.
        prepare: Given the target and an empty folder, returns the command; what it writes goes into that folder.
        count: Given the target, that folder and the command's stdout, returns the calls it wrote or, if it writes
            none, read.
        writes: Whether the calls are to be all of the account's, each once.
        environment: What it needs beside this project; None for nothing.
        lacks: Says what else it needs and is not installed here; None where nothing is missing.
    """

    name: str
    title: str
    prepare: Callable[[Target, Path], list[str]]
    count: Callable[[Target, Path, Path], int]
    writes: bool = True
    environment: Environment | None = None
    lacks: Callable[[], str | None] = lambda: None


def program(
    module: str, *options: str, environment: Environment | None = None
) -> Callable[[Target, Path], list[str]]:
    """Return how to run a module of `contenders`: with the provider, the URL, a folder and its own options."""

    def prepare(target: Target, folder: Path) -> list[str]:
        python = sys.executable if environment is None else str(environment.python)
        return [
            python,
            "-m",
            f"benchmarks.contenders.{module}",
            target.provider,
            target.url,
            str(folder),
            *options,
        ]

    return prepare


def check_ids(*below: str) -> Callable[[Target, Path, Path], int]:
    """Return how to check that what is written in a folder below has exactly the account's ids, and to count it."""

    def count(target: Target, folder: Path, _log: Path) -> int:
        known = [] if target.ids is None else [str(target.ids)]
        return _checked([str(folder.joinpath(*below)), *known])

    return count


def count_messages(*kinds: str) -> Callable[[Target, Path, Path], int]:
    """Return how to count the lines of stdout that begin with any of these."""
    starts = tuple(kind.encode() for kind in kinds)

    def count(_target: Target, _folder: Path, log: Path) -> int:
        with log.open("rb") as file:
            return sum(line.startswith(starts) for line in file)

    return count


def count_said(_target: Target, _folder: Path, log: Path) -> int:
    """Return the number that a contender which writes nothing printed last."""
    return int(log.read_text().split()[-1])


def _checked(arguments: list[str]) -> int:
    """Check in a process of its own, see `measure`."""
    command = [sys.executable, "-m", "benchmarks.check", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ContenderError(f"what was written is not right: {done.stderr.strip()[-2000:]}")
    return int(done.stdout)
