"""One recording: what is tried again, gone on with, renewed, paced and given up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import anyio
import pytest

from harvester.errors import ProviderError, RecordingError, RejectedError, TransportError
from harvester.model import Rate
from harvester.recordings import BROKEN_AFTER, Counts, RecordingFetcher
from harvester.sandbox.media import sound, storage_error
from harvester.sinks.audio import Recording, Recordings, Take
from harvester.testing import FakeClock, FakeTransport, Flow, Streamed, streamed
from harvester.transport.base import Link
from harvester.transport.gate import Gate
from harvester.transport.retry import RetryPolicy

SOUND = sound("one", "mp3", 100_000)
LINK = "https://cdn.test/one.mp3?signature=s3cret"
BROKEN = TransportError("cdn.test: the connection broke before the answer was complete")
TAG = '"v1"'


async def never() -> str | None:
    raise AssertionError("no link was refused")


class Bench:
    """A fetcher, what answers it, and a take to fetch into."""

    def __init__(self, root: Path, flows: Callable[[Link], Flow] | Iterable[Flow]) -> None:
        self.clock = FakeClock()
        self.transport = FakeTransport(streams=flows, clock=self.clock)
        self.place = Recordings(root, max_bytes=1_000_000)
        self.counts = Counts()
        self.fetcher = RecordingFetcher(self.transport, self.clock, dice=lambda: 1.0)
        self.links: list[str | None] = [LINK + "&renewed"]

    async def renew(self) -> str | None:
        return self.links.pop(0)

    async def fetch(self, *, into: Take | None = None) -> Recording:
        if into is None:
            async with self.place.open("sales", "c1", None) as take:
                return await self.fetch(into=take)
        return await self.fetcher.fetch(
            LINK, into=into, renew=self.renew, trusted="https://api.test", counts=self.counts
        )

    async def fetch_bad(self) -> RecordingError:
        """Fetch what cannot be had; the error never holds the link's query."""
        with pytest.raises(RecordingError) as caught:
            await self.fetch()
        assert "s3cret" not in str(caught.value)
        assert "s3cret" not in str(caught.value.__cause__)
        return caught.value

    @property
    def ranges(self) -> list[str]:
        return [link.headers.get("Range", "") for link in self.transport.links]


def whole(data: bytes = SOUND, *, tag: str = TAG, size: int = len(SOUND)) -> Streamed:
    told = {"Content-Type": "audio/mpeg", "Content-Length": str(size)}
    return streamed(data[:5000], data[5000:], headers=told | ({"ETag": tag} if tag else {}))


def broken(
    data: bytes = SOUND[:50_000], *, tag: str = TAG, headers: Mapping[str, str] | None = None
) -> Streamed:
    told = {"Content-Length": str(len(SOUND)), **({"ETag": tag} if tag else {}), **(headers or {})}
    return streamed(data, BROKEN, headers=told)


def rest(first: int, *, told: str | None = None, tag: str = TAG) -> Streamed:
    end = len(SOUND)
    headers = {"Content-Range": told or f"bytes {first}-{end - 1}/{end}", "ETag": tag}
    return streamed(SOUND[first:], status=206, headers=headers)


def refused(status: int, page: bytes = b"no", *, headers: Mapping[str, str] | None = None) -> Streamed:
    return streamed(page, status=status, headers=headers)


def assert_whole(recording: Recording) -> None:
    assert recording.bytes == len(SOUND)
    assert recording.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert recording.path == "recordings/sales/undated/c1.mp3"


async def test_recording_is_fetched(tmp_path: Path) -> None:
    """One request, with no range and with the source's address as what is trusted, makes a sealed file."""
    b = Bench(tmp_path, [whole()])
    assert_whole(await b.fetch())
    assert b.transport.links == [Link(LINK, trusted="https://api.test")]
    assert b.counts == Counts(requests=1, bytes_in=len(SOUND))
    assert b.transport.streams_open == 0


@pytest.mark.parametrize(
    "trouble",
    [BROKEN, refused(500), refused(503), refused(408), refused(429), broken(tag=""), broken(SOUND[:10]),
     whole(SOUND[:-1], tag=""), whole(b"", size=0), whole(b"<html>" * 1000, size=6000), refused(206), refused(416),
     broken(headers={"Content-Encoding": "gzip"}), broken(tag='W/"weak"')],
)  # fmt: skip
async def test_trouble_is_tried_again(tmp_path: Path, trouble: Flow) -> None:
    """No answer, a server's failure, half a file, a page, a range nobody asked for: the next request asks for all."""
    b = Bench(tmp_path, [trouble, whole()])
    assert_whole(await b.fetch())
    assert b.ranges == ["", ""]
    assert (b.counts.requests, b.counts.retries) == (2, 1)


async def test_broken_recording_goes_on_where_it_was(tmp_path: Path) -> None:
    """The rest is asked for, of the same version, as often as it breaks."""
    b = Bench(tmp_path, [broken(), streamed(SOUND[50_000:60_000], BROKEN, status=206, headers={
        "Content-Range": f"bytes 50000-99999/{len(SOUND)}"}), rest(60_000)])  # fmt: skip
    assert_whole(await b.fetch())
    assert b.ranges == ["", "bytes=50000-", "bytes=60000-"]
    assert b.transport.links[2].headers["If-Range"] == TAG
    assert b.counts.bytes_in == len(SOUND)


async def test_moment_of_change_marks_a_version_too(tmp_path: Path) -> None:
    """Without an ETag the version is known by its Last-Modified."""
    moment = "Sun, 01 Mar 2026 12:00:00 GMT"
    b = Bench(tmp_path, [broken(tag="", headers={"Last-Modified": moment}), rest(50_000, tag="")])
    assert_whole(await b.fetch())
    assert b.transport.links[1].headers["If-Range"] == moment


@pytest.mark.parametrize(
    "answer",
    [
        rest(50_000, told="bytes 0-99999/100000"),
        rest(50_000, told="bytes 50000-99999/100001"),
        rest(50_000, told="bytes 50000-70000/100000"),
        rest(50_000, told="nonsense"),
        rest(50_000, tag='"v2"'),
        refused(416),
    ],
)
async def test_wrong_rest_begins_anew(tmp_path: Path, answer: Streamed) -> None:
    """A range that is not the one asked for, or of another version, is not appended."""
    b = Bench(tmp_path, [broken(), answer, whole()])
    assert_whole(await b.fetch())
    assert b.ranges == ["", "bytes=50000-", ""]


async def test_server_that_knows_no_ranges_begins_anew(tmp_path: Path) -> None:
    """The whole file in answer to a range takes the place of what was there."""
    b = Bench(tmp_path, [broken(), whole()])
    assert_whole(await b.fetch())
    assert b.ranges == ["", "bytes=50000-"]


async def test_rest_of_unknown_size_is_taken(tmp_path: Path) -> None:
    """A storage need not say how long the whole is."""
    first = streamed(SOUND[:50_000], BROKEN, headers={"ETag": TAG})
    b = Bench(tmp_path, [first, rest(50_000, told="bytes 50000-99999/*")])
    assert_whole(await b.fetch())


async def test_whole_take_is_only_sealed(tmp_path: Path) -> None:
    """What is all there is not asked for again."""
    b = Bench(tmp_path, [])
    async with b.place.open("sales", "c1", None) as take:
        await take.begin(total=len(SOUND), validator=TAG)
        await take.write(SOUND)
        assert_whole(await b.fetch(into=take))


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_link_is_renewed_once(tmp_path: Path, status: int) -> None:
    """A refused link is asked for once more; what the new one gives is the recording."""
    b = Bench(tmp_path, [refused(status), BROKEN, whole()])
    assert_whole(await b.fetch())
    assert [link.url for link in b.transport.links] == [LINK, LINK + "&renewed", LINK + "&renewed"]
    assert (b.counts.renewed, b.counts.retries) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        refused(403), refused(404), refused(410),
        refused(400, b'{"statusCode":"404","error":"not_found"}'),
        refused(400, b"<Code>ExpiredToken</Code>" + b" " * 10_000),
        whole(storage_error(404, "no", "0"), size=len(storage_error(404, "no", "0"))),
    ],
)  # fmt: skip
async def test_recording_that_is_gone_is_final(tmp_path: Path, answer: Streamed) -> None:
    """Refused with a renewed link too, also by a page that comes as a success: it is lost, and that is certain."""
    b = Bench(tmp_path, lambda _link: answer)
    error = await b.fetch_bad()
    assert error.is_final
    assert error.status in {403, 404, 410}
    assert (b.counts.requests, b.counts.renewed) == (2, 1)


async def test_provider_without_another_link_is_final(tmp_path: Path) -> None:
    """A call that has lost its link has lost its recording."""
    b = Bench(tmp_path, [refused(403)])
    b.links = [None]
    assert (await b.fetch_bad()).is_final


async def test_failing_renewal_is_the_callers_error(tmp_path: Path) -> None:
    """What the provider says to the question for a new link goes out as it is."""

    async def renew() -> str | None:
        raise RejectedError("no such call")

    b = Bench(tmp_path, [refused(404)])
    async with b.place.open("sales", "c1", None) as take:
        with pytest.raises(RejectedError, match="no such call"):
            await b.fetcher.fetch(LINK, into=take, renew=renew, trusted="")


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (BROKEN, 8), (refused(502), 8), (refused(501), 1), (refused(400), 1), (refused(451), 1), (refused(204), 1),
        (RejectedError("10.0.0.1: a local address"), 1), (whole(SOUND * 11, size=len(SOUND) * 11), 1),
        (whole(b"<html>no", size=8), 8),
    ],
)  # fmt: skip
async def test_what_does_not_come_is_given_up(tmp_path: Path, answer: Flow, requests: int) -> None:
    """Trouble that lasts, and what is no use to ask again, is an error that is not final."""
    b = Bench(tmp_path, lambda _link: answer)
    error = await b.fetch_bad()
    assert not error.is_final
    assert (b.counts.requests, error.attempt) == (requests, requests)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240


async def test_storage_that_is_down_costs_a_bounded_number(tmp_path: Path) -> None:
    """All recordings of a host share what may be spent on asking again."""
    b = Bench(tmp_path, lambda _link: BROKEN)
    for _ in range(120):
        await b.fetch_bad()
    assert b.counts.retries == 100


async def test_storage_that_answers_nothing_is_left_for_another_run(tmp_path: Path) -> None:
    """After so many recordings in a row that could not be had, none is asked for any more; one that comes undoes it."""
    b = Bench(tmp_path, [refused(501)] * (BROKEN_AFTER - 1) + [whole()] + [refused(501)] * BROKEN_AFTER)
    for _ in range(BROKEN_AFTER - 1):
        await b.fetch_bad()
    assert_whole(await b.fetch())
    for _ in range(BROKEN_AFTER):
        await b.fetch_bad()
    asked = len(b.transport.links)
    error = await b.fetch_bad()
    assert (error.is_final, "does not answer" in error.message) == (False, True)
    assert len(b.transport.links) == asked


async def test_large_recording_may_break_often(tmp_path: Path) -> None:
    """As long as each attempt brings a good piece there is no end to them."""
    data = sound("large", "mp3", 12 * 2**20)

    def answer(link: Link) -> Flow:
        first = int(link.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"ETag": TAG, "Content-Length": str(len(data) - first)}
        headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        return streamed(data[first : first + 2**20], BROKEN, status=206 if first else 200, headers=headers)

    b = Bench(tmp_path, answer)
    b.place = Recordings(tmp_path)
    recording = await b.fetch()
    assert (recording.bytes, recording.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert b.counts.requests == 12


async def test_storage_that_says_later_is_left_alone(tmp_path: Path) -> None:
    """A 429 closes the gate of its host for as long as it says, and of no other."""
    b = Bench(tmp_path, [refused(429, headers={"Retry-After": "120"}), whole()])
    assert_whole(await b.fetch())
    assert b.clock.monotonic() >= 120
    assert b.counts.throttled == 1


async def test_each_host_has_its_own_gate(tmp_path: Path) -> None:
    """One storage that says later keeps all its recordings waiting, and those of no other."""
    clock, asked, done = FakeClock(), list[str](), dict[str, float]()

    def gate_for(host: str) -> Gate:
        asked.append(host)
        return Gate(clock, [])

    def answer(link: Link) -> Flow:
        is_first = sum(one.host == link.host for one in transport.links) == 1
        return refused(429, headers={"Retry-After": "100"}) if is_first and link.host == "a.test" else whole()

    transport = FakeTransport(streams=answer, clock=clock)
    fetcher = RecordingFetcher(transport, clock, RetryPolicy(), gate_for=gate_for)

    async def fetch(name: str, host: str) -> None:
        await clock.sleep(int(name[1:]))
        async with Recordings(tmp_path).open("sales", name, None) as take:
            await fetcher.fetch(f"https://{host}/a", into=take, renew=never, trusted="")
        done[name] = clock.monotonic()

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(fetch, f"a{number}", "a.test")
            tasks.start_soon(fetch, f"b{number}", "b.test:8443")
    assert sorted(asked) == ["a.test", "b.test:8443"]
    assert all(at >= 100 if name[0] == "a" else at < 3 for name, at in done.items())


async def test_cancelled_fetch_leaves_no_place_taken(tmp_path: Path) -> None:
    """Whoever stops waiting for a body gives back its place at the gate."""
    clock = FakeClock()
    gate = Gate(clock, [])
    transport = FakeTransport(streams=[streamed(SOUND[:10], 60.0)], clock=clock)
    fetcher = RecordingFetcher(transport, clock, gate_for=lambda _host: gate)
    async with Recordings(tmp_path).open("sales", "c", None) as take, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(fetcher.fetch, LINK, into=take, renew=never, trusted=""))
        await clock.sleep(5)
        assert gate.in_flight == 1
        tasks.cancel_scope.cancel()
    assert (gate.in_flight, transport.streams_open) == (0, 0)


def test_error_is_one_of_a_provider() -> None:
    """It says what was asked for, and is not tried again by those who ask errors."""
    error = RecordingError("gone", status=404, is_final=True)
    assert isinstance(error, ProviderError)
    assert (str(error), error.is_retryable) == ("recording: gone", False)


async def test_links_go_out_in_the_order_they_came(tmp_path: Path) -> None:
    """Where the storage's gate makes them wait none is overtaken: each may be about to expire."""
    clock = FakeClock()
    gate = Gate(clock, [Rate(1, 1.0)])
    transport = FakeTransport(streams=lambda _link: whole(), clock=clock)
    fetcher = RecordingFetcher(transport, clock, gate_for=lambda _host: gate)
    names = [f"c{number}" for number in range(12)]

    async def fetch(number: int) -> None:
        await clock.sleep(0.3 * number)
        async with Recordings(tmp_path).open("sales", names[number], None) as take:
            await fetcher.fetch(f"https://a.test/{names[number]}", into=take, renew=never, trusted="")

    async with anyio.create_task_group() as tasks:
        for number in range(len(names)):
            tasks.start_soon(fetch, number)
    assert [link.url.rpartition("/")[2] for link in transport.links] == names
