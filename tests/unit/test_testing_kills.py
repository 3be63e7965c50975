"""Kill points: what they count, where they kill, and that what they are put into works as without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.app import Harvester
from harvester.config import Config, Output
from harvester.errors import OutputError
from harvester.model import Request, Response, Secret, Source
from harvester.testing import FakeClock, FakeTransport, KillPoints, MemoryOutput, reply
from harvester.transport.base import Target

SOURCE = Source(
    name="sales",
    provider="bimpe",
    base_url="https://x.test",
    credentials={"api_key": Secret("k")},
    rates=(),
)


class KilledError(Exception):
    """Stands for the end of the process."""


def answer(_target: Target, request: Request) -> Response:
    calls = [{"id": "c1", "created_on": "2026-03-01T00:00:00Z"}]
    rows: list[object] = list(calls) if request.endpoint == "list calls" else [{"id": "a", "name": "Amaka"}]
    return reply({"data": rows, "meta": {"total_count": len(rows), "current_page": 1, "page_count": 1}})


async def export(root: Path, points: KillPoints) -> MemoryOutput:
    """Export one call, watched."""
    clock, output = FakeClock(), MemoryOutput()
    harvester = Harvester(
        Config(output=Output(path=root), sources=(SOURCE,)),
        transport=points.transport(FakeTransport(answer, clock=clock)),
        clock=clock,
        journal=points.journal(),
    )
    async with harvester:
        await harvester.export(sink=points.sinks(output))
    return output


async def test_watched_transport_is_closed_with_its_inner_one() -> None:
    """Closing is passed on."""
    transport = FakeTransport([])
    await KillPoints().transport(transport).aclose()
    assert transport.is_closed


async def test_kill_points_are_passed_in_the_order_of_an_export(tmp_path: Path) -> None:
    """What is watched works as ever, and each step from the answer to its visible row is counted before and after."""
    points = KillPoints()
    output = await export(tmp_path, points)
    assert [record.call_id for record in output.records("sales")] == ["c1"]
    steps = [
        "transport.send",
        "journal.hand_over",
        "calls.write",
        "calls.seal",
        "journal.commit",
    ]
    order = list(points.passed)
    places = [order.index(f"before {step}") for step in [*steps, "calls.publish", "journal.published"]]
    assert places == sorted(places)
    # Answers are made durable beside the sealing, and both are before the commit.
    kept = [order.index(f"{when} journal.keep") for when in ("before", "after")]
    assert order.index("after journal.hand_over") < kept[0] < kept[1] < order.index("before journal.commit")
    assert order.index("after calls.seal") < order.index("before journal.commit")
    assert all(points.passed[f"before {step}"] == points.passed[f"after {step}"] for step in steps)
    assert points.passed["before journal.commit"] == 1


def test_kill_points_kill_at_the_time_they_are_armed_for() -> None:
    """The n-th time from then on, of one step or of any, once; unarmed they only count."""

    def kill() -> None:
        raise KilledError

    points = KillPoints(kill)
    points.step("a")
    points.arm("a", 2)
    for step in ("a", "b"):
        points.step(step)
    with pytest.raises(KilledError):
        points.step("a")
    points.step("a")
    points.arm(None, 3)
    for step in ("a", "b"):
        points.step(step)
    with pytest.raises(KilledError):
        points.step("c")
    points.arm(None, 0)
    points.step("a")
    assert points.passed == {"a": 6, "b": 2, "c": 1}


def test_step_that_fails_has_no_after() -> None:
    """What raises was begun and not done."""
    points = KillPoints()
    with pytest.raises(OutputError), points.around("write"):
        raise OutputError("no space left")
    assert points.passed == {"before write": 1}
