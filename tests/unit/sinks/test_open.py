"""Unit tests of opening a sink, and of sinks on a disk that is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harvester.sinks import open_sink
from harvester.sinks.ndjson import NdjsonSink
from harvester.sinks.parquet import ParquetSink

FULL_DISK = """
import anyio, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from harvester.errors import OutputError
from harvester.record import Record
from harvester.sinks import open_sink

async def main():
    sink = open_sink(Path(sys.argv[1]), "sales", format=sys.argv[2], compression=sys.argv[3])
    text = "".join(chr(32 + n * n % 90) for n in range(50_000))
    now = datetime.now(UTC)
    row = Record(provider="p", source="s", call_id="c", raw=text, fetched_at=now, run_id="r")
    page = [row] * 99
    first = await sink.write(page) or await sink.seal("part-0")
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        for _ in range(100):
            await sink.write(page)
            await sink.flush()
        await sink.seal("part-1")
    except OutputError as error:
        print(error)
    await sink.aclose()
    await sink.publish(first)

anyio.run(main)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format_", "compression"), [("ndjson", "none"), ("ndjson", "zstd"), ("parquet", "none")]
)
def test_disk_that_takes_no_more_is_an_output_error(tmp_path: Path, format_: str, compression: str) -> None:
    """A file that may not grow is an error that says where, nothing of it stays, and what was sealed can be published.

    The system's own limit on a file's size stands for the full disk: the write is refused in the same place.
    """
    command = [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path), format_, compression]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert "cannot write _harvester/aside/sales-calls-" in done.stdout
    assert "larger than this system allows" in done.stdout
    assert [path.name.split(".")[0] for path in tmp_path.rglob("*") if path.is_file()] == ["part-0"]


def test_sinks_import_no_pyarrow_for_lines() -> None:
    """A run that writes lines does not pay for importing Parquet."""
    program = (
        "import sys, pathlib; from harvester.sinks import open_sink; "
        "open_sink(pathlib.Path('out'), 's', format='ndjson', compression='none'); "
        "sys.exit('pyarrow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_open_sink_opens_what_was_asked_for(tmp_path: Path) -> None:
    """Format, shape and kind choose the sink."""
    assert isinstance(open_sink(tmp_path, "s", format="ndjson", compression="gzip"), NdjsonSink)
    assert isinstance(open_sink(tmp_path, "s", format="parquet"), ParquetSink)
    assert isinstance(open_sink(tmp_path, "s", format="parquet", shape="native", columns={}), ParquetSink)
    assert isinstance(open_sink(tmp_path, "s", format="parquet", kind="quarantine"), NdjsonSink)


def test_open_sink_refuses_what_does_not_go_together(tmp_path: Path) -> None:
    """A compression of the other format, and native columns that nobody named, are errors."""
    with pytest.raises(ValueError, match="ndjson has no compression 'snappy'"):
        open_sink(tmp_path, "s", format="ndjson", compression="snappy")
    with pytest.raises(ValueError, match="parquet has no compression 'gzip'"):
        open_sink(tmp_path, "s", format="parquet", compression="gzip")
    with pytest.raises(ValueError, match="columns"):
        open_sink(tmp_path, "s", format="parquet", shape="native")
