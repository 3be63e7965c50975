"""Time as a seam: what reads it is handed a Clock, so that tests need not wait."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """Tells the time and waits."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def now(self) -> datetime:
        """Return the moment, aware, in UTC."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds."""
        ...

    async def wait(self, event: anyio.Event, timeout_s: float | None) -> None:
        """Wait for the event, at most `timeout_s` seconds; None is for ever."""
        ...


class SystemClock:
    """The machine's own time."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the moment, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds."""
        await anyio.sleep(delay_s)

    async def wait(self, event: anyio.Event, timeout_s: float | None) -> None:
        """Wait for the event, at most `timeout_s` seconds; None is for ever."""
        with anyio.move_on_after(timeout_s):
            await event.wait()
