"""The journal's database: what it keeps over a restart, what it refuses, and what becomes true together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harvester.errors import JournalError, OutputError
from harvester.journal import (
    AnswerKey,
    Commit,
    Counts,
    Digest,
    Job,
    JobSpec,
    NewAnswer,
    Store,
    StoredWindow,
)
from harvester.journal.rows import from_us, to_us
from harvester.journal.runs import begin_run, end_run
from harvester.model import Agent, Gap, Segment, Window

AT = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
SPEC = JobSpec("bimpe", "https://x.test", {"status": "ended"}, (), False, "unified", "ndjson", True)
WINDOW = Window("a", None, AT)


class Folder:
    """A journal's folder; `open` closes what was open, as a restart would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store: Store | None = None

    def open(self) -> Store:
        self.close()
        self._store = Store(self.path)
        return self._store

    def bodies(self) -> list[Path]:
        return list((self.path / "answers").iterdir())

    def digests(self) -> list[Path]:
        return list((self.path / "digests").iterdir())

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Folder(tmp_path)
    yield opened
    opened.close()


def begin(store: Store, source: str = "sales", **options: str) -> Job:
    return store.begin_job(source, SPEC, AT, state="fresh" if options else "current")


def segment(path: str, source: str = "sales") -> Segment:
    return Segment(source, "calls", f"calls/{source}/{path}", 3, 100, "ab" * 32, f"_harvester/aside/{path}")


def answer(
    job: Job, window: StoredWindow, page: int, *, body: bytes = b"{}", is_probe: bool = False
) -> NewAnswer:
    digest = Digest(9, 3, page, None, [f"c{page}"], [AT], [], 1, AT)
    return NewAnswer(job.id, AnswerKey(window.id, 1, page, 100, is_probe), digest, body)


def ended(window: StoredWindow, *gaps: Gap) -> StoredWindow:
    return StoredWindow(window.id, window.window, "gap" if gaps else "complete", Counts(3, 0, 3), list(gaps))


def test_digest_is_never_that_of_a_window_that_is_gone(folder: Folder) -> None:
    """The number of a piece may be given out again once its window is complete: what was held of it is let go."""
    store = folder.open()
    job = begin(store)
    for since in (1, 2):
        (window,) = store.add_windows(job.id, [Window(f"agent {since}", None, AT)])
        kept = answer(job, window, since)
        store.keep([kept])
        assert store.digest(kept.key) == kept.digest
        store.commit(job.id, Commit([], [kept.key], [ended(window)]), is_aside=False)


def test_moments_come_back_exactly() -> None:
    """A moment is whole microseconds, also before 1970."""
    for at in (AT, datetime(1, 1, 1, tzinfo=UTC), AT + timedelta(microseconds=1)):
        assert from_us(to_us(at)) == at


def test_store_keeps_a_job(folder: Folder) -> None:
    """A job comes back as it was entered, with how it ended and the gaps that belong to no window."""
    job = begin(folder.open())
    assert folder.open().jobs("sales") == {"current": job}
    gap = Gap(kind="source", message="down", since=AT)
    folder.open().end_job(job.id, "run-1", "failed", [gap])
    found = folder.open().jobs("sales")["current"]
    assert (found.run_id, found.outcome, found.gaps, found.spec, found.until) == (
        "run-1",
        "failed",
        [gap],
        SPEC,
        AT,
    )
    assert folder.open().sources() == ["sales"]
    assert folder.open().jobs("other") == {}


def test_store_keeps_agents(folder: Folder) -> None:
    """Agents come by id, a later name replaces an older one and none replaces nothing; the end of the list is kept."""
    store = folder.open()
    job = begin(store)
    store.add_agents(job.id, [Agent("b", "Old"), Agent("a")], is_listed=False)
    store.add_agents(job.id, [Agent("b", "New"), Agent("a")], is_listed=False)
    store.add_agents(job.id, [Agent("b")], is_listed=True)
    store = folder.open()
    assert store.agents(job.id) == [Agent("a"), Agent("b", "New")]
    assert store.jobs("sales")["current"].is_listed


def test_store_keeps_windows(folder: Folder) -> None:
    """Windows come back open, with their exact ends."""
    store = folder.open()
    job = begin(store)
    added = store.add_windows(job.id, [WINDOW, Window(None, AT, AT + timedelta(days=1))])
    assert folder.open().windows(job.id) == [added[1], added[0]]
    assert {window.state for window in added} == {"open"}


def test_commit_is_all_or_nothing(folder: Folder) -> None:
    """Where one entry cannot be made none is: a segment that is known already takes the window's end with it."""
    store = folder.open()
    job = begin(store)
    (window,) = store.add_windows(job.id, [WINDOW])
    store.commit(job.id, Commit([segment("p0")]), is_aside=False)
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(job.id, Commit([segment("p1"), segment("p0")], windows=[ended(window)]), is_aside=False)
    store = folder.open()
    assert [one.path for one in store.segments(job.id)] == ["calls/sales/p0"]
    assert store.windows(job.id)[0].state == "open"


def test_commit_ends_windows_and_covers_answers(folder: Folder) -> None:
    """A complete window's answers are forgotten, one with a gap keeps digests without bodies."""
    store = folder.open()
    job = begin(store)
    one, two = store.add_windows(job.id, [WINDOW, Window("b", None, AT)])
    answers = [answer(job, one, 0), answer(job, two, 0), answer(job, two, 1)]
    store.keep(answers)
    gap = Gap(kind="page", message="page 2")
    commit = Commit([segment("p0")], [answers[0].key, answers[1].key], [ended(one), ended(two, gap)])
    store.commit(job.id, commit, is_aside=False)
    store = folder.open()
    assert [(window.state, window.gaps) for window in store.windows(job.id)] == [
        ("complete", []),
        ("gap", [gap]),
    ]
    assert store.answers(one.id) == []
    kept = store.answers(two.id)
    assert [(one.key.page, one.place is None) for one in kept] == [(0, True), (1, False)]
    assert store.digest(kept[0].key) == answers[1].digest


def test_kept_answers_come_back(folder: Folder) -> None:
    """Bodies and digests are what they were, over a restart, of several jobs; a probe has no body."""
    store = folder.open()
    jobs = [begin(store), begin(store, "other")]
    windows = [store.add_windows(job.id, [WINDOW])[0] for job in jobs]
    answers = [
        answer(job, window, page, body=b"%d-%d" % (job.id, page) * 1_000)
        for page in range(3)
        for job, window in zip(jobs, windows, strict=True)
    ]
    store.keep(answers[:4])
    store.keep([*answers[4:], answer(jobs[0], windows[0], 0, is_probe=True)])
    assert (len(folder.bodies()), len(folder.digests())) == (2, 1)  # of bodies a file for each job
    store = folder.open()
    for job, window in zip(jobs, windows, strict=True):
        for kept in store.answers(window.id):
            assert store.digest(kept.key).ids == [f"c{kept.key.page}"]
            assert (kept.place is None) == kept.key.is_probe
            if kept.place is not None:
                assert store.body(kept.place) == b"%d-%d" % (job.id, kept.key.page) * 1_000


def test_bodies_go_once_their_rows_are_in_segments(folder: Folder) -> None:
    """A file of bodies is removed with the commit that needs none of them any more, and not before."""
    store = folder.open()
    job = begin(store)
    (window,) = store.add_windows(job.id, [WINDOW])
    answers = [answer(job, window, page) for page in range(4)]
    store.keep(answers[:2])
    store.commit(job.id, Commit([segment("p0")], [answers[0].key]), is_aside=False)
    assert len(folder.bodies()) == 1
    store.keep(answers[2:])
    assert len(folder.bodies()) == 2
    store.commit(job.id, Commit([segment("p1")], [one.key for one in answers[1:]]), is_aside=False)
    assert folder.bodies() == []
    store.keep([answer(job, window, 9, body=b"after")])
    (kept,) = [one for one in folder.open().answers(window.id) if one.key.page == 9]
    assert kept.place is not None
    assert folder.open().body(kept.place) == b"after"


def test_digests_go_once_their_windows_are_complete(folder: Folder) -> None:
    """A file of digests outlives the bodies' one, for all of its windows, and those with gaps keep it."""
    store = folder.open()
    job = begin(store)
    whole, open_one, lacking = store.add_windows(job.id, [WINDOW] * 3)
    answers = [answer(job, window, 0) for window in (whole, open_one, lacking)]
    store.keep(answers)
    keys = [one.key for one in answers]
    whole.state = "complete"
    store.commit(job.id, Commit([segment("p0")], keys, [whole]), is_aside=False)
    assert folder.bodies() == []
    assert len(folder.digests()) == 1
    lacking.state, open_one.state = "gap", "complete"
    store.commit(job.id, Commit([segment("p1")], [], [open_one, lacking]), is_aside=False)
    assert len(folder.digests()) == 1
    assert folder.open().digest(keys[2]) == answers[2].digest
    store = folder.open()
    lacking.state = "complete"
    store.commit(job.id, Commit([segment("p2")], [], [lacking]), is_aside=False)
    assert folder.digests() == []


def test_bodies_that_a_killed_run_left_go_with_the_next_opening(folder: Folder) -> None:
    """A file that was written and not entered, or entered as not needed and not removed, is gone in the next run."""
    store = folder.open()
    job = begin(store)
    (window,) = store.add_windows(job.id, [WINDOW])
    store.keep([answer(job, window, 0)])
    (needed,) = folder.bodies()
    needed.with_name("00000000.lz4").write_bytes(b"of rows that are in segments")
    needed.with_name("00000009.lz4").write_bytes(b"half a body")
    digests = folder.digests()
    digests[0].with_name("00000009.lz4").write_bytes(b"half a digest")
    folder.open()
    assert folder.bodies() == [needed]
    assert folder.digests() == digests


def test_commit_leaves_what_is_packed(folder: Folder) -> None:
    """A body that the database does not know yet stays in its file, though all that it knows of that is in segments."""
    store = folder.open()
    job = begin(store)
    (window,) = store.add_windows(job.id, [WINDOW])
    first, second = answer(job, window, 0), answer(job, window, 1, body=b"second")
    store.keep([first])
    store.pack([second])
    store.commit(job.id, Commit(answers=[first.key]), is_aside=False)
    assert [kept.key for kept in store.answers(window.id)] == [first.key]
    store.keep([])
    places = {kept.key: kept.place for kept in store.answers(window.id)}
    assert places[first.key] is None
    assert (place := places[second.key]) is not None
    assert store.body(place) == b"second"
    store.commit(job.id, Commit(answers=[second.key]), is_aside=False)
    assert folder.bodies() == []


def test_commit_leaves_the_digests_that_are_packed(folder: Folder) -> None:
    """The same of a digest in a file of which all other windows are complete."""
    store = folder.open()
    job = begin(store)
    whole, other = store.add_windows(job.id, [WINDOW] * 2)
    first, second = answer(job, whole, 0), answer(job, other, 0)
    store.keep([first])
    store.pack([second])
    whole.state = "complete"
    store.commit(job.id, Commit(answers=[first.key], windows=[whole]), is_aside=False)
    store.keep([])
    assert folder.open().digest(second.key) == second.digest


def test_bodies_of_a_job_go_with_it(folder: Folder) -> None:
    """A job that another takes the place of leaves no answers, though its rows were in no segment."""
    store = folder.open()
    old = begin(store)
    (window,) = store.add_windows(old.id, [WINDOW])
    store.keep([answer(old, window, 0)])
    begin(store, state="fresh")
    store.exchange("sales")
    assert folder.bodies() == []


def test_damaged_body_is_told(folder: Folder) -> None:
    """A body that is gone or cut off is a ValueError."""
    store = folder.open()
    job = begin(store)
    (window,) = store.add_windows(job.id, [WINDOW])
    store.keep([answer(job, window, 0, body=b"x" * 5_000)])
    (file,) = (folder.path / "answers").iterdir()
    file.write_bytes(file.read_bytes()[:-4])
    (kept,) = folder.open().answers(window.id)
    assert kept.place is not None
    with pytest.raises(ValueError, match="damaged"):
        folder.open().body(kept.place)
    file.unlink()
    with pytest.raises(ValueError, match="gone"):
        folder.open().body(kept.place)


def test_dateless_ids_stay_with_their_first_window(folder: Folder) -> None:
    """An id without a moment is kept for good, with the window that wrote it first."""
    store = folder.open()
    job = begin(store)
    store.commit(job.id, Commit([segment("p0")], dateless={"x": 1}), is_aside=False)
    store.commit(job.id, Commit([segment("p1")], dateless={"x": 2, "y": 2}), is_aside=False)
    assert folder.open().dateless_ids(job.id) == {"x": 1, "y": 2}


def test_entered_segments_wait_for_their_rename(folder: Folder) -> None:
    """A segment is entered until it is said to be published; its file rightly lies aside until then."""
    store = folder.open()
    job = begin(store)
    store.commit(job.id, Commit([segment("p0"), segment("p1")]), is_aside=False)
    store = folder.open()
    assert [one.path for one in store.entered()] == ["calls/sales/p0", "calls/sales/p1"]
    store.published(["calls/sales/p0"])
    store = folder.open()
    assert [one.path for one in store.entered()] == ["calls/sales/p1"]
    assert store.lying_aside() == {"_harvester/aside/p1"}
    assert len(store.current_segments("sales")) == 2


def test_next_part_is_never_given_twice(folder: Folder) -> None:
    """The number of a segment is used up once it is given, also over a restart, and is the job's own."""
    job = begin(folder.open())
    other = begin(folder.open(), "other")
    assert [folder.open().next_part(job.id) for _ in range(3)] == [0, 1, 2]
    assert folder.open().next_part(other.id) == 0


def test_exchange_puts_the_fresh_job_in_place(folder: Folder) -> None:
    """In one step the old job's files are doomed, and the new one's segments are to be renamed."""
    store = folder.open()
    old = begin(store)
    store.commit(old.id, Commit([segment("old")]), is_aside=False)
    store.published(["calls/sales/old"])
    fresh = begin(store, state="fresh")
    store.commit(fresh.id, Commit([segment("new")]), is_aside=True)
    assert store.entered() == []
    assert store.lying_aside() == {"_harvester/aside/new"}
    store.exchange("sales")
    store = folder.open()
    assert set(store.jobs("sales")) == {"current"}
    assert [one.path for one in store.current_segments("sales")] == ["calls/sales/new"]
    assert [one.path for one in store.entered()] == ["calls/sales/new"]
    assert store.doomed() == ["calls/sales/old"]
    store.buried(["calls/sales/old"])
    assert folder.open().doomed() == []


def test_exchange_needs_no_old_job(folder: Folder) -> None:
    """A fresh job with nothing to replace becomes the current one."""
    store = folder.open()
    begin(store, state="fresh")
    store.exchange("sales")
    assert set(folder.open().jobs("sales")) == {"current"}


def test_drop_job_forgets_it_and_names_its_files(folder: Folder) -> None:
    """Of a job that is dropped nothing is left; the caller is told which files to remove."""
    store = folder.open()
    job = begin(store, state="fresh")
    (window,) = store.add_windows(job.id, [WINDOW])
    store.keep([answer(job, window, 0)])
    store.commit(job.id, Commit([segment("p0")]), is_aside=True)
    assert store.drop_job(job.id) == ["_harvester/aside/p0"]
    store = folder.open()
    assert (store.jobs("sales"), store.windows(job.id), store.answers(window.id)) == ({}, [], [])


def test_spilled_ids_come_back_once_and_only_in_this_run(folder: Folder) -> None:
    """What was spilled is taken back by the first who asks; a restart has none of it."""
    store = folder.open()
    store.spill_ids({(1, 5): {"a": 1, "b": 2}, (1, 6): {"c": 1}})
    assert store.load_ids(1, [5, 7]) == {5: {"a": 1, "b": 2}, 7: {}}
    assert store.load_ids(1, [5]) == {5: {}}
    assert folder.open().load_ids(1, [6]) == {6: {}}


def test_runs_are_entered(folder: Folder) -> None:
    """A run is entered when it begins and again when it ends."""
    store = folder.open()
    begin_run(store, "run-1", "export", AT)
    end_run(store, "run-1", "complete", AT)
    folder.close()
    with sqlite3.connect(folder.path / "journal.db") as db:
        assert db.execute("SELECT run_id, command, outcome FROM run").fetchall() == [
            ("run-1", "export", "complete")
        ]
    db.close()


# What is refused.


def text(path: Path) -> None:
    path.write_text("these are somebody's notes, and no database\n" * 50)


def other_database(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE pages (id INTEGER)")
    db.execute("INSERT INTO pages VALUES (7)")
    db.commit()
    db.close()


def newer_version(path: Path) -> None:
    Store(path.parent).close()
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value = '999'")
    db.commit()
    db.close()


@pytest.mark.parametrize("make", [text, other_database, newer_version])
@pytest.mark.parametrize("is_read_only", [True, False])
def test_foreign_file_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], is_read_only: bool
) -> None:
    """A file that is no journal of this version is not touched, and the message says what to do."""
    path = tmp_path / "journal.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="--out"):
        Store(tmp_path, is_read_only=is_read_only)
    assert path.read_bytes() == before


def test_damaged_journal_is_refused(folder: Folder) -> None:
    """A journal of ours with a page overwritten is not trusted."""
    job = begin(folder.open())
    folder.open().add_windows(job.id, [Window(f"agent-{n}", None, AT) for n in range(2_000)])
    folder.close()
    path = folder.path / "journal.db"
    data = bytearray(path.read_bytes())
    data[8_192:20_480] = bytes(12_288)
    path.write_bytes(data)
    with pytest.raises(JournalError):
        folder.open()
    assert path.read_bytes() == bytes(data)


def test_empty_file_is_made_a_journal(folder: Folder) -> None:
    """A file of no bytes is what a first start that was cut short left."""
    (folder.path / "journal.db").touch()
    assert folder.open().sources() == []


def test_journal_that_was_only_begun_cannot_be_looked_at(folder: Folder) -> None:
    """A run that was killed while it made the journal left one without tables, which is told as what it is."""
    (folder.path / "journal.db").touch()
    with pytest.raises(JournalError, match="goes on"):
        Store(folder.path, is_read_only=True)
    assert folder.open().sources() == []


def test_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    """Where the database cannot be opened the output is at fault, not the journal."""
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(OutputError):
        Store(tmp_path)


def test_read_only_store_looks_beside_an_open_one(folder: Folder) -> None:
    """While a run holds the journal another process may look: it sees what is committed and changes nothing."""
    store = folder.open()
    job = begin(store)
    looking = Store(folder.path, is_read_only=True)
    assert looking.jobs("sales") == {"current": job}
    store.add_windows(job.id, [WINDOW])
    assert len(looking.windows(job.id)) == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        looking.begin_job("other", SPEC, AT, state="current")
    looking.close()


def test_read_only_store_looks_at_a_closed_one(folder: Folder) -> None:
    """Nobody needs to hold a journal for it to be read."""
    job = begin(folder.open())
    folder.close()
    looking = Store(folder.path, is_read_only=True)
    assert looking.jobs("sales") == {"current": job}
    looking.close()
