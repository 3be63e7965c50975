"""Unit tests of segments of columns: the unified schema, row groups, and other programs that read them."""

from __future__ import annotations

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
from harvester.record import Record, Turn
from harvester.sinks.arrow import record_batch, unified_schema
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


def test_record_batch_reads_times_of_any_zone_as_utc() -> None:
    """A moment is the same moment, however it was written."""
    there = T0.astimezone(timezone(timedelta(hours=5)))
    assert record_batch([record(created_at=there)])["created_at"].to_pylist() == [T0]


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
    for _ in range(7):
        await sink.write([record(raw="x" * (GROUP_BYTES // 6))])
    assert sink.buffered_bytes < GROUP_BYTES // 2
    assert sink.bytes > GROUP_BYTES
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


async def test_record_that_cannot_be_stored_is_named(tmp_path: Path) -> None:
    """Half a character is refused with the record's index at once, and none of the records is taken."""
    sink = ParquetSink(tmp_path, "sales")
    with pytest.raises(ValueError, match="row 1 cannot be written") as caught:
        await sink.write([record(), record(summary="\ud83d")])
    assert caught.value.args[1] == 1
    assert (sink.rows, sink.buffered_bytes) == (0, 0)


async def test_sink_refuses_rows_of_the_other_shape(tmp_path: Path) -> None:
    """Native rows are no records, and records no native rows."""
    with pytest.raises(TypeError, match="takes records"):
        await ParquetSink(tmp_path, "sales").write(NativeRows([]))
    with pytest.raises(TypeError, match="takes native rows"):
        await ParquetSink(tmp_path, "sales", columns={"id": "string"}).write([record()])
