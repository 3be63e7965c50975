"""`harvester tail` and `Harvester.tail` against the sandbox's conversations, through all that breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from bimpeai import AsyncBimpeAI

from harvester.app import Harvester
from harvester.config import load_config
from harvester.errors import AccessError, RejectedError, UnsupportedError, UsageError
from harvester.sandbox import FaultRule, Faults, Sandbox, SandboxConfig, Streams, open_sandbox

from .exporting import SandboxProcess, document, harvest, source, violations_of, write_config

Serve = Callable[..., SandboxProcess]
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def talk_of(world: Any) -> tuple[str, str, list[bytes]]:
    """Return the first agent, its first conversation and all its messages."""
    account = world.account("bimpe")
    agent = account.agents()[0].id
    name, messages = next(iter(account.conversations_of(agent).items()))
    return agent, name, messages


def id_of(message: bytes) -> str:
    return str(json.loads(message)["id"])


def open_harvester(sandbox: Sandbox, *providers: str) -> Harvester:
    text = document([source(name, sandbox.url) for name in providers or ("bimpe",)])
    return Harvester(load_config(text, folder=Path(), environ={}, now=NOW))


@pytest.mark.slow
@pytest.mark.parametrize(
    "streams",
    [
        Streams(messages=60, backlog=10, per_s=100.0, heartbeat_s=0.05),
        Streams(messages=60, backlog=10, per_s=100.0, drop_after=7),
        Streams(messages=60, backlog=10, per_s=100.0, drop_after=7, resets=True, heartbeat_s=0.03),
        Streams(messages=60, backlog=60, drop_after=9, replays=4),
        Streams(messages=60, backlog=60, drop_after=9, replays=4, resets=True),
    ],
)
async def test_every_message_comes_once_and_in_order(streams: Streams) -> None:
    """Through ends, resets and replays the messages are the provider's own, each once, from the one named on."""
    async with open_sandbox(SandboxConfig(streams=streams)) as sandbox:
        agent, talk, messages = talk_of(sandbox.world)
        seen: list[bytes] = []
        async with open_harvester(sandbox) as harvester:
            with anyio.fail_after(20):
                async with harvester.tail("bimpe", talk, agent_id=agent, after=id_of(messages[0])) as lines:
                    async for line in lines:
                        seen.append(line)
                        if len(seen) == len(messages) - 1:
                            break
        assert seen == messages[1:]
        assert violations_of(sandbox.stats()) == []


@pytest.mark.slow
async def test_vendors_own_client_reads_the_same() -> None:
    """Through dropped connections the vendor's client and ours give out the same messages in the same order."""
    streams = Streams(messages=20, backlog=5, per_s=50.0, drop_after=4, resets=True)
    async with open_sandbox(SandboxConfig(streams=streams)) as sandbox, open_harvester(sandbox) as harvester:
        agent, talk, messages = talk_of(sandbox.world)
        ours: list[str] = []
        async with harvester.tail("bimpe", talk, agent_id=agent, after=id_of(messages[0])) as lines:
            while len(ours) < len(messages) - 1:
                ours.append(id_of(await anext(lines)))
        theirs: list[str] = []
        client = AsyncBimpeAI(api_key="sandbox", base_url=sandbox.url("bimpe"))
        stream = client.conversations.messages.stream(agent, talk, after=id_of(messages[0]))
        assert isinstance(stream, AsyncGenerator)
        async with client, aclosing(stream):
            while len(theirs) < len(messages) - 1:
                theirs.append((await anext(stream)).id)
        assert ours == theirs


@pytest.mark.slow
async def test_tail_begins_with_what_is_new() -> None:
    """Without a message to begin behind, those that were there before are left out; a moment is one too."""
    streams = Streams(messages=30, backlog=10, per_s=20.0)
    async with open_sandbox(SandboxConfig(streams=streams)) as sandbox, open_harvester(sandbox) as harvester:
        agent, talk, messages = talk_of(sandbox.world)
        async with harvester.tail("bimpe", talk, agent_id=agent) as lines:
            first = await anext(lines)
        assert messages.index(first) >= 10
        moment = json.loads(messages[3])["created_at"]
        async with harvester.tail("bimpe", talk, agent_id=agent, after=moment) as lines:
            assert [await anext(lines) for _ in range(3)] == messages[4:7]


async def test_tickets_that_fail_or_expire_are_asked_for_again() -> None:
    """A ticket that breaks on its way, or is too old when it is used, is followed by another."""
    faults = Faults(rules=(FaultRule("503", endpoint="stream_ticket", times=1),))
    async with open_sandbox(SandboxConfig(faults=faults)) as sandbox, open_harvester(sandbox) as harvester:
        agent, talk, messages = talk_of(sandbox.world)
        async with harvester.tail("bimpe", talk, agent_id=agent, after=id_of(messages[0])) as lines:
            assert await anext(lines) == messages[1]
    async with (
        open_sandbox(SandboxConfig(streams=Streams(ticket_s=-1))) as sandbox,
        open_harvester(sandbox) as harvester,
    ):
        async with harvester.tail("bimpe", talk, agent_id=agent) as lines:
            with pytest.raises(AccessError, match="the stream was refused"):
                await anext(lines)
        assert sandbox.stats()["bimpe"]["keys"][0]["requests"]["stream_ticket"] == 5


async def test_what_cannot_be_followed_is_told() -> None:
    """Another provider, an unknown source and an unknown conversation are errors, the first two before any request."""
    async with open_sandbox() as sandbox, open_harvester(sandbox, "bimpe", "talkover") as harvester:
        agent = talk_of(sandbox.world)[0]
        with pytest.raises(UnsupportedError):
            async with harvester.tail("talkover", "x", agent_id=agent):
                pass
        with pytest.raises(UsageError, match="no source is called 'other'"):
            harvester.tail("other", "x", agent_id=agent)
        assert sandbox.stats()["bimpe"]["keys"] == []
        async with harvester.tail("bimpe", "nothing", agent_id=agent) as lines:
            with pytest.raises(RejectedError):
                await anext(lines)


# The command.


@contextmanager
def tailing(folder: Path, *arguments: str, out: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
    clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    command = [sys.executable, "-m", "harvester", "tail", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=clean, stdout=out, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_command_prints_lines_until_a_signal(
    tmp_path: Path, serve: Serve, number: signal.Signals, code: int
) -> None:
    """Each line comes when its message does; a signal ends it with its code and no further word."""
    sandbox = serve(streams={"messages": 40, "backlog": 4, "per_s": 40.0, "drop_after": 6, "resets": True})
    agent, talk, messages = talk_of(sandbox.world)
    write_config(tmp_path, document([source("bimpe", sandbox.url, name="support")]))
    with tailing(tmp_path, "support", talk, "--agent", agent, "--after", id_of(messages[0])) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in messages[1:]] == [one + b"\n" for one in messages[1:]]
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (code, b"", b"")
    assert violations_of(sandbox.stats()) == []


@pytest.mark.slow
@pytest.mark.parametrize("per_s", [50.0, 0.0])
def test_reader_that_leaves_ends_the_command(tmp_path: Path, serve: Serve, per_s: float) -> None:
    """`harvester tail | head -1` ends by itself, also where no further message comes; without a traceback."""
    sandbox = serve(streams={"messages": 1000, "backlog": 4, "per_s": per_s})
    agent, talk, messages = talk_of(sandbox.world)
    write_config(tmp_path, document([source("bimpe", sandbox.url)]))
    with tailing(tmp_path, "bimpe", talk, "--agent", agent, "--after", id_of(messages[0])) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == messages[1] + b"\n"
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == b""


@pytest.mark.slow
def test_reader_that_is_slow_delays_no_signal(tmp_path: Path, serve: Serve) -> None:
    """A full pipe holds the messages back, not the end."""
    sandbox = serve(streams={"messages": 2000, "backlog": 2000})
    agent, talk, messages = talk_of(sandbox.world)
    write_config(tmp_path, document([source("bimpe", sandbox.url)]))
    with tailing(tmp_path, "bimpe", talk, "--agent", agent, "--after", id_of(messages[0])) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == messages[1] + b"\n"
        time.sleep(0.5)
        process.terminate()
        assert process.wait(timeout=10) == 143


@pytest.mark.slow
def test_command_refuses_what_cannot_be(tmp_path: Path, serve: Serve) -> None:
    """A provider without conversations, a source that is not there and a missing agent are code 2; a refusal is 1."""
    sandbox = serve()
    write_config(tmp_path, document([source(name, sandbox.url) for name in ("bimpe", "talkover")]))
    done = harvest(tmp_path, "tail", "talkover", "x", "--agent", "y")
    told = 'error: source "talkover": Talkover has no conversations to follow; bimpe has\n'
    assert (done.code, done.out, done.err) == (2, "", told)
    done = harvest(tmp_path, "tail", "other", "x", "--agent", "y")
    assert (done.code, done.out) == (2, "")
    assert "other" in done.err
    assert harvest(tmp_path, "tail", "bimpe", "x").code == 2
    done = harvest(tmp_path, "tail", "bimpe", "x", "--agent", "y")
    assert (done.code, done.out) == (1, "")
    assert "stream ticket" in done.err
