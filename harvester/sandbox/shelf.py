"""A list of calls that is a given one less what was taken out, plus what was put in: only differences are kept.

Of a list of n calls with d differences any place is found in O(log d), so that a million calls stay cheap.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence


class Shelf(Sequence[int]):
    """Calls in ascending order of (creation, number).

    Args:
        base: The calls as they were, in that order.
        created_us: Gives the creation of a call; it does not change.
    """

    def __init__(self, base: Sequence[int], created_us: Callable[[int], int]) -> None:
        self._base = base
        self._created_us = created_us
        # Places of `base` that are empty now, ascending.
        self._gone: list[int] = []
        # What was put in, ascending by (creation, number), and before which place of `base` each stands.
        self._added: list[tuple[int, int]] = []
        self._before: list[int] = []

    def __len__(self) -> int:
        return len(self._base) - len(self._gone) + len(self._added)

    def __getitem__(self, place: int) -> int:  # type: ignore[override]  # slices are never asked for
        if not 0 <= place < len(self):
            raise IndexError(place)
        added = bisect_right(range(len(self._added)), place, key=self._place_of_added)
        if added and self._place_of_added(added - 1) == place:
            return self._added[added - 1][1]
        rest = place - added
        gone = self._gone
        return self._base[rest + bisect_right(range(len(gone)), rest, key=lambda at: gone[at] - at)]

    def __iter__(self) -> Iterator[int]:
        base, gone = self._base, set(self._gone)
        done = 0
        for (_, call), before in zip(self._added, self._before, strict=True):
            yield from (base[place] for place in range(done, before) if place not in gone)
            yield call
            done = before
        yield from (base[place] for place in range(done, len(base)) if place not in gone)

    def put(self, call: int) -> None:
        """Put in a call whose number is higher than all before."""
        us = self._created_us(call)
        place = bisect_left(self._added, (us, call))
        self._added.insert(place, (us, call))
        self._before.insert(place, bisect_right(self._base, us, key=self._created_us))

    def take_out(self, call: int) -> None:
        """Take out a call that is here.

        Raises:
            ValueError: It is not.
        """
        entry = (self._created_us(call), call)
        place = bisect_left(self._added, entry)
        if place < len(self._added) and self._added[place] == entry:
            del self._added[place], self._before[place]
            return
        # Equal times are in order of number.
        place = bisect_left(self._base, entry, key=lambda other: (self._created_us(other), other))
        if place == len(self._base) or self._base[place] != call or self._is_gone(place):
            raise ValueError(call)
        insort(self._gone, place)

    def _is_gone(self, place: int) -> bool:
        at = bisect_left(self._gone, place)
        return at < len(self._gone) and self._gone[at] == place

    def _place_of_added(self, number: int) -> int:
        before = self._before[number]
        return number + before - bisect_left(self._gone, before)
