"""The server's side of a message stream: events as they come, heartbeats, and breaking off on purpose.

Source: the event stream format of the HTML standard, 9.2.5.
"""

import asyncio
import time

from aiohttp import web

from .conversations import Conversation, Opened


def event(name: str, data: bytes, event_id: str = "") -> bytes:
    """Write one event."""
    told = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{told}data: ".encode() + data + b"\n\n"


async def send_stream(opened: Opened, request: web.BaseRequest) -> web.StreamResponse:
    """Send messages until the client leaves or the connection is to break; how it breaks is up to the caller."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    conversation, place = opened.conversation, opened.place
    left = _messages_until_the_drop(conversation)
    beat_s = conversation.streams.heartbeat_s
    beat_at = time.monotonic() + beat_s
    while left:
        now = time.monotonic()
        if place < conversation.count(now):
            message = conversation.message(place)
            await response.write(event("message", message, conversation.message_id(place)))
            place += 1
            left -= 1
        elif now >= beat_at:
            await response.write(event("heartbeat", b'{"ts":%d}' % (time.time() * 1000)))
            beat_at += beat_s
        else:
            await asyncio.sleep(min(beat_at, conversation.due_at(place)) - now)
    conversation.drops += 1
    return response


def _messages_until_the_drop(conversation: Conversation) -> float:
    streams = conversation.streams
    is_done = streams.drops and conversation.drops >= streams.drops
    return float("inf") if is_done or not streams.drop_after else streams.drop_after
