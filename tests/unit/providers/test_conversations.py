"""Tickets and messages of BimpeAI's conversations."""

from __future__ import annotations

import pytest

from harvester.errors import MalformedError
from harvester.providers.conversations import (
    Message,
    Ticket,
    read_message,
    read_ticket,
    stream_path,
    ticket_request,
)

BASE = "/api/v1/console/agents/a%2F1/conversations/%2E%2E"


def test_requests_name_agent_and_conversation() -> None:
    """Ids are segments whatever is in them; the ticket and where to begin are in the query, escaped."""
    request = ticket_request("a/1", "..")
    assert (request.method, request.path, request.query) == ("POST", f"{BASE}/stream-ticket", ())
    ticket = Ticket("t+1/=")
    assert stream_path("a/1", "..", ticket) == f"{BASE}/stream?ticket=t%2B1%2F%3D"
    after = stream_path("a/1", "..", ticket, after="2026-03-01T00:00:00+01:00")
    assert after == f"{BASE}/stream?ticket=t%2B1%2F%3D&after=2026-03-01T00%3A00%3A00%2B01%3A00"
    assert "t+1" not in repr(ticket)


def test_ticket_is_read() -> None:
    """A ticket comes in the envelope of the others, with how long it is good."""
    body = b'\xef\xbb\xbf{"message":"Success","data":{"ticket":"tkt_1","expires_in":"60"}}'
    assert read_ticket(body) == Ticket("tkt_1", 60.0)
    assert read_ticket(b'{"data":{"ticket":"tkt_1"}}') == Ticket("tkt_1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"data":{}}',
        b'{"data":{"ticket":""}}',
        b'{"data":{"ticket":1}}',
        b'{"data":{"ticket":"\xff"}}',
    ],
)
def test_answer_without_ticket_is_malformed(body: bytes) -> None:
    """No ticket is an answer to ask for again, and says nothing of what was in it."""
    with pytest.raises(MalformedError) as caught:
        read_ticket(body)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"id":"m1","message":"a\\nb"}', Message("m1", b'{"id":"m1","message":"a\\nb"}')),
        (b'{\n  "id": "m1",\r\n  "n": 1.0\n}', Message("m1", b'{   "id": "m1",   "n": 1.0 }')),
        (b' {"id":7} ', Message("7", b'{"id":7}')),
        (b'{"id":null}', Message("", b'{"id":null}')),
        (b"{}", Message("", b"{}")),
        (b'{"id":"m","t":"\\ud83d"}', Message("m", b'{"id":"m","t":"\\ud83d"}')),
        (b"", None), (b"hello", None), (b"[1]", None), (b'{"id":', None), (b'{"id":"\xff"}', None),
    ],
)  # fmt: skip
def test_message_is_one_line(data: bytes, message: Message | None) -> None:
    """Its JSON stays byte for byte but for line breaks between tokens; what is no object is no message."""
    assert read_message(data) == message
