"""Which job each source goes on with, or begins; every refusal at once, before the first request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from harvester.errors import UsageError
from harvester.journal import Job, JobSpec, JobState, Journal, Store
from harvester.model import Format, Shape, Source
from harvester.providers import get_provider

from .write import Files

HASHED = "sha256:"


class Wish(msgspec.Struct, frozen=True):
    """What the output is to hold: part of every job."""

    shape: Shape
    format: Format
    raw: bool


async def choose_jobs(
    journal: Journal,
    files: Files,
    sources: Sequence[Source],
    wish: Wish,
    *,
    is_fresh: bool,
    run_id: str,
    now: datetime,
) -> dict[str, Job]:
    """Return the job of each source.

    Raises:
        UsageError: A source asks for another job than the output holds; both are shown, and nothing was begun.
        OutputError: There are files of a source that has no job here.
    """
    known = {source.name: await journal.run(Store.jobs, source.name) for source in sources}
    specs = {source.name: spec_of(source, wish) for source in sources}
    for name in (name for name, jobs in known.items() if not jobs):
        await files.refuse_strangers(name)
    if not is_fresh:
        problems = [problem for name in known for problem in _differences(name, known[name], specs[name])]
        if problems:
            raise UsageError(*problems)
    # As `until` of a job that names none, like "now" in a config: the beginning of this second.
    now = now.replace(microsecond=0)
    round_id = await journal.run(Store.open_round, run_id) if is_fresh else ""
    chosen: dict[str, Job] = {}
    for name, jobs in known.items():
        chosen[name] = await _choose(journal, files, name, jobs, specs[name], round_id=round_id, now=now)
    return chosen


def spec_of(source: Source, wish: Wish) -> JobSpec:
    """Return what makes a source's job, beside its ranges and agents."""
    return JobSpec(
        provider=source.provider,
        base_url=source.base_url,
        filters={name: _kept(source, name) for name in sorted(source.filters)},
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
    round_id: str,
    now: datetime,
) -> Job:
    """Choose one source's job.

    A fresh job that was cut short is gone on with, with the option or without, as long as it is the same job; one that
    ended in the round that was cut short is not begun again.
    """
    current, fresh = jobs.get("current"), jobs.get("fresh")
    if fresh is not None and fresh.spec == spec:
        return fresh
    if current is not None and (not round_id or (current.round_id == round_id and current.spec == spec)):
        return current
    if fresh is not None:
        await files.remove(await journal.run(Store.drop_job, fresh.id))
    state: JobState = "fresh" if current is not None else "current"
    return await journal.run(Store.begin_job, name, spec, now, state=state, round_id=round_id)


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


def _kept(source: Source, name: str) -> str:
    """Return a filter's value as the journal keeps it: one that may be a phone number is hashed."""
    value = source.filters[name]
    is_personal = get_provider(source.provider).capabilities.filters[name].is_personal
    return HASHED + hashlib.sha256(value.encode()).hexdigest() if is_personal else value


def _text(spec: JobSpec, field: str) -> str:
    value = getattr(spec, field)
    if field == "filters":
        shown = (
            f"{name} = {'(not shown)' if text.startswith(HASHED) else text}" for name, text in value.items()
        )
        return f"({', '.join(shown) or 'none'})"
    return msgspec.json.encode(value).decode()
