"""What the contract suites are handed: a loop, and a server on this machine that misbehaves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .loopback import Server, listening


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server, listening."""
    async with listening() as opened:
        yield opened
