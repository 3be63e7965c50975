"""The calls of an account in which calls come, change and go; when and which is decided elsewhere."""

from collections.abc import Sequence

from msgspec import Struct

from .config import Behaviour
from .ledger import Ledger
from .shelf import Shelf


class Version(Struct, frozen=True):
    """What is otherwise with a call than it was made up.

    Attributes:
        noise: See `Ledger.noise`.
        changed_us: The change, in microseconds since 1970; None for a call that is as it came.
        deleted_us: The soft deletion, likewise.
        is_going_on: It is not over yet.
    """

    noise: int
    changed_us: int | None = None
    deleted_us: int | None = None
    is_going_on: bool = False


class LivingLedger(Ledger):
    """A ledger of which only the differences to the one it began as are kept.

    Inserted calls go on with the numbers, in order of insertion; whose they are is arithmetic as ever.

    Attributes:
        state: Counts up with every difference.
    """

    def __init__(self, key: int, behaviour: Behaviour, resolution_us: int) -> None:
        super().__init__(key, behaviour, resolution_us)
        self.state: int = 0
        self._created: list[int] = []
        self._removed: set[int] = set()
        self._versions: dict[int, Version] = {}
        self._shelves: dict[tuple[int | None, bool], Shelf] = {}

    def noise(self, call: int) -> int:
        """Give 64 bits from which a call follows as it is now."""
        version = self._versions.get(call)
        return super().noise(call) if version is None else version.noise

    def birth(self, call: int, noise: int) -> int:
        """Give the noise a call came with; `noise` is that of now."""
        return super().noise(call) if call in self._versions else noise

    def changed_us(self, call: int) -> int | None:
        """Give the last change of a call, in microseconds since 1970."""
        version = self._versions.get(call)
        return None if version is None else version.changed_us

    def is_going_on(self, call: int) -> bool:
        """Say whether a call is not over yet."""
        version = self._versions.get(call)
        return version is not None and version.is_going_on

    def deleted_us(self, call: int) -> int | None:
        """Give the soft deletion of a call; None: it is there."""
        version = self._versions.get(call)
        if version is not None and version.deleted_us is not None:
            return version.deleted_us
        return super().deleted_us(call) if call < self.calls else None

    def created_us(self, call: int) -> int:
        """Give the creation of a call, in microseconds since 1970."""
        return super().created_us(call) if call < self.calls else self._created[call - self.calls]

    def calls_of(self, agent: int | None, *, include_deleted: bool = True) -> Sequence[int]:
        """Give the calls of an agent, or of the account, that are there now, oldest first."""
        return self._shelf(agent, include_deleted=include_deleted)

    def numbers_of(self, agent: int | None) -> list[int]:
        """Give all calls that an agent, or the account, has ever had, oldest first."""
        later = range(self.calls, self.calls + len(self._created))
        numbers = [*self.range_of(agent), *(call for call in later if agent in {None, self.agent_of(call)})]
        return sorted(numbers, key=lambda call: (self.created_us(call), call))

    def call_number(self, call_id: str) -> int | None:
        """Give the call with this id, None if there is none (any more)."""
        call = self.ever_number(call_id)
        return None if call in self._removed else call

    def ever_number(self, call_id: str) -> int | None:
        """Give the call with this id, also if it is gone; None if there was none."""
        call = self._call_ids.number(call_id)
        if call is None or call >= self.calls + len(self._created) or self.call_id(call) != call_id:
            return None
        return call

    def version(self, call: int) -> Version:
        """Give how a call is now."""
        return self._versions.get(call) or Version(super().noise(call))

    def insert(self, created_us: int) -> int:
        """Add a call; gives its number."""
        call = self.calls + len(self._created)
        self._created.append(created_us - created_us % self.resolution_us)
        agent = self.agent_of(call)
        # An account has no list without soft-deleted calls: where there are such, lists are of agents.
        for whose, include_deleted in ((None, True), (agent, True), (agent, False)):
            self._shelf(whose, include_deleted=include_deleted).put(call)
        self.state += 1
        return call

    def remove(self, call: int) -> None:
        """Delete a call for good."""
        was_hidden = self.deleted_us(call) is not None
        self._removed.add(call)
        for agent in (None, self.agent_of(call)):
            self._shelf(agent, include_deleted=True).take_out(call)
        if not was_hidden:
            self._take_from_sight(call)
        self.state += 1

    def alter(self, call: int, version: Version) -> None:
        """Make a call look otherwise from now on; a soft deletion takes it out of sight and is for good."""
        if version.deleted_us is not None and self.deleted_us(call) is None:
            self._take_from_sight(call)
        self._versions[call] = version
        self.state += 1

    def show(self, call: int, version: Version) -> None:
        """Make a call look otherwise for a moment, leaving its place in the lists alone."""
        self._versions[call] = version

    def _take_from_sight(self, call: int) -> None:
        self._shelf(self.agent_of(call), include_deleted=False).take_out(call)

    def _shelf(self, agent: int | None, *, include_deleted: bool) -> Shelf:
        key = (agent, include_deleted)
        shelf = self._shelves.get(key)
        if shelf is None:
            base = super().calls_of(agent, include_deleted=include_deleted)
            shelf = self._shelves[key] = Shelf(base, self.created_us)
        return shelf
