"""Which job each source goes on with, or begins; every refusal at once, before the first request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from harvester.errors import UsageError
from harvester.journal import Job, JobSpec, JobState, Journal, Store
from harvester.model import Format, Shape, Source

from .write import Files


class Wish(msgspec.Struct, frozen=True):
    """What the output is to hold: part of every job."""

    shape: Shape
    format: Format
    raw: bool


async def choose_jobs(
    journal: Journal, files: Files, sources: Sequence[Source], wish: Wish, *, is_fresh: bool, now: datetime
) -> dict[str, Job]:
    """Return the job of each source.

    Raises:
        UsageError: A source asks for another job than the output holds; both are shown, and nothing was begun.
    """
    known = {source.name: await journal.run(Store.jobs, source.name) for source in sources}
    specs = {source.name: spec_of(source, wish) for source in sources}
    if not is_fresh:
        problems = [problem for name in known for problem in _differences(name, known[name], specs[name])]
        if problems:
            raise UsageError(*problems)
    chosen: dict[str, Job] = {}
    for name, jobs in known.items():
        chosen[name] = await _choose(journal, files, name, jobs, specs[name], is_fresh=is_fresh, now=now)
    return chosen


def spec_of(source: Source, wish: Wish) -> JobSpec:
    """Return what makes a source's job, beside its ranges and agents."""
    return JobSpec(
        provider=source.provider,
        base_url=source.base_url,
        filters=dict(sorted(source.filters.items())),
        details=source.details,
        recordings=source.recordings,
        shape=wish.shape,
        format=wish.format,
        raw=wish.raw,
    )


async def _choose(
    journal: Journal,
    files: Files,
    name: str,
    jobs: dict[str, Job],
    spec: JobSpec,
    *,
    is_fresh: bool,
    now: datetime,
) -> Job:
    """A fresh job that was cut short is gone on with, with the option or without, as long as it is the same job."""
    current, fresh = jobs.get("current"), jobs.get("fresh")
    if fresh is not None and fresh.spec == spec:
        return fresh
    if current is not None and not is_fresh:
        return current
    if fresh is not None:
        await files.remove(await journal.run(Store.drop_job, fresh.id))
    state: JobState = "fresh" if is_fresh else "current"
    return await journal.run(Store.begin_job, name, spec, now, state=state)


def _differences(name: str, jobs: dict[str, Job], spec: JobSpec) -> list[str]:
    """Return how a source differs from every job there is of it; nothing where it is one of them, or the first."""
    if not jobs or any(job.spec == spec for job in jobs.values()):
        return []
    known = next(iter(jobs.values())).spec
    changed = [field for field in JobSpec.__struct_fields__ if getattr(known, field) != getattr(spec, field)]
    shown = "; ".join(f"{field} was {_text(known, field)}, is now {_text(spec, field)}" for field in changed)
    problem = (
        f'source "{name}": this output holds another job: {shown}. Write elsewhere with --out, go back to what it '
        "was, or replace what is there with --fresh"
    )
    return [problem]


def _text(spec: JobSpec, field: str) -> str:
    """Return a value for a message; a filter may hold a phone number, so only their names are shown."""
    value = getattr(spec, field)
    if field == "filters":
        return f"({', '.join(value) or 'none'}; values not shown)"
    return msgspec.json.encode(value).decode()
