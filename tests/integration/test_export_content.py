"""What an export leaves behind: every call once, byte for byte, in each format and shape, for each reader."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from harvester.providers import get_provider
from harvester.record import COLUMNS, Record
from harvester.sandbox import PROVIDERS, Account, Overrides, Quirks, Sandbox, SandboxConfig, open_sandbox

from .exporting import (
    Output,
    SandboxProcess,
    as_line,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    four,
    harvest,
    source,
    truth,
    violations_of,
    write_config,
)

FILES = (("parquet", "zstd"), ("ndjson", "none"), ("ndjson", "gzip"), ("ndjson", "zstd"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = [(*file, shape) for file, shape in product(FILES, ("unified", "native"))]

# The contract's types as each reader names them; what is in none of these is a string.
MOMENTS = (
    "created_at",
    "started_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "updated_at",
    "deleted_at",
    "fetched_at",
)
FLAGS = ("is_test", "success", "voicemail", "is_purged")
NUMBERS = ("duration_s", "score")
WHOLE = ("recording_bytes", "version")
CONTRACT = (
    "provider", "source", "call_id", "external_id", "agent_id", "agent_name", "direction", "status", "status_raw",
    "is_test", "from_number", "to_number", "customer_number", "contact_id", "contact_name", "contact_email",
    "campaign_id", "campaign_name", "created_at", "started_at", "ringing_at", "answered_at", "ended_at", "updated_at",
    "deleted_at", "duration_s", "success", "voicemail", "is_purged", "end_reason", "error_reason", "summary", "score",
    "transcript", "recording_url", "recording_path", "recording_sha256", "recording_bytes", "raw", "raw_list",
    "version", "fetched_at", "run_id",
)  # fmt: skip


def _types(
    moment: object, flag: object, number: object, whole: object, text: object, turns: object
) -> dict[str, Any]:
    kinds = {**dict.fromkeys(MOMENTS, moment), **dict.fromkeys(FLAGS, flag), **dict.fromkeys(NUMBERS, number)}
    kinds |= {**dict.fromkeys(WHOLE, whole), "transcript": turns}
    return {name: kinds.get(name, text) for name in CONTRACT}


def _assert_complete(out: Output, account: Account, shape: str) -> None:
    """Compare a source, walked by the account or by all its agents, with what the sandbox has."""
    wanted = truth(account)
    if shape == "unified":
        assert_same_ids(out.ids(account.provider), wanted)
        assert out.raws(account.provider) == wanted
    elif out.segments(account.provider)[0].suffix == ".parquet":
        _assert_native_columns(out.rows(account.provider), account)
    else:
        assert sorted(out.lines(account.provider)) == sorted(_native_lines(account))


def _native_lines(account: Account) -> Iterator[bytes]:
    """Yield each row on a line, with the agent where the row names none."""
    for agent in account.agents():
        member = b',"_agent_id":' + json.dumps(agent.id).encode() + b"}"
        for row in account.rows(agent.id) if account.provider != "talkover" else ():
            line = as_line(row.raw)
            yield line[:-1] + member if account.provider == "bimpe" else line
    if account.provider == "talkover":
        yield from (as_line(row.raw) for row in account.rows())


def _assert_native_columns(rows: Sequence[dict[str, Any]], account: Account) -> None:
    """Every value is in its column, or in `extra` if it is of another type, and nothing else is anywhere."""
    columns = get_provider(account.provider).columns
    wanted = truth(account)
    assert_same_ids([row["id"] for row in rows], wanted)
    for row in rows:
        found = json.loads(row["extra"] or "{}")
        for name, kind in columns.items():
            if row[name] is not None:
                assert name not in found
                found[name] = json.loads(row[name]) if kind == "json" else row[name]
        sent = json.loads(wanted[row["id"]])
        assert _present(found) == _present(sent)


def _present(values: dict[str, Any]) -> dict[str, tuple[bool, Any]]:
    """Return the values that are not null, telling booleans from numbers."""
    return {name: (isinstance(value, bool), value) for name, value in values.items() if value is not None}


def _config(url: Any, file_format: str, compression: str, shape: str, **keys: object) -> str:
    output = {"path": "out", "format": file_format, "compression": compression, "shape": shape}
    return document(four(url, **keys), output=output)


@pytest.mark.parametrize(("file_format", "compression", "shape"), KINDS)
async def test_export_holds_every_call(
    tmp_path: Path, file_format: str, compression: str, shape: str
) -> None:
    """Four sources of a thousand calls are there exactly once, byte for byte, and the report counts them."""
    async with open_sandbox(SandboxConfig(calls=1000)) as sandbox:
        report = await export(_config(sandbox.url, file_format, compression, shape), tmp_path)
        out = Output(tmp_path / "out")
        for provider in PROVIDERS:
            _assert_complete(out, sandbox.world.account(provider), shape)
        assert violations_of(sandbox.stats()) == []
    assert report.outcome == "complete"
    assert_adds_up(report)
    assert report.totals.expected == report.totals.written == sum(one.rows for one in report.segments)
    assert out.aside() == []


@pytest.mark.slow
@pytest.mark.parametrize(("file_format", "compression", "shape"), KINDS)
def test_export_holds_every_call_of_large_accounts(
    tmp_path: Path, file_format: str, compression: str, shape: str
) -> None:
    """The same for four sources of fifty thousand calls, by the command."""
    with SandboxProcess(calls=50_000, cache_mb=64) as sandbox:
        write_config(tmp_path, _config(sandbox.url, file_format, compression, shape))
        done = harvest(tmp_path, "export", longest_s=300)
        assert done.code == 0, done.err
        out = Output(tmp_path / "out")
        for provider in PROVIDERS:
            _assert_complete(out, sandbox.world.account(provider), shape)
        assert violations_of(sandbox.stats()) == []
    totals = out.report()["totals"]
    assert totals["expected"] == totals["written"] == sum(one["rows"] for one in out.report()["segments"])


@pytest.mark.parametrize(("file_format", "compression", "shape"), [*KINDS[:2], KINDS[2], KINDS[3]])
async def test_export_keeps_rows_with_line_breaks(
    tmp_path: Path, file_format: str, compression: str, shape: str
) -> None:
    """Line breaks between tokens stay in `raw` and in Parquet, and are taken out of native lines."""
    async with open_sandbox(SandboxConfig(calls=300, pretty=True)) as sandbox:
        report = await export(_config(sandbox.url, file_format, compression, shape), tmp_path)
        for provider in PROVIDERS:
            _assert_complete(Output(tmp_path / "out"), sandbox.world.account(provider), shape)
    assert report.outcome == "complete"


@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
async def test_export_keeps_what_no_document_knows(tmp_path: Path, file_format: str) -> None:
    """Unknown fields, unknown words and values of other types are all in the native output."""
    quirks = Quirks(extra_fields=True, unknown_words=5, wrong_types=7)
    async with open_sandbox(SandboxConfig(calls=300, quirks=quirks)) as sandbox:
        report = await export(_config(sandbox.url, file_format, "none", "native"), tmp_path)
        for provider in PROVIDERS:
            _assert_complete(Output(tmp_path / "out"), sandbox.world.account(provider), "native")
    assert report.outcome == "complete"


@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
async def test_export_adds_the_agent_to_rows_that_name_none(tmp_path: Path, file_format: str) -> None:
    """Talkover's rows in the list of one agent get its id as `_agent_id`, and are else as sent."""
    output = {"path": "out", "format": file_format, "compression": "none", "shape": "native"}
    async with open_sandbox(SandboxConfig(calls=200)) as sandbox:
        account = sandbox.world.account("talkover")
        agents = [agent.id for agent in account.agents()][:2]
        await export(document([source("talkover", sandbox.url, agents=agents)], output=output), tmp_path)
        rows = Output(tmp_path / "out").rows()
        for agent in agents:
            own = [row["id"] for row in rows if row["_agent_id"] == agent]
            assert_same_ids(own, truth(account, agents=[agent]))
    if file_format == "ndjson":
        sent = {json.dumps(json.loads(raw)) for raw in truth(account, agents=agents).values()}
        for row in rows:
            del row["_agent_id"]
        assert {json.dumps(row) for row in rows} == sent


@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
async def test_export_leaves_raw_out_where_not_wanted(tmp_path: Path, file_format: str) -> None:
    """With `raw = false` the column is there and null, all others are as ever."""
    async with open_sandbox(SandboxConfig(calls=100)) as sandbox:
        output = {"path": "out", "format": file_format, "raw": False}
        await export(document(four(sandbox.url), output=output), tmp_path)
        rows = Output(tmp_path / "out").rows()
        for provider in PROVIDERS:
            own = [row["call_id"] for row in rows if row["provider"] == provider]
            assert_same_ids(own, truth(sandbox.world.account(provider)))
    assert {row["raw"] for row in rows} == {None}


async def test_export_gives_agentvoice_details_from_the_list(tmp_path: Path) -> None:
    """With `details` AgentVoice's `raw` is the full row, at no further request."""
    async with open_sandbox(SandboxConfig(calls=300)) as sandbox:
        report = await export(document([source("agentvoice", sandbox.url, details=True)]), tmp_path)
        account = sandbox.world.account("agentvoice")
        assert Output(tmp_path / "out").raws() == truth(account, shape="full")
    assert report.totals.requests == 3


async def _mixed(sandbox: Sandbox, folder: Path, **output: object) -> Output:
    await export(document(four(sandbox.url), output={"path": "out", **output}), folder)
    return Output(folder / "out")


def _mixed_config() -> SandboxConfig:
    """One source without calls, one without damage, two with: enough for a null-first column to change its type."""
    damaged = Overrides(quirks=Quirks(wrong_types=3, null_created=5, unknown_words=4))
    empty = Overrides(calls=0)
    return SandboxConfig(calls=150, providers={"talkover": empty, "talkpilot": damaged, "bimpe": damaged})


async def test_unified_parquet_opens_in_duckdb_as_it_is(tmp_path: Path) -> None:
    """One glob reads all sources at once, with the contract's columns and types."""
    async with open_sandbox(_mixed_config()) as sandbox:
        out = await _mixed(sandbox, tmp_path)
        wanted = {name: len(truth(sandbox.world.account(name))) for name in PROVIDERS}
    every = f"'{out.root}/calls/**/*.parquet'"
    with duckdb.connect() as db:
        described = {row[0]: row[1] for row in db.execute(f"describe select * from {every}").fetchall()}
        counted = db.execute(f"select source, count(*) from {every} group by 1").fetchall()
        first = db.execute(
            f"select epoch_us(min(created_at)) from {every} where source = 'agentvoice'"
        ).fetchone()
    turn = 'STRUCT("role" VARCHAR, "text" VARCHAR, "at" TIMESTAMP WITH TIME ZONE, offset_s DOUBLE)[]'
    types = _types("TIMESTAMP WITH TIME ZONE", "BOOLEAN", "DOUBLE", "BIGINT", "VARCHAR", turn)
    assert {name: kind.replace('"', "") for name, kind in described.items()} == {
        name: kind.replace('"', "") for name, kind in types.items()
    }
    assert dict(counted) == {name: count for name, count in wanted.items() if count}
    earliest = min(row.created_at for row in sandbox.world.account("agentvoice").rows() if row.created_at)
    assert first == ((earliest - EPOCH) // timedelta(microseconds=1),)


async def test_unified_parquet_opens_in_polars_and_pyarrow_as_it_is(tmp_path: Path) -> None:
    """Both read all sources at once and see the contract's columns and types, in the same order."""
    async with open_sandbox(_mixed_config()) as sandbox:
        out = await _mixed(sandbox, tmp_path)
        wanted = sum(len(truth(sandbox.world.account(name))) for name in PROVIDERS)
    frame = pl.read_parquet(out.root / "calls" / "**" / "*.parquet")
    moment = pl.Datetime("us", "UTC")
    turns = pl.List(pl.Struct({"role": pl.String, "text": pl.String, "at": moment, "offset_s": pl.Float64}))
    assert dict(frame.schema) == _types(moment, pl.Boolean, pl.Float64, pl.Int64, pl.String, turns)
    assert list(frame.schema) == list(COLUMNS)
    table = ds.dataset(out.root / "calls", format="parquet").to_table()
    us = pa.timestamp("us", "UTC")
    struct = pa.struct([("role", pa.string()), ("text", pa.string()), ("at", us), ("offset_s", pa.float64())])
    types = _types(
        us, pa.bool_(), pa.float64(), pa.int64(), pa.string(), pa.list_(pa.field("element", struct))
    )
    assert {field.name: field.type for field in table.schema} == types
    assert len(frame) == len(table) == wanted


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_unified_ndjson_opens_in_duckdb(tmp_path: Path, compression: str) -> None:
    """One glob reads all sources, compressed or not, and counts what is there."""
    async with open_sandbox(_mixed_config()) as sandbox:
        out = await _mixed(sandbox, tmp_path, format="ndjson", compression=compression)
        wanted = {name: len(truth(sandbox.world.account(name))) for name in PROVIDERS}
    suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[compression]
    assert {path.name.partition(".")[2] for path in out.segments()} == {"ndjson" + suffix}
    query = f"select source, count(*), count(raw) from read_ndjson('{out.root}/calls/**/*.ndjson{suffix}') group by 1"
    with duckdb.connect() as db:
        counted = db.execute(query).fetchall()
    assert {row[0]: row[1] for row in counted} == {name: count for name, count in wanted.items() if count}
    assert all(row[1] == row[2] for row in counted)


async def test_unified_ndjson_has_the_schemas_types(tmp_path: Path) -> None:
    """Every line is a record of the schema, all columns present, times in RFC 3339 with `Z`."""
    async with open_sandbox(_mixed_config()) as sandbox:
        out = await _mixed(sandbox, tmp_path, format="ndjson")
    decoder = msgspec.json.Decoder(Record, strict=True)
    for line in out.lines():
        decoder.decode(line)
        row = json.loads(line)
        assert list(row) == list(COLUMNS)
        assert all(row[name] is None or row[name].endswith("Z") for name in MOMENTS)


async def test_unified_created_at_is_the_calls_own(tmp_path: Path) -> None:
    """Whatever way times are written, `created_at` is the moment in UTC."""
    for times in ("z", "naive", "offset", "micros"):
        config = SandboxConfig(calls=120, quirks=Quirks(times=times))
        folder = tmp_path / times
        async with open_sandbox(config) as sandbox:
            out = await _mixed(sandbox, folder)
            for provider in PROVIDERS:
                wanted = {row.call_id: row.created_at for row in sandbox.world.account(provider).rows()}
                assert {row["call_id"]: row["created_at"] for row in out.rows(provider)} == wanted


@pytest.mark.parametrize(("file_format", "compression", "shape"), KINDS)
async def test_source_without_calls_leaves_one_empty_segment(
    tmp_path: Path, file_format: str, compression: str, shape: str
) -> None:
    """It has no row, is complete, and is not made again by the next run."""
    async with open_sandbox(SandboxConfig(calls=0)) as sandbox:
        text = _config(sandbox.url, file_format, compression, shape)
        report = await export(text, tmp_path)
        again = await export(text, tmp_path)
    out = Output(tmp_path / "out")
    assert (report.outcome, again.outcome) == ("complete", "complete")
    assert [len(out.segments(provider)) for provider in PROVIDERS] == [1, 1, 1, 1]
    assert out.rows() == []
    if file_format == "parquet":
        assert all(pq.ParquetFile(path).schema_arrow.names for path in out.segments())
