"""The vendor's own client against the sandbox: agents, calls page by page, and one call."""

from collections.abc import AsyncIterator

import anyio.to_thread
import pytest
from bimpeai import AsyncBimpeAI, BimpeAI, NotFoundError, RateLimitError

from harvester.sandbox import FaultRule, Faults, Limits, Overrides, Sandbox, SandboxConfig, open_sandbox

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
