"""What all benchmarks are run with: sizes, servers, and rounds in which the contenders take turns."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from .contenders import Contender, Target
from .measure import ContenderError, Measured, run_measured
from .pages import CALL_BYTES, write_pages
from .server import find_nginx, open_nginx, open_sandbox

OUTPUT_BYTES = 1_800
"""What a call takes on the disk at most while a contender writes it: as unified NDJSON with `raw`, and its journal."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        calls: Of the account that static pages hold.
        sandbox_calls: Of the account that the sandbox makes up while it is asked.
        rounds: Of each contender.
        slow_rounds: Of those that are slow, and against servers that are.
    """

    calls: int = 1_000_000
    sandbox_calls: int = 100_000
    rounds: int = 5
    slow_rounds: int = 3

    @property
    def small_calls(self) -> int:
        """The account that a large one's memory is compared with."""
        return max(self.calls // 10, 1)

    @property
    def disk_bytes(self) -> int:
        """What must be free: both accounts' pages, and the largest output."""
        return (self.calls + self.small_calls) * CALL_BYTES + self.calls * OUTPUT_BYTES


@dataclass
class Series:
    """The runs of one contender against one target; `error` says why there are no more of them."""

    target: Target
    contender: Contender
    runs: list[Measured] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    error: str | None = None

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
        self._folder = folder
        self._only = frozenset(only)
        self._known: dict[tuple[str, int, str], Series] = {}
        self._opened = 0

    @property
    def series(self) -> list[Series]:
        """All that was run."""
        return list(self._known.values())

    @property
    def has_nginx(self) -> bool:
        """Whether there is an nginx to serve pages."""
        return find_nginx() is not None

    @contextmanager
    def nginx(self, calls: int) -> Iterator[Target]:
        """Serve an account's pages from nginx; they are written once and kept."""
        pages = self._folder / f"pages-{calls}"
        if not pages.exists():
            note(f"writing {calls:,} calls as pages")
            write_pages(pages, calls)
        self._opened += 1
        with open_nginx(pages, self._folder / f"nginx-{self._opened}") as url:
            yield Target("nginx", url, calls)

    @contextmanager
    def sandbox(self, calls: int) -> Iterator[Target]:
        """Serve an account from the sandbox, which makes up each answer when it is asked."""
        with open_sandbox({"calls": calls}) as url:
            yield Target("sandbox", f"{url}/talkover", calls)

    def measure(self, target: Target, contenders: Sequence[Contender], *, slow: bool = False) -> list[Series]:
        """Run contenders in turns, each round in another order; what was measured before is not measured again.

        A contender that fails is out, and what it said is in its series.

        Args:
            target: What they read.
            contenders: Who; those not chosen, or without what they need, are left out.
            slow: Whether the target is so slow that there are fewer rounds for all.
        """
        chosen = [each for each in contenders if self._is_chosen(each)]
        rounds = self.sizes.slow_rounds if slow else self.sizes.rounds
        all_series = [self._series(target, each) for each in chosen]
        todo = [each for each in all_series if not each.runs]
        for number in range(rounds):
            at = number % max(len(todo), 1)
            for series in todo[at:] + todo[:at]:
                if series.error is None and (number < self.sizes.slow_rounds or not series.contender.is_slow):
                    self._run(series, number + 1)
        return all_series

    def _is_chosen(self, contender: Contender) -> bool:
        if self._only and contender.name not in self._only:
            return False
        lacking = contender.lacks()
        if lacking is not None:
            note(f"{contender.name} is left out: {lacking}")
        return lacking is None

    def _series(self, target: Target, contender: Contender) -> Series:
        key = (target.server, target.calls, contender.name)
        return self._known.setdefault(key, Series(target, contender))

    def _run(self, series: Series, number: int) -> None:
        contender, target = series.contender, series.target
        folder, log = self._folder / "run", self._folder / "run.log"
        folder.mkdir()
        try:
            measured = run_measured(contender.prepare(target, folder), log)
            calls = contender.count(folder, log)
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
            f"{target.server} {target.calls:,}, round {number}, {contender.name}: {calls / measured.elapsed_s:,.0f}/s, "
            f"CPU {measured.cpu_s:.2f} s, peak {measured.peak_bytes / 1e6:,.0f} MB"
        )


def note(text: str) -> None:
    """Say on stderr how it goes."""
    print(text, file=sys.stderr, flush=True)
