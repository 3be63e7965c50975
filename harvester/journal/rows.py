"""From rows of the journal's tables to its nouns, and moments as the tables have them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from harvester.model import Gap, Window

from .nouns import Counts, Job, JobSpec, StoredWindow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Return a moment as whole microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(micros: int) -> datetime:
    """Return the moment of whole microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def read_job(row: Sequence[Any]) -> Job:
    """Return the job in a row of its table, in the order in which `store` selects."""
    job_id, source, state, spec, until, is_listed, run_id, outcome, gaps, round_id, agent_pages = row
    return Job(
        id=job_id,
        source=source,
        state=state,
        spec=msgspec.json.decode(spec, type=JobSpec),
        until=from_us(until),
        is_listed=bool(is_listed),
        run_id=run_id,
        outcome=outcome,
        gaps=msgspec.json.decode(gaps, type=list[Gap]) if gaps else [],
        round_id=round_id,
        agent_pages=agent_pages,
    )


def read_window(row: Sequence[Any]) -> StoredWindow:
    """Return the window in a row of its table, in the order in which `store` selects."""
    window_id, agent_id, since, until, state, counts, gaps = row
    window = Window(agent_id, None if since is None else from_us(since), from_us(until))
    return StoredWindow(
        id=window_id,
        window=window,
        state=state,
        counts=msgspec.json.decode(counts, type=Counts) if counts else Counts(),
        gaps=msgspec.json.decode(gaps, type=list[Gap]) if gaps else [],
    )
