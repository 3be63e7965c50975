"""The doubles themselves: what stands on them must be able to rely on it."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from harvester.errors import OutputError, TransportError
from harvester.fetch import Account
from harvester.model import NativeRows, Request, Secret, Source
from harvester.providers import get_provider
from harvester.record import Record
from harvester.testing import START, FakeClock, FakeTransport, MemoryOutput, MemorySink, reply
from harvester.transport.gate import Gate

ASK = Request("list calls", "/calls")


def account(clock: FakeClock) -> Account:
    source = Source(
        name="s", provider="talkover", base_url="https://x.test", credentials={"token": Secret("t")}
    )
    return Account(source, get_provider("talkover"), Gate(clock, ()))


async def test_clock_stands_still_until_everybody_waits() -> None:
    """Time moves from one who is due to the next, in order, and nobody waits in earnest."""
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append((name, clock.monotonic()))
        await clock.sleep(delay_s)
        woken.append((name, clock.monotonic()))

    async with anyio.create_task_group() as tasks:
        for name, delay_s in (("slow", 3600.0), ("fast", 1500.0), ("at once", 0.0)):
            tasks.start_soon(sleep, name, delay_s)
    assert woken == [
        ("at once", 0.0),
        ("at once", 0.0),
        ("fast", 1500.0),
        ("fast", 3000.0),
        ("slow", 3600.0),
        ("slow", 7200.0),
    ]
    assert (clock.now() - START).total_seconds() == 7200


async def test_clock_waits_for_an_event_or_for_time() -> None:
    """A wait ends with the event, or when its time is up, whichever comes first; without a time it has none."""
    clock, event, never = FakeClock(), anyio.Event(), anyio.Event()

    async def set_later() -> None:
        await clock.sleep(5)
        event.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(set_later)
        await clock.wait(never, 2)
        assert clock.monotonic() == 2
        await clock.wait(event, 100)
        assert clock.monotonic() == 5
        await clock.wait(event, None)


async def test_clock_waits_for_threads() -> None:
    """Work in a thread takes no time on it, however long it takes."""
    clock = FakeClock()
    ready = anyio.Event()
    at: list[float] = []

    async def work() -> None:
        await anyio.to_thread.run_sync(sum, range(2_000_000))
        at.append(clock.monotonic())
        ready.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await clock.wait(ready, 60)
    assert at == [0.0]


def test_clock_can_be_moved_by_hand() -> None:
    """A test without tasks moves the time itself."""
    clock = FakeClock()
    clock.advance(90)
    assert (clock.monotonic(), (clock.now() - START).total_seconds()) == (90, 90)


async def test_transport_answers_one_after_another() -> None:
    """Answers come in their order and errors are raised; what was asked is remembered, one too many is a mistake."""
    clock = FakeClock()
    transport = FakeTransport([reply({"a": 1}), TransportError("reset")], clock=clock, latency_s=2)
    answer = await transport.send(account(clock), ASK)
    assert (answer.body, answer.elapsed_s, answer.received_at) == (b'{"a":1}', 2, clock.now())
    with pytest.raises(TransportError):
        await transport.send(account(clock), ASK)
    with pytest.raises(AssertionError, match="list calls"):
        await transport.send(account(clock), ASK)
    assert (transport.requests, transport.sent_at) == ([ASK] * 3, [0.0, 2.0, 4.0])
    await transport.aclose()
    assert transport.is_closed


async def test_transport_counts_what_is_in_flight() -> None:
    """The most requests that were on their way at once are known afterwards."""
    clock = FakeClock()
    transport = FakeTransport(lambda _target, _request: reply(b"x"), clock=clock, latency_s=1)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(transport.send, account(clock), ASK)
    assert (transport.most_in_flight, transport.in_flight, clock.monotonic()) == (5, 0, 1)


async def test_memory_sink_shows_what_is_published() -> None:
    """Rows are aside once sealed, visible once published, which may be repeated; what is open is discarded."""
    output = MemoryOutput()
    sink = output("sales", "calls")
    record = Record(provider="p", source="sales", call_id="c1", fetched_at=START, run_id="r")
    await sink.write([record])
    await sink.flush()
    assert (sink.rows, sink.bytes) == (1, sink.buffered_bytes)
    segment = await sink.seal("part-0")
    assert (segment.rows, sink.rows, output.records("sales")) == (1, 0, [])
    for _ in range(2):
        await output("sales", "calls").publish(segment)
    assert output.records("sales") == [record]
    await sink.write([record])
    await sink.aclose()
    with pytest.raises(OutputError):
        await sink.seal("part-1")
    with pytest.raises(OutputError):
        await sink.publish(msgspec.structs.replace(segment, path="calls/sales/other"))


async def test_memory_sink_keeps_native_rows() -> None:
    """Native rows come back decoded, with the agent that was added."""
    sink = MemorySink()
    await sink.write(NativeRows([msgspec.Raw(b'{"id":"c1"}'), msgspec.Raw(b'{"id":"c2"}')], "a"))
    assert sink.rows == 2
    await sink.publish(await sink.seal("part-0"))
    assert sink.output.native("memory") == [{"id": "c1", "_agent_id": "a"}, {"id": "c2", "_agent_id": "a"}]
