"""The public face as a user writes it: type-checked, never run."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import harvester


def load(path: Path) -> harvester.Config:
    return harvester.load_config(
        path.read_text(), folder=path.parent, environ=os.environ, now=datetime.now(UTC)
    )


async def nightly(config: harvester.Config) -> list[str]:
    async with harvester.Harvester(config) as h:
        report: harvester.Report = await h.export()
        progress: list[harvester.SourceProgress] = h.progress()
        h.stop("enough")
    rates = [row.rate for row in progress]
    assert all(rate >= 0.0 for rate in rates)
    gaps: list[harvester.Gap] = [gap for source in report.sources for gap in source.gaps]
    return [gap.message for gap in gaps if not gap.final]


async def careful(config: harvester.Config) -> None:
    try:
        async with harvester.Harvester(config) as h:
            await h.export(fresh=True)
    except harvester.UsageError as error:
        problems: tuple[str, ...] = error.problems
        raise SystemExit("\n".join(problems)) from error
    except (harvester.HeldError, harvester.OutputError, harvester.JournalError):
        raise


async def single(config: harvester.Config) -> harvester.Record:
    async with harvester.Harvester(config) as h:
        calls: list[harvester.Call] = await h.latest("sales", count=3, agent_id="51d0", phone="+15550100")
        call: harvester.Call = await h.get("sales", calls[0].record.call_id)
    raw: bytes = call.raw
    assert raw
    return call.record


def by_hand() -> harvester.Config:
    source = harvester.Source(
        name="sales",
        provider="talkover",
        base_url="http://127.0.0.1:8800/talkover",
        credentials={"token": harvester.Secret("sandbox")},
        rates=(harvester.Rate(10, 1.0),),
    )
    return harvester.Config(output=harvester.Output(path=Path("out")), sources=(source,))


async def follow(config: harvester.Config) -> bytes:
    async with harvester.Harvester(config) as h, h.tail("support", "talk-1", agent_id="a-1") as messages:
        async for message in messages:
            line: bytes = message
            return line
    raise harvester.RecordingError("never", is_final=True)


async def pieces(transport: harvester.Transport, url: str) -> int:
    async with transport.stream(harvester.Link(url, headers={"Range": "bytes=0-9"})) as stream:
        return sum([len(chunk) async for chunk in stream.chunks()])
