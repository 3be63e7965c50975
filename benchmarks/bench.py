"""What all cases are run with: accounts, servers, and rounds in which the contenders take turns."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .contender import Contender, Target
from .environments import Environment, MissingError
from .measure import ContenderError, Measured, run_measured
from .pages import write_pages
from .server import open_delayed, open_nginx, open_sandbox
from .sizes import Sizes

SLOW_S = 10.0
"""Who takes longer gets fewer rounds."""


@dataclass
class Series:
    """The runs of one contender against one target.

    Attributes:
        target: What was read.
        contender: Who read it.
        runs: What each took.
        calls: How many each read.
        error: Why there are no more of them.
        missing: Why there are none: something is not installed.
    """

    target: Target
    contender: Contender
    runs: list[Measured] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    error: str | None = None
    missing: str | None = None

    @property
    def walls(self) -> list[float]:
        """Seconds from start to exit, run by run."""
        return [run.elapsed_s for run in self.runs]

    @property
    def speeds(self) -> list[float]:
        """Calls a second, run by run."""
        return [calls / run.elapsed_s for calls, run in zip(self.calls, self.runs, strict=True)]

    @property
    def speed(self) -> float:
        """The median of the calls a second."""
        return median(self.speeds)

    @property
    def cpu_s(self) -> float:
        """The median of the CPU seconds for 100,000 calls."""
        return median(1e5 * run.cpu_s / calls for calls, run in zip(self.calls, self.runs, strict=True))

    @property
    def peaks(self) -> list[int]:
        """The peaks of memory in bytes, run by run."""
        return [run.peak_bytes for run in self.runs]


class Bench:
    """Runs contenders against targets.

    Args:
        folder: Where everything is written; the caller removes it.
        sizes: How much.
        only: Names of the contenders to run; empty for all.
    """

    def __init__(self, folder: Path, sizes: Sizes, *, only: Sequence[str] = ()) -> None:
        self.sizes = sizes
        self.environments: dict[str, Environment] = {}
        self._folder = folder
        self._only = frozenset(only)
        self._known: dict[tuple[str, str, int, str], Series] = {}
        self._opened = 0

    @property
    def series(self) -> list[Series]:
        """All that was run."""
        return list(self._known.values())

    @contextmanager
    def nginx(self, calls: int, provider: str = "talkover", *, is_packed: bool = False) -> Iterator[Target]:
        """Serve an account's pages from nginx."""
        pages = self._account(calls, provider, is_packed=is_packed)
        self._opened += 1
        folder = self._folder / f"nginx-{self._opened}"
        with open_nginx(pages, folder, provider, is_packed=is_packed) as url:
            server = "nginx, gzip" if is_packed else "nginx"
            yield Target(server, provider, url, calls, pages / "ids.txt")

    @contextmanager
    def delayed(self, calls: int, delay_s: float, provider: str = "talkover") -> Iterator[Target]:
        """Serve an account's pages, each answer after a delay."""
        pages = self._account(calls, provider)
        with open_delayed(pages, provider, delay_s) as url:
            yield Target(f"delay of {delay_s * 1000:g} ms", provider, url, calls, pages / "ids.txt")

    @contextmanager
    def sandbox(self, name: str, provider: str, settings: Mapping[str, Any]) -> Iterator[Target]:
        """Serve an account from the sandbox, which makes up each answer when it is asked."""
        with open_sandbox(settings) as url:
            yield Target(f"sandbox, {name}", provider, f"{url}/{provider}", settings["calls"])

    def drop(self, calls: int) -> None:
        """Remove the pages of an account that is not needed any more."""
        shutil.rmtree(self._folder / f"talkover-{calls}", ignore_errors=True)

    def measure(
        self, target: Target, contenders: Sequence[Contender], *, rounds: int | None = None
    ) -> list[Series]:
        """Run contenders in turns, each round in another order; what was measured before is not measured again.

        A contender that fails is out, and what it said is in its series; so is one that is not installed.

        Args:
            target: What they read.
            contenders: Who; those not chosen are left out.
            rounds: How often; None for the usual.
        """
        chosen = [each for each in contenders if not self._only or each.name in self._only]
        all_series = [self.series_of(target, each) for each in chosen]
        todo = [each for each in all_series if not each.runs and each.missing is None]
        for number in range(rounds or self.sizes.rounds):
            at = number % max(len(todo), 1)
            for series in todo[at:] + todo[:at]:
                if self._is_due(series, number):
                    self.run(series, target, number + 1)
        return all_series

    def series_of(self, target: Target, contender: Contender) -> Series:
        """Return the series of a contender, begun where there is none; its environment is made."""
        key = (target.server, target.provider, target.calls, contender.name)
        if key not in self._known:
            series = self._known[key] = Series(target, contender)
            series.missing = self._lacking(contender)
            if series.missing is not None:
                note(f"{contender.name} is left out: {series.missing}")
        return self._known[key]

    def run(self, series: Series, target: Target, number: int) -> None:
        """Run a contender once, and check what it did."""
        contender = series.contender
        folder, log = self._folder / "run", self._folder / "run.log"
        folder.mkdir()
        try:
            measured = run_measured(contender.prepare(target, folder), log)
            calls = contender.count(target, folder, log)
            if contender.writes and calls != target.calls:
                raise ContenderError(f"{calls:,} calls were written, there are {target.calls:,}")  # noqa: TRY301
        except ContenderError as error:
            series.error = str(error)
            note(f"{contender.name} failed: {error}")
            return
        finally:
            shutil.rmtree(folder)
        series.runs.append(measured)
        series.calls.append(calls)
        note(
            f"{target.server}, {target.calls:,}, round {number}, {contender.name}: {measured.elapsed_s:.2f} s, "
            f"{calls / measured.elapsed_s:,.0f}/s, CPU {measured.cpu_s:.2f} s, "
            f"peak {measured.peak_bytes / 1e6:,.0f} MB"
        )

    def _is_due(self, series: Series, number: int) -> bool:
        is_slow = bool(series.runs) and series.runs[0].elapsed_s > SLOW_S
        return series.error is None and (number < self.sizes.slow_rounds or not is_slow)

    def _lacking(self, contender: Contender) -> str | None:
        environment = contender.environment
        if environment is not None:
            try:
                environment.make()
            except MissingError as error:
                return str(error)
            self.environments[environment.name] = environment
        return contender.lacks()

    def _account(self, calls: int, provider: str, *, is_packed: bool = False) -> Path:
        """Return the pages of an account; they are written once and kept."""
        pages = self._folder / f"{provider}-{calls}{'-gzip' if is_packed else ''}"
        if not pages.exists():
            note(f"writing {calls:,} calls as pages of {provider}")
            write_pages(pages, provider, calls, is_packed=is_packed)
        return pages


def note(text: str) -> None:
    """Say on stderr how it goes."""
    print(text, file=sys.stderr, flush=True)
