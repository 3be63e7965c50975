"""What every sink promises, asked of each of them; a new one needs a line in `SINKS` and a way to read it back."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard

from harvester.errors import OutputError
from harvester.model import NativeRows, Quarantined
from harvester.record import Record, Turn
from harvester.sinks import ASIDE, Rows, Sink, open_sink

T0 = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
COLUMNS = {"id": "string", "n": "int", "score": "float", "is_test": "bool", "agent": "json"}


class Case(msgspec.Struct, frozen=True):
    """A kind of sink: how it is opened, what it is given, and what a file of it holds, as call ids in their order."""

    name: str
    open: Callable[[Path], Sink]
    rows: Callable[[int, int], Rows]
    ids: Callable[[Path], list[str]]


def records(start: int, count: int) -> list[Record]:
    return [
        Record(
            provider="talkover",
            source="sales",
            call_id=f"c{n}",
            created_at=T0 + timedelta(seconds=n),
            duration_s=n / 2,
            transcript=[Turn(role="user", text=f"hello {n}", at=T0, offset_s=0.5)] if n % 2 else None,
            raw=f'{{"id":"c{n}"}}',
            fetched_at=T0,
            run_id="r1",
        )
        for n in range(start, start + count)
    ]


def native(start: int, count: int) -> NativeRows:
    rows = [
        {"id": f"c{n}", "n": n, "score": n / 4, "agent": {"id": "a"}} for n in range(start, start + count)
    ]
    return NativeRows([msgspec.Raw(msgspec.json.encode(row)) for row in rows], "agent-1")


def quarantined(start: int, count: int) -> list[Quarantined]:
    return [
        Quarantined("no id", "list calls", "{}", T0, call_id=f"c{n}") for n in range(start, start + count)
    ]


def line_ids(path: Path) -> list[str]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    rows: list[dict[str, Any]] = [json.loads(line) for line in data.splitlines()]
    return [row.get("call_id") or row["id"] for row in rows]


def column_ids(path: Path) -> list[str]:
    table = pq.read_table(path, partitioning=None)
    ids: list[str] = table["call_id" if "call_id" in table.column_names else "id"].to_pylist()
    return ids


def case(kind: str, shape: str, compression: str) -> Case:
    def opened(root: Path) -> Sink:
        return open_sink(
            root,
            "sales",
            format="parquet" if kind == "parquet" else "ndjson",
            shape="native" if shape == "native" else "unified",
            compression=compression,
            columns=COLUMNS,
            kind="quarantine" if kind == "quarantine" else "calls",
        )

    rows: Callable[[int, int], Rows] = native if shape == "native" else records
    if kind == "quarantine":
        rows = quarantined
    ids = column_ids if kind == "parquet" else line_ids
    return Case(f"{kind}-{shape}-{compression}", opened, rows, ids)


SINKS = [
    *[case("ndjson", shape, way) for shape in ("unified", "native") for way in ("none", "gzip", "zstd")],
    *[case("parquet", shape, way) for shape in ("unified", "native") for way in ("zstd", "snappy", "none")],
    case("quarantine", "lines", "none"),
]


@pytest.fixture(params=SINKS, ids=lambda case: case.name)
def case_(request: pytest.FixtureRequest) -> Case:
    asked: Case = request.param
    return asked


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
async def sink(case_: Case, root: Path) -> AsyncIterator[Sink]:
    opened = case_.open(root)
    yield opened
    await opened.aclose()


def expected(start: int, count: int) -> list[str]:
    return [f"c{n}" for n in range(start, start + count)]


def is_there(path: Path) -> bool:
    return path.exists()


def block(path: Path) -> None:
    path.write_text("in the way")


def lowest_free_descriptor() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def files_below(path: Path) -> list[Path]:
    return sorted(found for found in path.rglob("*") if found.is_file())


async def test_sink_gives_rows_back_in_order(case_: Case, sink: Sink, root: Path) -> None:
    """Rows written in several pages come back, all of them and in their order."""
    await sink.write(case_.rows(0, 3))
    await sink.write(case_.rows(3, 4))
    segment = await sink.seal("part-00000-r1")
    await sink.publish(segment)
    assert case_.ids(root / segment.path) == expected(0, 7)
    assert segment.rows == 7


async def test_sink_describes_the_file_it_sealed(sink: Sink, case_: Case, root: Path) -> None:
    """A segment's place, size and hash are those of its file."""
    await sink.write(case_.rows(0, 5))
    segment = await sink.seal("part-00000-r1")
    content = (root / segment.aside).read_bytes()
    assert segment.source == "sales"
    assert segment.path.startswith(f"{segment.kind}/sales/part-00000-r1.")
    assert segment.aside.startswith(ASIDE + "/")
    assert (segment.bytes, segment.sha256) == (len(content), hashlib.sha256(content).hexdigest())


async def test_sink_without_rows_seals_an_empty_segment(sink: Sink, case_: Case, root: Path) -> None:
    """A source without calls leaves one segment that can be read and holds nothing."""
    segment = await sink.seal("part-00000-r1")
    await sink.publish(segment)
    assert segment.rows == 0
    assert case_.ids(root / segment.path) == []


async def test_sink_shows_nothing_before_publish(sink: Sink, case_: Case, root: Path) -> None:
    """Until it is published a segment lies aside and nowhere else."""
    await sink.write(case_.rows(0, 5))
    await sink.flush()
    segment = await sink.seal("part-00000-r1")
    assert files_below(root) == [root / segment.aside]


async def test_sink_publishes_twice(sink: Sink, case_: Case, root: Path) -> None:
    """Publishing again changes nothing."""
    await sink.write(case_.rows(0, 5))
    segment = await sink.seal("part-00000-r1")
    await sink.publish(segment)
    await sink.publish(segment)
    assert files_below(root) == [root / segment.path]
    assert case_.ids(root / segment.path) == expected(0, 5)


async def test_sink_of_a_later_run_publishes(sink: Sink, case_: Case, root: Path) -> None:
    """What one run sealed another can publish."""
    await sink.write(case_.rows(0, 5))
    segment = await sink.seal("part-00000-r1")
    later = case_.open(root)
    await later.publish(segment)
    await later.aclose()
    assert case_.ids(root / segment.path) == expected(0, 5)


async def test_sink_refuses_to_publish_what_is_gone(sink: Sink, case_: Case, root: Path) -> None:
    """A segment neither aside nor in place is an error that names it."""
    await sink.write(case_.rows(0, 1))
    segment = await sink.seal("part-00000-r1")
    (root / segment.aside).unlink()
    with pytest.raises(OutputError, match="part-00000-r1"):
        await sink.publish(segment)


async def test_sink_seals_one_segment_after_another(sink: Sink, case_: Case, root: Path) -> None:
    """Each segment holds the rows written since the last."""
    segments = []
    for number in range(3):
        await sink.write(case_.rows(number * 2, 2))
        segments.append(await sink.seal(f"part-{number}"))
    for segment in segments:
        await sink.publish(segment)
    assert [case_.ids(root / segment.path) for segment in segments] == [expected(n, 2) for n in (0, 2, 4)]


async def test_sink_counts_what_is_open(sink: Sink, case_: Case) -> None:
    """Rows and bytes are of the open segment only; what is flushed is no longer in memory."""
    await sink.write(case_.rows(0, 50))
    assert sink.rows == 50
    assert sink.bytes >= sink.buffered_bytes > 0
    await sink.flush()
    assert sink.rows == 50
    assert sink.buffered_bytes == 0
    in_file = sink.bytes
    await sink.write(case_.rows(50, 10))
    assert sink.buffered_bytes > 0
    assert sink.bytes > in_file
    await sink.seal("part-0")
    assert (sink.rows, sink.bytes, sink.buffered_bytes) == (0, 0, 0)


async def test_sink_of_few_rows_leaves_the_disk_alone(sink: Sink, case_: Case, root: Path) -> None:
    """Few rows make no file and no folder before they are flushed; flushing nothing does not either."""
    await sink.flush()
    await sink.write(case_.rows(0, 5))
    assert not is_there(root)


async def test_sink_discards_what_was_not_sealed(sink: Sink, case_: Case, root: Path) -> None:
    """Closing removes the open segment and leaves the sealed one aside."""
    await sink.write(case_.rows(0, 5))
    segment = await sink.seal("part-0")
    await sink.write(case_.rows(5, 5))
    await sink.flush()
    assert len(files_below(root)) == 2
    await sink.aclose()
    await sink.aclose()
    assert files_below(root) == [root / segment.aside]


async def test_sink_once_closed_refuses_rows(sink: Sink, case_: Case) -> None:
    """A closed sink says so."""
    await sink.aclose()
    with pytest.raises(OutputError, match="closed"):
        await sink.write(case_.rows(0, 1))
    with pytest.raises(OutputError, match="closed"):
        await sink.seal("part-0")


async def test_sinks_of_one_source_do_not_meet(case_: Case, root: Path) -> None:
    """Two sinks of the same source at the same time write to different files."""
    sinks = [case_.open(root), case_.open(root)]
    for number, each in enumerate(sinks):
        await each.write(case_.rows(number, 1))
        await each.flush()
    segments = [await each.seal(f"part-{number}") for number, each in enumerate(sinks)]
    for each, segment in zip(sinks, segments, strict=True):
        await each.publish(segment)
        await each.aclose()
    assert [case_.ids(root / segment.path) for segment in segments] == [["c0"], ["c1"]]


async def test_sink_in_a_cancelled_scope_ends_what_it_began(sink: Sink, case_: Case, root: Path) -> None:
    """A write, flush, seal or publish that meets a cancellation is done as a whole."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await sink.write(case_.rows(0, 3000))
        await sink.flush()
        segment = await sink.seal("part-0")
        await sink.publish(segment)
    assert case_.ids(root / segment.path) == expected(0, 3000)


async def test_sink_whose_step_was_torn_away_is_lost(sink: Sink, case_: Case, root: Path) -> None:
    """A task cancelled past every shield leaves no segment that could hold half a batch."""
    await sink.write(case_.rows(0, 100))
    task = asyncio.get_running_loop().create_task(sink.flush())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(OutputError, match="lost"):
        await sink.write(case_.rows(0, 100))
    await sink.aclose()
    assert files_below(root) == []


async def test_sink_names_a_file_where_its_folder_should_be(case_: Case, root: Path) -> None:
    """An output that cannot be a folder is an error with its name; the open segment is lost, and closing works."""
    block(root)
    sink = case_.open(root)
    await sink.write(case_.rows(0, 1))
    with pytest.raises(OutputError, match=r"cannot write out: a file is where a folder should be"):
        await sink.flush()
    with pytest.raises(OutputError, match="lost"):
        await sink.write(case_.rows(1, 1))
    with pytest.raises(OutputError, match="lost"):
        await sink.seal("part-0")
    await sink.aclose()
    assert root.is_file()  # noqa: ASYNC240 - a look in a test


async def test_sink_that_cannot_publish_keeps_the_segment(sink: Sink, case_: Case, root: Path) -> None:
    """A folder that cannot be made is an error; once it can be, publishing goes on."""
    await sink.write(case_.rows(0, 2))
    segment = await sink.seal("part-0")
    in_the_way = root / segment.kind
    block(in_the_way)
    with pytest.raises(OutputError, match=segment.kind):
        await sink.publish(segment)
    in_the_way.unlink()
    await sink.publish(segment)
    assert case_.ids(root / segment.path) == expected(0, 2)


async def test_sink_writes_the_same_file_for_the_same_rows(case_: Case, root: Path) -> None:
    """No clock and no chance is in a file: the same rows have the same hash."""
    hashes = set()
    for number in range(2):
        sink = case_.open(root)
        await sink.write(case_.rows(0, 200))
        hashes.add((await sink.seal(f"part-{number}")).sha256)
        await sink.aclose()
    assert len(hashes) == 1


async def test_sink_leaves_no_descriptor_open(case_: Case, root: Path) -> None:
    """However a segment ends, its file is closed."""
    before = lowest_free_descriptor()
    for is_sealed in (True, False):
        sink = case_.open(root)
        await sink.write(case_.rows(0, 5))
        await sink.flush()
        if is_sealed:
            await sink.seal("part-0")
        await sink.aclose()
    assert lowest_free_descriptor() == before
