"""The vendor's own client against the sandbox: agents, calls page by page, one call, a stream that breaks."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import anyio.to_thread
import pytest
from bimpeai import AsyncBimpeAI, BimpeAI, NotFoundError, RateLimitError

from harvester.sandbox import (
    FaultRule,
    Faults,
    Limits,
    Overrides,
    Sandbox,
    SandboxConfig,
    Streams,
    open_sandbox,
)

CONFIG = SandboxConfig(
    calls=700,
    agents=3,
    providers={"bimpe": Overrides(limits=Limits(headers="epoch", rates=("1000/s",)))},
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with open_sandbox(CONFIG) as opened:
        yield opened


def _expected(sandbox: Sandbox) -> dict[str, list[str | None]]:
    account = sandbox.world.account("bimpe")
    return {agent.id: [row.call_id for row in account.rows(agent.id)] for agent in account.agents()}


async def test_sync_client_walks_everything(sandbox: Sandbox) -> None:
    """The blocking client finds every agent and call in order, and reads each kind of call in full."""

    def walk() -> dict[str, list[str]]:
        with BimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe")) as client:
            found = {
                agent.id: [call.id for call in client.calls.list(agent.id, limit=100, sort="-created_on")]
                for agent in client.agents.list(limit=2)
            }
            for agent, calls in found.items():
                for call in calls[::25]:
                    detail = client.calls.retrieve(agent, call)
                    assert detail.id == call
                    assert all(log.role in {"user", "assistant"} for log in detail.conversation_logs)
            return found

    assert await anyio.to_thread.run_sync(walk) == _expected(sandbox)
    assert sandbox.stats()["bimpe"]["keys"][0]["violations"]["count"] == 0


async def test_async_client_walks_everything(sandbox: Sandbox) -> None:
    """The async client finds the same."""
    found: dict[str, list[str]] = {}
    async with AsyncBimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe")) as client:
        agents = [agent async for agent in await client.agents.list(limit=2)]
        for agent in agents:
            found[agent.id] = [call.id async for call in await client.calls.list(agent.id, limit=100)]
        said = 0
        for call in found[agents[0].id][:20]:
            said += len((await client.calls.retrieve(agents[0].id, call)).conversation_logs)
    assert said > 0
    assert found == _expected(sandbox)
    assert sandbox.stats()["bimpe"]["keys"][0]["violations"]["count"] == 0


async def test_client_understands_filters(sandbox: Sandbox) -> None:
    """Status and test calls are filtered as the client sends them."""
    agent = sandbox.world.account("bimpe").agents()[0].id
    async with AsyncBimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe")) as client:
        busy = [call.status async for call in await client.calls.list(agent, status="busy")]
        tests = [call.is_test_call async for call in await client.calls.list(agent, is_test_call=True)]
    assert set(busy) == {"busy"}
    assert set(tests) == {True}


async def test_client_understands_errors() -> None:
    """Unknown calls and refusals come as the client's own exceptions, with what the headers say."""
    limits = Limits(rates=("2/min",), headers="epoch", retry_after="seconds")
    faults = Faults(rules=(FaultRule("500", request=1),))
    async with open_sandbox(SandboxConfig(limits=limits, faults=faults)) as sandbox:
        agent = sandbox.world.account("bimpe").agents()[0].id
        client = AsyncBimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe"), max_retries=0)
        async with client:
            with pytest.raises(Exception, match="Internal server error"):
                await client.agents.list()
            with pytest.raises(NotFoundError) as missing:
                await client.calls.retrieve(agent, "nothing")
            assert (missing.value.code, bool(missing.value.request_id)) == ("not_found", True)
            with pytest.raises(RateLimitError) as refused:
                await client.agents.list()
            assert (refused.value.limit, refused.value.remaining) == (2, 0)
            assert 0 < (refused.value.retry_after or 0) <= 60


def _conversation(sandbox: Sandbox) -> tuple[str, str, list[str]]:
    """Give the first agent, its first conversation and the ids of all its messages."""
    account = sandbox.world.account("bimpe")
    agent = account.agents()[0].id
    name, messages = next(iter(account.conversations_of(agent).items()))
    return agent, name, [json.loads(message)["id"] for message in messages]


@pytest.mark.slow
@pytest.mark.parametrize("resets", [False, True])
async def test_client_streams_through_dropped_connections(resets: bool) -> None:
    """The async client reads on behind its last message with a fresh ticket, and sends no key to the stream."""
    streams = Streams(
        messages=12, backlog=4, per_s=50.0, heartbeat_s=0.02, drop_after=5, drops=2, resets=resets
    )
    async with open_sandbox(SandboxConfig(streams=streams)) as sandbox:
        agent, talk, ids = _conversation(sandbox)
        client = AsyncBimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe"))
        stream = client.conversations.messages.stream(agent, talk, after=ids[0])
        assert isinstance(stream, AsyncGenerator)
        async with client, aclosing(stream):
            seen = []
            async for message in stream:
                assert message.conversation_id == talk
                seen.append(message.id)
                if len(seen) == len(ids) - 1:
                    break
        assert seen == ids[1:]
        tally = sandbox.stats()["bimpe"]["keys"][0]
        assert tally["requests"] == {"stream_ticket": 3, "stream": 3}
        assert tally["violations"]["count"] == 0


async def test_sync_client_streams_new_messages() -> None:
    """The blocking client gets what comes after it began, without a gap."""
    streams = Streams(messages=20, backlog=10, per_s=100.0)
    async with open_sandbox(SandboxConfig(streams=streams)) as sandbox:
        agent, talk, ids = _conversation(sandbox)

        def listen() -> list[str]:
            with BimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe")) as client:
                stream = client.conversations.messages.stream(agent, talk, reconnect=False)
                seen = []
                for message in stream:
                    seen.append(message.id)
                    if message.id == ids[-1]:
                        break
                return seen

        seen = await anyio.to_thread.run_sync(listen)
    assert seen
    assert seen == ids[-len(seen) :]
    assert len(seen) <= 10


async def test_client_understands_refused_tickets(sandbox: Sandbox) -> None:
    """A conversation that is not there is the client's own exception."""
    agent, _, _ = _conversation(sandbox)
    async with AsyncBimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe")) as client:
        with pytest.raises(NotFoundError):
            await client.conversations.messages.stream_ticket(agent, "nothing")
