"""Which calls match a query, as a sequence that is cheap to page through.

Agents and times of creation are arithmetic. Other filters and orders are looked for once, call by call, and
the numbers found are kept (8 bytes each) while the cache has room and nothing has changed in the account.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence

from harvester.sandbox.ledger import Thinned
from harvester.sandbox.world import Account

# 4 M numbers are 32 MB.
_MAX_KEPT = 4_000_000


class Part(Sequence[int]):
    """Some neighbours of a sequence, not copied."""

    def __init__(self, calls: Sequence[int], places: range) -> None:
        self._calls = calls
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> int:  # type: ignore[override]  # slices are never asked for
        return self._calls[self._places[place]]


class Found:
    """Keeps what was searched for, the least recently used going first."""

    def __init__(self, max_kept: int = _MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._kept = 0
        self._lists: OrderedDict[Hashable, array[int]] = OrderedDict()

    def get(self, key: Hashable, search: Callable[[], Iterable[int]]) -> Sequence[int]:
        """Give the list of a key, searching for it if it is not kept."""
        known = self._lists.get(key)
        if known is not None:
            self._lists.move_to_end(key)
            return known
        found = array("q", search())
        self._lists[key] = found
        self._kept += len(found)
        while self._kept > self._max_kept and len(self._lists) > 1:
            _, oldest = self._lists.popitem(last=False)
            self._kept -= len(oldest)
        return found


def thin(calls: Sequence[int], every: int) -> Sequence[int]:
    """Leave out one call in `every`, none if that is 0."""
    return Thinned(calls, every) if every else calls


def select(
    account: Account,
    found: Found,
    agent: int | None,
    *,
    low_us: int | None = None,
    high_us: int | None = None,
    include_deleted: bool = True,
    filters: tuple[object, ...] = (),
    match: Callable[[int], bool] | None = None,
) -> Sequence[int]:
    """Give the calls that match, oldest first.

    Args:
        account: Whose calls.
        found: Where searches are kept.
        agent: One agent's, or None for the account's.
        low_us: Created at or after.
        high_us: Created before.
        include_deleted: With soft-deleted calls.
        filters: What `match` looks for; names the search in the cache.
        match: Says whether a call passes the other filters; None if there are none.
    """
    calls = account.calls_of(agent, include_deleted=include_deleted)
    if low_us is not None or high_us is not None:
        calls = Part(calls, account.ledger.between(calls, low_us, high_us))
        calls = thin(calls, account.behaviour.quirks.lossy_times)
    if match is None:
        return calls
    ledger = account.ledger
    key = (ledger.key, ledger.state, agent, low_us, high_us, include_deleted, filters)
    return found.get(key, lambda: filter(match, calls))
