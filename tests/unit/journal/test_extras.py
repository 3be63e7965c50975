"""Details and recordings in the journal: what comes back, and when it goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harvester.journal import Commit, Job, JobSpec, KeptDetail, KeptRecording, NewDetail, Store
from harvester.journal.extras import (
    all_recordings,
    details,
    enter_recording,
    entered_recordings,
    forget_recording,
    published_recordings,
    recordings,
)
from harvester.model import Window

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEC = JobSpec("talkpilot", "https://x.test", {}, ("full",), True, "unified", "ndjson", True)
ONE = KeptRecording("recordings/sales/2026-03-01/c1.mp3", 10, "aa")
TWO = KeptRecording("recordings/sales/2026-03-01/c2.mp3", 20, "bb")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def job(store: Store) -> Job:
    return store.begin_job("sales", SPEC, AT, state="current")


def window_of(store: Store, job: Job) -> int:
    (window,) = store.add_windows(job.id, [Window("a", None, AT)])
    return window.id


def test_details_come_back_by_window_and_call(store: Store, job: Job) -> None:
    """Bodies as they were, or the message that there is none for good; of the calls asked about alone, however many."""
    window_id, other = window_of(store, job), window_of(store, job)
    kept = [NewDetail(job.id, window_id, f"c{n}", AT, b"body %d" % n) for n in range(1_200)]
    store.keep([], [*kept, NewDetail(job.id, window_id, "gone", AT, message="404")])
    store.keep([], [NewDetail(job.id, other, "c0", AT, b"elsewhere")])
    found = details(store, window_id, [f"c{n}" for n in range(1, 1_300)] + ["gone"])
    assert len(found) == 1_200
    assert found["c7"] == KeptDetail(AT, b"body 7", "")
    assert found["gone"] == KeptDetail(AT, b"", "404")
    assert details(store, window_id, []) == {}


def test_detail_whose_body_is_damaged_is_not_there(tmp_path: Path, store: Store, job: Job) -> None:
    """It is asked for again."""
    window_id = window_of(store, job)
    store.keep(
        [],
        [
            NewDetail(job.id, window_id, "c1", AT, b"body"),
            NewDetail(job.id, window_id, "c2", AT, message="x"),
        ],
    )
    (path,) = tmp_path.rglob("*.lz4")
    path.write_bytes(b"\0" * path.stat().st_size)
    assert details(store, window_id, ["c1", "c2"]).keys() == {"c2"}


def test_details_go_with_their_rows(store: Store, job: Job) -> None:
    """Those whose rows came to a segment are forgotten with it, and the file of their bodies with the last."""
    window_id = window_of(store, job)
    store.keep([], [NewDetail(job.id, window_id, call_id, AT, b"body") for call_id in ("c1", "c2")])
    store.commit(job.id, Commit(details=[(window_id, "c1")]), is_aside=False)
    assert details(store, window_id, ["c1", "c2"]).keys() == {"c2"}
    store.commit(job.id, Commit(details=[(window_id, "c2")]), is_aside=False)
    assert details(store, window_id, ["c1", "c2"]) == {}


def test_recordings_are_there_once_they_are_in_place(store: Store) -> None:
    """What is entered alone is not in place; entering it again is no second one."""
    enter_recording(store, "sales", "c1", "aside/1", ONE)
    enter_recording(store, "sales", "c1", "aside/2", ONE)
    enter_recording(store, "other", "c1", "aside/3", TWO)
    assert (recordings(store, "sales", ["c1"]), all_recordings(store, "sales")) == ({}, [])
    assert sorted(entered_recordings(store)) == [
        ("other", "c1", "aside/3", TWO),
        ("sales", "c1", "aside/2", ONE),
    ]
    published_recordings(store, [("sales", "c1")])
    assert recordings(store, "sales", ["c0", "c1"]) == {"c1": ONE}
    assert all_recordings(store, "sales") == [ONE]
    assert [one[0] for one in entered_recordings(store)] == ["other"]


def test_recordings_are_found_among_any_number(store: Store) -> None:
    """A page may be larger than what fits in one question."""
    ids = [f"c{n}" for n in range(1_100)]
    for call_id in ids:
        enter_recording(store, "sales", call_id, "", ONE)
    published_recordings(store, [("sales", call_id) for call_id in ids[1:]])
    assert recordings(store, "sales", ids).keys() == set(ids[1:])


def test_recording_that_is_gone_is_forgotten(store: Store) -> None:
    """So that it is fetched again; those of other calls stay."""
    for call_id, kept in (("c1", ONE), ("c2", TWO)):
        enter_recording(store, "sales", call_id, "", kept)
    published_recordings(store, [("sales", "c1"), ("sales", "c2")])
    forget_recording(store, "sales", "c1")
    assert all_recordings(store, "sales") == [TWO]
