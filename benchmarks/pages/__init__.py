"""Seeded pages of made-up calls, each a file, as the providers' documents have them.

A page costs its server nothing but reading a file. An account is a folder: `100/` with its pages, the empty one after
the last too, each named by what asks for it (`Paging.parameter`); `1/` with the first and the last call as pages of
one, which harvester asks for where a list is long; `agents.json`; and `ids.txt` with the id of every call. The first
calls of a long account are those of a short one, whatever its length.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from . import agentvoice, bimpe, talkover

PAGE_SIZE = 100
_GZIP_LEVEL = 6
"""What servers use where nothing else is said."""


@dataclass(frozen=True)
class Paging:
    """How a provider's list of calls is asked for and answered.

    Attributes:
        calls: The path of the list.
        agents: The path of the agents, None where they cannot be listed.
        parameter: What names a page in the query.
        size: What names the size of a page in the query.
        further: More that has to be asked for, and with which answer.
        is_offset: A page is named by the calls before it, not by its number from 1 on.
        call_bytes: What a call takes in a page, about.
        rows: Yields id and JSON of so many calls, made from a seed.
        page: Puts rows together; given them, the number of their page from 0, its size and the calls in all.
        agent_list: The whole answer to who the agents are.
        of_agent: The path of the list of one agent as a regular expression; every agent has the same calls.
    """

    calls: str
    agents: str | None
    parameter: str
    size: str
    further: tuple[tuple[str, str], ...]
    is_offset: bool
    call_bytes: int
    rows: Callable[[int, int], Iterator[tuple[str, str]]]
    page: Callable[[list[str], int, int, int], str]
    agent_list: Callable[[int], str]
    of_agent: str | None = None

    def name(self, page: int, size: int = PAGE_SIZE) -> str:
        """Return what asks for a page, given its number from 0."""
        return str(page * size if self.is_offset else page + 1)


PAGINGS = {
    "talkover": Paging(
        calls="/api/v1/calls",
        agents="/api/v1/agents",
        parameter="page",
        size="per_page",
        further=(),
        is_offset=False,
        call_bytes=talkover.CALL_BYTES,
        rows=talkover.rows,
        page=talkover.page,
        agent_list=talkover.agents,
        of_agent="^/api/v1/agents/[^/]+/calls$",
    ),
    "agentvoice": Paging(
        calls="/api/calls",
        agents=None,
        parameter="offset",
        size="limit",
        further=(("fields", "full"),),
        is_offset=True,
        call_bytes=agentvoice.CALL_BYTES,
        rows=agentvoice.rows,
        page=agentvoice.page,
        agent_list=lambda _size: "{}",
    ),
    "bimpe": Paging(
        calls=f"/api/v1/console/agents/{bimpe.AGENT_ID}/calls",
        agents="/api/v1/console/agents",
        parameter="page",
        size="limit",
        further=(),
        is_offset=False,
        call_bytes=bimpe.CALL_BYTES,
        rows=bimpe.rows,
        page=bimpe.page,
        agent_list=bimpe.agents,
    ),
}


def write_pages(folder: Path, provider: str, calls: int, *, seed: int = 0, is_packed: bool = False) -> None:
    """Write an account into a new folder.

    Args:
        folder: Where; made here.
        provider: Whose pages.
        calls: How many.
        seed: What they are made from.
        is_packed: Whether each page gets a gzip file beside it.
    """
    paging = PAGINGS[provider]

    def write(rows: list[str], page: int, size: int) -> None:
        path = folder / str(size) / f"{paging.name(page, size)}.json"
        _write(path, paging.page(rows, page, size, calls), is_packed=is_packed)

    for size in (PAGE_SIZE, 1):
        (folder / str(size)).mkdir(parents=True)
    made = paging.rows(calls, seed)
    with (folder / "ids.txt").open("w", encoding="ascii") as ids:
        for page in range(pages_of(calls) + 1):
            held = list(islice(made, PAGE_SIZE))
            rows = [row for _, row in held]
            ids.writelines(f"{call_id}\n" for call_id, _ in held)
            write(rows, page, PAGE_SIZE)
            if rows and page == 0:
                write(rows[:1], 0, 1)
            if rows and page == pages_of(calls) - 1:
                write(rows[-1:], calls - 1, 1)
    _write(folder / "agents.json", paging.agent_list(PAGE_SIZE), is_packed=is_packed)


def pages_of(calls: int) -> int:
    """Return how many pages have calls; an empty list has one all the same."""
    return max(-(-calls // PAGE_SIZE), 1)


def _write(path: Path, text: str, *, is_packed: bool) -> None:
    body = text.encode("ascii")
    path.write_bytes(body)
    if is_packed:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(body, _GZIP_LEVEL, mtime=0))
