"""The providers' words in the record's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from harvester.record import Direction, Status

T = TypeVar("T")


class Words(dict[str | None, T]):
    """A table of words, looked up without regard to case, hyphens, underscores and spaces.

    A word as it is spelled in the table costs one look; no other is kept, since an answer may hold any.

    Args:
        table: Words as the provider spells them, and what they mean.
        otherwise: What no word, and any other word, means.
    """

    def __init__(self, table: Mapping[str, T], otherwise: T) -> None:
        super().__init__()
        self.update(table)
        self[None] = otherwise
        self._otherwise = otherwise
        self._plain = {_plain(word): meaning for word, meaning in table.items()}

    def __missing__(self, word: str | None) -> T:
        return self._otherwise if word is None else self._plain.get(_plain(word), self._otherwise)


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "").replace("_", "").replace(" ", "")


def statuses(**also: Status) -> Words[Status]:
    """Return the words for a status that need no telling apart, and a provider's own."""
    return Words({**_STATUSES, **also}, "unknown")


_STATUSES: Mapping[str, Status] = {
    "queued": "queued",
    "initiated": "initiated",
    "ringing": "ringing",
    "answered": "answered",
    "in-progress": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "cancelled": "canceled",
}

DIRECTIONS: Words[Direction | None] = Words({"inbound": "inbound", "outbound": "outbound"}, None)

# Who speaks in a transcript. No word is documented but `agent`, `user` and `assistant`: the others are the usual ones.
ROLES: Words[str | None] = Words(
    {
        **dict.fromkeys(
            ("agent", "assistant", "ai", "bot", "model", "llm", "ai agent", "ai assistant", "voice agent",
             "virtual agent", "virtual assistant"), "agent",
        ),
        **dict.fromkeys(
            ("user", "customer", "caller", "human", "contact", "client", "callee", "lead", "end user"), "user"
        ),
        **dict.fromkeys(("system", "developer"), "system"),
        **dict.fromkeys(
            ("tool", "function", "tool call", "tool calls", "tool result", "tool response", "tool call result",
             "tool call invocation", "function call", "function call output"), "tool",
        ),
    },
    None,
)  # fmt: skip


def customers(
    directions: Sequence[Direction | None], senders: Sequence[str | None], receivers: Sequence[str | None]
) -> list[str | None]:
    """Return the customers' numbers: who calls where a call comes in, who is called where it goes out."""
    return [
        sender if direction == "inbound" else receiver if direction == "outbound" else None
        for direction, sender, receiver in zip(directions, senders, receivers, strict=True)
    ]
