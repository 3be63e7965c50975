"""Pages read with aiohttp, many in flight, and given to a function; what the contenders made with it share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import orjson
import uvloop

IN_FLIGHT = 32


def read_pages(url: str, take: Callable[[bytes], None]) -> None:
    """Read all pages of an account, in no order, and give each to `take` as it came."""
    uvloop.run(_read(f"{url}/api/v1/calls", take))


async def _read(url: str, take: Callable[[bytes], None]) -> None:
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    headers = {"Authorization": "Bearer sandbox"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        first = await _page(session, url, 1)
        take(first)
        rest = iter(range(2, orjson.loads(first)["pagination"]["last_page"] + 1))

        async def ask() -> None:
            for page in rest:
                take(await _page(session, url, page))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(IN_FLIGHT):
                tasks.create_task(ask())


async def _page(session: aiohttp.ClientSession, url: str, page: int) -> bytes:
    async with session.get(url, params={"page": page, "per_page": 100}) as answer:
        answer.raise_for_status()
        return await answer.read()
