"""The journal as a run uses it: on its own thread, locked, and with answers that are durable soon."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from harvester.errors import HeldError, JournalError, OutputError
from harvester.journal import (
    MAX_WAITING_BYTES,
    PACK_BYTES,
    AnswerKey,
    Digest,
    JobSpec,
    Journal,
    NewAnswer,
    Store,
)
from harvester.journal.append import AppendFiles, DamagedError, compress, decompress
from harvester.journal.lock import Lock
from harvester.model import Window

AT = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = JobSpec("bimpe", "https://x.test", {}, (), False, "unified", "ndjson", True)
DIGEST = Digest(1, 1, 0, None, ["c"], [AT], [], 1, AT)


async def window_of(journal: Journal) -> tuple[int, int]:
    job = await journal.run(Store.begin_job, "sales", SPEC, AT, state="current")
    (window,) = await journal.run(Store.add_windows, job.id, [Window("a", None, AT)])
    return job.id, window.id


async def test_journal_is_made_where_there_is_none(tmp_path: Path) -> None:
    """The folder, the database and the lock are made below the output."""
    root = tmp_path / "deep" / "out"
    journal = await Journal.open(root, holder="export")
    assert await journal.run(Store.sources) == []
    await journal.aclose()
    assert (root / "_harvester" / "journal.db").is_file()


async def test_journal_has_one_holder(tmp_path: Path) -> None:
    """A second opener is refused and told who holds it; once that one has closed it may."""
    first = await Journal.open(tmp_path, holder="export")
    with pytest.raises(HeldError, match=rf"process {os.getpid()} on .*: export.*--out"):
        await Journal.open(tmp_path, holder="sync")
    await first.aclose()
    second = await Journal.open(tmp_path, holder="sync")
    assert "sync" in (tmp_path / "_harvester" / "lock").read_text()
    await second.aclose()


async def test_journal_that_cannot_be_opened_is_let_go(tmp_path: Path) -> None:
    """A journal that is refused leaves no lock behind."""
    (tmp_path / "_harvester").mkdir()
    (tmp_path / "_harvester" / "journal.db").write_text(
        "notes, not a database, and long enough to be read as one" * 9
    )
    for _ in range(2):
        with pytest.raises(JournalError):
            await Journal.open(tmp_path, holder="export")


async def test_output_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    """A file where the folder should be is named, with the way out."""
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="--out"):
        await Journal.open(tmp_path / "out", holder="export")


async def test_calls_are_carried_out_in_order_though_cancelled(tmp_path: Path) -> None:
    """A call that was made is carried out, whoever still waits for it."""
    journal = await Journal.open(tmp_path, holder="export")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await journal.run(Store.begin_job, "sales", SPEC, AT, state="current")
    assert await journal.run(Store.sources) == ["sales"]
    await journal.aclose()


async def test_journal_closes_where_its_owner_is_cancelled(tmp_path: Path) -> None:
    """Closing is not cut short by a cancellation: the next opener in this process finds it free."""
    journal = await Journal.open(tmp_path, holder="export")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await journal.aclose()
    again = await Journal.open(tmp_path, holder="export")
    await again.aclose()


async def test_answers_are_durable_after_a_flush(tmp_path: Path) -> None:
    """What was handed over waits in memory, is in the database after `flush`, and at the latest after closing."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    for page in range(3):
        await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, page, 100), DIGEST, b"body"))
        if page == 1:
            assert await journal.run(Store.answers, window_id) == []
            await journal.flush()
            assert len(await journal.run(Store.answers, window_id)) == 2
    await journal.aclose()
    journal = await Journal.open(tmp_path, holder="export")
    assert len(await journal.run(Store.answers, window_id)) == 3
    await journal.aclose()


async def test_digests_are_there_for_what_was_handed_over(tmp_path: Path) -> None:
    """In the order asked; what only waits is made durable for it, what is durable is not waited for."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    first, second, third = (AnswerKey(window_id, 1, page, 100, part=f"p{page}") for page in range(3))
    for nth, key in enumerate((first, second, third)):
        digest = Digest(1, 1, 0, None, [f"c{nth}"], [AT], [], 1, AT)
        await journal.keep(NewAnswer(job_id, key, digest, b"body"))
        if key is second:
            assert [one.ids for one in await journal.digests([second, first])] == [["c1"], ["c0"]]
            assert len(await journal.run(Store.answers, window_id)) == 2
    assert [one.ids for one in await journal.digests([first])] == [["c0"]]
    assert len(await journal.run(Store.answers, window_id)) == 2
    assert [one.ids for one in await journal.digests([third])] == [["c2"]]
    await journal.aclose()


async def test_large_answers_do_not_pile_up(tmp_path: Path) -> None:
    """Handing over waits where too many bytes are in memory, until they are in a file; durable they are later."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 0, 100), DIGEST, bytes(17 * 2**20)))
    (file,) = (tmp_path / "_harvester" / "answers").iterdir()
    assert file.stat().st_size > 0
    assert await journal.run(Store.answers, window_id) == []
    assert journal.is_due.is_set()
    await journal.catch_up()
    assert len(await journal.run(Store.answers, window_id)) == 1
    assert not journal.is_due.is_set()
    await journal.aclose()


async def test_little_is_not_packed(tmp_path: Path) -> None:
    """Some answers wait in memory for a flush: a file and a turn of the thread for each would cost more."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 0, 100), DIGEST, bytes(PACK_BYTES - 1)))
    assert not journal.is_due.is_set()
    await journal.catch_up()
    assert not (tmp_path / "_harvester" / "answers").exists()
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 1, 100), DIGEST, b"1"))
    assert journal.is_due.is_set()
    await journal.catch_up()
    assert (tmp_path / "_harvester" / "answers").exists()
    assert not journal.is_due.is_set()
    await journal.flush()
    assert len(await journal.run(Store.answers, window_id)) == 2
    await journal.aclose()


async def test_packed_answers_are_kept_with_those_that_wait(tmp_path: Path) -> None:
    """A flush that fails forgets neither; what comes after it finds both, with their bodies."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    bodies = [b"1" * PACK_BYTES, b"2", b"3"]
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 0, 100), DIGEST, bodies[0]))
    await journal.catch_up()
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 1, 100), DIGEST, bodies[1]))
    with sqlite3.connect(tmp_path / "_harvester" / "journal.db") as db:
        db.execute("ALTER TABLE digest RENAME TO elsewhere")
    with pytest.raises(OutputError):
        await journal.flush()
    with db:
        db.execute("ALTER TABLE elsewhere RENAME TO digest")
    db.close()
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 2, 100), DIGEST, bodies[2]))
    await journal.flush()
    answers = await journal.run(Store.answers, window_id)
    assert [await journal.run(Store.body, answer.place) for answer in answers if answer.place] == bodies
    await journal.aclose()


def test_what_the_disk_lost_is_told_for_good(tmp_path: Path) -> None:
    """After bodies could not be made durable a system may say that they are: it is not asked again."""
    failures = [OSError(errno.EIO, os.strerror(errno.EIO))]

    def sync(_: int) -> None:
        if failures:
            raise failures.pop()

    bodies = AppendFiles(tmp_path, 1, sync)
    bodies.append(1, [b"body"])
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            bodies.sync()


def test_file_that_was_dropped_is_not_made_durable(tmp_path: Path) -> None:
    """What is gone with its job is nothing that a flush could fail by."""
    bodies = AppendFiles(tmp_path, 1)
    bodies.append(1, [b"of a job that is dropped"])
    bodies.roll(1)
    (place,) = bodies.append(2, [b"of another"])
    bodies.drop_unless(())
    bodies.sync()
    assert bodies.read(place) == b"of another"


def test_what_a_failed_append_left_is_cut_off(tmp_path: Path) -> None:
    """Half a piece that nobody knows of is not between two that are known."""
    files = AppendFiles(tmp_path, 1)
    (first,) = files.append(1, [b"first"])
    with (tmp_path / "00000001.lz4").open("ab") as file:
        file.write(b"half a piece")
    second, third = files.append(1, [b"second", b"third" * 1_000])
    assert [files.read(place) for place in (first, second, third)] == [b"first", b"second", b"third" * 1_000]
    assert (tmp_path / "00000001.lz4").stat().st_size == third[1] + third[2]


def test_bytes_that_were_lost_are_damage() -> None:
    """A file may have its length and zeros for its content."""
    compressed = compress(b"body" * 1_000)
    assert decompress(compressed) == b"body" * 1_000
    for damaged in (bytes(len(compressed)), compressed[:-3], b""):
        with pytest.raises(DamagedError):
            decompress(damaged)


async def test_answers_that_cannot_be_kept_are_an_output_error(tmp_path: Path) -> None:
    """A disk that takes no more is the output's fault; what was handed over is not forgotten meanwhile."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    (tmp_path / "_harvester" / "answers").touch()
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 0, 100), DIGEST, b"body"))
    for _ in range(2):
        with pytest.raises(OutputError, match="the same command goes on"):
            await journal.flush()
    (tmp_path / "_harvester" / "answers").unlink()
    await journal.flush()
    assert len(await journal.run(Store.answers, window_id)) == 1
    await journal.aclose()


async def test_flush_waits_for_the_one_before(tmp_path: Path) -> None:
    """After `flush` everything handed over is durable, also what another flush has in hand."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    (tmp_path / "_harvester" / "answers").touch()
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 0, 100), DIGEST, b"body"))
    failed: list[OutputError] = []

    async def flush() -> None:
        try:
            await journal.flush()
        except OutputError as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flush)
        tasks.start_soon(flush)
    assert len(failed) == 2
    (tmp_path / "_harvester" / "answers").unlink()
    await journal.aclose()


async def test_one_turn_serves_all_who_wait(tmp_path: Path) -> None:
    """Those who find their answer taken by another's turn begin none of their own."""
    flushed: list[int] = []

    class Watched(Journal):
        async def run(self, method: Any, *args: Any, **options: Any) -> Any:
            if method in (Store.pack, Store.keep):
                flushed.append(len(args[0]))
            return await super().run(method, *args, **options)

    journal = await Watched.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    async with anyio.create_task_group() as tasks:
        for page in range(6):
            key = AnswerKey(window_id, 1, page, 100)
            tasks.start_soon(journal.keep, NewAnswer(job_id, key, DIGEST, bytes(MAX_WAITING_BYTES)))
    assert sum(flushed) == 6
    assert len(flushed) <= 2
    await journal.aclose()


async def test_hastened_flush_is_due(tmp_path: Path) -> None:
    """However little waits, whoever flushes when it is due does so now; nothing is no reason."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    journal.hasten()
    assert not journal.is_due.is_set()
    await journal.keep(NewAnswer(job_id, AnswerKey(window_id, 1, 0, 100), DIGEST, b"body"))
    journal.hasten()
    assert journal.is_due.is_set()
    await journal.catch_up()
    assert len(await journal.run(Store.answers, window_id)) == 1
    assert not journal.is_due.is_set()
    await journal.aclose()


async def test_database_that_fails_is_translated(tmp_path: Path) -> None:
    """No error of SQLite leaves the journal: the user is told what it means."""
    journal = await Journal.open(tmp_path, holder="export")
    await journal.run(Store.begin_job, "sales", SPEC, AT, state="current")
    with pytest.raises(JournalError, match="damaged"):
        await journal.run(Store.begin_job, "sales", SPEC, AT, state="current")
    await journal.run(Store.close)
    with pytest.raises(JournalError):
        await journal.run(Store.sources)
    await journal.aclose()


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"\0"), Path.unlink])
async def test_digest_that_is_damaged_is_translated(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """Nor does an error of what packs and decodes, or of a file that is gone."""
    journal = await Journal.open(tmp_path, holder="export")
    job_id, window_id = await window_of(journal)
    key = AnswerKey(window_id, 1, 0, 100)
    await journal.keep(NewAnswer(job_id, key, DIGEST, b"body"))
    await journal.flush()
    (file,) = (tmp_path / "_harvester" / "digests").iterdir()
    damage(file)
    with pytest.raises(JournalError, match="digests file 1"):
        await journal.run(Store.digest, key)
    await journal.aclose()


async def test_output_is_let_go_though_the_journal_does_not_close(tmp_path: Path) -> None:
    """What cannot be made durable is told, and the next run is not locked out."""
    journal = await Journal.open(tmp_path, holder="export")
    scratch = tmp_path / "_harvester" / "scratch.db"
    scratch.unlink()
    scratch.mkdir()
    with pytest.raises(OutputError):
        await journal.aclose()
    scratch.rmdir()
    await (await Journal.open(tmp_path, holder="export")).aclose()


def test_lock_is_free_once_closed(tmp_path: Path) -> None:
    """A lock holds until it is closed, and names nobody before it was ever taken."""
    lock = Lock(tmp_path / "lock", holder="one")
    with pytest.raises(HeldError, match="one"):
        Lock(tmp_path / "lock", holder="two")
    lock.close()
    Lock(tmp_path / "lock", holder="two").close()
