"""The messages of a conversation as they come, over as many connections as that takes.

A connection that ends, breaks or falls silent is followed by another, with a fresh ticket, from the last message on.
What is sent again is known by its id and dropped. The key goes with the request for the ticket and never to a stream.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from harvester.clock import Clock
from harvester.errors import MalformedError, ProviderError, TransportError, UnsupportedError
from harvester.fetch import Account, Fetcher
from harvester.model import Response
from harvester.providers.base import error_for
from harvester.providers.conversations import (
    HEARTBEAT_S,
    STREAMING,
    read_message,
    read_ticket,
    stream_path,
    ticket_request,
)
from harvester.transport.base import Link, Stream, Transport
from harvester.transport.events import Event, EventReader
from harvester.transport.hints import NOTHING, read_hint, retry_after_s

SILENCE_S = HEARTBEAT_S * 4
"""A connection on which nothing came for so long, not even a heartbeat, is dead."""

BASE_S = 0.25
LONGEST_S = 30.0
"""Waits between connections: doubled with each that brought nothing, jittered in full."""

MAX_REFUSALS = 5
"""So many streams refused in a row, each with a fresh ticket, end it: the ticket is good, so something else is not."""

WARN_AFTER = 3
REMEMBERED = 4096
"""Ids of messages that are not given out twice: far more than a server repeats when it goes on."""

_NO_CONTENT = 204

_log = logging.getLogger("harvester")


@asynccontextmanager
async def open_tail(
    account: Account,
    fetcher: Fetcher,
    transport: Transport,
    clock: Clock,
    *,
    conversation_id: str,
    agent_id: str,
    after: str | None = None,
    silence_s: float = SILENCE_S,
    dice: Callable[[], float] = random.random,
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Open the messages of a conversation: JSON objects as the provider sent them, one line each, without its end.

    Args:
        account: Whose.
        fetcher: What fetches tickets.
        transport: What opens streams.
        clock: The time that waits go by.
        conversation_id: Which conversation.
        agent_id: The agent that leads it.
        after: A message's id or a moment: what came later, first; None for what comes from now on.
        silence_s: How long a connection may be silent.
        dice: Gives numbers from 0 to 1, for jitter.

    Raises:
        UnsupportedError: The provider has no conversations; nothing was sent.
        ProviderError: From the iterator: the ticket was refused, no first one was to be had, or too many streams were
            refused one after another.
    """
    source = account.source
    if source.provider not in STREAMING:
        raise UnsupportedError(
            f'source "{source.name}": {account.provider.capabilities.title} has no conversations to follow; '
            f"{', '.join(sorted(STREAMING))} has"
        )
    tail = Tail(
        account,
        fetcher,
        transport,
        clock,
        conversation_id=conversation_id,
        agent_id=agent_id,
        after=after,
        silence_s=silence_s,
        dice=dice,
    )
    try:
        yield tail
    finally:
        await tail.aclose()


class Tail:
    """The messages of one conversation; an iterator that never ends by itself, unless the server says so (204).

    Its arguments are those of `open_tail`.
    """

    def __init__(
        self,
        account: Account,
        fetcher: Fetcher,
        transport: Transport,
        clock: Clock,
        *,
        conversation_id: str,
        agent_id: str,
        after: str | None,
        silence_s: float,
        dice: Callable[[], float],
    ) -> None:
        self._account = account
        self._fetcher = fetcher
        self._transport = transport
        self._clock = clock
        self._ids = (agent_id, conversation_id)
        self._after = after
        self._silence_s = silence_s
        self._dice = dice
        self._connection = AsyncExitStack()
        self._chunks: AsyncIterator[bytes] | None = None
        self._reader = EventReader()
        self._ready: deque[bytes] = deque()
        self._seen: dict[str, None] = {} if after is None else {after: None}
        self._last_id = ""
        self._has_begun = self._has_given = self._is_over = False
        self._failures = self._refusals = 0
        self._retry_s = 0.0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            if self._chunks is None:
                await self._connect()
            else:
                await self._read(self._chunks)
        self._has_given = True
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Close the connection."""
        self._chunks, connection, self._connection = None, self._connection, AsyncExitStack()
        await connection.aclose()

    # One connection.

    async def _connect(self) -> None:
        try:
            ticket = await self._fetcher.fetch(self._account, ticket_request(*self._ids), read_ticket)
        except ProviderError as error:
            if not (error.is_retryable and self._has_begun):
                raise
            await self._pause(error)
            return
        path = stream_path(
            *self._ids, ticket, after=None if self._can_name_last else self._last_id or self._after
        )
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if self._can_name_last:
            headers["Last-Event-ID"] = self._last_id
        base_url = self._account.base_url
        link = Link(
            base_url + path, headers=headers, trusted=base_url, silence_s=self._silence_s, is_endless=True
        )
        try:
            await self._open(link)
        except ProviderError as error:
            await self._pause(error)

    @property
    def _can_name_last(self) -> bool:
        """Whether the last message's id can stand in a header."""
        return self._last_id.isascii() and self._last_id.isprintable() and bool(self._last_id)

    async def _open(self, link: Link) -> None:
        """Open a stream; it has a place at the gate until it is answered, and none while it goes on."""
        account = self._account
        await self._fetcher.admit(account)
        account.requests += 1
        sent, hint, error, is_lost = account.gate.sent(), NOTHING, None, True
        try:
            stream = await self._connection.enter_async_context(self._transport.stream(link))
            hint, is_lost = read_hint(stream.headers, self._clock.now()), False
            error = self._judge(stream)
        finally:
            account.gate.settle(sent, hint=hint, error=error, is_lost=is_lost)
        if error is not None:
            raise error
        self._is_over = stream.status == _NO_CONTENT
        self._reader, self._chunks = EventReader(), stream.chunks()
        self._has_begun = True
        if not self._last_id and self._after is None:
            self._after = _moment(stream, self._clock.now())

    def _judge(self, stream: Stream) -> ProviderError | None:
        if stream.status >= 300:
            now = self._clock.now()
            answer = Response(stream.status, stream.headers, b"", now)
            message = f"the stream was refused ({stream.status})"
            return error_for(answer, message, retry_after_s=retry_after_s(stream.headers, now))
        kind = stream.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream" and stream.status != _NO_CONTENT:
            return MalformedError(
                "what answers is no stream of events; check `base_url`, or a proxy is in the way"
            )
        return None

    async def _read(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            chunk = await anext(chunks, None)
            if chunk is None:
                raise TransportError("the stream ended")
            events = self._reader.feed(chunk)
        except ProviderError as error:
            await self._pause(error)
            return
        self._retry_s = self._reader.retry_s or self._retry_s
        for event in events:
            self._failures = self._refusals = 0
            self._take(event)

    def _take(self, event: Event) -> None:
        if event.name != "message":
            return  # a heartbeat; other kinds are not documented
        message = read_message(event.data)
        if message is None:
            _log.warning("an event of the conversation is no message: it is left out")
            return
        key = event.id or message.id
        if key == self._after and not self._has_given:
            self._ready.clear()  # a server that begins before what was asked for
        if key in self._seen:
            return
        if key:
            self._seen[key] = None
            self._last_id = key
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
        self._ready.append(message.raw)

    async def _pause(self, error: ProviderError) -> None:
        """Close what is left of a connection and wait before the next.

        Raises:
            ProviderError: Too many were refused in a row.
        """
        await self.aclose()
        self._failures += 1
        self._refusals += not error.is_retryable
        if self._refusals >= MAX_REFUSALS:
            error.source, error.endpoint, error.attempt = self._account.source.name, "stream", self._refusals
            raise error
        wait_s = min(BASE_S * 2 ** min(self._failures - 1, 16), LONGEST_S) * self._dice()
        wait_s = max(wait_s, self._retry_s, error.retry_after_s or 0.0)
        level = logging.WARNING if self._failures >= WARN_AFTER else logging.INFO
        _log.log(level, "%s; connecting again in %.1f s", error.message, wait_s)
        await self._clock.sleep(wait_s)


def _moment(stream: Stream, now: datetime) -> str:
    """Return when a stream began, by the server's clock; from there the next goes on if no message came."""
    try:
        at = parsedate_to_datetime(stream.headers.get("Date", "")).astimezone(UTC)
    except (ValueError, TypeError):
        at = now
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
