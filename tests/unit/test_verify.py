"""Status and verify: what is said of an output that was only read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import pytest

from harvester.errors import JournalError
from harvester.job.write import Batch, Closing, Desk, Ended, Files, Limits, Writer
from harvester.journal import AnswerKey, Counts, Digest, JobSpec, Journal, NewAnswer, Store, StoredWindow
from harvester.journal.nouns import JobState
from harvester.model import Gap, SegmentKind, Window
from harvester.record import Record
from harvester.sinks import Sink, open_sink, publish
from harvester.verify import Finding, Hashes, status, verify

AT = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = JobSpec("bimpe", "https://x.test", {}, (), False, "unified", "ndjson", True)


def record(call_id: str) -> Record:
    return Record(provider="bimpe", source="sales", call_id=call_id, fetched_at=AT, run_id="r")


async def write(
    root: Path,
    *ids: str,
    source: str = "sales",
    state: JobState = "current",
    gaps: tuple[Gap, ...] = (),
    outcome: str | None = "complete",
    is_ended: bool = True,
    counts: Counts | None = None,
) -> None:
    """Make an output: segments of two calls, one window."""
    journal = await Journal.open(root, holder="test")
    job = await journal.run(Store.begin_job, source, SPEC, AT, state=state)
    (window,) = await journal.run(Store.add_windows, job.id, [Window("a", None, AT)])

    def open_one(name: str, kind: SegmentKind) -> Sink:
        return open_sink(root, name, format="ndjson", compression="none", kind=kind)

    desk = Desk(source, job.id, is_aside=state == "fresh", open_sink=open_one)
    sent, received = anyio.create_memory_object_stream[Batch | Ended | Closing](100)
    with sent:
        for page, start in enumerate(range(0, len(ids), 2)):
            rows = [record(one) for one in ids[start : start + 2]]
            await sent.send(Batch(desk, AnswerKey(window.id, 1, page, 2), [rows], []))
        if is_ended:
            ended = StoredWindow(
                window.id, window.window, "gap" if gaps else "complete", counts or Counts(), list(gaps)
            )
            await sent.send(Ended(desk, ended))
        await sent.send(Closing(desk))
    files = Files(root, journal, partial(publish, root))
    await Writer(journal, "r", files, Limits(segment_rows=2)).run(received)
    if outcome is not None:
        await journal.run(Store.end_job, job.id, "run-1", outcome, [])
    await journal.aclose()


def segments(root: Path) -> list[Path]:
    return sorted(root.glob("calls/sales/*"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


async def test_whole_output_has_no_findings(root: Path) -> None:
    """Files, sizes, hashes, rows and keys are as the journal has them."""
    await write(root, "c1", "c2", "c3", "c4", "c5")
    found = verify(root, ["sales", "other"])
    assert (found.segments, found.rows, found.findings) == (3, 5, [])
    assert found.bytes == sum(path.stat().st_size for path in segments(root))


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"c1", b"c9"))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (remove, "is missing"),
        (cut, "the journal says"),
        (change, "its hash is not the one in the journal"),
        (make_folder, ""),
    ],
)
async def test_damaged_file_is_found(root: Path, damage: Callable[[Path], None], problem: str) -> None:
    """A file that is gone, shorter, changed or none is named, and only that one."""
    await write(root, "c1", "c2", "c3", "c4")
    path = segments(root)[0]
    damage(path)
    (finding,) = verify(root, ["sales"]).findings
    assert finding.path == path.relative_to(root).as_posix()
    assert problem in finding.problem


async def test_calls_that_are_there_twice_are_found(root: Path) -> None:
    """A call in two segments is told at the second."""
    await write(root, "c1", "c2", "c3", "c1", "c5")
    (finding,) = verify(root, ["sales"]).findings
    assert finding == Finding(
        source="sales",
        path=segments(root)[1].relative_to(root).as_posix(),
        problem="1 of its calls are in the output twice",
    )


async def test_files_that_the_journal_does_not_know_are_found(root: Path) -> None:
    """A stranger in a source's folder is named; what lies in the folder of a source not asked about is not."""
    await write(root, "c1")
    for folder in ("calls/sales", "quarantine/sales", "calls/other"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "stranger.ndjson").touch()
    assert [finding.path for finding in verify(root, ["sales"]).findings] == [
        "calls/sales/stranger.ndjson",
        "quarantine/sales/stranger.ndjson",
    ]


def test_verify_needs_a_journal(root: Path) -> None:
    """Without a journal there is nothing to check against."""
    with pytest.raises(JournalError, match="harvester export"):
        verify(root, ["sales"])


def test_hashes_tell_what_was_added_twice() -> None:
    """Only keys that came more than once are suspected."""
    hashes = Hashes()
    hashes.add([f"c{n}" for n in range(2_000)])
    assert hashes.repeated() == set()
    hashes.add(["c7", "c7", "c9"])
    assert len(hashes.repeated()) == 2


def test_status_of_nothing_says_how_to_start(root: Path) -> None:
    """An output that is not there yet is no error."""
    (row,) = status(root, [("sales", "bimpe")])
    assert (row.source, row.last_run, row.written, row.hint) == (
        "sales",
        None,
        0,
        "harvester export starts it",
    )


async def test_status_of_a_source_that_was_never_asked(root: Path) -> None:
    """A source that is new in the config has a row like one of a new output."""
    await write(root, "c1")
    rows = status(root, [("sales", "bimpe"), ("new", "bimpe")])
    assert [row.hint for row in rows] == ["", "harvester export starts it"]


async def test_status_of_a_complete_source(root: Path) -> None:
    """It tells the last run, what is written, and up to when all is there."""
    await write(root, "c1", "c2", "c3")
    (row,) = status(root, [("sales", "bimpe")])
    assert (row.last_run, row.outcome, row.written, row.open_windows, row.up_to) == (
        "run-1",
        "complete",
        3,
        0,
        AT,
    )
    assert row.hint == ""


async def test_status_says_what_is_left(root: Path) -> None:
    """Gaps, a failure and a run that was cut short each have their own way on."""
    gap = Gap(kind="page", message="page 2")
    await write(root / "gap", "c1", gaps=(gap,), outcome="gaps", counts=Counts(listed=5, written=1))
    await write(root / "failed", "c1", outcome="failed", is_ended=False)
    await write(root / "cut", "c1", outcome=None, is_ended=False)
    await write(root / "fresh", "c1", state="fresh")
    rows = [status(root / name, [("sales", "bimpe")])[0] for name in ("gap", "failed", "cut", "fresh")]
    assert [row.hint.split(";")[0] for row in rows] == [
        "gaps are left",
        "the last run failed",
        "cut short",
        "a new export of all was cut short, what is here stays till it ends",
    ]
    assert "--fresh" in rows[3].hint
    assert [(row.missing, row.open_windows, row.up_to) for row in rows[:2]] == [(4, 1, None), (0, 1, None)]
    assert [row.left for row in rows] == [0, None, None, 0]


async def test_status_counts_what_was_fetched_and_what_is_left(root: Path) -> None:
    """Of a run that was cut short: calls in the journal and in no file, and those the provider counts beyond."""
    journal = await Journal.open(root, holder="test")
    job = await journal.run(Store.begin_job, "sales", SPEC, AT, state="current")
    (window,) = await journal.run(Store.add_windows, job.id, [Window("a", None, AT)])
    for page, (total, written) in enumerate([(450, 100), (449, 99)]):
        digest = Digest(total, 100, page, None, [], [], [], written, AT)
        await journal.run(Store.keep, [NewAnswer(job.id, AnswerKey(window.id, 1, page, 100), digest, b"{}")])
    await journal.aclose()
    (row,) = status(root, [("sales", "bimpe")])
    assert (row.written, row.kept, row.left) == (0, 199, 251)
    assert row.hint == "cut short, 199 fetched calls are in no file yet; harvester export goes on"
