"""What an export says at its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from harvester.cli.summary import fields, gap_text, opening_line, pattern, summary
from harvester.config import Output
from harvester.job.report import Report, SourceReport
from harvester.model import Gap

MakeReport = Callable[..., Report]
MakeSource = Callable[..., SourceReport]
OUTPUT = Output(Path("out"))


def test_summary_has_counts_place_and_the_way_to_open(
    make_report: MakeReport, make_source: MakeSource
) -> None:
    """Each source has a line, then come the work, the report and the output."""
    lines = list(summary(make_report(make_source(), make_source("b", retries=1, throttled=2)), OUTPUT))
    assert lines == [
        "sales  complete: 100 of 100 calls",
        "b      complete: 100 of 100 calls",
        "100 calls by 10 requests in 10 s, 10 calls/s, 1 retry, 2 times told to slow down",
        "report: out/_harvester/runs/run-1/report.json",
        "output: out/calls/**/*.parquet",
        "  duckdb -c \"select source, count(*) from 'out/calls/**/*.parquet' group by 1\"",
    ]


def test_gaps_are_named_and_the_rest_counted(make_report: MakeReport, make_source: MakeSource) -> None:
    """The first gaps are named, more are counted, the losses stand beside the calls."""
    gaps = [Gap(kind="detail", message="gone", agent_id="a", call_id=f"c{n}", final=True) for n in range(7)]
    source = make_source(outcome="gaps", gaps=gaps, written=90, quarantined=3, missing=7)
    lines = list(summary(make_report(source), OUTPUT))
    assert lines[0] == "sales  gaps: 90 of 100 calls, 3 in quarantine, 7 missing, 7 gaps"
    assert lines[1] == "  gap: detail of agent a, call c0: gone; it is gone for good"
    assert lines[6] == "  and 2 more gaps, all in the report"


def test_gap_of_a_range_names_it(now: datetime) -> None:
    """A gap in a range names both ends, an open one its beginning."""
    gap = Gap(kind="page", message="no answer", since=now, until=now + timedelta(days=1))
    assert gap_text(gap) == "page of 2026-03-10T12:00:00Z to 2026-03-11T12:00:00Z: no answer"
    assert (
        gap_text(Gap(kind="page", message="x", until=now))
        == "page of the beginning to 2026-03-10T12:00:00Z: x"
    )
    assert gap_text(Gap(kind="source", message="refused")) == "source: refused"


def test_finished_job_says_so(make_report: MakeReport, make_source: MakeSource) -> None:
    """Where nothing was asked for, the summary says up to when all is there, and how to export again."""
    lines = list(summary(make_report(make_source(requests=0, written_now=0)), OUTPUT))
    assert "nothing to do: complete up to 2026-03-10T12:00:00Z; --fresh exports again" in lines


def test_nothing_written_is_not_opened(make_report: MakeReport, make_source: MakeSource) -> None:
    """Where no segment was committed there is no line that opens one."""
    report = make_report(make_source(outcome="failed", written=0))
    report.segments = []
    assert not any("duckdb" in line for line in summary(report, OUTPUT))


def test_unknown_totals_are_left_out(make_report: MakeReport, make_source: MakeSource) -> None:
    """What the provider did not tell is not guessed."""
    assert next(summary(make_report(make_source(expected=None)), OUTPUT)) == "sales  complete: 100 calls"


def test_fields_are_the_numbers(make_report: MakeReport, make_source: MakeSource) -> None:
    """A JSON line carries the totals and each source's outcome."""
    told = fields(make_report(make_source()), OUTPUT)
    assert (told["run_id"], told["outcome"], told["written"], told["gaps"]) == ("run-1", "complete", 100, 0)
    assert told["sources"] == {"sales": "complete"}


@pytest.mark.parametrize(
    ("output", "files"),
    [
        (Output(Path("o")), "o/calls/**/*.parquet"),
        (Output(Path("o"), "ndjson", compression="none"), "o/calls/**/*.ndjson"),
        (Output(Path("o"), "ndjson", compression="gzip"), "o/calls/**/*.ndjson.gz"),
        (Output(Path("o"), "ndjson", compression="zstd"), "o/calls/**/*.ndjson.zst"),
        (Output(Path("o"), shape="native"), "o/calls/sales/*.parquet"),
    ],
)
def test_pattern_matches_the_segments(output: Output, files: str) -> None:
    """The pattern follows format, compression and shape."""
    assert pattern(output, ["sales"]) == files


@pytest.mark.parametrize("folder", ["out", "it's here"])
@pytest.mark.parametrize("shape", ["unified", "native"])
def test_opening_line_runs_in_duckdb(tmp_path: Path, shape: str, folder: str) -> None:
    """The query in the line is one that DuckDB takes, whatever the folder is called."""
    output = Output(tmp_path / folder, "ndjson", "native" if shape == "native" else "unified", "none")
    calls = output.path / "calls" / "sales"
    calls.mkdir(parents=True)
    (calls / "part-00000-r.ndjson").write_text('{"source": "sales"}\n{"source": "sales"}\n')
    query = opening_line(output, ["sales"]).removeprefix('duckdb -c "').removesuffix('"')
    assert duckdb.connect().execute(query).fetchall()[0][-1] == 2
