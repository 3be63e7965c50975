"""The ceiling of the server: wrk with 32 connections for some seconds; reads, parses nothing, writes nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from benchmarks.measure import ContenderError
from benchmarks.pages import PAGE_SIZE, last_page

from .base import Contender, Target

SECONDS = 3

_SCRIPT = """\
local page = 0
local path = nil
function request()
  path = path or wrk.path
  page = page % {last} + 1
  return wrk.format("GET", path .. "?page=" .. page .. "&per_page={size}")
end
"""
_REQUESTS = re.compile(r"(\d+) requests in ")


def _prepare(target: Target, folder: Path) -> list[str]:
    script = folder / "pages.lua"
    script.write_text(_SCRIPT.format(last=last_page(target.calls), size=PAGE_SIZE))
    header = "Authorization: Bearer sandbox"
    url = f"{target.url}/api/v1/calls"
    return ["wrk", "-t", "1", "-c", "32", "-d", f"{SECONDS}s", "-H", header, "-s", str(script), url]


def _count(_folder: Path, log: Path) -> int:
    said = log.read_text()
    found = _REQUESTS.search(said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise ContenderError(f"wrk did not get what it asked for: {said}")
    return int(found[1]) * PAGE_SIZE


def _lacks() -> str | None:
    return None if shutil.which("wrk") else "wrk is not installed (apt-get install wrk)"


WRK = Contender(
    name="wrk",
    title="ceiling: wrk, 32 connections, reads and drops",
    prepare=_prepare,
    count=_count,
    writes=False,
    lacks=_lacks,
)
