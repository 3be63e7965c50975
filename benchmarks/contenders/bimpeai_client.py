"""BimpeAI's own client, `bimpeai`, its async one; to NDJSON.

Its iterator asks for one page after another; it can also be asked for pages by number, and that is done here, as many
at once as the others have in flight. Tuned: a connection for each of them, kept alive.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
from bimpeai import AsyncBimpeAI

AGENT_ID = "agt_5f0c2b1e7d4a"


def main(provider: str, url: str, out: str, in_flight: str) -> None:
    """Read all calls of the one agent and write them."""
    assert provider == "bimpe"
    asyncio.run(_read(url, Path(out, "calls.ndjson"), int(in_flight)))


async def _read(url: str, path: Path, in_flight: int) -> None:
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=limits) as http:
        client = AsyncBimpeAI(api_key="sandbox", base_url=url, http_client=http)
        first = await client.calls.list(AGENT_ID, limit=100, sort="created_on")
        assert first.meta is not None
        rest = iter(range(2, first.meta.page_count + 1))
        with path.open("w", encoding="utf-8") as file:
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
