"""What a run came to: sums that agree, and what is not known stays unknown."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.job.report import (
    Outcome,
    Report,
    SourceReport,
    overall,
    segment_reports,
    settle_counts,
    source_report,
    totals,
)
from harvester.journal import Counts, StoredWindow
from harvester.model import Agent, Gap, Segment, Window

from .servers import T0, moment

NUMBERS = st.integers(0, 500)
COUNTS = st.builds(
    lambda written, quarantined, missing, outside, listed: Counts(
        written + quarantined + missing + outside if listed else None, outside, written, 0, quarantined
    ),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.booleans(),
)


def stored(
    number: int, agent: str | None, counts: Counts, *gaps: Gap, since: float | None = 0
) -> StoredWindow:
    start = None if since is None else moment(since)
    return StoredWindow(number, Window(agent, start, moment(100 + number)), "complete", counts, list(gaps))


def report_of(
    windows: list[StoredWindow], *, outcome: Outcome = "complete", gaps: list[Gap] | None = None
) -> SourceReport:
    names = [Agent("a", "Amaka"), Agent("b")]
    return source_report(
        name="sales", provider="bimpe", outcome=outcome, windows=windows, agents=names, gaps=gaps or []
    )


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), COUNTS), max_size=8))
def test_counts_add_up_at_every_level(rows: list[tuple[str, Counts]]) -> None:
    """Expected is written, quarantined and missing at each level; what is unknown below is unknown above."""
    rows.sort(key=lambda row: row[0])
    report = report_of([stored(number, agent, counts) for number, (agent, counts) in enumerate(rows)])
    total = totals([report, report])
    windows = [window for agent in report.agents for window in agent.windows]
    for tally in (total, report, *report.agents, *windows):
        if tally.expected is not None:
            assert tally.expected == tally.written + tally.quarantined + tally.missing
    assert (report.expected is None) == any(counts.listed is None for _, counts in rows)
    assert total.written == 2 * report.written == 2 * sum(counts.written for _, counts in rows)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(-50, 50), st.booleans())
def test_counts_of_a_walk_agree(
    written: int, quarantined: int, outside: int, unread: int, missing: int, has_total: bool
) -> None:
    """Listed is what was expected and what lies outside; a total that is too low is no missing call."""
    kept = Counts(written=written, quarantined=quarantined)
    given_rows = written + quarantined + outside
    total = given_rows + unread if has_total else None
    settle_counts(kept, total, unread=unread, given=given_rows, missing=missing)
    assert kept.outside == outside + unread
    assert kept.missing == (max(missing, 0) if has_total else 0)
    if has_total:
        assert kept.expected == written + quarantined + max(missing, 0)
    else:
        assert kept.expected is None


def test_source_report_holds_agents_windows_and_gaps() -> None:
    """Windows stand below their agents, with their names; the gaps of the source come before theirs."""
    own, lost = Gap(kind="source", message="down"), Gap(kind="page", message="page 2")
    windows = [
        stored(1, "a", Counts()),
        stored(2, "a", Counts(), lost),
        stored(3, "b", Counts()),
        stored(4, "c", Counts()),
    ]
    report = report_of(windows, gaps=[own])
    assert [(agent.agent_id, agent.agent_name, len(agent.windows)) for agent in report.agents] == [
        ("a", "Amaka", 2),
        ("b", None, 1),
        ("c", None, 1),
    ]
    assert report.gaps == [own, lost]
    assert (report.since, report.until) == (T0, moment(104))


def test_source_report_has_no_since_where_one_window_has_none() -> None:
    """A window without a beginning reaches back for ever; without windows there is no range at all."""
    assert report_of([stored(1, "a", Counts()), stored(2, "b", Counts(), since=None)]).since is None
    assert (report_of([]).since, report_of([]).until) == (None, None)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["complete", "complete"], "complete"),
        (["complete", "gaps"], "gaps"),
        (["complete", "failed"], "gaps"),
        (["failed", "failed"], "failed"),
        (["gaps", "failed"], "gaps"),
        ([], "complete"),
    ],
)
def test_run_has_failed_only_where_every_source_has(outcomes: list[Outcome], expected: Outcome) -> None:
    """One source that is well makes a failure of the others a gap; an interruption is told before all."""
    reports = [report_of([], outcome=outcome) for outcome in outcomes]
    assert overall(reports, is_interrupted=False) == expected
    assert overall(reports, is_interrupted=True) == "interrupted"


def test_report_is_json_by_the_contracts_names() -> None:
    """The report's keys are those that scripts rely on."""
    source = report_of([stored(1, "a", Counts(3, 0, 3, 0, 0, 1))])
    segment = Segment("sales", "calls", "calls/sales/p", 3, 9, "ab", "aside")
    report = Report(
        run_id="r",
        command="export",
        outcome="complete",
        started_at=T0,
        finished_at=T0 + timedelta(seconds=1),
        elapsed_s=1.0,
        totals=totals([source]),
        sources=[source],
        segments=segment_reports([segment]),
    )
    told = msgspec.json.decode(report.to_json())
    counts = {"expected", "written", "duplicates", "quarantined", "missing"}
    assert (
        counts | {"damaged", "recordings", "requests", "retries", "throttled", "bytes_in"}
        <= told["totals"].keys()
    )
    (one,) = told["sources"]
    expected = {
        "name",
        "provider",
        "outcome",
        "since",
        "until",
        "requests",
        "retries",
        "throttled",
        "agents",
        "gaps",
    }
    assert counts | expected <= one.keys()
    (window,) = one["agents"][0]["windows"]
    assert window.keys() == counts | {"since", "until", "listed", "outside", "passes"}
    assert told["segments"] == [{"path": "calls/sales/p", "rows": 3, "bytes": 9, "sha256": "ab"}]
    assert told["started_at"] == "2026-03-01T00:00:00Z"
