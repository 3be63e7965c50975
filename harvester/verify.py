"""Status and verify: reads journal and output, writes nothing."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import msgspec

from harvester.errors import JournalError, OutputError
from harvester.journal import FOLDER, Job, KeptRecording, Store, StoredWindow, holder_of, open_read_only
from harvester.journal.extras import all_recordings, entered_recordings
from harvester.model import Segment
from harvester.sinks.readback import UnreadableError, read_keys


class StatusRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is there of a source; `up_to` is where all its agents are complete to, `hint` what to do next.

    Of what was cut short, `kept` counts calls that were fetched and are in no file yet, and `left` those that the
    provider counts beyond what was fetched, its rows out of the range among them; None where that is not known.
    """

    source: str
    provider: str
    last_run: str | None
    outcome: str | None
    written: int
    missing: int
    open_windows: int
    kept: int
    left: int | None
    up_to: datetime | None
    hint: str


def status(root: Path, sources: Sequence[tuple[str, str]]) -> list[StatusRow]:
    """Return a row for each source, by name and provider.

    Raises:
        JournalError: There is a journal that is not ours, or a damaged one.
        OutputError: There is a journal that cannot be read.
    """
    if not (root / FOLDER / "journal.db").exists():
        return [_nothing(name, provider) for name, provider in sources]
    holder = holder_of(root / FOLDER / "lock")
    with open_read_only(root) as store:
        return [_status(store, name, provider, holder) for name, provider in sources]


def _nothing(name: str, provider: str) -> StatusRow:
    return StatusRow(
        source=name,
        provider=provider,
        last_run=None,
        outcome=None,
        written=0,
        missing=0,
        open_windows=0,
        kept=0,
        left=None,
        up_to=None,
        hint="harvester export starts it",
    )


def _status(store: Store, name: str, provider: str, holder: str | None) -> StatusRow:
    jobs = store.jobs(name)
    job = jobs.get("current") or jobs.get("fresh")
    if job is None:
        return _nothing(name, provider)
    windows = store.windows(job.id)
    left = [window for window in windows if window.state != "complete"]
    progress = [_fetched(store, window) for window in left if window.state == "open"]
    kept = sum(fetched.kept for fetched in progress)
    return StatusRow(
        source=name,
        provider=provider,
        last_run=job.run_id,
        outcome=job.outcome or (None if job.run_id is None or holder else "interrupted"),
        written=sum(segment.rows for segment in store.segments(job.id) if segment.kind == "calls"),
        missing=sum(window.counts.missing for window in windows),
        open_windows=len(left),
        kept=kept,
        left=_sum(fetched.left for fetched in progress) if windows else None,
        up_to=min((window.window.until for window in windows), default=None) if not left else None,
        hint=f"held by {holder}" if holder else _hint(jobs, job, left, kept, is_listed=bool(windows)),
    )


class _Fetched(msgspec.Struct, frozen=True):
    """What the answers to an open window came to."""

    kept: int
    left: int | None


def _fetched(store: Store, window: StoredWindow) -> _Fetched:
    """Count the calls of an open window's answers; the first page of all of it tells how many there are."""
    kept = fetched = 0
    total: int | None = None
    for answer in store.answers(window.id):
        if answer.key.is_probe or not answer.key.pass_number:
            continue  # a row that lacks something is one of its page
        digest = store.digest(answer.key)
        fetched += digest.written
        kept += digest.written if answer.place is not None else 0
        if not answer.key.page and not answer.key.part:
            total = digest.total
    return _Fetched(kept, None if total is None else max(total - fetched, 0))


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Add up; what is not known makes the sum unknown."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _hint(
    jobs: Mapping[str, Job], job: Job, left: Sequence[StoredWindow], kept: int, *, is_listed: bool
) -> str:
    if "fresh" in jobs:
        return "a new export of all was cut short, what is here stays till it ends; harvester export --fresh goes on"
    if job.outcome == "failed":
        return "the last run failed; harvester export asks again"
    if any(window.state in {"gap", "owed"} for window in left):
        return "gaps are left; harvester export asks for them again"
    if left or not is_listed or job.outcome is None:
        return f"cut short{_kept_text(kept)}; harvester export goes on"
    return ""


def _kept_text(kept: int) -> str:
    return f", {kept:,} fetched calls are in no file yet" if kept else ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the output that is not as the journal has it; `path` is relative to the output."""

    source: str
    path: str
    problem: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, and what is wrong with it; `bytes` are those of segments and recordings."""

    segments: int
    rows: int
    recordings: int
    bytes: int
    findings: list[Finding]


class Hashes:
    """Hashes of keys, 8 bytes each, in shares small enough to be sorted one by one."""

    def __init__(self) -> None:
        self._shares = [array("Q") for _ in range(256)]

    def add(self, keys: Sequence[str]) -> None:
        """Add keys."""
        for key in keys:
            value = _hash(key)
            self._shares[value & 255].append(value)

    def repeated(self) -> set[int]:
        """Return the hashes that are there more than once."""
        return {a for share in self._shares for a, b in pairwise(sorted(share)) if a == b}


def verify(root: Path, sources: Sequence[str]) -> Verified:
    """Check the files of sources against the journal: that they are there, their sizes, hashes, rows and doubles.

    Recordings are checked like segments, but for what is in them. Files that the journal does not know are findings.

    Memory: 8 bytes a call of one source, for a hash of its id.

    Raises:
        JournalError: There is no journal, or one that is not ours, or a damaged one.
        OutputError: The journal or a folder of the output cannot be read.
    """
    if not (root / FOLDER / "journal.db").exists():
        raise JournalError(f"{root} holds no journal: harvester export starts one")
    with open_read_only(root) as store:
        segments = {name: store.current_segments(name) for name in sources}
        known = {segment.path for name in store.sources() for segment in store.current_segments(name)}
        recordings = {name: all_recordings(store, name) for name in sources}
        known |= {kept.path for *_, kept in entered_recordings(store)}
    known |= {kept.path for name in sources for kept in recordings[name]}
    try:
        findings = [finding for name in sources for finding in _source_findings(root, segments[name])]
        findings += [one for name in sources for one in _recording_findings(root, name, recordings[name])]
        findings += _strangers(root, sources, known)
    except OSError as error:
        raise OutputError(
            f"{error.filename or root} cannot be read: {error.strerror or error}; mend that and verify again"
        ) from error
    every = [segment for name in sources for segment in segments[name]]
    sound = [kept for name in sources for kept in recordings[name]]
    return Verified(
        segments=len(every),
        rows=sum(segment.rows for segment in every),
        recordings=len(sound),
        bytes=sum(segment.bytes for segment in every) + sum(kept.bytes for kept in sound),
        findings=findings,
    )


def _source_findings(root: Path, segments: Sequence[Segment]) -> Iterator[Finding]:
    hashes = Hashes()
    readable: list[Segment] = []
    for segment in segments:
        problem = _problem(root, segment) or _count_problem(root / segment.path, segment, hashes)
        if problem is None:
            readable.append(segment)
        else:
            yield Finding(source=segment.source, path=segment.path, problem=problem)
    yield from _doubles(root, readable, hashes)


def _recording_findings(root: Path, source: str, recordings: Sequence[KeptRecording]) -> Iterator[Finding]:
    for kept in recordings:
        if (problem := _problem(root, kept)) is not None:
            yield Finding(source=source, path=kept.path, problem=problem)


class _File(Protocol):
    """What the journal has of a file."""

    @property
    def path(self) -> str: ...

    @property
    def bytes(self) -> int: ...

    @property
    def sha256(self) -> str: ...


def _problem(root: Path, known: _File) -> str | None:
    """Return what is wrong with one file as such."""
    path = root / known.path
    try:
        size = path.stat().st_size
        if size != known.bytes:
            return f"has {size} bytes, the journal says {known.bytes}"
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known.sha256:
                return "its hash is not the one in the journal"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None


def _count_problem(path: Path, segment: Segment, hashes: Hashes) -> str | None:
    """Return what is wrong with the rows of a segment of calls; the hashes of their keys are added."""
    if segment.kind != "calls":
        return None
    rows = 0
    try:
        for keys in read_keys(path):
            rows += len(keys)
            hashes.add(keys)
    except UnreadableError as error:
        return str(error)
    return None if rows == segment.rows else f"has {rows} rows, the journal says {segment.rows}"


def _doubles(root: Path, segments: Sequence[Segment], hashes: Hashes) -> Iterator[Finding]:
    """Find keys that are there more than once; equal hashes are looked at again, for they may be of two keys."""
    suspects = hashes.repeated()
    if not suspects:
        return
    seen: Counter[str] = Counter()
    for segment in segments:
        if segment.kind == "calls":
            for keys in read_keys(root / segment.path):
                doubled = [key for key in keys if _hash(key) in suspects]
                seen.update(doubled)
                count = sum(seen[key] > 1 for key in doubled)
                if count:
                    problem = f"{count} of its calls are in the output twice"
                    yield Finding(source=segment.source, path=segment.path, problem=problem)


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())


def _strangers(root: Path, sources: Sequence[str], known: set[str]) -> Iterator[Finding]:
    for kind in ("calls", "quarantine", "recordings"):
        for source in sources:
            for path in _files(root / kind / source, is_deep=kind == "recordings"):
                name = path.relative_to(root).as_posix()
                if name not in known:
                    yield Finding(source=source, path=name, problem="the journal does not know this file")


def _files(folder: Path, *, is_deep: bool) -> list[Path]:
    """Return what is in a folder, by name; of recordings, which lie by their days, the files."""
    if not folder.is_dir():
        return []
    if is_deep:
        return sorted(path for path in folder.rglob("*") if path.is_file())
    return sorted(folder.iterdir())
