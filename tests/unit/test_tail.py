"""Messages of a conversation: over one connection and many, each once, and when it ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager

import pytest

from harvester.errors import AccessError, ProviderError, RejectedError, TransportError, UnsupportedError
from harvester.fetch import Account, Fetcher
from harvester.model import Request, Response, Secret, Source
from harvester.providers import get_provider
from harvester.tail import LONGEST_S, MAX_REFUSALS, REMEMBERED, open_tail
from harvester.testing import FakeClock, FakeTransport, Flow, Streamed, reply, streamed
from harvester.transport.base import Link, Target
from harvester.transport.gate import Gate
from harvester.transport.retry import RetryPolicy

BROKEN = TransportError("api.test: the connection broke before the answer was complete")
BEAT = b'event: heartbeat\ndata: {"ts":1}\n\n'
STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Date": "Wed, 01 Apr 2026 11:00:05 GMT"}
TICKET = {"message": "Success", "data": {"ticket": "tkt", "expires_in": 60}}


def message(number: int | str, *, event_id: str | None = None) -> bytes:
    told = f"m{number}" if event_id is None else event_id
    return f'event: message\nid: {told}\ndata: {{"id":"m{number}"}}\n\n'.encode()


def flow(*pieces: bytes | float | ProviderError) -> Streamed:
    return streamed(*pieces, headers=STREAM)


END = streamed(status=204)


class Bench:
    """An account, what answers it, and its conversation."""

    def __init__(
        self,
        flows: Iterable[Flow] | Callable[[Link], Flow],
        tickets: Callable[[Target, Request], Response | ProviderError] | None = None,
        *,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.transport = FakeTransport(
            tickets or (lambda _t, _r: reply(TICKET, status=201)), streams=flows, clock=self.clock
        )
        self.fetcher = Fetcher(self.transport, self.clock, RetryPolicy(), lambda: 1.0)
        self.account = self.make_account("bimpe")

    def make_account(self, provider: str) -> Account:
        one = get_provider(provider)
        credentials = {key: Secret("s3cret") for key in one.capabilities.credentials}
        source = Source(name="sales", provider=provider, base_url="https://api.test", credentials=credentials)
        return Account(source, one, Gate(self.clock, ()))

    def open(self, *, after: str | None = None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return open_tail(
            self.account,
            self.fetcher,
            self.transport,
            self.clock,
            conversation_id="talk",
            agent_id="agent",
            after=after,
            dice=lambda: 1.0,
        )

    async def read(self, *, after: str | None = None) -> list[str]:
        """Read until the server says that it is over."""
        async with self.open(after=after) as messages:
            return [line.decode()[7:-2] for line in [line async for line in messages]]

    @property
    def queries(self) -> list[str]:
        return [link.url.partition("?")[2] for link in self.transport.links]


async def test_messages_come_as_they_were_sent() -> None:
    """The provider's own JSON, a line each; heartbeats and other events are swallowed."""
    data = b'event: message\nid: a\ndata: {"id": "a",\ndata:  "n":1.0}\n\n'
    b = Bench([flow(BEAT, data[:30], data[30:], b"event: strange\ndata: {}\n\n", b'data: {"x":1}\n\n'), END])
    async with b.open() as messages:
        assert [line async for line in messages] == [b'{"id": "a",  "n":1.0}', b'{"x":1}']


async def test_key_goes_with_the_ticket_only() -> None:
    """The stream is asked with the ticket and no credential, silent at most as long as four heartbeats."""
    b = Bench([flow(message(1)), END])
    assert await b.read(after="m0") == ["m1"]
    link = b.transport.links[0]
    base = "https://api.test/api/v1/console/agents/agent/conversations/talk"
    assert link.url == f"{base}/stream?ticket=tkt&after=m0"
    assert link.headers == {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
    assert (link.trusted, link.silence_s, link.is_endless) == ("https://api.test", 60.0, True)
    assert {request.path for request in b.transport.requests} == {f"{base[16:]}/stream-ticket"}
    assert (b.account.requests, b.account.gate.in_flight, b.transport.streams_open) == (4, 0, 0)


async def test_broken_connection_goes_on_with_the_last_message() -> None:
    """An end, a break and a silence are followed by a fresh ticket and the last id; what comes twice is dropped."""
    b = Bench(
        [
            flow(message(1), message(2)),
            flow(message(1), message(2), message(3), BROKEN),
            flow(BROKEN),
            flow(message(3), message(4)),
            END,
        ]
    )
    assert await b.read(after="m0") == ["m1", "m2", "m3", "m4"]
    assert [link.headers.get("Last-Event-ID") for link in b.transport.links] == [None, "m2", "m3", "m3", "m4"]
    assert b.queries == ["ticket=tkt&after=m0", *["ticket=tkt"] * 4]


async def test_connection_without_messages_goes_on_from_when_it_began() -> None:
    """What comes between two connections is not lost where no message has come, by the server's clock or else ours."""
    b = Bench([flow(BEAT, BROKEN), flow(BROKEN), END])
    await b.read()
    assert b.queries == ["ticket=tkt", *["ticket=tkt&after=2026-04-01T11%3A00%3A05Z"] * 2]
    b = Bench([streamed(BEAT, headers={"Content-Type": "text/event-stream"}), END])
    await b.read()
    assert b.queries[1] == "ticket=tkt&after=2026-04-01T12%3A00%3A00Z"


async def test_server_that_begins_too_early_is_cut() -> None:
    """Messages up to the one asked for are not given out again."""
    b = Bench([flow(message(1) + message(2) + message(3)), END])
    assert await b.read(after="m2") == ["m3"]


async def test_id_that_fits_no_header_goes_into_the_query() -> None:
    """An id with other letters is named all the same."""
    b = Bench([flow(message("é")), END])
    assert await b.read() == ["mé"]
    assert b.queries[1] == "ticket=tkt&after=m%C3%A9"
    assert "Last-Event-ID" not in b.transport.links[1].headers


async def test_memory_of_ids_is_bounded() -> None:
    """Only so many ids are remembered; all of them are given out once."""
    many = [message(number) for number in range(REMEMBERED + 10)]
    b = Bench([flow(b"".join(many)), flow(b"".join(many[-REMEMBERED:])), END])
    assert len(await b.read()) == REMEMBERED + 10


async def test_what_is_no_message_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Data that are no JSON object are told of, and the rest goes on."""
    with caplog.at_level(logging.WARNING, "harvester"):
        assert await Bench([flow(b"data: oops\n\n", message(1)), END]).read() == ["m1"]
    assert "no message" in caplog.text


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_refused_ticket_ends_it(status: int) -> None:
    """A conversation that may not be followed is an error, at first and later on."""
    answers = iter([reply(TICKET), reply({"message": "no"}, status=status)])
    b = Bench([flow(message(1))], lambda _t, _r: next(answers))
    async with b.open() as messages:
        assert await anext(messages) == b'{"id":"m1"}'
        with pytest.raises(AccessError if status < 404 else RejectedError):
            await anext(messages)
    assert b.transport.streams_open == 0


async def test_first_ticket_that_does_not_come_ends_it() -> None:
    """A server that is not there is told at once, not waited for."""
    b = Bench([], lambda _t, _r: BROKEN)
    with pytest.raises(TransportError):
        await b.read()


async def test_server_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """Once a conversation was followed, an outage only delays it, at a bounded rate and not in silence."""
    clock = FakeClock()

    def ticket(_target: Target, _request: Request) -> Response | ProviderError:
        return BROKEN if 5 < clock.monotonic() < 3600 else reply(TICKET)

    b = Bench([flow(message(1), 10.0, BROKEN), flow(message(2)), END], ticket, clock=clock)
    with caplog.at_level(logging.WARNING, "harvester"):
        assert await b.read() == ["m1", "m2"]
    assert 3600 <= b.clock.monotonic() < 3600 + 10 * LONGEST_S
    assert b.account.requests < 400
    assert "connecting again in 30.0 s" in caplog.text
    assert "tkt" not in caplog.text


async def test_stream_that_is_refused_again_and_again_ends_it() -> None:
    """A ticket may be too late once; refused with five fresh ones it is something else."""
    refused = streamed(b"no", status=401)
    assert await Bench([refused, refused, flow(message(1)), refused, END]).read() == ["m1"]
    b = Bench(lambda _link: refused)
    with pytest.raises(AccessError, match=r"sales: stream: the stream was refused \(401\)"):
        await b.read()
    assert len(b.transport.links) == MAX_REFUSALS


@pytest.mark.parametrize(
    "answer",
    [
        streamed(b"<html>", headers={"Content-Type": "text/html"}),
        streamed(status=503, headers={"Retry-After": "40"}),
        streamed(status=429, headers={"Retry-After": "40"}),
        flow(b"retry: 40000\n\n" + BEAT),
        BROKEN,
    ],
)
async def test_trouble_with_a_stream_is_waited_out(answer: Flow) -> None:
    """What is no stream, and a server that says later, are asked again after a while: the one it names, if it does."""
    b = Bench([answer, flow(message(1)), END])
    assert await b.read() == ["m1"]
    names_one = isinstance(answer, Streamed) and b"<html>" not in answer.pieces
    assert (b.clock.monotonic() >= 40) == names_one


async def test_reader_may_leave_at_any_time() -> None:
    """Leaving the loop closes the connection with the block."""
    b = Bench([flow(message(1), message(2))])
    async with b.open() as messages:
        async for _ in messages:
            break
        assert b.transport.streams_open == 1
    assert b.transport.streams_open == 0


async def test_provider_without_conversations_is_told() -> None:
    """What a provider cannot do is an error before the first request."""
    b = Bench([])
    b.account = b.make_account("talkover")
    with pytest.raises(
        UnsupportedError, match='source "sales": Talkover has no conversations to follow; bimpe has'
    ):
        await b.read()
    assert b.transport.requests == []
