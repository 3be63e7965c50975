"""What every transport promises of an answer in chunks; then where the one that opens sockets may be led."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from harvester.errors import ProviderError, RateLimitError, RejectedError, TransportError
from harvester.testing import FakeTransport, Flow, streamed
from harvester.transport.aiohttp import AiohttpTransport
from harvester.transport.base import Link, Transport
from harvester.transport.process import ProcessTransport
from harvester.transport.progress import Progress

from .loopback import BODY, Server

LOCAL = "http://127.0.0.1"
PUBLIC = "https://93.184.215.14"
SECRET = "X-Signature=s3cret%2F%2b~"


class Names(AbstractResolver):
    """Resolves by a table, and remembers what it was asked."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.table = table
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.table:
            raise OSError(host)
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in self.table[host]
        ]

    async def close(self) -> None: ...


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    opened = AiohttpTransport(
        read_s=0.15,
        resolver=Names(
            {"cdn.test": ["127.0.0.1"], "api.test": ["93.184.215.14"], "mixed.test": ["127.0.0.1", "::1"]}
        ),
        progress=lambda: Progress(least_per_s=10_000, over_s=0.1),
    )
    yield opened
    await opened.aclose()


@pytest.fixture(params=["aiohttp", "process", "fake"])
async def each(request: pytest.FixtureRequest, transport: AiohttpTransport) -> AsyncIterator[Transport]:
    if request.param == "aiohttp":
        yield transport
        return
    if request.param == "process":
        opened = ProcessTransport(read_s=0.15)
        yield opened
        await opened.aclose()
        return
    flows: dict[str, Flow] = {
        "ok": streamed(BODY[:4], BODY[4:], headers={"Retry-After": "7"}),
        "refused": streamed(b"no", status=429),
        "truncated": streamed(b"{", TransportError("broken")),
        "reset": TransportError("reset"),
    }
    yield FakeTransport(streams=lambda link: flows[link.url.rpartition("/")[2].partition("?")[0]])


def at(server: Server, path: str, *, trusted: str = LOCAL, host: str = LOCAL, query: str = SECRET) -> Link:
    return Link(f"{host}:{server.port}/{path}?{query}", trusted=trusted)


async def read(transport: Transport, link: Link) -> bytes:
    async with transport.stream(link) as stream:
        return b"".join([chunk async for chunk in stream.chunks()])


async def read_bad(transport: Transport, link: Link) -> ProviderError:
    """Read what fails; whatever fails, neither the message nor what it came from holds the query."""
    with pytest.raises(ProviderError) as caught:
        await read(transport, link)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in str(caught.value.__cause__)
    assert "s3cret" not in repr(link)
    return caught.value


# What every transport promises.


async def test_stream_gives_status_headers_and_chunks(each: Transport, server: Server) -> None:
    """An answer comes as it was sent, its body in pieces."""
    async with each.stream(at(server, "ok")) as stream:
        assert (stream.status, stream.headers["Retry-After"]) == (200, "7")
        assert b"".join([chunk async for chunk in stream.chunks()]) == BODY


async def test_stream_judges_nothing(each: Transport, server: Server) -> None:
    """An answer that is a refusal is an answer."""
    async with each.stream(at(server, "refused")) as stream:
        assert stream.status == 429
        assert [chunk async for chunk in stream.chunks()] == [b"no"]


async def test_stream_that_does_not_begin_is_an_error(each: Transport, server: Server) -> None:
    """Without an answer there is an error that may be tried again."""
    error = await read_bad(each, at(server, "reset"))
    assert type(error) is TransportError


async def test_stream_that_breaks_off_is_an_error(each: Transport, server: Server) -> None:
    """What came before is given out, and its end is no end."""
    async with each.stream(at(server, "truncated")) as stream:
        chunks = stream.chunks()
        assert await anext(chunks) == b"{"
        with pytest.raises(TransportError):
            await anext(chunks)


async def test_stream_can_be_left_early(each: Transport, server: Server) -> None:
    """Who leaves the block, by an error too, leaves nothing behind, and the next answer comes whole."""
    with pytest.raises(RateLimitError):
        async with each.stream(at(server, "ok")):
            raise RateLimitError("enough")
    assert await read(each, at(server, "ok")) == BODY


# What goes over the wire.


async def test_link_goes_out_as_it_is(transport: AiohttpTransport, server: Server) -> None:
    """The letters of a link stay as signed; no credential, cookie, referer or compression goes along."""
    link = at(server, "a%2Fb//c/../ok", query="sig=a%2fb+c%20%7E~&x=%E2%82%AC;y=(1)")
    link = Link(link.url, headers={"Range": "bytes=3-", "If-Range": '"v1"'}, trusted=LOCAL)
    await read(transport, link)
    (asked,) = server.asked
    assert asked.line == "GET /a%2Fb//c/../ok?sig=a%2fb+c%20%7E~&x=%E2%82%AC;y=(1) HTTP/1.1"
    assert {"range": "bytes=3-", "if-range": '"v1"', "accept": "*/*"}.items() <= asked.headers.items()
    assert asked.headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "referer"} & asked.headers.keys()


async def test_link_with_other_letters_is_encoded(transport: AiohttpTransport, server: Server) -> None:
    """Letters that no address may have are encoded, for else they could not be sent at all."""
    await read(transport, Link(f" {LOCAL}:{server.port}/é a/ok?n=ü%2F \n", trusted=LOCAL))
    assert server.asked[0].line == "GET /%C3%A9%20a/ok?n=%C3%BC%2F HTTP/1.1"


async def test_stream_undoes_compression(transport: AiohttpTransport, server: Server) -> None:
    """A storage that packs all the same is understood."""
    assert await read(transport, at(server, "gzip")) == BODY


async def test_stream_holds_little(transport: AiohttpTransport, server: Server) -> None:
    """However long a body is, a chunk is short."""
    async with transport.stream(at(server, "endless")) as stream:
        sizes = [len(chunk) async for chunk in stream.chunks()]
    assert sum(sizes) == 2_000_000
    assert max(sizes) <= 512 * 1024


@pytest.mark.parametrize("path", ["half-chunked", "garbage", "closed", "silent", "truncated"])
async def test_incomplete_stream_is_an_error(transport: AiohttpTransport, server: Server, path: str) -> None:
    """Cut short, silent or nonsense: an error that may be tried again, with the host and nothing else of the link."""
    error = await read_bad(transport, at(server, path))
    assert type(error) is TransportError
    assert error.message.startswith("127.0.0.1: ")
    assert "base_url" not in error.message


async def test_stream_that_drips_is_given_up(transport: AiohttpTransport, server: Server) -> None:
    """Too few bytes a second are no progress, unless the link says that it is endless."""
    error = await read_bad(transport, at(server, "drip"))
    assert "too slowly" in error.message
    link = Link(at(server, "drip").url, trusted=LOCAL, is_endless=True)
    async with transport.stream(link) as stream:
        chunks = stream.chunks()
        assert len(b"".join([await anext(chunks) for _ in range(8)])) >= 8


async def test_link_says_how_long_it_may_be_silent(transport: AiohttpTransport, server: Server) -> None:
    """The transport's own wait between two pieces can be another for one link."""
    assert type(await read_bad(transport, at(server, "after-a-while"))) is TransportError
    link = Link(at(server, "after-a-while").url, trusted=LOCAL, silence_s=2.0, is_endless=True)
    assert await read(transport, link) == b"ab"


# Where a link may lead.


@pytest.mark.parametrize("path", ["moved", "twice", "elsewhere"])
async def test_redirects_are_followed(transport: AiohttpTransport, server: Server, path: str) -> None:
    """Up to three, to another origin too: there is no credential to lose."""
    assert await read(transport, at(server, path)) == BODY


@pytest.mark.parametrize("path", ["circle", "nowhere", "to-a-file", "to-nowhere", "to-metadata"])
async def test_redirects_end_somewhere(transport: AiohttpTransport, server: Server, path: str) -> None:
    """Not for ever, not to what is no address of the web, and never to a cloud's metadata."""
    error = await read_bad(transport, at(server, path))
    assert type(error) is RejectedError
    assert len(server.asked) <= 4


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "a.localhost",
     "cdn.test", "mixed.test", "0.0.0.0"],
)  # fmt: skip
@pytest.mark.parametrize("trusted", [PUBLIC, "https://api.test", "", "https://unknown.test", "http://[bad"])
async def test_public_provider_leads_to_no_local_address(
    transport: AiohttpTransport, server: Server, host: str, trusted: str
) -> None:
    """However this machine is spelt, by a name too, it is not asked for a provider that is not on it."""
    error = await read_bad(transport, at(server, "ok", host=f"http://{host}", trusted=trusted))
    assert type(error) is RejectedError
    assert error.message.endswith("a local address; a link of a public provider may not lead there")
    assert server.asked == []


async def test_local_provider_may_lead_to_this_machine(transport: AiohttpTransport, server: Server) -> None:
    """A provider on a local address, by a name too, may link to local ones; it is looked up once."""
    for trusted in (LOCAL, f"http://cdn.test:{server.port}/v1"):
        for host in (LOCAL, "http://cdn.test"):
            assert await read(transport, at(server, "ok", host=host, trusted=trusted)) == BODY


async def test_name_is_judged_by_where_it_leads_now(server: Server) -> None:
    """A name that was public and becomes local leads nowhere; of several addresses only the public are tried."""
    names = Names({"api.test": ["127.0.0.1"], "cdn.test": ["127.0.0.1"]})
    transport = AiohttpTransport(resolver=names)
    try:
        assert (
            await read(transport, at(server, "ok", host="http://cdn.test", trusted="http://api.test")) == BODY
        )
        error = await read_bad(transport, at(server, "ok", host="http://cdn.test", trusted=PUBLIC))
    finally:
        await transport.aclose()
    assert type(error) is RejectedError
    assert names.asked == ["api.test", "cdn.test", "cdn.test"]


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x.test/a", "/media/a.mp3", "", "http://", "http://[bad", "http://x:99999/"],
)
async def test_link_that_is_none_is_rejected(transport: AiohttpTransport, url: str) -> None:
    """What is no address of the web is told as such."""
    error = await read_bad(transport, Link(f"{url}?{SECRET}" if url else url, trusted=LOCAL))
    assert (type(error), error.message) == (RejectedError, "the link is no address that can be asked")


async def test_proxy_of_the_environment_is_used(
    transport: AiohttpTransport, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy looks names up itself, so that only a link that spells a local address is refused."""
    monkeypatch.setenv("http_proxy", f"{LOCAL}:{server.port}")
    monkeypatch.setenv("no_proxy", "other.test")
    assert await read(transport, Link(f"http://far.test/ok?{SECRET}", trusted="http://api.far.test")) == BODY
    assert server.asked[0].line == f"GET http://far.test/ok?{SECRET} HTTP/1.1"
    for host in ("127.1", "localhost", "10.0.0.1"):
        error = await read_bad(transport, Link(f"http://{host}/ok?{SECRET}", trusted="http://api.far.test"))
        assert type(error) is RejectedError
    assert len(server.asked) == 1


async def test_netrc_is_not_read(
    transport: AiohttpTransport, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `~/.netrc` holds for a host is nobody's business here."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    await read(transport, at(server, "ok"))
    assert "authorization" not in server.asked[0].headers


async def test_header_that_cannot_be_sent_is_refused(transport: AiohttpTransport, server: Server) -> None:
    """A line break in a header would begin another one."""
    link = Link(at(server, "ok").url, headers={"Last-Event-ID": "a\r\nHost: b"}, trusted=LOCAL)
    error = await read_bad(transport, link)
    assert (type(error), error.message) == (RejectedError, "127.0.0.1: the link cannot be asked")


async def test_unknown_name_is_an_error(transport: AiohttpTransport) -> None:
    """A name that nobody has may be known later."""
    error = await read_bad(transport, Link(f"http://gone.test/?{SECRET}", trusted=LOCAL))
    assert (type(error), error.message) == (TransportError, "gone.test: unknown host")
