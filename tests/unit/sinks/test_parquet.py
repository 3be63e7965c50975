"""Unit tests of segments of columns: the unified schema, row groups, and other programs that read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.model import NativeRows
from harvester.record import COLUMNS, Record, Records, Turn
from harvester.sinks.arrow import UnifiedColumns, unified_schema
from harvester.sinks.parquet import CONVERT_ROWS, GROUP_BYTES, GROUP_ROWS, ParquetSink

T0 = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
FLOATS = st.floats(allow_nan=False)
TURNS = st.builds(
    Turn,
    role=st.none() | st.text(),
    text=st.none() | st.text(),
    at=st.none() | MOMENTS,
    offset_s=st.none() | FLOATS,
)
RECORDS = st.builds(
    Record,
    provider=st.text(),
    source=st.text(),
    call_id=st.text(),
    agent_name=st.none() | st.text(),
    is_test=st.none() | st.booleans(),
    created_at=st.none() | MOMENTS,
    score=st.none() | FLOATS,
    transcript=st.none() | st.lists(TURNS, max_size=3),
    recording_bytes=st.none() | st.integers(-(2**63), 2**63 - 1),
    raw=st.none() | st.text(),
    fetched_at=MOMENTS,
    run_id=st.text(),
)


def record(call_id: str = "c1", **values: object) -> Record:
    return msgspec.structs.replace(
        Record(provider="talkover", source="sales", call_id=call_id, fetched_at=T0, run_id="r1"), **values
    )


def record_batch(records: Sequence[Record]) -> pa.RecordBatch:
    columns = UnifiedColumns()
    columns.take(records)
    return columns.batch()


async def sealed(root: Path, *pages: list[Record], source: str = "sales", compression: str = "zstd") -> Path:
    sink = ParquetSink(root, source, compression=compression)  # type: ignore[arg-type]
    for page in pages:
        await sink.write(page)
    segment = await sink.seal("part-00000-r1")
    await sink.publish(segment)
    await sink.aclose()
    return root / segment.path


def test_unified_schema_has_the_contract_s_columns() -> None:
    """Names, order and types are the record's."""
    schema = unified_schema()
    assert schema.names == list(Record.__struct_fields__)
    assert schema.field("call_id").type == pa.string()
    assert schema.field("status").type == pa.string()
    assert schema.field("is_test").type == pa.bool_()
    assert schema.field("duration_s").type == pa.float64()
    assert schema.field("recording_bytes").type == pa.int64()
    assert schema.field("deleted_at").type == pa.timestamp("us", "UTC")
    turn = schema.field("transcript").type.value_type
    assert {field.name: str(field.type) for field in turn.fields} == {
        "role": "string", "text": "string", "at": "timestamp[us, tz=UTC]", "offset_s": "double",
    }  # fmt: skip


def test_unified_schema_says_what_is_never_null() -> None:
    """The columns without a question mark in the contract, and no others, are required."""
    required = [field.name for field in unified_schema() if not field.nullable]
    assert required == ["provider", "source", "call_id", "status", "version", "fetched_at", "run_id"]


def test_unified_schema_explains_its_columns() -> None:
    """What a column means is with the column."""
    assert unified_schema().field("duration_s").metadata == {b"description": b"seconds"}


@given(records=st.lists(RECORDS, max_size=4))
def test_record_batch_holds_every_value(records: list[Record]) -> None:
    """Any records come back from their columns value for value."""
    rows = record_batch(records).to_pylist()
    assert [msgspec.convert(row, Record) for row in rows] == records


@given(pages=st.lists(st.lists(RECORDS, min_size=1, max_size=4), max_size=4))
def test_pages_become_one_batch(pages: list[list[Record]]) -> None:
    """Pages that wait together, as records or by columns, come back in their order, and are forgotten."""
    columns = UnifiedColumns()
    for page in pages:
        columns.take([])
        columns.take(page)
        named = {name: [getattr(one, name) for one in page] for name in COLUMNS}
        columns.take(Records(len(page), named))
    batch = columns.batch()
    batch.validate(full=True)
    twice = [one for page in pages for one in page * 2]
    assert [msgspec.convert(row, Record) for row in batch.to_pylist()] == twice
    assert len(columns.batch()) == 0


def test_one_value_stands_for_a_whole_page() -> None:
    """A column that came as one value has it in every row."""
    page = Records(
        3, {"provider": "p", "source": "s", "call_id": ["a", "b", "c"], "fetched_at": T0, "run_id": "r"}
    )
    assert [msgspec.convert(row, Record) for row in record_batch(page).to_pylist()] == list(page)


@pytest.mark.parametrize("moment", [T0.astimezone(timezone(timedelta(hours=5))), T0.replace(tzinfo=None)])
def test_record_batch_reads_times_of_any_zone_as_utc(moment: datetime) -> None:
    """A moment is the same moment, however it was written; one without a zone is in UTC."""
    assert record_batch([record(created_at=moment), record(created_at=T0)])["created_at"].to_pylist() == [
        T0,
        T0,
    ]


async def test_segment_has_the_declared_schema(tmp_path: Path) -> None:
    """A column that is null in every row has its type all the same, and an empty segment has them all."""
    (tmp_path / "one").mkdir()
    for path in (await sealed(tmp_path / "one", [record()]), await sealed(tmp_path / "none")):
        assert pq.read_schema(path).equals(unified_schema())


async def test_segments_of_several_sources_open_as_one_table(tmp_path: Path) -> None:
    """DuckDB, Polars and pyarrow read all segments of an output at once, an empty one among them."""
    turns = [Turn(role="user", text="hi", at=T0, offset_s=1.5)]
    await sealed(tmp_path, [record("c1", transcript=turns, created_at=T0)], source="a")
    await sealed(tmp_path, [record("c2", transcript=[])], source="b", compression="snappy")
    await sealed(tmp_path, source="c", compression="none")
    everything = str(tmp_path / "calls" / "**" / "*.parquet")
    with duckdb.connect() as base:
        query = base.execute(
            "select call_id, epoch_us(created_at), transcript[1].text, len(transcript) "
            f"from read_parquet('{everything}') order by call_id"
        )
        assert query.fetchall() == [
            ("c1", int(T0.timestamp()) * 1_000_000 + 5, "hi", 1), ("c2", None, None, 0),
        ]  # fmt: skip
    assert pl.read_parquet(everything).sort("call_id")["transcript"].to_list()[1] == []
    table = ds.dataset(tmp_path / "calls", format="parquet").to_table().sort_by("call_id")
    assert table["created_at"].to_pylist() == [T0, None]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
async def test_segment_is_compressed_as_asked(tmp_path: Path, compression: str) -> None:
    """Each way of compression is the one the file says."""
    path = await sealed(tmp_path, [record(raw="x" * 1000)], compression=compression)
    column = pq.read_metadata(path).row_group(0).column(0)
    assert column.compression == {"zstd": "ZSTD", "snappy": "SNAPPY", "none": "UNCOMPRESSED"}[compression]


async def test_columns_have_statistics_and_dictionaries_where_they_pay(tmp_path: Path) -> None:
    """A reader can skip row groups, and only values that repeat are kept in a dictionary."""
    path = await sealed(tmp_path, [record(f"c{n}", raw="x", created_at=T0) for n in range(9)])
    group = pq.read_metadata(path).row_group(0)
    columns = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    assert columns["created_at"].statistics.min == T0
    assert columns["status"].has_dictionary_page
    assert columns["transcript.list.element.role"].has_dictionary_page is not None
    assert not columns["call_id"].has_dictionary_page
    assert not columns["raw"].has_dictionary_page


@pytest.mark.slow
async def test_row_groups_are_of_full_size(tmp_path: Path) -> None:
    """A row group is written as soon as it has its rows, and not one more."""
    page = [record()] * (GROUP_ROWS // 4 * 3)
    sink = ParquetSink(tmp_path, "sales")
    await sink.write(page)
    await sink.write(page)
    assert sink.buffered_bytes > 0
    segment = await sink.seal("part-0")
    await sink.aclose()
    metadata = pq.read_metadata(tmp_path / segment.aside)
    assert [metadata.row_group(place).num_rows for place in range(2)] == [GROUP_ROWS, GROUP_ROWS // 2]
    assert segment.rows == metadata.num_rows


@pytest.mark.slow
async def test_row_group_is_written_when_it_is_large(tmp_path: Path) -> None:
    """Few large rows do not wait for more: memory is bounded in bytes as well."""
    sink = ParquetSink(tmp_path, "sales", compression="none")
    for _ in range(14):
        await sink.write([record(raw="x" * (GROUP_BYTES // 6))])
        assert sink.buffered_bytes < 2 * GROUP_BYTES
    assert sink.bytes > 2 * GROUP_BYTES
    await sink.aclose()


async def test_bytes_count_what_waits_as_packed(tmp_path: Path) -> None:
    """Once a row group shows how well rows pack, those that wait are counted so: segments come out large enough."""
    page = [record(f"c{n}", raw="x" * 1000) for n in range(CONVERT_ROWS)]
    sink = ParquetSink(tmp_path, "sales")
    await sink.write(page)
    before = sink.bytes
    await sink.flush()
    in_file = sink.bytes
    await sink.write(page)
    assert in_file < sink.bytes < in_file * 3 < before
    await sink.aclose()


@pytest.mark.parametrize(
    "odd",
    [
        record(summary="\ud83d"),
        record(raw="x" * 2_000 + "\ud83d"),
        record("\0\ud83d"),
        record(transcript=[Turn(text="\ud83d")]),
        record(recording_bytes=2**63),
    ],
)
@pytest.mark.parametrize("is_by_columns", [False, True])
async def test_record_that_cannot_be_stored_is_named(
    tmp_path: Path, odd: Record, is_by_columns: bool
) -> None:
    """What cannot be stored is refused with the record's index at once, and none of the records is taken."""
    records: Sequence[Record] = [record(), odd]
    if is_by_columns:
        records = Records(2, {name: [getattr(one, name) for one in records] for name in COLUMNS})
    sink = ParquetSink(tmp_path, "sales")
    with pytest.raises(ValueError, match="row 1 cannot be written") as caught:
        await sink.write(records)
    assert caught.value.args[1] == 1
    assert (sink.rows, sink.buffered_bytes) == (0, 0)
    await sink.write(records[:1])
    assert sink.rows == 1


async def test_value_of_a_whole_page_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    """One value that stands for many is looked at as well."""
    page = Records(2, {**msgspec.structs.asdict(record()), "agent_name": "\ud83d"})
    with pytest.raises(ValueError, match="row 0 cannot be written"):
        await ParquetSink(tmp_path, "sales").write(page)


async def test_sink_refuses_rows_of_the_other_shape(tmp_path: Path) -> None:
    """Native rows are no records, and records no native rows."""
    with pytest.raises(TypeError, match="takes records"):
        await ParquetSink(tmp_path, "sales").write(NativeRows([]))
    with pytest.raises(TypeError, match="takes native rows"):
        await ParquetSink(tmp_path, "sales", columns={"id": "string"}).write([record()])
