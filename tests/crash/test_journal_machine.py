"""Journal, segments and files in a model: whatever is done in whatever order, and wherever it is cut short.

A crash is a copy of the output as it is at that moment, which is what a killed process leaves: the run goes on in the
copy. The real run keeps the rule of the walk: what the journal does not know is handed over again, what it knows and no
segment holds is read from it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Coroutine
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from harvester.job.write import Batch, Closing, Desk, Ended, Files, Limits, Writer
from harvester.journal import AnswerKey, Counts, Digest, Job, JobSpec, NewAnswer, Store, StoredWindow
from harvester.model import Quarantined, SegmentKind, Window
from harvester.record import Record
from harvester.sinks import Sink, open_sink, publish
from harvester.testing import KillPoints

AT = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = JobSpec("bimpe", "https://x.test", {}, (), False, "unified", "ndjson", True)
LIMITS = Limits(segment_rows=12, waiting_bytes=2000)
STEP = st.integers(1, 24)
"""Which step from now on is the last: a commit has about twenty."""


class Page(msgspec.Struct, frozen=True):
    """An answer: the ids of its rows, and of those a value of which is in quarantine."""

    ids: tuple[str, ...]
    damaged: tuple[str, ...]

    @property
    def body(self) -> bytes:
        """What is kept of it."""
        return b" ".join([b"answer", *(call_id.encode() for call_id in self.ids)]) * 20


class Generation:
    """A job in the model: its answers, those that are durable for certain, and those that segments hold."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pages: dict[AnswerKey, Page] = {}
        self.durable: set[AnswerKey] = set()
        self.covered: set[AnswerKey] = set()

    def visible(self) -> tuple[list[str], list[str]]:
        """Return the ids that the output has to hold, of calls and of lines in quarantine."""
        pages = [self.pages[key] for key in self.covered]
        return (
            sorted(call_id for page in pages for call_id in page.ids),
            sorted(call_id for page in pages for call_id in page.damaged),
        )


class JournalMachine(RuleBasedStateMachine):
    """A source's output from run to run, `--fresh` among them."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="harvester-machine-"))
        self._runner = asyncio.Runner()
        self._points = KillPoints(self._copy)
        self._copied: Path | None = None
        self._copies = 0
        self._lives = 0
        self._names = 0
        self._generations: dict[int, Generation] = {}
        self._root = self._folder / "0"
        self._runner.run(self._open())

    def teardown(self) -> None:
        """Close and remove what there is."""
        self._runner.run(self._close())
        self._runner.close()
        shutil.rmtree(self._folder)

    # What a run does. `nth`: it is killed at so many steps from then on, if it takes as many.

    @rule(rows=st.integers(0, 8), is_damaged=st.booleans(), nth=st.none() | STEP)
    def hand_over(self, rows: int, is_damaged: bool, nth: int | None) -> None:
        """An answer comes, goes to the journal and, with its rows, to the writer."""
        gen = self._writing
        ids = tuple(f"{gen.name}-{len(gen.pages)}-{row}" for row in range(rows))
        key = AnswerKey(self._window.id, 1, len(gen.pages), 100)
        gen.pages[key] = Page(ids, ids[:1] if is_damaged else ())
        self._perform(self._take(key, is_kept=False), nth)

    @rule(nth=st.none() | STEP)
    def catch_up(self, nth: int | None) -> None:
        """What was handed over goes to a file; the database hears of it later, and commits of others come between."""
        self._perform(self._journal.catch_up(), nth)

    @rule(nth=st.none() | STEP)
    def flush(self, nth: int | None) -> None:
        """What was handed over is made durable."""
        self._perform(self._journal.flush(), nth)

    @rule(nth=st.none() | STEP)
    def relieve(self, nth: int | None) -> None:
        """Rows that wait go to the file of their segment."""
        if self._writer._desks:
            self._perform(self._writer._relieve(), nth)

    @rule(nth=st.none() | STEP)
    def commit(self, nth: int | None) -> None:
        """The open segment ends."""
        self._perform(self._writer._commit(self._desk), nth)

    @rule(nth=st.none() | STEP)
    def end_window(self, nth: int | None) -> None:
        """A window is complete, and another begins; with the next commit the journal forgets its answers."""
        self._perform(self._end(self._window, is_last=True), nth)

    # What begins and ends a run.

    @rule()
    def restart(self) -> None:
        """A run ends, with nothing more committed, and another goes on."""
        self._runner.run(self._close())
        self._runner.run(self._open())

    @rule(litter=st.sampled_from(["", "tail", "file", "aside"]), nth=st.none() | STEP)
    def crash(self, litter: str, nth: int | None) -> None:
        """A run is killed, maybe in the middle of a write; so is, maybe, the next one while it recovers."""
        self._copy()
        assert self._copied is not None
        _leave(litter, self._copied / "_harvester")
        self._go_on_in_copy(nth)

    @precondition(lambda self: not self._is_fresh)
    @rule(nth=st.none() | STEP)
    def begin_fresh(self, nth: int | None) -> None:
        """Another generation begins, whose segments stay aside."""
        begun: Any = self._journal.run(Store.begin_job, "sales", SPEC, AT, state="fresh")
        self._perform(begun, nth, is_last=True)

    @precondition(lambda self: self._is_fresh)
    @rule(nth=st.none() | STEP)
    def exchange(self, nth: int | None) -> None:
        """The fresh generation takes the place of the old one."""
        self._perform(self._writer._take(Closing(self._desk, is_exchange=True)), nth, is_last=True)

    @precondition(lambda self: self._is_fresh)
    @rule(nth=st.none() | STEP)
    def drop_fresh(self, nth: int | None) -> None:
        """The fresh generation is given up, for another is asked for."""
        self._perform(self._drop(), nth, is_last=True)

    # What holds whenever nothing is half-done.

    @invariant()
    def visible_is_what_segments_hold(self) -> None:
        """Every row of an answer that a segment holds is in the output once, and no other."""
        calls, lines = self._current.visible()
        assert self._ids("calls") == calls
        assert self._ids("quarantine") == lines

    @invariant()
    def kept_answers_can_be_read(self) -> None:
        """An answer that is durable and in no segment is in the journal as it came; no other file is left."""
        places = self._runner.run(self._places())
        for gen in self._generations.values():
            assert gen.durable - gen.covered <= places.keys()
        files = {place[0] for place in places.values()}
        files |= {number for number, _ in self._journal._store._bodies._current.values()}
        found = {int(path.stem) for path in (self._root / "_harvester/answers").glob("*")}
        assert found <= files, "a file of answers that nobody needs was left"

    @invariant()
    def nothing_lies_about(self) -> None:
        """What lies aside is known to the journal, but for the segment that is open."""
        strangers = self._aside() - self._runner.run(self._journal.run(Store.lying_aside))
        assert len(strangers) <= bool(self._desk.calls.rows) + bool(self._desk.quarantine.rows)

    # How it is done.

    def _copy(self) -> None:
        """Keep the output as it is now."""
        self._copies += 1
        self._copied = self._folder / str(self._copies)
        shutil.copytree(self._root, self._copied)

    def _perform(self, work: Coroutine[Any, Any, object], nth: int | None, *, is_last: bool = False) -> None:
        """Do something, and go on from where it was killed if it was, else, if it is a run's last, in another run."""
        self._points.arm(None, nth or 0)
        self._runner.run(work)
        self._points.arm(None, 0)
        if self._copied is not None:
            self._go_on_in_copy(None)
        elif is_last:
            self.restart()
        else:
            self._note()

    def _go_on_in_copy(self, nth: int | None) -> None:
        assert self._copied is not None
        self._runner.run(self._close())
        shutil.rmtree(self._root)
        self._root, self._copied = self._copied, None
        before = deepcopy(self._generations)
        self._points.arm(None, nth or 0)
        self._runner.run(self._open())
        self._points.arm(None, 0)
        if self._copied is not None:
            self._generations = before
            self._go_on_in_copy(None)

    def _note(self) -> None:
        """Take from the run that goes on what is durable and what is in segments by now."""
        gen, pages = self._writing, set(self._writing.pages)
        waiting = {one.key for one in self._journal._waiting if isinstance(one, NewAnswer)}
        packed = {one.key for packed in self._journal._store._packed for one in packed.answers}
        gen.durable = pages - waiting - packed
        gen.covered = pages - set(self._desk.answers)

    async def _open(self) -> None:
        """Begin a run: recover, learn what there is, and go on with it."""
        self._lives += 1
        watched = self._points.journal()
        watched.pack_bytes, watched.flush_bytes = 1, 2_000
        self._journal = await watched.open(self._root, holder="test")
        self._files = Files(self._root, self._journal, partial(publish, self._root))
        await self._files.recover()
        jobs = await self._journal.run(Store.jobs, "sales")
        if not jobs:
            jobs["current"] = await self._journal.run(Store.begin_job, "sales", SPEC, AT, state="current")
        self._generations = {job.id: self._generations.get(job.id) or self._new() for job in jobs.values()}
        self._is_fresh = "fresh" in jobs
        job = jobs["fresh" if self._is_fresh else "current"]
        self._writing, self._current = self._generations[job.id], self._generations[jobs["current"].id]
        self._desk = Desk(
            "sales", job.id, is_aside=self._is_fresh, open_sink=self._points.sinks(self._open_sink)
        )
        self._writer = Writer(self._journal, f"run-{self._lives}", self._files, LIMITS)
        await self._go_on(job)
        self._note()

    async def _close(self) -> None:
        await self._desk.aclose()
        await self._journal.aclose()

    def _new(self) -> Generation:
        self._names += 1
        return Generation(f"g{self._names}")

    def _open_sink(self, source: str, kind: SegmentKind) -> Sink:
        return open_sink(self._root, source, format="ndjson", compression="none", kind=kind)

    async def _go_on(self, job: Job) -> None:
        """Learn from the journal what there is, check it, and hand over the rest as the walk would."""
        gen, journal = self._writing, self._journal
        windows = await journal.run(Store.windows, job.id)
        windows.sort(key=lambda window: window.id)
        if not windows:
            windows = await journal.run(Store.add_windows, job.id, [Window("a", None, AT)])
        complete = {window.id for window in windows if window.state == "complete"}
        kept = {
            one.key: one.place for window in windows for one in await journal.run(Store.answers, window.id)
        }
        covered = {key for key in gen.pages if key.window_id in complete or kept.get(key, ()) is None}
        assert gen.covered <= covered, "an answer that a segment held is no more known to be in one"
        assert gen.durable <= covered | kept.keys(), "a durable answer is lost"
        gen.covered = covered
        self.visible_is_what_segments_hold()
        assert self._aside() == await journal.run(Store.lying_aside)
        for window in windows:
            for key in [key for key in gen.pages if key.window_id == window.id and key not in covered]:
                if (place := kept.get(key)) is not None:
                    assert await journal.run(Store.body, place) == gen.pages[key].body
                await self._take(key, is_kept=key in kept)
            if window is not windows[-1] and window.state == "open":
                await self._end(window)
        self._window = windows[-1]
        if self._window.state == "complete":
            (self._window,) = await journal.run(Store.add_windows, job.id, [Window("a", None, AT)])

    async def _take(self, key: AnswerKey, *, is_kept: bool) -> None:
        page, desk = self._writing.pages[key], self._desk
        digest = Digest(None, None, None, None, list(page.ids), [AT] * len(page.ids), [], len(page.ids), AT)
        if not is_kept:
            await self._journal.keep(NewAnswer(desk.job_id, key, digest, page.body))
        rows = [_record(call_id) for call_id in page.ids]
        await self._writer._take(
            Batch(desk, key, [rows] if rows else [], [_line(one) for one in page.damaged])
        )

    async def _end(self, window: StoredWindow, *, is_last: bool = False) -> None:
        ended = StoredWindow(window.id, window.window, "complete", Counts(), [])
        await self._writer._take(Ended(self._desk, ended))
        if is_last:
            (self._window,) = await self._journal.run(
                Store.add_windows, self._desk.job_id, [Window("a", None, AT)]
            )

    async def _drop(self) -> None:
        await self._journal.flush()  # in an export nothing is handed over before the jobs are chosen
        await self._files.remove(await self._journal.run(Store.drop_job, self._desk.job_id))

    async def _places(self) -> dict[AnswerKey, Any]:
        """Return where each answer is that no segment holds; it is read and compared."""
        found: dict[AnswerKey, Any] = {}
        for job_id, gen in self._generations.items():
            for window in await self._journal.run(Store.windows, job_id):
                for one in await self._journal.run(Store.answers, window.id):
                    if one.place is not None:
                        assert await self._journal.run(Store.body, one.place) == gen.pages[one.key].body
                        found[one.key] = one.place
        return found

    def _ids(self, kind: str) -> list[str]:
        texts = [path.read_text() for path in self._root.glob(f"{kind}/sales/*")]
        return sorted(json.loads(line)["call_id"] for text in texts for line in text.splitlines())

    def _aside(self) -> set[str]:
        return {f"_harvester/aside/{path.name}" for path in self._root.glob("_harvester/aside/*")}


def _leave(litter: str, folder: Path) -> None:
    """Leave behind what a write that was cut short does: part of a body, a file with one, part of a segment."""
    files = sorted(folder.glob("answers/*"))
    if litter == "aside":
        (folder / "aside").mkdir(exist_ok=True)
        (folder / "aside/sales-calls-0123.open").write_bytes(b'{"call_id":"half')
    elif litter and files:
        last = files[-1]
        path = last if litter == "tail" else last.with_name(f"{int(last.stem) + 1:08d}.lz4")
        with path.open("ab") as file:
            file.write(b"half a body")


def _record(call_id: str) -> Record:
    return Record(provider="bimpe", source="sales", call_id=call_id, fetched_at=AT, run_id="r")


def _line(call_id: str) -> Quarantined:
    return Quarantined("a value does not fit", "list calls", "{}", AT, call_id=call_id)


def _try(examples: int, steps: int, *, is_repeatable: bool) -> None:
    """Try so many courses of so many steps; one that fails is told as it was, for to shrink it takes minutes."""
    run_state_machine_as_test(
        JournalMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=is_repeatable,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_output_follows_its_journal_through_crashes() -> None:
    """Whatever was done and wherever it was cut short: nothing durable is lost, doubled, or left lying about."""
    _try(examples=15, steps=20, is_repeatable=True)


@pytest.mark.slow
def test_output_follows_its_journal_through_many_crashes() -> None:
    """The same for longer courses, and many of them."""
    _try(examples=150, steps=40, is_repeatable=False)
