"""What gates have sent and how long they are closed, entered under the names of their sources.

Functions of a store, called on the journal's thread like its methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .database import Transaction
from .rows import from_us, to_us
from .store import Store

DAY_US = 86_400_000_000


def enter_spent(
    store: Store, spent: Sequence[tuple[str, datetime]], pauses: Sequence[tuple[str, datetime]]
) -> None:
    """Enter when requests were sent under a source, and until when its gate is closed; a day is kept."""
    with Transaction(store.db):
        store.db.executemany(
            "INSERT OR IGNORE INTO spent VALUES (?, ?)",
            [(source, to_us(at) + nth) for nth, (source, at) in enumerate(spent)],
        )
        store.db.executemany(
            "INSERT OR REPLACE INTO pause VALUES (?, ?)",
            [(source, to_us(until)) for source, until in pauses],
        )
        for source, at in dict(spent).items():
            store.db.execute("DELETE FROM spent WHERE source = ? AND at < ?", (source, to_us(at) - DAY_US))


def spent_by(store: Store, sources: Sequence[str], since: datetime) -> tuple[list[datetime], datetime | None]:
    """Return when requests were sent under any of the sources, oldest first, and until when they were paused."""
    sent: list[int] = []
    pauses: list[int] = []
    for source in sources:
        rows = store.db.execute("SELECT at FROM spent WHERE source = ? AND at > ?", (source, to_us(since)))
        sent += [at for (at,) in rows]
        pauses += [
            until for (until,) in store.db.execute("SELECT until FROM pause WHERE source = ?", (source,))
        ]
    return [from_us(at) for at in sorted(sent)], from_us(max(pauses)) if pauses else None
