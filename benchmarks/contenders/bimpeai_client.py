"""BimpeAI's own client, `bimpeai`, its async one; to NDJSON.

With 1 in flight it is used as it is meant to be: its iterator asks for one page after another. It can also be asked for
pages by number, as many at once as the others have in flight. Tuned: a connection for each of them, kept alive.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TextIO

import httpx
from bimpeai import AsyncBimpeAI

AGENT_ID = "agt_5f0c2b1e7d4a"


def main(provider: str, url: str, out: str, in_flight: str) -> None:
    """Read all calls of the one agent and write them."""
    assert provider == "bimpe"
    read = _iterate if in_flight == "1" else _read
    asyncio.run(_open(read, url, Path(out, "calls.ndjson"), int(in_flight)))


async def _open(
    read: Callable[[AsyncBimpeAI, TextIO, int], Awaitable[None]], url: str, path: Path, in_flight: int
) -> None:
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=limits) as http:
        with path.open("w", encoding="utf-8") as file:
            await read(AsyncBimpeAI(api_key="sandbox", base_url=url, http_client=http), file, in_flight)


async def _iterate(client: AsyncBimpeAI, file: TextIO, _in_flight: int) -> None:
    async for call in await client.calls.list(AGENT_ID, limit=100, sort="created_on"):
        file.write(call.model_dump_json() + "\n")


async def _read(client: AsyncBimpeAI, file: TextIO, in_flight: int) -> None:
    first = await client.calls.list(AGENT_ID, limit=100, sort="created_on")
    assert first.meta is not None
    rest = iter(range(2, first.meta.page_count + 1))
    file.writelines(call.model_dump_json() + "\n" for call in first.data)

    async def ask() -> None:
        for page in rest:
            found = await client.calls.list(AGENT_ID, page=page, limit=100, sort="created_on")
            file.writelines(call.model_dump_json() + "\n" for call in found.data)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(ask())


if __name__ == "__main__":
    main(*sys.argv[1:])
