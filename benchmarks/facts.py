"""What figures depend on: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from .environments import Environment
from .measure import ROOT, floor_bytes
from .server import find_nginx
from .sizes import Sizes

_PACKAGES = (
    "aiohttp",
    "anyio",
    "harvester",
    "msgspec",
    "orjson",
    "pyarrow",
    "requests",
    "urllib3",
    "uvloop",
    "zstandard",
)


def gather(sizes: Sizes) -> dict[str, Any]:
    """Return what is known before anything is measured."""
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
        "sizes": asdict(sizes),
        "floor_bytes": floor_bytes(),
    }


def peer_versions(environments: Iterable[Environment]) -> dict[str, dict[str, str]]:
    """Return what the peers' environments have."""
    return {each.name: each.versions() for each in environments}


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(terse=True),
        "load_before": os.getloadavg()[0],
    }


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    nginx = find_nginx()
    versions["nginx"] = _first_version([nginx, "-v"]) if nginx else None
    versions["wrk"] = _first_version(["wrk", "-v"])
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _first_version(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.search(r"\d+\.\d+[\w.+-]*", done.stdout + done.stderr)
    return found[0] if found else None


def _commit() -> str | None:
    """Return the commit, `-dirty` where the code is not quite that; None where there is no git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "harvester", "benchmarks")
    except (OSError, subprocess.CalledProcessError):
        print("the commit is not known: there is no git, or this is no checkout", file=sys.stderr)
        return None
    return f"{head}-dirty" if changed else head


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
