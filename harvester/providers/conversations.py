"""BimpeAI's conversations: the ticket to the stream of one, and the messages in it; nothing here is sent.

Source: the page "Stream messages (SSE)" of BimpeAI's API reference (console), and `FACTS`, "BimpeAI": a ticket opens
one stream, once; the key goes with the request for the ticket only.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import msgspec

from harvester.errors import MalformedError
from harvester.model import Request

from .asking import segment
from .rows import BOM

STREAMING: frozenset[str] = frozenset({"bimpe"})
"""The providers that have conversations to follow."""

HEARTBEAT_S = 15.0
"""What a heartbeat is taken to come in, for it is documented as periodic only."""

_PREFIX = "/api/v1/console"
_BREAKS = re.compile(rb"[\r\n]+")


class Ticket(msgspec.Struct, frozen=True):
    """What opens one stream, once, within so many seconds; a secret for as long."""

    ticket: str
    expires_in: float | None = None

    def __repr__(self) -> str:
        return "Ticket(***)"


class _Answer(msgspec.Struct):
    data: Ticket


class _Key(msgspec.Struct):
    id: Any = None


class Message(msgspec.Struct, frozen=True):
    """One message: its id, empty where it has none, and its JSON on one line, else byte for byte."""

    id: str
    raw: bytes


def _path(agent_id: str, conversation_id: str) -> str:
    return f"{_PREFIX}/agents/{segment(agent_id)}/conversations/{segment(conversation_id)}"


def ticket_request(agent_id: str, conversation_id: str) -> Request:
    """Return the request for a ticket; it carries the key."""
    path = f"{_path(agent_id, conversation_id)}/stream-ticket"
    return Request("stream ticket", path, method="POST", agent_id=agent_id)


def read_ticket(body: bytes) -> Ticket:
    """Read a ticket out of its answer.

    Raises:
        MalformedError: There is none.
    """
    try:
        ticket = msgspec.json.decode(body.removeprefix(BOM), type=_Answer, strict=False).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError("the answer has no ticket; asked again") from None
    if not ticket.ticket:
        raise MalformedError("the answer has an empty ticket; asked again")
    return ticket


def stream_path(agent_id: str, conversation_id: str, ticket: Ticket, *, after: str | None = None) -> str:
    """Return the path of a stream with its query, which is a secret: it is never printed.

    Args:
        agent_id: Whose conversation.
        conversation_id: Which.
        ticket: Fresh.
        after: A message's id or a moment (RFC 3339): only what came later; None for what comes from now on.
    """
    query = f"ticket={quote(ticket.ticket, safe='')}"
    if after is not None:
        query += f"&after={quote(after, safe='')}"
    return f"{_path(agent_id, conversation_id)}/stream?{query}"


def read_message(data: bytes) -> Message | None:
    """Read the data of a `message` event; None where that is no JSON object.

    Line breaks stand between the tokens of JSON only, never in them, so that spaces can take their place.
    """
    raw = _BREAKS.sub(b" ", data).strip()
    if raw[:1] != b"{":
        return None
    try:
        found = msgspec.json.decode(raw, type=_Key).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:  # half an emoji, which the decoder refuses
            found = json.loads(raw).get("id")
        except (ValueError, RecursionError):
            return None
    return Message(str(found) if isinstance(found, str | int) else "", raw)
