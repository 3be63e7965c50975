"""BimpeAI's conversations: their messages, how many there are by now, and the tickets to their streams.

Pure: time is an argument; the waiting is done by the server. Source: the console's "Stream messages" page; the
shape of messages and tickets: the vendor's own client, `bimpeai` 0.4.1.
"""

from datetime import datetime
from math import inf

from msgspec import Struct

from .config import Streams
from .ledger import Ledger
from .seed import GOLDEN, Ids, key_of, mix
from .stamps import SECOND_US, Stamp, make_stamp, to_us
from .text import LINES, quoted

_BETWEEN_US = 7 * SECOND_US
_TEXTS = tuple(
    f'"role":"{"assistant" if role == "agent" else role}","message":{quoted(text, place) if text else "null"}'
    for place, (role, text) in enumerate(LINES)
)


class Conversation:
    """One conversation.

    Attributes:
        id: Its id.
        drops: How many of its streams were broken off on purpose.
    """

    def __init__(
        self, conversation_id: str, key: int, streams: Streams, *, since_us: int, stamp: Stamp
    ) -> None:
        self.id = conversation_id
        self.drops = 0
        self.streams = streams
        self._key = key
        self._since_us = since_us
        self._stamp = stamp
        self._began_at: float | None = None

    def begin(self, now: float) -> None:
        """Let messages come from now on; only the first time counts."""
        if self._began_at is None:
            self._began_at = now

    def count(self, now: float) -> int:
        """Give how many messages there are."""
        streams = self.streams
        passed_s = 0.0 if self._began_at is None else now - self._began_at
        return min(streams.messages, streams.backlog + int(passed_s * streams.per_s))

    def due_at(self, place: int) -> float:
        """Give when a message comes that is still to come, in monotonic seconds; infinity: never."""
        streams = self.streams
        if self._began_at is None or place >= streams.messages or not streams.per_s:
            return inf
        return self._began_at + (place + 1 - streams.backlog) / streams.per_s

    def message_id(self, place: int) -> str:
        """Give the id of a message."""
        return f"chat_{mix(self._key + place * GOLDEN):016x}_{place}"

    def message(self, place: int) -> bytes:
        """Write a message."""
        noise = mix(self._key + place * GOLDEN)
        kind = "null" if noise & 7 == 5 else '"text"'
        created = self._stamp(self._since_us + place * _BETWEEN_US)
        return (
            f'{{"id":"{self.message_id(place)}","conversation_id":"{self.id}",'
            f'{_TEXTS[(noise >> 8 & 15) * 2 + place % 2]},"message_type":{kind},"created_at":{created}}}'
        ).encode()

    def place_after(self, text: str) -> int | None:
        """Give the place behind a message, named by its id or by a time; None if the text is neither."""
        number = text.rpartition("_")[2]
        if number.isdecimal() and text == self.message_id(int(number)):
            return int(number) + 1
        try:
            after = datetime.fromisoformat(text)
        except ValueError:
            return None
        if after.tzinfo is None:
            return None
        return max(0, (to_us(after) - self._since_us) // _BETWEEN_US + 1)


class Opened(Struct, frozen=True):
    """A stream that may begin.

    Attributes:
        conversation: Whose messages.
        place: The first message to send.
    """

    conversation: Conversation
    place: int


class _Ticket(Struct):
    conversation: Conversation
    agent: str
    good_until: float


class Conversations:
    """All conversations of an account, and the tickets given out for them.

    Args:
        ledger: The account.
        streams: How messages come.
        since_us: When the first message of each was written.
    """

    def __init__(self, ledger: Ledger, streams: Streams, since_us: int) -> None:
        self._ledger = ledger
        self._streams = streams
        self._since_us = since_us
        self._stamp = make_stamp(3, "z")
        self._ids = Ids(key_of(ledger.key, "conversation"))
        self._known: dict[int, Conversation] = {}
        self._tickets: dict[str, _Ticket] = {}
        self._given = 0

    def ids_of(self, agent: int) -> list[str]:
        """Give the conversations of an agent."""
        first = agent * self._streams.conversations
        return [self._ids.of(first + place) for place in range(self._streams.conversations)]

    def find(self, agent_id: str, conversation_id: str) -> Conversation | None:
        """Give a conversation of an agent, None if it has no such."""
        agent, number = self._ledger.agent_number(agent_id), self._ids.number(conversation_id)
        if agent is None or number is None or conversation_id not in self.ids_of(agent):
            return None
        if number not in self._known:
            key = key_of(self._ledger.key, "messages", number)
            self._known[number] = Conversation(
                conversation_id, key, self._streams, since_us=self._since_us, stamp=self._stamp
            )
        return self._known[number]

    def ticket(self, conversation: Conversation, agent_id: str, now: float) -> str:
        """Give out a ticket; the conversation's messages come from the first one on."""
        conversation.begin(now)
        self._given += 1
        name = f"tkt_{mix(key_of(self._ledger.key, 'ticket') + self._given * GOLDEN):016x}"
        self._tickets[name] = _Ticket(conversation, agent_id, now + self._streams.ticket_s)
        return name

    def open(
        self, ticket: str, agent_id: str, conversation_id: str, *, after: str | None, now: float
    ) -> Opened | None:
        """Use up a ticket; None if it is not good for this conversation at this moment.

        Args:
            ticket: As given out.
            agent_id: Whose conversation.
            conversation_id: Which.
            after: The last message seen, by id or time; None, or none of these: only new ones are wanted.
            now: Monotonic seconds.
        """
        known = self._tickets.pop(ticket, None)
        if known is None or now > known.good_until:
            return None
        conversation = known.conversation
        if (known.agent, conversation.id) != (agent_id, conversation_id):
            return None
        place = None if after is None else conversation.place_after(after)
        if place is None:
            return Opened(conversation, conversation.count(now))
        return Opened(conversation, max(0, place - self._streams.replays))
