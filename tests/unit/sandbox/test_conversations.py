"""BimpeAI's conversations: messages as time goes on, tickets that open one stream, and the stream itself."""

import json
import re
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from math import inf
from typing import Any

import aiohttp
import pytest

from harvester.sandbox import Streams
from harvester.sandbox.apis.base import Reply, Route
from harvester.sandbox.stream import event

TALK = "api/v1/console/agents/{agent}/conversations/"
SSE = {"Accept": "text/event-stream"}
KEY = {"Authorization": "Bearer sandbox"}


class Talker:
    """BimpeAI's desk and one conversation of its first agent."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.agent = desk.agents[0].id
        self.id, self.messages = next(iter(desk.account.conversations_of(self.agent).items()))

    def ticket(self, at: float = 0.0) -> str:
        guest = self.desk.desk.guest(KEY)
        parts = [*TALK.format(agent=self.agent).split("/")[:-1], self.id, "stream-ticket"]
        verdict = self.desk.desk.judge("POST", parts, "", guest, now=at, wall=0.0)
        assert verdict.reply.status == 201
        given: str = json.loads(verdict.reply.body)["data"]["ticket"]
        return given

    def open(self, ticket: str, at: float = 0.0, *, talk: str = "", query: str = "", **headers: str) -> Any:
        route = Route("stream", agent=self.agent, call=talk or self.id)
        text = f"ticket={ticket}{query}"
        return self.desk.desk.open_stream(route, text, SSE | headers, now=at)


@pytest.fixture
def talker(counter: Any) -> Any:
    return lambda **streams: Talker(counter("bimpe", calls=10, streams=Streams(**streams)))


def test_conversations_repeat(talker: Any) -> None:
    """The same conversations have the same messages in the shape of the stream, each agent its own."""
    one, two = talker(messages=30), talker(messages=30)
    assert one.messages == two.messages
    read = [json.loads(message) for message in one.messages]
    assert len({message["id"] for message in read}) == 30
    assert {message["role"] for message in read} == {"user", "assistant"}
    assert all(
        list(message) == ["id", "conversation_id", "role", "message", "message_type", "created_at"]
        for message in read
    )
    times = [message["created_at"] for message in read]
    assert times == sorted(times)
    others = one.desk.account.conversations_of(one.desk.agents[1].id)
    assert len(others) == 3
    assert one.id not in others


def test_a_ticket_opens_one_stream(talker: Any) -> None:
    """A ticket is used up by its stream, dies in time, and is good for its conversation only."""
    talk = talker(ticket_s=30)
    ticket = talk.ticket()
    assert talk.open(ticket, 30.0).conversation.id == talk.id
    for opened in (
        talk.open(ticket, 30.0),
        talk.open(talk.ticket(), 30.5),
        talk.open(talk.ticket(), talk="another"),
        talk.open("nonsense"),
    ):
        assert isinstance(opened, Reply)
        assert opened.status == 401
    stats = talk.desk.desk.stats()
    assert stats["keys"][0]["requests"] == {"stream_ticket": 3, "stream": 1}
    assert stats["strangers"]["requests"] == {"stream": 4}
    assert talk.desk.violations() == []


def test_tickets_are_for_conversations_that_exist(talker: Any) -> None:
    """Unknown agents and conversations are 404, other methods 405."""
    talk = talker()
    guest = talk.desk.desk.guest(KEY)
    other = talk.desk.agents[1].id
    for agent, name in (("nobody", talk.id), (talk.agent, "nothing"), (other, talk.id)):
        parts = [*TALK.format(agent=agent).split("/")[:-1], name, "stream-ticket"]
        assert talk.desk.desk.judge("POST", parts, "", guest, now=0.0, wall=0.0).reply.status == 404
        assert talk.desk.desk.judge("GET", parts, "", guest, now=0.0, wall=0.0).reply.status == 405
    with pytest.raises(KeyError):
        talk.desk.account.conversations_of("nobody")


def test_messages_come_as_time_goes_on(talker: Any) -> None:
    """The backlog is there at the first ticket, the rest follows at its rate, and then there is an end."""
    talk = talker(messages=12, backlog=4, per_s=2.0)
    conversation = talk.open(talk.ticket(at=100.0), 100.0).conversation
    assert [conversation.count(at) for at in (100.0, 100.4, 100.5, 103.0, 999.0)] == [4, 4, 5, 10, 12]
    assert [conversation.due_at(place) for place in (4, 5, 11, 12)] == [100.5, 101.0, 104.0, inf]
    assert all(conversation.count(conversation.due_at(place)) == place + 1 for place in range(4, 12))
    talk.ticket(at=500.0)
    assert conversation.due_at(4) == 100.5


def test_streams_go_on_after_a_message(talker: Any) -> None:
    """Without a place a stream has new messages only, else what follows an id or a time."""
    talk = talker(messages=20, backlog=15)
    ids = [json.loads(message)["id"] for message in talk.messages]
    created = [json.loads(message)["created_at"] for message in talk.messages]

    def begins(query: str = "", **headers: str) -> int:
        place: int = talk.open(talk.ticket(), query=query, **headers).place
        return place

    assert begins() == begins("&after=nonsense") == begins("&after=2026-01-30") == 15
    assert begins(f"&after={ids[3]}") == begins(**{"Last-Event-ID": ids[3]}) == 4
    assert begins(f"&after={ids[7]}", **{"Last-Event-ID": ids[3]}) == 4
    assert begins(f"&after={created[3]}") == 4
    assert begins("&after=2020-01-01T00:00:00Z") == 0
    later = datetime.fromisoformat(created[3]) + timedelta(seconds=1)
    assert begins(f"&after={later:%Y-%m-%dT%H:%M:%SZ}") == 4
    assert begins("&after=chat_0000000000000000_3") == 15


def test_streams_may_replay(talker: Any) -> None:
    """A stream that goes on may begin with messages that were sent before."""
    talk = talker(replays=2)
    ids = [json.loads(message)["id"] for message in talk.messages]
    assert talk.open(talk.ticket(), query=f"&after={ids[5]}").place == 4
    assert talk.open(talk.ticket(), query=f"&after={ids[0]}").place == 0


def test_keys_have_no_business_on_a_stream(talker: Any) -> None:
    """A key on the stream, other parameters and other answers wanted are noted."""
    talk = talker()
    talk.open(talk.ticket(), query="&page=1", Accept="application/json", **{"x-api-key": "sandbox"})
    assert talk.desk.violations() == [
        "unknown parameter page",
        "x-api-key sent to a stream",
        "a stream without Accept: text/event-stream",
    ]


def test_events_have_the_form_of_the_standard() -> None:
    """An event names its kind, its id if it has one, and its data on a line."""
    assert event("message", b"{}", "a") == b"event: message\nid: a\ndata: {}\n\n"
    assert event("heartbeat", b"1") == b"event: heartbeat\ndata: 1\n\n"


@pytest.mark.parametrize("wrong", [{"heartbeat_s": 0.0}, {"per_s": -1.0}, {"backlog": -1}])
def test_streams_refuse_nonsense(wrong: dict[str, Any]) -> None:
    """Mistakes are errors when the config is made."""
    with pytest.raises(ValueError, match="streams need"):
        Streams(**wrong)


class Listener:
    """One conversation over a socket."""

    def __init__(self, client: Any) -> None:
        account = client.sandbox.world.account("bimpe")
        agent = account.agents()[0].id
        self.client = client
        self.id, self.messages = next(iter(account.conversations_of(agent).items()))
        self.url = f"{client.sandbox.url('bimpe')}/{TALK.format(agent=agent)}{self.id}/"

    async def ticket(self) -> str:
        async with self.client.session.post(f"{self.url}stream-ticket", headers=KEY) as response:
            assert response.status == 201
            given: str = (await response.json())["data"]["ticket"]
            return given

    @asynccontextmanager
    async def stream(self, **query: str) -> Any:
        query = {"ticket": await self.ticket(), **query}
        async with self.client.session.get(f"{self.url}stream", params=query, headers=SSE) as response:
            yield response


async def test_stream_sends_messages_and_heartbeats(connect: Any) -> None:
    """Messages come in order with their ids, heartbeats in between."""
    streams = Streams(messages=9, backlog=4, per_s=50.0, heartbeat_s=0.05)
    async with connect(streams=streams) as client:
        talk = Listener(client)
        seen = b""
        async with talk.stream(after="2020-01-01T00:00:00Z") as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            while seen.count(b"event: message") < 9 or seen.count(b"event: heartbeat") < 2:
                seen += await response.content.readany()
        assert re.findall(rb"event: message\nid: \S+\ndata: (.*)\n\n", seen) == talk.messages
        assert all(b'"id":"%b"' % name in seen for name in re.findall(rb"\nid: (\S+)\n", seen))
        assert re.search(rb'event: heartbeat\ndata: {"ts":\d{13}}\n\n', seen)
        assert (await client.get("/_sandbox/stats"))[0] == 200


@pytest.mark.parametrize("resets", [False, True])
async def test_streams_break_off(connect: Any, resets: bool) -> None:
    """A stream ends after so many messages, in order or by a reset, and only so often."""
    streams = Streams(messages=8, backlog=8, drop_after=3, drops=1, resets=resets)
    async with connect(streams=streams) as client:
        talk = Listener(client)
        seen = b""
        async with talk.stream(after="2020-01-01T00:00:00Z") as response:
            try:
                while piece := await response.content.readany():
                    seen += piece
                assert not resets
            except aiohttp.ClientError:
                assert resets
        last = json.loads(talk.messages[2])["id"]
        assert resets or seen.count(b"event: message") == 3
        again = b""
        async with talk.stream(after=last) as response:
            while again.count(b"event: message") < 5:
                again += await response.content.readany()
        assert re.findall(rb"data: (.*)\n\n", again) == talk.messages[3:]


async def test_streams_without_a_ticket_are_refused(connect: Any) -> None:
    """Without a good ticket there is an error in the provider's shape; other methods and paths are no streams."""
    async with connect() as client:
        talk = Listener(client)
        async with client.session.get(f"{talk.url}stream", headers=SSE) as response:
            assert response.status == 401
            assert (await response.json())["statusCode"] == 401
        async with client.session.post(f"{talk.url}stream", headers=KEY) as response:
            assert response.status == 405
        assert (await client.get("/talkover/stream"))[0] == 404
