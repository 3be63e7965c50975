"""One run of one contender: a whole process, from its start to its end.

A process takes over the peak of memory of the one it is started from (Linux keeps it over `exec`), so this one must
stay small: it imports neither contenders nor what they are made of, and counts nothing itself. `floor_bytes` says how
small it is; no contender can be measured below it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOOK_EVERY_S = 0.05
LONGEST_S = 900.0
"""After so long a run is stopped, and the benchmark has failed."""


@dataclass(frozen=True)
class Measured:
    """What a run took; CPU is of all its threads and processes, memory the sum of its processes' peaks."""

    elapsed_s: float
    cpu_s: float
    peak_bytes: int


class ContenderError(RuntimeError):
    """A contender ended with an error, or wrote a wrong number of calls."""


def run_measured(command: Sequence[str], log: Path) -> Measured:
    """Run a command to its end in the repository's folder.

    Args:
        command: Program and arguments.
        log: Where its stdout goes; its stderr goes beside it, to a file ending in `.err`.

    Raises:
        ContenderError: It ended with another code than 0; the message has the end of its stderr.
    """
    errors = log.with_suffix(".err")
    with log.open("wb") as out, errors.open("wb") as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        with _watched(process.pid) as of_children:
            code, usage = _reap(process)
        elapsed = time.perf_counter() - started
    if code != 0:
        said = errors.read_text(errors="replace").strip()[-2000:]
        raise ContenderError(f"{' '.join(command)} ended with {code}: {said}")
    peak = max(_peak_bytes(usage), of_children.beside_bytes + of_children.main_bytes)
    return Measured(elapsed, usage.ru_utime + usage.ru_stime, peak)


def floor_bytes() -> int:
    """Return this process's own peak."""
    return _peak_bytes(resource.getrusage(resource.RUSAGE_SELF))


def _reap(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    guard = threading.Timer(LONGEST_S, process.kill)
    guard.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        guard.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


class _Family:
    """The peaks of a process and of those it started, as last seen; only Linux tells them."""

    def __init__(self) -> None:
        self.main_bytes = 0
        self.beside_bytes = 0

    def look(self, pid: int) -> None:
        """Note the peaks of those that run now; of those that ran at once, the largest sum counts."""
        self.main_bytes = max(self.main_bytes, _high_water(pid))
        self.beside_bytes = max(self.beside_bytes, sum(map(_high_water, _children(pid))))


@contextmanager
def _watched(pid: int) -> Iterator[_Family]:
    family, over = _Family(), threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            family.look(pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield family
    finally:
        over.set()
        watcher.join()


def _children(pid: int) -> list[int]:
    """Return the processes that one has started, and those that they have."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found + [below for child in found for below in _children(child)]


def _high_water(pid: int) -> int:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return 0


def _peak_bytes(usage: resource.struct_rusage) -> int:
    # Linux counts in KiB, macOS in bytes.
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
