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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST_S = 900.0
"""After so long a run is stopped, and the benchmark has failed."""


@dataclass(frozen=True)
class Measured:
    """What a run took; CPU is of all its threads."""

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
        code, usage = _reap(process)
        elapsed = time.perf_counter() - started
    if code != 0:
        said = errors.read_text(errors="replace").strip()[-2000:]
        raise ContenderError(f"{' '.join(command)} ended with {code}: {said}")
    return Measured(elapsed, usage.ru_utime + usage.ru_stime, _peak_bytes(usage))


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


def _peak_bytes(usage: resource.struct_rusage) -> int:
    # Linux counts in KiB, macOS in bytes.
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
