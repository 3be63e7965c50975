"""Reads journal and output, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from harvester.journal import FOLDER, Job, Store, StoredWindow


class StatusRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is there of a source; `up_to` is where all its agents are complete to, `hint` what to do next."""

    source: str
    provider: str
    last_run: str | None
    outcome: str | None
    written: int
    missing: int
    open_windows: int
    up_to: datetime | None
    hint: str


def status(root: Path, sources: Sequence[tuple[str, str]]) -> list[StatusRow]:
    """Return a row for each source, by name and provider.

    Raises:
        JournalError: There is a journal that cannot be read.
        OutputError: It cannot be opened.
    """
    if not (root / FOLDER / "journal.db").exists():
        return [_nothing(name, provider) for name, provider in sources]
    store = Store(root / FOLDER, is_read_only=True)
    try:
        return [_status(store, name, provider) for name, provider in sources]
    finally:
        store.close()


def _nothing(name: str, provider: str) -> StatusRow:
    return StatusRow(
        source=name,
        provider=provider,
        last_run=None,
        outcome=None,
        written=0,
        missing=0,
        open_windows=0,
        up_to=None,
        hint="harvester export starts it",
    )


def _status(store: Store, name: str, provider: str) -> StatusRow:
    jobs = store.jobs(name)
    job = jobs.get("fresh") or jobs.get("current")
    if job is None:
        return _nothing(name, provider)
    windows = store.windows(job.id)
    left = [window for window in windows if window.state != "complete"]
    return StatusRow(
        source=name,
        provider=provider,
        last_run=job.run_id,
        outcome=job.outcome,
        written=sum(segment.rows for segment in store.segments(job.id) if segment.kind == "calls"),
        missing=sum(window.counts.missing for window in windows),
        open_windows=len(left),
        up_to=min((window.window.until for window in windows), default=None) if not left else None,
        hint=_hint(job, left, is_listed=bool(windows)),
    )


def _hint(job: Job, left: Sequence[StoredWindow], *, is_listed: bool) -> str:
    if job.outcome == "failed":
        return "the last run failed; harvester export asks again"
    if any(window.state == "gap" for window in left):
        return "gaps are left; harvester export asks for them again"
    if left or not is_listed or job.outcome is None:
        return "cut short; harvester export goes on"
    if job.state == "fresh":
        return "cut short; harvester export --fresh goes on"
    return ""
