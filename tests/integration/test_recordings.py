"""Recordings from the sandbox's storage, over real sockets, with everything that goes wrong there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from harvester.clock import SystemClock
from harvester.errors import RecordingError
from harvester.model import Cursor, Query, Secret, Window
from harvester.providers import get_provider
from harvester.recordings import Counts, RecordingFetcher
from harvester.sandbox import FaultRule, Faults, Limits, Media, Sandbox, SandboxConfig, open_sandbox
from harvester.sandbox.media import sound
from harvester.sinks.audio import Recording, Recordings
from harvester.transport.aiohttp import AiohttpTransport
from harvester.transport.progress import Progress

from .exporting import PROMPT

AGENTVOICE = get_provider("agentvoice")


class Target:
    """The sandbox's AgentVoice, as its one account asks it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.base_url = sandbox.url("agentvoice")
        self.headers = AGENTVOICE.headers(
            {"api_key": Secret("sandbox"), "organization_id": Secret("sandbox")}
        )


class Bench:
    """A sandbox, a fetcher beside it, and where recordings go."""

    def __init__(self, root: Path, sandbox: Sandbox, transport: AiohttpTransport) -> None:
        self.sandbox = sandbox
        self.transport = transport
        self.place = Recordings(root, buffer_bytes=8192)
        self.fetcher = RecordingFetcher(transport, SystemClock(), PROMPT)
        self.counts = Counts()

    async def links(self) -> dict[str, str]:
        """List the calls, which gives out their links anew; the link of each call that has one."""
        query = Query(Window(None, None, datetime(2030, 1, 1, tzinfo=UTC)))
        answer = await self.transport.send(
            Target(self.sandbox), AGENTVOICE.list_request(query, Cursor(0, 100))
        )
        rows = json.loads(answer.body)["data"]
        return {row["id"]: row["recording_url"] for row in rows if row.get("recording_url")}

    async def fetch(self, call_id: str, link: str) -> Recording:
        async def renew() -> str | None:
            return (await self.links()).get(call_id)

        async with self.place.open("sales", call_id, None) as take:
            recording = await self.fetcher.fetch(
                link, into=take, renew=renew, trusted=self.sandbox.url("agentvoice"), counts=self.counts
            )
            await self.place.publish(recording)
            return recording

    def truth(self, call_id: str) -> bytes | None:
        return self.sandbox.world.account("agentvoice").recording(call_id)

    async def fetch_all(self) -> list[RecordingError]:
        """Fetch all at once, compare each with the truth, and return what could not be had."""
        lost: list[RecordingError] = []

        async def fetch_one(call_id: str, link: str) -> None:
            try:
                recording = await self.fetch(call_id, link)
            except RecordingError as error:
                lost.append(error)
            else:
                data = await anyio.Path(self.place.root / recording.path).read_bytes()
                assert data == self.truth(call_id)
                assert (recording.bytes, recording.sha256) == (len(data), hashlib.sha256(data).hexdigest())

        links = await self.links()
        assert len(links) > 10
        async with anyio.create_task_group() as tasks:
            for call_id, link in links.items():
                tasks.start_soon(fetch_one, call_id, link)
        assert not any("signature" in str(error) for error in lost)
        assert sum(self.truth(call_id) is None for call_id in links) == len(lost)
        return lost

    def violations(self) -> list[str]:
        media = self.sandbox.stats()["agentvoice"]["media"]
        return [
            text for tally in (*media["keys"], media["strangers"]) for text in tally["violations"]["messages"]
        ]

    def aside(self) -> list[str]:
        return [path.name for path in (self.place.root / "_harvester").rglob("*") if path.is_file()]


@asynccontextmanager
async def bench(root: Path, media: Media) -> AsyncIterator[Bench]:
    transport = AiohttpTransport(read_s=0.5, progress=lambda: Progress(least_per_s=100_000, over_s=0.3))
    try:
        async with open_sandbox(SandboxConfig(calls=40, media=media)) as sandbox:
            opened = Bench(root, sandbox, transport)
            yield opened
            assert opened.violations() == []
            assert opened.aside() == []
    finally:
        await transport.aclose()


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(rates={"reset": 0.2, "truncated": 0.2, "500": 0.1, "503": 0.1}),
        Faults(rates={"html": 0.3, "success_false": 0.1}),
        Faults(rates={"429": 0.1}),
    ],
)
async def test_recordings_are_those_of_the_storage(tmp_path: Path, faults: Faults) -> None:
    """Byte for byte, each in its place, whatever happens to a request on its way; no credential goes along."""
    async with bench(tmp_path, Media(faults=faults)) as b:
        assert await b.fetch_all() == []
        assert b.counts.requests >= 10


@pytest.mark.slow
async def test_large_recordings_survive_resets(tmp_path: Path) -> None:
    """A recording of several buffers comes whole, however its connections end."""
    media = Media(size_bytes=400_000, faults=Faults(rates={"reset": 0.2, "truncated": 0.2}))
    async with bench(tmp_path, media) as b:
        assert await b.fetch_all() == []
        assert b.counts.retries


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drip", "hang"])
async def test_recording_that_drips_is_asked_for_again(tmp_path: Path, kind: str) -> None:
    """A storage that stands still or sends by the spoonful is left, and asked once more."""
    faults = Faults(rules=(FaultRule(kind, times=2),), drip_s=20.0, hang_s=20.0)
    async with bench(tmp_path, Media(size_bytes=50_000, faults=faults)) as b:
        with anyio.fail_after(10):
            assert await b.fetch_all() == []
        assert b.counts.retries == 2


@pytest.mark.parametrize("is_careless", [False, True])
async def test_dead_links_are_renewed(tmp_path: Path, is_careless: bool) -> None:
    """A link that is dead on arrival is renewed once, and what is gone is known to be; a 200 hides neither."""
    media = Media(dead_on_arrival=3, gone=4, errors_are_200=is_careless)
    async with bench(tmp_path, media) as b:
        lost = await b.fetch_all()
        assert lost
        assert all(error.is_final and error.status in {403, 404} for error in lost)
        assert b.counts.renewed >= len(lost)


@pytest.mark.slow
async def test_expired_links_are_renewed(tmp_path: Path) -> None:
    """A link that has waited too long is renewed, and the recording is had."""
    async with bench(tmp_path, Media(link_life_s=0.3)) as b:
        links = await b.links()
        await anyio.sleep(0.5)
        call_id, link = next(iter(links.items()))
        assert (await b.fetch(call_id, link)).bytes == len(b.truth(call_id) or b"")
        assert b.counts == Counts(requests=2, renewed=1, bytes_in=b.counts.bytes_in)


@pytest.mark.slow
async def test_limit_of_the_storage_is_found(tmp_path: Path) -> None:
    """The storage's own limit is kept after a few refusals, and every recording is had."""
    async with bench(tmp_path, Media(limits=Limits(rates=("20/s",), retry_after="seconds"))) as b:
        assert await b.fetch_all() == []
        assert b.counts.throttled <= 12


# A storage of its own, for what the sandbox's has not.

SOUND = sound("own", "mp3", 3_000_000)


class Storage:
    """Serves one recording with an ETag, and breaks off where it is told."""

    def __init__(self) -> None:
        self.breaks: list[int] = []
        self.ranges: list[str | None] = []
        self.tag = '"v1"'
        self.data = SOUND
        self.port = 0
        self.at_break: Callable[[], None] = lambda: None

    @property
    def link(self) -> str:
        return f"http://127.0.0.1:{self.port}/own.mp3?signature=s3cret"

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/elsewhere":
            raise web.HTTPFound(request.query["to"])
        told = request.headers.get("Range")
        self.ranges.append(told)
        first, data, headers = 0, self.data, {"ETag": self.tag, "Content-Type": "audio/mpeg"}
        if told is not None and request.headers.get("If-Range") == self.tag:
            first = int(re.findall(r"\d+", told)[0])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        response = web.StreamResponse(status=206 if first else 200, headers=headers)
        response.content_length = len(data) - first
        await response.prepare(request)
        end = self.breaks.pop(0) if self.breaks else len(data)
        await response.write(data[first:end])
        if end < len(data):
            self.at_break()
            assert request.transport is not None
            request.transport.close()
        return response


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    one = Storage()
    runner = web.ServerRunner(web.Server(one.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


Fetch = Callable[[str, str], Awaitable[Recording]]


@pytest.fixture
async def fetch(tmp_path: Path) -> AsyncIterator[Fetch]:
    transport = AiohttpTransport()
    fetcher = RecordingFetcher(transport, SystemClock(), PROMPT)
    place = Recordings(tmp_path)

    async def never() -> str | None:
        raise AssertionError("no link was refused")

    async def fetch_one(link: str, trusted: str) -> Recording:
        async with place.open("sales", "c1", None) as take:
            return await fetcher.fetch(link, into=take, renew=never, trusted=trusted)

    yield fetch_one
    await transport.aclose()


async def test_recording_goes_on_where_it_broke_off(storage: Storage, fetch: Fetch) -> None:
    """What came is kept over two breaks and only the rest is fetched, of the same version."""
    storage.breaks = [1_000_000, 2_000_000]
    recording = await fetch(storage.link, "http://127.0.0.1")
    assert recording.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert storage.ranges == [None, "bytes=1000000-", "bytes=2000000-"]


async def test_recording_that_changes_meanwhile_begins_anew(storage: Storage, fetch: Fetch) -> None:
    """Two versions are never joined."""

    def change() -> None:
        storage.tag, storage.data = '"v2"', SOUND[::-1].replace(SOUND[::-1][:3], b"ID3", 1)

    storage.breaks, storage.at_break = [1_000_000], change
    recording = await fetch(storage.link, "http://127.0.0.1")
    assert recording.sha256 == hashlib.sha256(storage.data).hexdigest()
    assert storage.ranges == [None, "bytes=1000000-"]


async def test_redirect_to_this_machine_is_followed_for_a_local_provider_only(
    storage: Storage, fetch: Fetch
) -> None:
    """A storage may redirect to another host, as far as the provider's own address allows, and not to files."""
    base = f"http://127.0.0.1:{storage.port}/elsewhere"
    other = storage.link.replace("127.0.0.1", "localhost")
    assert (await fetch(f"{base}?to={other}", "http://127.0.0.1")).bytes == len(SOUND)
    with pytest.raises(RecordingError, match="a local address") as caught:
        await fetch(storage.link, "https://93.184.215.14")
    assert not caught.value.is_final
    for to in ("file:///etc/passwd", "http://169.254.169.254/latest", "http://0.0.0.0/"):
        with pytest.raises(RecordingError):
            await fetch(f"{base}?to={to}", "http://127.0.0.1")
    assert len(storage.ranges) == 1
