"""Unit tests of segments of lines."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harvester.block import Block
from harvester.model import Lines, NativeRows, Quarantined
from harvester.record import Record, Turn
from harvester.sinks.ndjson import FLUSH_BYTES, MOST_BYTES, NdjsonSink, native_lines

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def record(call_id: str = "c1", **values: object) -> Record:
    return msgspec.structs.replace(
        Record(provider="talkover", source="sales", call_id=call_id, fetched_at=T0, run_id="r1"), **values
    )


def raws(*texts: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(text.encode()) for text in texts]


async def sealed(root: Path, *pages: object, compression: str = "none", kind: str = "calls") -> Path:
    sink = NdjsonSink(root, "sales", kind=kind, compression=compression)  # type: ignore[arg-type]
    for page in pages:
        await sink.write(page)  # type: ignore[arg-type]
    segment = await sink.seal("part-00000-r1")
    await sink.publish(segment)
    await sink.aclose()
    return root / segment.path


async def test_unified_lines_are_the_records(tmp_path: Path) -> None:
    """Each line decodes to the record it was, every column present, null where absent."""
    records = [
        record(transcript=[Turn(role="agent", text="a\nb", at=T0, offset_s=1.5)], score=0.1, is_test=True),
        record("c2", transcript=[], raw='{"x":"\\ud83d"}'),
    ]
    lines = (await sealed(tmp_path, records)).read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Record) for line in lines] == records
    assert list(json.loads(lines[0])) == list(Record.__struct_fields__)


async def test_rows_come_in_any_form(tmp_path: Path) -> None:
    """Side by side in their answer, one by one, or as lines: in the order they came, and counted."""
    texts = [b'{"a":1}', b'{"b": 2}']
    sink = NdjsonSink(tmp_path, "sales")
    block = Block.find(b'{"data":[%s,%s]}' % (*texts,), texts)
    assert block is not None
    for agent_id in (None, None, "x"):
        await sink.write(NativeRows(block, agent_id))
    await sink.write_lines(Lines(b"{}\n[]\n", 2))
    await sink.write(NativeRows(raws("{ }")))
    assert sink.rows == 9
    buffered = sink.buffered_bytes
    segment = await sink.seal("part-00000-r1")
    await sink.publish(segment)
    text = (tmp_path / segment.path).read_bytes()
    assert len(text) == buffered
    named = b'{"a":1,"_agent_id":"x"}\n{"b": 2,"_agent_id":"x"}\n'
    assert text == 2 * b'{"a":1}\n{"b": 2}\n' + named + b"{}\n[]\n{ }\n"
    await sink.aclose()


async def test_block_with_breaks_in_it_becomes_lines(tmp_path: Path) -> None:
    """Line breaks between tokens go, as in any other row."""
    texts = [b'{\n"a":1}', b'{"b":2}']
    block = Block.find(b"[%s,%s]" % (*texts,), texts)
    assert block is not None
    assert (await sealed(tmp_path, NativeRows(block))).read_bytes() == b'{"a":1}\n{"b":2}\n'


async def test_unified_times_end_in_z(tmp_path: Path) -> None:
    """Times are RFC 3339 in UTC, with a fraction only where there is one."""
    line = (await sealed(tmp_path, [record(created_at=T0.replace(microsecond=120))])).read_text()
    assert '"created_at":"2026-03-01T12:00:00.000120Z"' in line
    assert '"fetched_at":"2026-03-01T12:00:00Z"' in line


async def test_raw_is_a_string_byte_for_byte(tmp_path: Path) -> None:
    """The provider's JSON survives with its spaces, escapes and line breaks."""
    raw = '{ "a" : 1.0,\n"b":"\\u00e9 \\ud83d é" }'
    path = await sealed(tmp_path, [record(raw=raw)])
    assert json.loads(path.read_bytes())["raw"] == raw


async def test_row_that_cannot_be_a_line_is_named(tmp_path: Path) -> None:
    """Half a character is refused with the row's index, and none of the rows is taken."""
    sink = NdjsonSink(tmp_path, "sales")
    with pytest.raises(ValueError, match="row 1 cannot be written") as caught:
        await sink.write([record(), record("\ud83d")])
    assert caught.value.args[1] == 1
    assert (sink.rows, sink.bytes) == (0, 0)


async def test_rows_are_written_once_there_are_enough(tmp_path: Path) -> None:
    """Lines go to the file by the megabyte, so that memory does not grow with the segment."""
    sink = NdjsonSink(tmp_path, "sales")
    for _ in range(8):
        await sink.write([record(raw="x" * FLUSH_BYTES)])
        assert sink.buffered_bytes <= 2 * MOST_BYTES + 2 * FLUSH_BYTES
    await sink.flush()
    assert sink.buffered_bytes == 0
    assert sink.bytes > 8 * FLUSH_BYTES
    await sink.aclose()


@pytest.mark.parametrize(
    ("compression", "suffix"), [("none", ".ndjson"), ("gzip", ".ndjson.gz"), ("zstd", ".ndjson.zst")]
)
async def test_lines_open_elsewhere(tmp_path: Path, compression: str, suffix: str) -> None:
    """DuckDB and Polars read each way of compression as it is."""
    path = await sealed(tmp_path, [record(f"c{n}") for n in range(10)], compression=compression)
    assert path.name == "part-00000-r1" + suffix
    with duckdb.connect() as base:
        query = base.execute(f"select count(*), max(call_id) from read_ndjson('{path}')")
        assert query.fetchall() == [(10, "c9")]
    assert pl.read_ndjson(path.read_bytes()).height == 10


async def test_gzip_holds_no_time(tmp_path: Path) -> None:
    """The header's time is 0, so that the same rows are the same file."""
    content = (await sealed(tmp_path, [record()], compression="gzip")).read_bytes()
    assert content[4:8] == bytes(4)
    assert gzip.decompress(content).endswith(b"}\n")


async def test_zstd_is_one_frame_with_a_checksum(tmp_path: Path) -> None:
    """A reader that stops after the first frame has everything, and damage is noticed."""
    pages = [[record(raw="x" * FLUSH_BYTES)] for _ in range(3)]
    content = (await sealed(tmp_path, *pages, compression="zstd")).read_bytes()
    assert zstandard.get_frame_parameters(content).has_checksum
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=False) as reader:
        assert reader.read().count(b"\n") == 3


async def test_quarantine_is_plain_lines(tmp_path: Path) -> None:
    """Quarantine is never compressed and leaves out what is not known."""
    rows = [Quarantined("no id", "list calls", '{"a":1}', T0), Quarantined("x", "e", "", T0, call_id="c1")]
    path = await sealed(tmp_path, rows, compression="zstd", kind="quarantine")
    assert path == tmp_path / "quarantine" / "sales" / "part-00000-r1.ndjson"
    assert json.loads(path.read_bytes().splitlines()[0]) == {
        "reason": "no id", "endpoint": "list calls", "raw": '{"a":1}', "fetched_at": "2026-03-01T12:00:00Z",
    }  # fmt: skip


def test_native_rows_pass_byte_for_byte() -> None:
    """A row is its own line, spaces and number forms and all."""
    page = NativeRows(raws('{"a": 1.0}', '{"b":1e3,"c":"\\u00e9"}'))
    assert native_lines(page) == b'{"a": 1.0}\n{"b":1e3,"c":"\\u00e9"}\n'


def test_native_rows_lose_line_breaks_between_tokens() -> None:
    """A row that was sent over several lines becomes one; in a string a line break is an escape and stays."""
    page = NativeRows(raws('{\r\n  "a": "x\\ny"\n}', '{"b":2}'))
    assert native_lines(page) == b'{  "a": "x\\ny"}\n{"b":2}\n'


@pytest.mark.parametrize("empty", ["{}", "{ }", "{\n}"])
def test_native_rows_get_their_agent(empty: str) -> None:
    """The agent's id is the last member of each object, of an empty one the only."""
    page = NativeRows(raws('{"a":{}}', empty, '{ "b":1 }'), 'x"y')
    lines = native_lines(page).splitlines()
    assert lines == [
        b'{"a":{},"_agent_id":"x\\"y"}',
        b'{"_agent_id":"x\\"y"}',
        b'{"b":1,"_agent_id":"x\\"y"}',
    ]


def test_native_rows_get_their_recordings() -> None:
    """The path of a recording is the last member, after the agent; a row with neither passes as it is."""
    page = NativeRows(raws('{"a": 1}', '{\n"b":2}'), None, [None, "recordings/x.mp3"])
    assert native_lines(page) == b'{"a": 1}\n{"b":2,"_recording_path":"recordings/x.mp3"}\n'
    page = NativeRows(raws("{}"), "a1", ["recordings/x.mp3"])
    assert native_lines(page) == b'{"_agent_id":"a1","_recording_path":"recordings/x.mp3"}\n'


def test_native_row_that_is_no_object_gets_no_agent() -> None:
    """A row to which no member can be added is refused with its index."""
    with pytest.raises(ValueError, match="row 1 is no JSON object") as caught:
        native_lines(NativeRows(raws('{"a":1}', "[1]"), "x"))
    assert caught.value.args[1] == 1


def test_native_page_without_rows_is_nothing() -> None:
    """An empty page is no line, with an agent or without."""
    assert native_lines(NativeRows([])) == b""
    assert native_lines(NativeRows([], "x")) == b""


@given(
    rows=st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4),
    indent=st.none() | st.integers(0, 2),
    agent_id=st.none() | st.text(),
)
def test_native_lines_hold_every_value(
    rows: list[dict[str, object]], indent: int | None, agent_id: str | None
) -> None:
    """Any objects, written in any way, come back line by line with their agent."""
    page = NativeRows(raws(*[json.dumps(row, indent=indent) for row in rows]), agent_id)
    added = {} if agent_id is None else {"_agent_id": agent_id}
    assert [json.loads(line) for line in native_lines(page).split(b"\n")[:-1]] == [
        row | added for row in rows
    ]
