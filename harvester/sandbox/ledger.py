"""Which calls an account has: whose, when and by which id. Arithmetic only: a million calls cost nothing.

Calls are numbered 0, 1, 2, … over the whole account in order of creation. An agent's calls are a `range`
of these numbers, so that a page of any list is found without walking to it.
"""

from bisect import bisect_left
from collections.abc import Sequence

from .config import Behaviour
from .seed import GOLDEN, Ids, key_of, mix
from .stamps import DAY_US, to_us

# One call in so many of an agent is soft-deleted where the provider knows such a thing (TalkPilot).
DELETED_EVERY = 97
_TIE_PERIOD = 5


class Ledger:
    """The numbers of one account.

    Args:
        key: The account's own number, from which all of its data follow.
        behaviour: How many agents and calls there are, and from when to when.
        resolution_us: Times of creation are whole multiples of it.

    Attributes:
        state: Tells one state of the account from another; this one never changes.
    """

    state: int = 0

    def __init__(self, key: int, behaviour: Behaviour, resolution_us: int) -> None:
        self.key = key
        self.calls: int = behaviour.calls
        self.agents: int = behaviour.agents
        self._busy = behaviour.agents - behaviour.idle_agents
        self._halved = behaviour.half_in_first and self._busy > 1
        self.resolution_us = resolution_us
        self._since = to_us(behaviour.since)
        self._span = to_us(behaviour.until) - self._since
        self._set_periods(behaviour.tied_calls)
        self._odd_ids = behaviour.quirks.odd_ids
        self._call_ids = Ids(key_of(key, "call"))
        self._agent_ids = Ids(key_of(key, "agent"))
        self._agent_id_cache: dict[int, str] = {}

    def _set_periods(self, tied: int) -> None:
        """Cut the calls into equal periods, each of which ends with calls that share one instant."""
        tied = min(tied, self.calls // _TIE_PERIOD)
        periods = max(1, self.calls // (tied * _TIE_PERIOD)) if tied else 1
        self._period = max(1, -(-self.calls // periods))
        self._free = self._period - tied
        self._slots = self._period * periods
        self._step = self._span // self._slots

    def noise(self, call: int) -> int:
        """Give 64 bits from which a call follows as it is now."""
        return mix(self.key + call * GOLDEN)

    def birth(self, call: int, noise: int) -> int:
        """Give the noise a call came with, from which its names follow; `noise` is that of now."""
        del call
        return noise

    def changed_us(self, call: int) -> int | None:
        """Give the last change of a call, in microseconds since 1970; None if nothing was changed."""
        del call
        return None

    def is_going_on(self, call: int) -> bool:
        """Say whether a call is not over yet, whatever its status says; its transcript is still to come."""
        del call
        return False

    def deleted_us(self, call: int) -> int | None:
        """Give the soft deletion of a call where the provider knows such a thing; None: it is there."""
        if self.range_of(self.agent_of(call)).index(call) % DELETED_EVERY != DELETED_EVERY - 1:
            return None
        return self.created_us(call) + DAY_US

    def created_us(self, call: int) -> int:
        """Give the creation of a call, in microseconds since 1970; it never falls as calls go on."""
        period, place = divmod(call, self._period)
        if place < self._free:
            # The free ones are spread over the whole period; a jitter of less than their distance keeps order.
            slot = (period * self._free + place) * self._period
            us = self._since + slot * self._span // (self._free * self._slots)
            us += (call * 2654435761 & 0xFFFFFFFF) * self._step >> 32
        else:
            us = self._since + (period + 1) * self._period * self._span // self._slots - 1
        return us - us % self.resolution_us

    def agent_of(self, call: int) -> int:
        """Give the agent of a call."""
        if not self._halved:
            return call % self._busy
        return 0 if call % 2 == 0 else 1 + call // 2 % (self._busy - 1)

    def range_of(self, agent: int | None) -> range:
        """Give the calls an agent, or the account, had when nothing was inserted yet, oldest first."""
        if agent is None:
            return range(self.calls)
        if agent >= self._busy:
            return range(0)
        if not self._halved:
            return range(agent, self.calls, self._busy)
        if agent == 0:
            return range(0, self.calls, 2)
        return range(2 * agent - 1, self.calls, 2 * (self._busy - 1))

    def calls_of(self, agent: int | None, *, include_deleted: bool = True) -> Sequence[int]:
        """Give the calls of an agent, or of the account, oldest first, with or without soft-deleted ones."""
        calls = self.range_of(agent)
        return calls if include_deleted else Thinned(calls, DELETED_EVERY)

    def call_id(self, call: int) -> str:
        """Give the id of a call."""
        plain = self._call_ids.of(call)
        if self._odd_ids and (call - call // self._odd_ids) % self._odd_ids == self._odd_ids - 1:
            return f"../\u00e4 b?%2F#\u202e{plain}"
        return plain

    def call_number(self, call_id: str) -> int | None:
        """Give the call with this id, None if there is none."""
        call = self._call_ids.number(call_id)
        if call is None or call >= self.calls or self.call_id(call) != call_id:
            return None
        return call

    def plain_number(self, plain: str) -> int | None:
        """Give the call whose id, less what is odd about it, is this one; None if there is none."""
        call = self._call_ids.number(plain)
        if call is None or self._call_ids.of(call) != plain:
            return None
        return self.call_number(self.call_id(call))

    def agent_id(self, agent: int) -> str:
        """Give the id of an agent."""
        known = self._agent_id_cache.get(agent)
        if known is None:
            known = self._agent_id_cache[agent] = self._agent_ids.of(agent)
        return known

    def agent_number(self, agent_id: str) -> int | None:
        """Give the agent with this id, None if there is none."""
        agent = self._agent_ids.number(agent_id)
        if agent is None or agent >= self.agents or self._agent_ids.of(agent) != agent_id:
            return None
        return agent

    def between(self, calls: Sequence[int], low_us: int | None, high_us: int | None) -> range:
        """Give the places in `calls` (oldest first) of those created in [low, high)."""
        low = 0 if low_us is None else bisect_left(calls, low_us, key=self.created_us)
        high = len(calls) if high_us is None else bisect_left(calls, high_us, key=self.created_us)
        return range(low, max(low, high))


class Thinned(Sequence[int]):
    """Calls less the last of each `every`."""

    def __init__(self, calls: Sequence[int], every: int) -> None:
        self._calls = calls
        self._every = every
        self._len = len(calls) - len(calls) // every

    def __len__(self) -> int:
        return self._len

    def __getitem__(self, place: int) -> int:  # type: ignore[override]  # slices are never asked for
        if not 0 <= place < self._len:
            raise IndexError(place)
        return self._calls[place + place // (self._every - 1)]
