"""The one object: its verbs, and what it shares between sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.app import Harvester
from harvester.config import Config, Output
from harvester.errors import HarvesterError, JournalError
from harvester.model import Rate, Request, Response, Secret, Source
from harvester.testing import FakeClock, FakeTransport, reply
from harvester.transport.base import Target

CALLS = [{"id": f"c{n}", "created_on": "2026-03-01T00:00:00Z"} for n in range(3)]


def source(name: str = "sales", *, key: str = "secret", rates: tuple[Rate, ...] | None = ()) -> Source:
    return Source(
        name=name,
        provider="bimpe",
        base_url=f"https://{name}.test",
        credentials={"api_key": Secret(key)},
        rates=rates,
    )


def answer(_target: Target, request: Request) -> Response:
    rows: list[object] = list(CALLS) if request.endpoint == "list calls" else [{"id": "a", "name": "Amaka"}]
    return reply({"data": rows, "meta": {"total_count": len(rows), "current_page": 1, "page_count": 1}})


def harvester(root: Path, *sources: Source, transport: FakeTransport | None = None) -> Harvester:
    config = Config(
        output=Output(path=root, format="ndjson", compression="none"),
        sources=sources or (source(),),
        concurrency=4,
    )
    clock = FakeClock()
    return Harvester(config, transport=transport or FakeTransport(answer, clock=clock), clock=clock)


async def test_verbs_are_the_commands(tmp_path: Path) -> None:
    """One object checks, lists, plans, exports, tells its status and verifies, over one transport."""
    async with harvester(tmp_path / "out") as h:
        assert [row.ok for row in await h.check()] == [True]
        assert [(row.agent_id, row.agent_name) for row in await h.agents()] == [("a", "Amaka")]
        assert [(row.calls, row.requests) for row in await h.plan()] == [(3, 1)]
        assert (await h.status())[0].hint == "harvester export starts it"
        with pytest.raises(JournalError):
            await h.verify()
        report = await h.export()
        assert (report.outcome, report.totals.written) == ("complete", 3)
        assert [(row.written, row.hint) for row in await h.status()] == [(3, "")]
        found = await h.verify()
        assert (found.segments, found.rows, found.findings) == (1, 3, [])


async def test_transport_that_was_handed_in_is_left_open(tmp_path: Path) -> None:
    """What the caller made the caller closes."""
    transport = FakeTransport(answer)
    async with harvester(tmp_path, transport=transport) as h:
        await h.check()
    assert not transport.is_closed


async def test_transport_of_its_own_is_closed(tmp_path: Path) -> None:
    """Without one it opens its own for the time it is used, and is of no use outside."""
    config = Config(output=Output(path=tmp_path), sources=(source(),))
    h = Harvester(config)
    for _ in range(2):
        async with h:
            pass
        with pytest.raises(HarvesterError, match="async with"):
            await h.check()


def test_sources_with_the_same_credential_share_a_gate(tmp_path: Path) -> None:
    """One key, one budget: the stricter limit holds; another key has its own."""
    sources = (
        source("one", rates=(Rate(10, 1.0),)),
        source("two", rates=(Rate(5, 1.0),)),
        source("three", key="other", rates=(Rate(7, 1.0),)),
    )
    one, two, three = harvester(tmp_path, *sources)._accounts()
    assert one.gate is two.gate
    assert one.gate is not three.gate
    assert (one.gate.rates, three.gate.rates) == ((Rate(5, 1.0),), (Rate(7, 1.0),))


async def test_folder_of_runs_holds_every_report(tmp_path: Path) -> None:
    """Each run leaves its report, whole, below the journal's folder."""
    async with harvester(tmp_path) as h:
        reports = [await h.export(), await h.export()]
    runs = tmp_path / "_harvester" / "runs"
    assert {path.name for path in runs.iterdir()} == {report.run_id for report in reports}
    assert all((runs / report.run_id / "report.json").read_bytes() == report.to_json() for report in reports)
