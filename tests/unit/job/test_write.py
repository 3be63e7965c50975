"""Rows to segments to journal, exactly once, wherever a run stops; real files and a real journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from harvester.errors import OutputError
from harvester.job.write import Batch, Closing, Desk, Ended, Files, Limits, Writer
from harvester.journal import AnswerKey, Counts, Digest, Job, JobSpec, Journal, NewAnswer, Store, StoredWindow
from harvester.journal.nouns import JobState
from harvester.model import Quarantined, Segment, SegmentKind, Window
from harvester.record import Record
from harvester.sinks import Sink, open_sink, publish

AT = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = JobSpec("bimpe", "https://x.test", {}, (), False, "unified", "ndjson", True)
PAGES = 7
PER_PAGE = 10
ALL = sorted(f"c{n}" for n in range(PAGES * PER_PAGE))


class StoppedError(Exception):
    """A run that ends here."""


class StoppingJournal(Journal):
    """Stops before or after a method is called for the n-th time."""

    stop: tuple[str, object, int] | None = None
    calls = 0

    async def run(self, method: Any, *args: Any, **options: Any) -> Any:
        at = None if self.stop is None or method is not self.stop[1] else self.stop[0]
        self.calls += at is not None
        is_now = self.stop is not None and self.calls == self.stop[2]
        if is_now and at == "before":
            raise StoppedError
        result = await super().run(method, *args, **options)
        if is_now and at == "after":
            raise StoppedError
        return result


def record(number: int) -> Record:
    return Record(provider="bimpe", source="sales", call_id=f"c{number}", fetched_at=AT, run_id="r")


class Engine:
    """What a run is to its output: it feeds the answers that no segment holds, then ends its window."""

    def __init__(self, root: Path, *, limits: Limits = Limits(segment_rows=25)) -> None:  # noqa: B008 - frozen
        self.root = root
        self.limits = limits
        self.stop: tuple[str, object, int] | None = None
        self.stop_publishing_at = 0
        self.published = 0

    async def run(self, number: int, *, state: JobState = "current", prefix: str = "") -> None:
        """Go on with the job of that state, to its end or to where it stops."""
        journal = await StoppingJournal.open(self.root, holder="test")
        try:
            files = Files(self.root, journal, self._publish)
            await files.recover()
            journal.stop = self.stop
            jobs = await journal.run(Store.jobs, "sales")
            job: Job = jobs.get(state) or await journal.run(Store.begin_job, "sales", SPEC, AT, state=state)
            await self._write(journal, files, job, f"run-{number}{prefix}")
        finally:
            journal.stop = None
            await journal.aclose()

    async def _write(self, journal: Journal, files: Files, job: Job, run_id: str) -> None:
        stored = await journal.run(Store.windows, job.id)
        window = (
            stored[0]
            if stored
            else (await journal.run(Store.add_windows, job.id, [Window("a", None, AT)]))[0]
        )
        desk = Desk("sales", job.id, is_aside=job.state == "fresh", open_sink=self._open)
        writer = Writer(journal, run_id, files, self.limits)
        sent, received = anyio.create_memory_object_stream[Any](100)
        with sent:
            if window.state == "open":
                for batch in await self._left(journal, desk, window):
                    await sent.send(batch)
                await sent.send(Ended(desk, ended(window)))
            await sent.send(Closing(desk, is_exchange=job.state == "fresh"))
        await writer.run(received)

    async def _left(self, journal: Journal, desk: Desk, window: StoredWindow) -> list[Batch]:
        known = {kept.key.page: kept for kept in await journal.run(Store.answers, window.id)}
        batches: list[Batch] = []
        for page in range(PAGES):
            key = AnswerKey(window.id, 1, page, PER_PAGE)
            if page not in known:
                digest = Digest(None, None, None, None, [], [], [], PER_PAGE, AT)
                await journal.keep(NewAnswer(desk.job_id, key, digest, b"body"))
            if page not in known or known[page].place is not None:
                rows = [record(n) for n in range(page * PER_PAGE, (page + 1) * PER_PAGE)]
                batches.append(Batch(desk, key, [rows], [line(page)] if page % 3 == 0 else []))
        return batches

    def _open(self, source: str, kind: SegmentKind) -> Sink:
        return open_sink(self.root, source, format="ndjson", compression="none", kind=kind)

    async def _publish(self, segment: Segment) -> None:
        self.published += 1
        if self.published == self.stop_publishing_at:
            raise StoppedError
        await publish(self.root, segment)

    def ids(self) -> list[str]:
        """The calls in the output, sorted."""
        lines = [text for path in self.root.glob("calls/*/*") for text in path.read_text().splitlines()]
        return sorted(json.loads(text)["call_id"] for text in lines)

    def quarantined(self) -> list[str]:
        lines = [text for path in self.root.glob("quarantine/*/*") for text in path.read_text().splitlines()]
        return sorted(json.loads(text)["call_id"] for text in lines)

    def aside(self) -> list[Path]:
        folder = self.root / "_harvester" / "aside"
        return list(folder.iterdir()) if folder.is_dir() else []


def line(page: int) -> Quarantined:
    return Quarantined("a value does not fit", "list calls", "{}", AT, call_id=f"c{page * PER_PAGE}")


def ended(window: StoredWindow) -> StoredWindow:
    return StoredWindow(window.id, window.window, "complete", Counts(written=PAGES * PER_PAGE), [])


async def run_to_stop(engine: Engine, number: int, **options: Any) -> bool:
    """Run once; say whether it was stopped."""
    try:
        await engine.run(number, **options)
    except StoppedError:
        return True
    return False


def segments_of(root: Path) -> list[Segment]:
    store = Store(root / "_harvester", is_read_only=True)
    try:
        return store.current_segments("sales")
    finally:
        store.close()


def assert_whole(engine: Engine) -> None:
    """Everything is in the output once, the journal knows each file, and nothing lies aside."""
    assert engine.ids() == ALL
    assert engine.quarantined() == ["c0", "c30", "c60"]
    known = segments_of(engine.root)
    found = [path for kind in ("calls", "quarantine") for path in engine.root.glob(f"{kind}/*/*")]
    assert sorted(path.relative_to(engine.root).as_posix() for path in found) == [one.path for one in known]
    assert engine.aside() == []


async def test_writer_cuts_segments_by_rows(tmp_path: Path) -> None:
    """A segment ends with the answer that fills it, and the last one when the source does."""
    engine = Engine(tmp_path)
    await engine.run(1)
    assert_whole(engine)
    assert [one.rows for one in segments_of(tmp_path) if one.kind == "calls"] == [30, 30, 10]


async def test_writer_cuts_segments_by_bytes(tmp_path: Path) -> None:
    """A segment ends too where its bytes are many."""
    engine = Engine(tmp_path, limits=Limits(segment_bytes=1))
    await engine.run(1)
    assert_whole(engine)
    assert len([one for one in segments_of(tmp_path) if one.kind == "calls"]) == PAGES


async def test_writer_gives_waiting_rows_to_their_files(tmp_path: Path) -> None:
    """Rows beyond the budget of memory go to a file aside, and are in no segment before that is whole."""
    engine = Engine(tmp_path, limits=Limits(waiting_bytes=1))
    engine.stop = ("before", Store.commit, 1)
    assert await run_to_stop(engine, 1)
    assert engine.ids() == []
    engine.stop = None
    await engine.run(2)
    assert_whole(engine)


STOPS: Sequence[tuple[str, object, int]] = [
    (when, method, count)
    for count in (1, 2, 3)
    for when in ("before", "after")
    for method in (Store.next_part, Store.keep, Store.commit, Store.published)
    if method is not Store.keep or count == 1
]


def name_of(stop: tuple[str, object, int]) -> str:
    return f"{stop[0]} {getattr(stop[1], '__name__', '')} {stop[2]}"


@pytest.mark.parametrize("stop", STOPS, ids=name_of)
async def test_stopped_writer_goes_on(tmp_path: Path, stop: tuple[str, object, int]) -> None:
    """StoppedError between any two steps of a commit, the next run brings the rest: no row twice, none missing."""
    engine = Engine(tmp_path)
    engine.stop = stop
    assert await run_to_stop(engine, 1)
    engine.stop = None
    await engine.run(2)
    assert_whole(engine)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
async def test_writer_stopped_while_publishing_goes_on(tmp_path: Path, number: int) -> None:
    """Segments that are entered and not in place are put there before anything else is written."""
    engine = Engine(tmp_path)
    engine.stop_publishing_at = number
    assert await run_to_stop(engine, 1)
    await engine.run(2)
    assert_whole(engine)


async def test_writer_stopped_every_time_gets_there(tmp_path: Path) -> None:
    """Each run that is stopped after its first commit leaves what it committed."""
    engine = Engine(tmp_path, limits=Limits(segment_rows=PER_PAGE))
    engine.stop = ("after", Store.commit, 1)
    runs = 0
    while await run_to_stop(engine, runs):
        runs += 1
        assert runs < 20
    assert runs >= PAGES
    assert_whole(engine)


EXCHANGES: Sequence[tuple[str, object, int]] = [
    *STOPS,
    ("before", Store.exchange, 1),
    ("after", Store.exchange, 1),
    ("before", Store.entered, 1),
    ("after", Store.doomed, 1),
    ("before", Store.buried, 1),
    ("after", Store.buried, 1),
]


@pytest.mark.parametrize("stop", EXCHANGES, ids=name_of)
async def test_fresh_job_takes_the_place_of_the_old_at_once(
    tmp_path: Path, stop: tuple[str, object, int]
) -> None:
    """StoppedError between any two steps there is one generation, whole; the next run ends with the new one."""
    engine = Engine(tmp_path)
    await engine.run(1)
    old = segments_of(tmp_path)
    engine.stop = stop
    was_stopped = await run_to_stop(engine, 2, state="fresh")
    engine.stop = None
    await settle(engine)
    assert_whole_generation(engine, old)
    if was_stopped and segments_of(tmp_path) == old:
        await engine.run(3, state="fresh")
        assert_whole_generation(engine, old)
    assert not {one.path for one in old} & {one.path for one in segments_of(tmp_path)}
    assert engine.aside() == []


def assert_whole_generation(engine: Engine, old: list[Segment]) -> None:
    known = segments_of(engine.root)
    assert engine.ids() == ALL
    assert {one.path for one in known} == {
        path.relative_to(engine.root).as_posix()
        for kind in ("calls", "quarantine")
        for path in engine.root.glob(f"{kind}/*/*")
    }
    assert known == old or not {one.path for one in known} & {one.path for one in old}


async def settle(engine: Engine) -> None:
    """Do what the next run does first."""
    journal = await Journal.open(engine.root, holder="test")
    await Files(engine.root, journal, partial(publish, engine.root)).recover()
    await journal.aclose()


async def test_recover_removes_what_nobody_knows(tmp_path: Path) -> None:
    """A file aside that the journal does not know is left over from a run that was killed."""
    engine = Engine(tmp_path)
    (tmp_path / "_harvester" / "aside").mkdir(parents=True)
    (tmp_path / "_harvester" / "aside" / "sales-calls-0123.open").write_text("half a line")
    await engine.run(1)
    assert_whole(engine)


async def opened(root: Path) -> tuple[Journal, Job, Files]:
    journal = await Journal.open(root, holder="test")
    job = await journal.run(Store.begin_job, "sales", SPEC, AT, state="current")
    return journal, job, Files(root, journal, partial(publish, root))


async def close_at_once(root: Path, *messages: Callable[[Desk], Any]) -> list[Segment]:
    journal, job, files = await opened(root)

    def open_one(source: str, kind: SegmentKind) -> Sink:
        return open_sink(root, source, format="ndjson", compression="none", kind=kind)

    desk = Desk("sales", job.id, is_aside=False, open_sink=open_one)
    sent, received = anyio.create_memory_object_stream[Any](10)
    with sent:
        for message in messages:
            await sent.send(message(desk))
    await Writer(journal, "r", files).run(received)
    found = await journal.run(Store.segments, job.id)
    await journal.aclose()
    return found


async def test_source_without_calls_leaves_one_empty_segment(tmp_path: Path) -> None:
    """A source that came to an end has a segment of calls, be it of none; quarantine does not count as one."""
    assert [one.rows for one in await close_at_once(tmp_path / "a", Closing)] == [0]
    key = AnswerKey(1, 1, 0, 100)
    found = await close_at_once(tmp_path / "b", lambda desk: Batch(desk, key, [], [line(0)]), Closing)
    assert [(one.kind, one.rows) for one in found] == [("calls", 0), ("quarantine", 1)]


async def test_source_that_was_cut_short_leaves_no_empty_segment(tmp_path: Path) -> None:
    """An empty segment says that there are no calls: not what is known of a source that failed."""
    assert await close_at_once(tmp_path, lambda desk: Closing(desk, is_whole=False)) == []


async def test_writer_commits_what_it_has_where_nobody_closes(tmp_path: Path) -> None:
    """What was handed over is committed when the senders are gone."""
    key = AnswerKey(1, 1, 0, 100)
    found = await close_at_once(tmp_path, lambda desk: Batch(desk, key, [[record(1)]], []))
    assert [one.rows for one in found] == [1]


async def test_writer_that_fails_leaves_no_open_file(tmp_path: Path) -> None:
    """Where a file cannot be written the error comes out, and what was open is discarded."""
    journal, job, files = await opened(tmp_path)
    (tmp_path / "_harvester" / "aside").write_text("in the way")

    def open_one(source: str, kind: SegmentKind) -> Sink:
        return open_sink(tmp_path, source, format="ndjson", compression="none", kind=kind)

    desk = Desk("sales", job.id, is_aside=False, open_sink=open_one)
    sent, received = anyio.create_memory_object_stream[Any](10)
    with sent:
        await sent.send(Batch(desk, AnswerKey(1, 1, 0, 100), [[record(1)]], []))
    with pytest.raises(OutputError):
        await Writer(journal, "r", files).run(received)
    with pytest.raises(OutputError, match="closed"):
        await desk.calls.write([record(2)])
    await journal.aclose()


async def test_files_removes_what_is_there(tmp_path: Path) -> None:
    """Files that are gone already are no error."""
    journal, _, files = await opened(tmp_path)
    (tmp_path / "one").touch()
    await files.remove(["one", "two"])
    assert not (tmp_path / "one").exists()
    await journal.aclose()
