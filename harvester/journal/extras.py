"""What is kept of single calls: their details until their rows are in segments, their recordings for good.

Functions of a store, called on the journal's thread like its methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .database import Transaction
from .nouns import KeptDetail, KeptRecording
from .rows import from_us
from .store import Store

MANY = 500
"""Ids in one question."""


def details(store: Store, window_id: int, call_ids: Sequence[str]) -> dict[str, KeptDetail]:
    """Return which of these calls' details an earlier run had; one whose body is damaged is asked for again."""
    found: dict[str, KeptDetail] = {}
    for some, marks in _in_questions(call_ids):
        rows = store.db.execute(
            f"SELECT call_id, at, message, file, offset, length FROM detail"  # noqa: S608 - marks alone
            f" WHERE window_id = ? AND call_id IN ({marks})",
            (window_id, *some),
        ).fetchall()
        for call_id, at, message, *place in rows:
            try:
                body = b"" if place[0] is None else store.body((*place,))
            except ValueError:
                continue
            found[call_id] = KeptDetail(from_us(at), body, message)
    return found


def enter_recording(store: Store, source: str, call_id: str, aside: str, kept: KeptRecording) -> None:
    """Enter a recording that is whole and durable, before it is put in place."""
    store.db.execute(
        "INSERT OR REPLACE INTO recording VALUES (?, ?, ?, ?, ?, ?, 0)",
        (source, call_id, kept.path, aside, kept.bytes, kept.sha256),
    )


def recordings(store: Store, source: str, call_ids: Sequence[str]) -> dict[str, KeptRecording]:
    """Return which of these calls' recordings are in place."""
    found: dict[str, KeptRecording] = {}
    for some, marks in _in_questions(call_ids):
        rows = store.db.execute(
            f"SELECT call_id, path, bytes, sha256 FROM recording"  # noqa: S608 - marks alone
            f" WHERE source = ? AND is_published AND call_id IN ({marks})",
            (source, *some),
        )
        found |= {call_id: KeptRecording(path, size, sha256) for call_id, path, size, sha256 in rows}
    return found


def all_recordings(store: Store, source: str) -> list[KeptRecording]:
    """Return every recording of a source that is in place, by path."""
    rows = store.db.execute(
        "SELECT path, bytes, sha256 FROM recording WHERE source = ? AND is_published ORDER BY path", (source,)
    )
    return [KeptRecording(*row) for row in rows]


def entered_recordings(store: Store) -> list[tuple[str, str, str, KeptRecording]]:
    """Return the recordings whose rename may be missing: source, call, where they lie aside, and what they are."""
    rows = store.db.execute(
        "SELECT source, call_id, aside, path, bytes, sha256 FROM recording WHERE NOT is_published"
    )
    return [(row[0], row[1], row[2], KeptRecording(*row[3:])) for row in rows]


def published_recordings(store: Store, calls: Sequence[tuple[str, str]]) -> None:
    """Enter that recordings are in place, each by source and call."""
    with Transaction(store.db):
        store.db.executemany("UPDATE recording SET is_published = 1 WHERE source = ? AND call_id = ?", calls)


def forget_recording(store: Store, source: str, call_id: str) -> None:
    """Forget a recording whose file is gone."""
    store.db.execute("DELETE FROM recording WHERE source = ? AND call_id = ?", (source, call_id))


def _in_questions(call_ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Yield ids, no more than one question takes, and the marks that stand for them in it."""
    for begin in range(0, len(call_ids), MANY):
        some = call_ids[begin : begin + MANY]
        yield some, ", ".join("?" * len(some))
