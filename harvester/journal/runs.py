"""The runs that used an output: when each began, and how it ended.

Functions of a store, called on the journal's thread like its methods.
"""

from __future__ import annotations

from datetime import datetime

from .rows import to_us
from .store import Store


def begin_run(store: Store, run_id: str, command: str, now: datetime) -> None:
    """Enter a run."""
    store.db.execute(
        "INSERT INTO run (run_id, command, started_at) VALUES (?, ?, ?)", (run_id, command, to_us(now))
    )


def end_run(store: Store, run_id: str, outcome: str, now: datetime) -> None:
    """Enter how a run ended."""
    store.db.execute(
        "UPDATE run SET finished_at = ?, outcome = ? WHERE run_id = ?", (to_us(now), outcome, run_id)
    )


def was_killed(store: Store) -> bool:
    """Return whether the run before the present one never entered its end."""
    row = store.db.execute(
        "SELECT finished_at FROM run ORDER BY started_at DESC, run_id DESC LIMIT 1 OFFSET 1"
    ).fetchone()
    return row is not None and row[0] is None
