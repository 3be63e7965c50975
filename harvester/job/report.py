"""What a run came to: counts and gaps for every agent and window, as `report.json` holds them.

`expected` = `listed` - `outside` = `written` + `quarantined` + `missing`; null where the provider tells no total.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Literal

import msgspec

from harvester.journal import Counts, StoredWindow
from harvester.model import Agent, Gap, Segment

Outcome = Literal["complete", "gaps", "failed", "interrupted"]


class Tally(msgspec.Struct, kw_only=True):
    """The counts that windows, agents, sources and the whole have in common."""

    expected: int | None = 0
    written: int = 0
    duplicates: int = 0
    quarantined: int = 0
    missing: int = 0

    def add(self, other: Tally) -> None:
        """Add another's counts; what is not known there is not known here."""
        known = self.expected is not None and other.expected is not None
        self.expected = (self.expected or 0) + (other.expected or 0) if known else None
        self.written += other.written
        self.duplicates += other.duplicates
        self.quarantined += other.quarantined
        self.missing += other.missing


class WindowReport(Tally, kw_only=True):
    """One window; `listed` is the provider's own total, `outside` what it lists beyond the range."""

    since: datetime | None
    until: datetime
    listed: int | None
    outside: int
    passes: int


class AgentReport(Tally, kw_only=True):
    """One agent's windows; `agent_id` null is a walk of the whole account."""

    agent_id: str | None
    agent_name: str | None
    windows: list[WindowReport]


class SourceReport(Tally, kw_only=True):
    """One source; counts are of the whole job, requests and `written_now` of this run."""

    name: str
    provider: str
    outcome: Outcome
    since: datetime | None
    until: datetime | None
    written_now: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    agents: list[AgentReport] = []
    gaps: list[Gap] = []


class Totals(Tally, kw_only=True):
    """All sources together."""

    written_now: int = 0
    damaged: int = 0
    recordings: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    bytes_in: int = 0


class SegmentReport(msgspec.Struct):
    """One committed file."""

    path: str
    rows: int
    bytes: int
    sha256: str


class Report(msgspec.Struct, kw_only=True):
    """The report of a run."""

    run_id: str
    command: str
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    elapsed_s: float
    totals: Totals
    sources: list[SourceReport]
    segments: list[SegmentReport]

    def to_json(self) -> bytes:
        """Return the report as JSON, indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def window_report(stored: StoredWindow) -> WindowReport:
    """Return what a window came to, as far as it came."""
    counts = stored.counts
    return WindowReport(
        since=stored.window.since,
        until=stored.window.until,
        listed=counts.listed,
        outside=counts.outside,
        expected=counts.expected,
        written=counts.written,
        duplicates=counts.duplicates,
        quarantined=counts.quarantined,
        missing=counts.missing,
        passes=counts.passes,
    )


def agent_reports(windows: Iterable[StoredWindow], names: Iterable[Agent]) -> list[AgentReport]:
    """Return windows by agent; the windows come ordered by agent."""
    known = {agent.id: agent.name for agent in names}
    reports: list[AgentReport] = []
    for agent_id, group in groupby(windows, key=lambda stored: stored.window.agent_id):
        report = AgentReport(agent_id=agent_id, agent_name=known.get(agent_id or ""), windows=[])
        for stored in group:
            report.windows.append(window_report(stored))
            report.add(report.windows[-1])
        reports.append(report)
    return reports


def source_report(
    *,
    name: str,
    provider: str,
    outcome: Outcome,
    windows: Sequence[StoredWindow],
    agents: Iterable[Agent],
    gaps: Sequence[Gap],
) -> SourceReport:
    """Return what a source's whole job came to."""
    starts = [stored.window.since for stored in windows]
    known = [since for since in starts if since is not None]
    report = SourceReport(
        name=name,
        provider=provider,
        outcome=outcome,
        since=min(known) if known and None not in starts else None,
        until=max((stored.window.until for stored in windows), default=None),
        agents=agent_reports(windows, agents),
        gaps=[*gaps, *(gap for stored in windows for gap in stored.gaps)],
    )
    for agent in report.agents:
        report.add(agent)
    if not windows and outcome != "complete":
        report.expected = None  # nobody said how many calls there are
    return report


def overall(sources: Sequence[SourceReport], *, is_interrupted: bool) -> Outcome:
    """Return the outcome of a run: failed only where every source did."""
    if is_interrupted:
        return "interrupted"
    outcomes = [source.outcome for source in sources]
    if outcomes and all(outcome == "failed" for outcome in outcomes):
        return "failed"
    return "complete" if all(outcome == "complete" for outcome in outcomes) else "gaps"


def totals(sources: Iterable[SourceReport]) -> Totals:
    """Return the counts of all sources together."""
    total = Totals()
    for source in sources:
        total.add(source)
        total.written_now += source.written_now
        total.requests += source.requests
        total.retries += source.retries
        total.throttled += source.throttled
    return total


def segment_reports(segments: Iterable[Segment]) -> list[SegmentReport]:
    """Return the segments of all sources."""
    return [SegmentReport(segment.path, segment.rows, segment.bytes, segment.sha256) for segment in segments]


def settle_counts(kept: Counts, total: int | None, *, unread: int, given: int, missing: int) -> None:
    """Complete a window's counts at the end of its walk: what the provider lists, and what of it lies outside.

    Args:
        kept: What was written, quarantined and dropped; `outside` and `listed` are set.
        total: The provider's own, at the last pass; None where it tells none.
        unread: Rows of the list beyond the window that were not read.
        given: Distinct rows read, in the window or not.
        missing: Rows that the provider counts and never gave.
    """
    outside = unread + max(given - kept.written - kept.quarantined, 0)
    expected = kept.written + kept.quarantined + max(missing, 0)
    kept.outside = outside
    kept.listed = None if total is None else expected + outside


ProgressState = Literal["waiting", "listing agents", "running", "paused", "done", "failed"]


class SourceProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a source is; `rate` is calls a second of late, `eta_s` from what is left, the rate and the limit."""

    name: str
    provider: str
    state: ProgressState
    written: int
    expected: int | None
    rate: float
    requests: int
    paused_until: datetime | None
    eta_s: float | None
