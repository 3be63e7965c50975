"""What an export says at its end: counts, gaps by name, where the files are and how they are opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from .words import counted, lasting, several, stamped

if TYPE_CHECKING:
    from harvester.config import Output
    from harvester.job.report import Report, SourceReport
    from harvester.model import Gap

# More would scroll the counts away; the report has them all.
_MAX_GAPS = 5


def summary(report: Report, output: Output) -> Iterator[str]:
    """Yield the lines that tell a person what an export did."""
    width = max((len(source.name) for source in report.sources), default=0)
    for source in report.sources:
        yield _source_line(source, width)
        yield from (f"  {line}" for line in _gap_lines(source))
    yield _work_line(report)
    yield f"report: {report_path(report, output)}"
    if not report.segments:
        return  # nothing to open
    names = [source.name for source in report.sources]
    yield f"output: {pattern(output, names)}"
    yield f"  {opening_line(output, names)}"


def fields(report: Report, output: Output) -> dict[str, object]:
    """Return the same for a JSON line: the counts of the whole, what became of each source, where the report is."""
    totals: dict[str, object] = msgspec.structs.asdict(report.totals)
    return {
        "run_id": report.run_id,
        "outcome": report.outcome,
        "elapsed_s": report.elapsed_s,
        **totals,
        "sources": {source.name: source.outcome for source in report.sources},
        "gaps": sum(len(source.gaps) for source in report.sources),
        "report": report_path(report, output),
    }


def report_path(report: Report, output: Output) -> str:
    """Return where the report is kept."""
    return f"{output.path}/_harvester/runs/{report.run_id}/report.json"


def _work_line(report: Report) -> str:
    totals = report.totals
    if report.outcome == "complete" and not (totals.requests or totals.written_now or totals.recordings):
        ends = [source.until for source in report.sources if source.until is not None]
        up_to = f" up to {stamped(min(ends))}" if ends else ""
        return f"nothing to do: complete{up_to}; --fresh exports again"
    pace = (
        f", {counted(round(totals.written_now / report.elapsed_s))} calls/s" if report.elapsed_s > 0 else ""
    )
    refused = f", {several(totals.throttled, 'time')} told to slow down" if totals.throttled else ""
    again = f", {several(totals.retries, 'retry', 'retries')}" if totals.retries else ""
    return (
        f"{several(totals.written_now, 'call')} by {several(totals.requests, 'request')} in "
        f"{lasting(report.elapsed_s)}{pace}{again}{refused}"
    )


def _source_line(source: SourceReport, width: int) -> str:
    known = f" of {counted(source.expected)}" if source.expected is not None else ""
    return f"{source.name.ljust(width)}  {source.outcome}: {counted(source.written)}{known} calls" + _losses(
        source
    )


def _losses(source: SourceReport) -> str:
    counts = ((source.quarantined, "in quarantine"), (source.missing, "missing"))
    parts = [f"{counted(number)} {what}" for number, what in counts if number]
    if source.gaps:
        parts.append(several(len(source.gaps), "gap"))
    return "".join(f", {part}" for part in parts)


def _gap_lines(source: SourceReport) -> Iterator[str]:
    for gap in source.gaps[:_MAX_GAPS]:
        yield f"gap: {gap_text(gap)}"
    if len(source.gaps) > _MAX_GAPS:
        yield f"and {several(len(source.gaps) - _MAX_GAPS, 'more gap')}, all in the report"


def gap_text(gap: Gap) -> str:
    """Return one gap as a sentence: what is missing, of whom, and whether asking again may help."""
    place = [f"agent {gap.agent_id}"] if gap.agent_id else []
    if gap.call_id:
        place.append(f"call {gap.call_id}")
    elif gap.since or gap.until:
        place.append(f"{stamped(gap.since) or 'the beginning'} to {stamped(gap.until)}")
    end = "; it is gone for good" if gap.final else ""
    return f"{gap.kind}{' of ' if place else ''}{', '.join(place)}: {gap.message}{end}"


def pattern(output: Output, sources: Sequence[str]) -> str:
    """Return the pattern of the output's segments of calls; native rows are opened source by source."""
    native = output.shape == "native" and sources
    return f"{output.path}/calls/{sources[0] if native else '**'}/*.{_suffix(output)}"


def opening_line(output: Output, sources: Sequence[str]) -> str:
    """Return the command that counts the calls of the output in DuckDB."""
    files = pattern(output, sources).replace("'", "''")
    reader = f"'{files}'" if output.format == "parquet" else f"read_ndjson('{files}', union_by_name=true)"
    if output.shape == "native":
        return f'duckdb -c "select count(*) from {reader}"'  # noqa: S608 - shown, never run
    return f'duckdb -c "select source, count(*) from {reader} group by 1"'  # noqa: S608 - as above


def _suffix(output: Output) -> str:
    if output.format == "parquet":
        return "parquet"
    return "ndjson" + {"gzip": ".gz", "zstd": ".zst"}.get(output.compression, "")
