"""The ceiling of the server: wrk for some seconds; reads, parses nothing, writes nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .contender import Contender, Target
from .contenders.apis import APIS
from .measure import ContenderError
from .pages import PAGE_SIZE, PAGINGS, pages_of

SECONDS = 2
CONNECTIONS = 32

_SCRIPT = """\
local names = {{ {names} }}
local at = 0
function request()
  at = at % #names + 1
  return wrk.format("GET", wrk.path .. "?{query}&{parameter}=" .. names[at])
end
"""
_MOST_NAMES = 10_000
_REQUESTS = re.compile(r"(\d+) requests in ")


def _prepare(target: Target, folder: Path) -> list[str]:
    paging = PAGINGS[target.provider]
    names = [paging.name(page) for page in range(min(pages_of(target.calls), _MOST_NAMES))]
    query = "&".join(f"{name}={value}" for name, value in ((paging.size, PAGE_SIZE), *paging.further))
    script = folder / "pages.lua"
    script.write_text(_SCRIPT.format(names=",".join(names), query=query, parameter=paging.parameter))
    headers = [
        part for name, value in APIS[target.provider].headers.items() for part in ("-H", f"{name}: {value}")
    ]
    load = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s"]
    return ["wrk", *load, *headers, "-s", str(script), f"{target.url}{paging.calls}"]


def _count(_target: Target, _folder: Path, log: Path) -> int:
    said = log.read_text()
    found = _REQUESTS.search(said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise ContenderError(f"wrk did not get what it asked for: {said}")
    return int(found[1]) * PAGE_SIZE


def lacking() -> str | None:
    """Say what is missing; None where wrk is there."""
    return None if shutil.which("wrk") else "wrk is not installed (apt-get install wrk)"


WRK = Contender(
    name="wrk",
    title=f"ceiling: wrk, {CONNECTIONS} connections, reads and drops",
    prepare=_prepare,
    count=_count,
    writes=False,
    lacks=lacking,
)
