"""How the crash tests serve calls, run exports that are killed, and compare what they leave with an undisturbed run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harvester.errors import JournalError
from harvester.sandbox import PROVIDERS, SandboxConfig, World
from harvester.verify import verify
from tests.integration.exporting import Output, truth

from .child import STEPS, Order, Outcome
from .serving import Entry

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

ROOT = Path(__file__).parents[2]
RECENT_S = 0.5
"""Answers that came so shortly before a kill may be asked for again, with those on their way."""


class Process:
    """A module of these tests as a process that is told lines and tells lines; it ends with its stdin."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, told: object) -> bytes:
        """Tell it a line and return the one it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(told) + b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


class Server(Process):
    """A sandbox that keeps an account of its requests."""

    def __init__(self, **config: Any) -> None:
        super().__init__("tests.crash.serving")
        known = msgspec.json.decode(msgspec.json.encode(config), type=SandboxConfig)
        self.origin: str = self.ask(known).decode().strip()
        self.world = World(known, self.origin)

    def url(self, provider: str) -> str:
        """Return a provider's address."""
        return f"{self.origin}/{provider}"

    def requests(self) -> list[Entry]:
        """Return what was asked since the last time this was."""
        with urllib.request.urlopen(f"{self.origin}/_requests") as answer:
            return msgspec.json.decode(answer.read(), type=list[Entry])


class Nursery(Process):
    """A process from which exports are forked."""

    def __init__(self) -> None:
        super().__init__("tests.crash.child")

    def run(self, folder: Path, **order: Any) -> int:
        """Export in a folder; return the exit code, less than 0 for a signal."""
        line = self.ask(Order(folder=str(folder), **order))
        return msgspec.json.decode(line, type=Outcome).code


def steps_of(folder: Path) -> Counter[str]:
    """Return the steps that a watched run passed before it ended by itself."""
    return Counter(msgspec.json.decode((folder / STEPS).read_bytes(), type=dict[str, int]))


# What is in an output.


class Content(msgspec.Struct, frozen=True):
    """What an output holds, less what says when and by which run: the same for every exact export."""

    rows: dict[str, list[str]]
    quarantine: list[str]
    recordings: dict[str, bytes]
    counts: list[tuple[Any, ...]]


def content_of(folder: Path) -> Content:
    """Read an output, its newest report too."""
    out = Output(folder / "out")
    rows = {name: sorted(map(_row, _rows(out, name))) for name in PROVIDERS}
    quarantine = sorted(map(_row, out.quarantine()))
    counts = [
        (one["name"], *(one[key] for key in ("outcome", "expected", "written", "quarantined", "missing")))
        for one in out.report()["sources"]
    ]
    found = (path for path in (out.root / "recordings").rglob("*") if path.is_file())
    recordings = {path.relative_to(out.root).as_posix(): path.read_bytes() for path in found}
    return Content(rows, quarantine, recordings, counts)


def _rows(out: Output, name: str) -> Sequence[object]:
    """Return rows; of NDJSON in the native shape as their bytes."""
    lines = [] if any(path.suffix == ".parquet" for path in out.segments(name)) else out.lines(name)
    if lines and b'"run_id"' not in lines[0]:
        return lines
    return out.rows(name)


def _row(row: object) -> str:
    if isinstance(row, dict):
        return repr({key: value for key, value in row.items() if key not in {"fetched_at", "run_id"}})
    return repr(row)


def assert_true(folder: Path, server: Server) -> None:
    """Check an output by the accounts themselves: every call once."""
    for name in PROVIDERS:
        assert sorted(Output(folder / "out").ids(name)) == sorted(truth(server.world.account(name)))


def assert_whole_so_far(folder: Path, *, is_exchanging: bool = False) -> None:
    """Check what a killed run left: what is visible is whole and known, though not all that is known is visible.

    In an exchange, the files of the job that was replaced may be there for a while.
    """
    try:
        problems = {finding.problem for finding in verify(folder / "out", PROVIDERS).findings}
    except JournalError:  # there is none yet, or one without tables
        problems = set()
        assert Output(folder / "out").files() == {}
    assert problems <= (
        {"is missing", "the journal does not know this file"} if is_exchanging else {"is missing"}
    )


def assert_exact(folder: Path, undisturbed: Content) -> None:
    """Check that an output is what an undisturbed run makes, and that nothing is left of what was cut short."""
    found = content_of(folder)
    for name in PROVIDERS:
        lost = Counter(undisturbed.rows[name]) - Counter(found.rows[name])
        more = Counter(found.rows[name]) - Counter(undisturbed.rows[name])
        assert not lost, f"{name}: {lost.total()} lost, {next(iter(lost))[:300]}"
        assert not more, f"{name}: {more.total()} doubled or strange, {next(iter(more))[:300]}"
    assert found.quarantine == undisturbed.quarantine
    assert found.recordings == undisturbed.recordings
    assert found.counts == undisturbed.counts
    assert Output(folder / "out").aside() == []
    assert {path.name for path in (folder / "out/_harvester").iterdir()} == KEPT
    assert list((folder / "out/_harvester/answers").iterdir()) == []
    assert list((folder / "out/_harvester/digests").iterdir()) == []
    assert verify(folder / "out", PROVIDERS).findings == []


KEPT = {"answers", "aside", "digests", "journal.db", "lock", "runs"}
"""What an export that is complete leaves of its own; no answers, and nothing aside."""


# What was asked again.


class Kill(msgspec.Struct, frozen=True):
    """What a kill cost: requests that were asked again, how many these may be, and how old their oldest answer was."""

    repeated: int
    allowed: int
    oldest_s: float


def kills_of(runs: Sequence[Sequence[Entry]], ends: Sequence[float], *, in_flight: int) -> list[Kill]:
    """Return what each kill cost; the last run was not killed.

    An undisturbed run asks nothing twice, so a request was lost with its run where a later one repeats it.

    Args:
        runs: What was asked in each run.
        ends: When it was killed.
        in_flight: How many requests there may be at once.
    """
    last = {entry.path: number for number, run in enumerate(runs) for entry in run}
    kills: list[Kill] = []
    for number, (run, end) in enumerate(zip(runs[:-1], ends, strict=True)):
        lost = [entry for entry in run if last[entry.path] > number]
        recent = sum(entry.answered_at is not None and entry.answered_at >= end - RECENT_S for entry in run)
        oldest_s = max((end - (entry.answered_at or end) for entry in lost), default=0.0)
        kills.append(Kill(len(lost), in_flight + recent, oldest_s))
    return kills


def copy(source: Path, target: Path) -> Path:
    """Return a copy of a folder, made anew."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
