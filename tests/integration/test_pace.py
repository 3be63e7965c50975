"""A gate's pace in earnest: its bucket is aiolimiter's, which goes by the loop's own time and by no clock of ours."""

from __future__ import annotations

import pytest

from harvester.clock import SystemClock
from harvester.model import Rate
from harvester.transport.gate import Gate


@pytest.mark.parametrize("per_s", [25, 200])
async def test_shortest_limit_is_spaced_evenly(per_s: int) -> None:
    """Requests come one after another, a little slower than the limit, and never as a burst."""
    clock = SystemClock()
    gate = Gate(clock, (Rate(per_s, 1.0),))
    sent: list[float] = []
    while len(sent) < per_s // 4:
        if (wait_s := gate.wait_s()) > 0:
            await clock.sleep(wait_s)
            continue
        sent.append(clock.monotonic())
        await gate.spend()
        gate.settle(gate.sent())
    most_at_once = 2.5
    assert sent[-1] - sent[0] >= (len(sent) - 1 - most_at_once) / per_s
    assert all(later - one >= 0.4 / per_s for one, later in zip(sent, sent[3:], strict=False))
