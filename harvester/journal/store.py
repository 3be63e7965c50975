"""What is entered in the journal's database and read from it, called on the journal's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from harvester.model import Agent, Gap, Segment, Window

from .append import DamagedError, Place
from .database import Transaction, execute_many, open_database
from .digests import Digests
from .intake import Intake, Packed, open_files
from .nouns import (
    AnswerKey,
    Commit,
    Counts,
    Digest,
    Job,
    JobSpec,
    JobState,
    KeptAnswer,
    NewAnswer,
    NewDetail,
    StoredWindow,
)
from .rows import read_job, read_window, to_us
from .scratch import Scratch


class Store:
    """The database of one output.

    Args:
        folder: The output's `_harvester` folder.
        is_read_only: For looking at it beside a run that may hold it.

    Raises:
        JournalError: There is a file that is no journal of this version, or a damaged one; it is left as it is.
        OutputError: It cannot be written, or read where that is all that is wanted.
    """

    def __init__(self, folder: Path, *, is_read_only: bool = False) -> None:
        self._db = open_database(folder / "journal.db", is_read_only=is_read_only)
        self._packed: list[Packed] = []
        try:
            self._bodies = open_files(self._db, folder / "answers", "answer", "detail")
            self._digests = Digests(self._db, open_files(self._db, folder / "digests", "digest"))
            self._intake = Intake(self._db, self._bodies, self._digests)
            if not is_read_only:  # A run that was killed may have left some, and this one may commit nothing.
                self._intake.drop_files(self._packed)
            self._scratch = Scratch(None if is_read_only else folder / "scratch.db")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database; what only this run needed goes."""
        self._db.close()
        self._scratch.close()

    @property
    def db(self) -> sqlite3.Connection:
        """The database, for what of it has a file of its own."""
        return self._db

    def _transaction(self) -> Transaction:
        return Transaction(self._db)

    # Jobs.

    def start_jobs(self, job_ids: Iterable[int], run_id: str) -> None:
        """Enter that a run sees to jobs; until it ends they have no outcome."""
        with self._transaction():
            self._db.executemany(
                "UPDATE job SET run_id = ?, outcome = NULL WHERE id = ?",
                [(run_id, job_id) for job_id in job_ids],
            )

    def jobs(self, source: str) -> dict[str, Job]:
        """Return a source's jobs by state: at most one `current` and one `fresh`."""
        rows = self._db.execute(
            "SELECT id, source, state, spec, until, is_listed, run_id, outcome, gaps, round_id, agent_pages FROM job"
            " WHERE source = ?",
            (source,),
        )
        return {row[2]: read_job(row) for row in rows}

    def sources(self) -> list[str]:
        """Return the names of all sources that have a job."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT source FROM job ORDER BY source")]

    def begin_job(
        self, source: str, spec: JobSpec, until: datetime, *, state: JobState, round_id: str = ""
    ) -> Job:
        """Enter a job before its first request, with the moment that a missing `until` is from now on."""
        row = self._db.execute(
            "INSERT INTO job (source, state, spec, until, round_id) VALUES (?, ?, ?, ?, ?)"
            " RETURNING id, source, state, spec, until, is_listed, run_id, outcome, gaps, round_id, agent_pages",
            (source, state, msgspec.json.encode(spec), to_us(until), round_id),
        ).fetchone()
        return read_job(row)

    def open_round(self, run_id: str) -> str:
        """Return the round of `--fresh` that was cut short, else begin one named after this run."""
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('round', ?)", (run_id,))
        (round_id,) = self._db.execute("SELECT value FROM meta WHERE key = 'round'").fetchone()
        return str(round_id)

    def close_round(self) -> None:
        """Enter that a round of `--fresh` came to its end, whatever became of its sources."""
        self._db.execute("DELETE FROM meta WHERE key = 'round'")

    def end_job(self, job_id: int, run_id: str, outcome: str, gaps: Sequence[Gap]) -> None:
        """Enter how a source ended in a run, with the gaps that belong to no window."""
        self._db.execute(
            "UPDATE job SET run_id = ?, outcome = ?, gaps = ? WHERE id = ?",
            (run_id, outcome, msgspec.json.encode(gaps), job_id),
        )

    def drop_job(self, job_id: int) -> list[str]:
        """Forget a job and return the files of its segments."""
        with self._transaction():
            files = self._files_of(job_id)
            self._delete_job(job_id)
        return files

    def _files_of(self, job_id: int) -> list[str]:
        rows = self._db.execute("SELECT path, aside, state FROM segment WHERE job_id = ?", (job_id,))
        return [aside if state == "aside" else path for path, aside, state in rows]

    def _delete_job(self, job_id: int) -> None:
        for table in ("agent", "window", "segment", "answer", "digest", "detail", "dateless"):
            self._db.execute(f"DELETE FROM {table} WHERE job_id = ?", (job_id,))  # noqa: S608 - our own names
        self._digests.let_go()
        self._db.execute("DELETE FROM job WHERE id = ?", (job_id,))

    # Agents and windows.

    def add_agents(self, job_id: int, agents: Iterable[Agent], *, is_listed: bool, pages: int = 0) -> None:
        """Enter agents; `is_listed` says that the list was read to its end, else `pages` how far."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO agent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET name = coalesce(excluded.name, name)",
                [(job_id, agent.id, agent.name) for agent in agents],
            )
            self._db.execute(
                "UPDATE job SET is_listed = max(is_listed, ?), agent_pages = ? WHERE id = ?",
                (is_listed, pages, job_id),
            )

    def agents(self, job_id: int) -> list[Agent]:
        """Return the agents of a job, by id."""
        rows = self._db.execute(
            "SELECT agent_id, name FROM agent WHERE job_id = ? ORDER BY agent_id", (job_id,)
        )
        return [Agent(agent_id, name) for agent_id, name in rows]

    def windows(self, job_id: int) -> list[StoredWindow]:
        """Return all windows of a job, by agent and range."""
        rows = self._db.execute(
            "SELECT id, agent_id, since, until, state, counts, gaps FROM window WHERE job_id = ?"
            " ORDER BY agent_id, since, until",
            (job_id,),
        )
        return [read_window(row) for row in rows]

    def add_windows(self, job_id: int, windows: Sequence[Window]) -> list[StoredWindow]:
        """Enter new windows, open."""
        added: list[StoredWindow] = []
        with self._transaction():
            for window in windows:
                since = None if window.since is None else to_us(window.since)
                cursor = self._db.execute(
                    "INSERT INTO window (job_id, agent_id, since, until) VALUES (?, ?, ?, ?)",
                    (job_id, window.agent_id, since, to_us(window.until)),
                )
                assert cursor.lastrowid is not None
                added.append(StoredWindow(cursor.lastrowid, window, "open", Counts(), []))
        return added

    def drop_windows(self, window_ids: Sequence[int]) -> None:
        """Forget windows of which nothing was written."""
        with self._transaction():
            self._db.executemany(
                "DELETE FROM window WHERE id = ?", [(window_id,) for window_id in window_ids]
            )

    def enter_counts(self, counts: Mapping[int, Counts]) -> None:
        """Enter what open windows came to so far, by their number; whoever goes on with them counts anew."""
        with self._transaction():
            self._db.executemany(
                "UPDATE window SET counts = ? WHERE id = ? AND state = 'open'",
                [(msgspec.json.encode(one), window_id) for window_id, one in counts.items()],
            )

    def reopen(self, window_ids: Sequence[int]) -> None:
        """Enter that windows which ended with a gap are walked again; one that is owed something is not."""
        with self._transaction():
            self._db.executemany(
                "UPDATE window SET state = 'open' WHERE id = ? AND state != 'owed'",
                [(window_id,) for window_id in window_ids],
            )

    # Segments.

    def next_part(self, job_id: int) -> int:
        """Return the number of a job's next segment."""
        (part,) = self._db.execute(
            "UPDATE job SET parts = parts + 1 WHERE id = ? RETURNING parts - 1", (job_id,)
        ).fetchone()
        return int(part)

    def commit(self, job_id: int, commit: Commit, *, is_aside: bool) -> None:
        """Enter segments, the answers they hold and the windows they complete, in one transaction."""
        state = "aside" if is_aside else "entered"
        owed = self._intake.pack(commit.owed)
        if commit.owed:
            self._intake.sync()
        with self._transaction():
            for segment in commit.segments:
                self._db.execute(
                    "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (segment.path, job_id, segment.kind, segment.rows, segment.bytes, segment.sha256, segment.aside,
                     state),
                )  # fmt: skip
            execute_many(
                self._db,
                "WITH key (window_id, pass, page, size, is_probe, part) AS (VALUES {rows})"
                " UPDATE answer SET file = NULL FROM key WHERE answer.window_id = key.window_id"
                " AND answer.pass = key.pass AND answer.page = key.page AND answer.size = key.size"
                " AND answer.is_probe = key.is_probe AND answer.part = key.part",
                [msgspec.structs.astuple(key) for key in commit.answers],
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO dateless VALUES (?, ?, ?)",
                [(job_id, call_id, window_id) for call_id, window_id in commit.dateless.items()],
            )
            self._db.executemany("DELETE FROM detail WHERE window_id = ? AND call_id = ?", commit.details)
            self._intake.enter(owed)
            for ended in commit.windows:
                self._end_window(ended)
        self._bodies.roll(job_id)
        self._intake.drop_files(self._packed)
        self._db.execute("PRAGMA incremental_vacuum").fetchall()

    def _end_window(self, ended: StoredWindow) -> None:
        """A window with a gap keeps its digests: what it has is known when it is walked again."""
        self._db.execute(
            "UPDATE window SET state = ?, counts = ?, gaps = ? WHERE id = ?",
            (ended.state, msgspec.json.encode(ended.counts), msgspec.json.encode(ended.gaps), ended.id),
        )
        if ended.state == "complete":
            self._db.execute("DELETE FROM answer WHERE window_id = ?", (ended.id,))
            self._digests.forget(ended.id)
            self._db.execute("DELETE FROM detail WHERE window_id = ?", (ended.id,))
        self._scratch.forget(ended.id)

    # Answers.

    def pack(self, answers: Sequence[NewAnswer], details: Sequence[NewDetail] = ()) -> None:
        """Put answers and details out of memory; they are durable with the next `keep`."""
        self._packed.append(self._intake.pack(answers, details))

    def keep(self, answers: Sequence[NewAnswer], details: Sequence[NewDetail] = ()) -> None:
        """Make answers and details durable, with those packed before: their bodies, then where they are."""
        packed = [*self._packed, self._intake.pack(answers, details)]
        self._intake.sync()
        with self._transaction():
            for one in packed:
                self._intake.enter(one)
        self._packed.clear()

    def answers(self, window_id: int) -> list[KeptAnswer]:
        """Return which answers of a window are kept, by pass and page."""
        rows = self._db.execute(
            "SELECT window_id, pass, page, size, is_probe, part, file, offset, length FROM answer"
            " WHERE window_id = ? ORDER BY pass, page",
            (window_id,),
        )
        return [
            KeptAnswer(
                AnswerKey(row[0], row[1], row[2], row[3], is_probe=bool(row[4]), part=row[5]),
                None if row[6] is None else row[6:9],
            )
            for row in rows
        ]

    def digest(self, key: AnswerKey) -> Digest:
        """Return the digest of an answer that is kept."""
        return self.digests([key])[key]

    def digests(self, keys: Sequence[AnswerKey]) -> dict[AnswerKey, Digest]:
        """Return the digests of those of these answers that are kept."""
        found: dict[AnswerKey, Digest] = {}
        for key in keys:
            place = self._db.execute(
                "SELECT digest, nth FROM answer"
                " WHERE window_id = ? AND pass = ? AND page = ? AND size = ? AND is_probe = ? AND part = ?",
                msgspec.structs.astuple(key),
            ).fetchone()
            if place is not None:
                found[key] = self._digests.read(*place)
        return found

    def body(self, place: Place) -> bytes:
        """Return the body of an answer or a detail.

        Raises:
            ValueError: It is gone, or cannot be decompressed.
        """
        try:
            return self._bodies.read(place)
        except DamagedError as error:  # this one is asked for again: the journal can be trusted all the same
            raise ValueError(str(error)) from error

    def segments(self, job_id: int) -> list[Segment]:
        """Return the committed segments of a job, in the order of their names."""
        rows = self._db.execute(
            "SELECT j.source, s.kind, s.path, s.rows, s.bytes, s.sha256, s.aside FROM segment s"
            " JOIN job j ON j.id = s.job_id WHERE s.job_id = ? ORDER BY s.path",
            (job_id,),
        )
        return [Segment(*row) for row in rows]

    def current_segments(self, source: str) -> list[Segment]:
        """Return the segments of a source that are in the output: those of its current job."""
        job = self.jobs(source).get("current")
        return [] if job is None else self.segments(job.id)

    def entered(self) -> list[Segment]:
        """Return the segments whose rename may be missing."""
        rows = self._db.execute(
            "SELECT j.source, s.kind, s.path, s.rows, s.bytes, s.sha256, s.aside FROM segment s"
            " JOIN job j ON j.id = s.job_id WHERE s.state = 'entered' ORDER BY s.path"
        )
        return [Segment(*row) for row in rows]

    def published(self, paths: Sequence[str]) -> None:
        """Enter that segments are in place."""
        with self._transaction():
            self._db.executemany(
                "UPDATE segment SET state = 'published' WHERE path = ?", [(path,) for path in paths]
            )

    def exchange(self, source: str) -> None:
        """Put a source's fresh job in place of its current one; the files follow (`entered`, `doomed`)."""
        jobs = self.jobs(source)
        with self._transaction():
            if (old := jobs.get("current")) is not None:
                self._db.executemany(
                    "INSERT OR REPLACE INTO meta VALUES ('doomed:' || ?, '')",
                    [(path,) for path in self._files_of(old.id)],
                )
                self._delete_job(old.id)
                self._bodies.roll(old.id)
            fresh = jobs["fresh"].id
            self._db.execute("UPDATE segment SET state = 'entered' WHERE job_id = ?", (fresh,))
            self._db.execute("UPDATE job SET state = 'current' WHERE id = ?", (fresh,))
        self._intake.drop_files(self._packed)

    def doomed(self) -> list[str]:
        """Return the files of jobs that were replaced and may still be there."""
        rows = self._db.execute("SELECT substr(key, 8) FROM meta WHERE key LIKE 'doomed:%'")
        return [path for (path,) in rows]

    def buried(self, paths: Sequence[str]) -> None:
        """Enter that doomed files are gone."""
        with self._transaction():
            self._db.executemany("DELETE FROM meta WHERE key = 'doomed:' || ?", [(path,) for path in paths])

    def lying_aside(self) -> set[str]:
        """Return the files that rightly lie aside."""
        rows = self._db.execute("SELECT aside FROM segment WHERE state IN ('aside', 'entered')")
        return {aside for (aside,) in rows}

    # Ids.

    def dateless_ids(self, job_id: int) -> dict[str, int]:
        """Return the ids of a job's rows without a moment, by the window that wrote them."""
        return dict(self._db.execute("SELECT call_id, window_id FROM dateless WHERE job_id = ?", (job_id,)))

    def load_ids(self, window_id: int, hours: Sequence[int]) -> dict[int, dict[str, int]]:
        """Take back what was spilled of these hours."""
        return self._scratch.load(window_id, hours)

    def spill_ids(self, buckets: dict[tuple[int, int], dict[str, int]]) -> None:
        """Keep buckets for this run alone."""
        self._scratch.spill(buckets)
