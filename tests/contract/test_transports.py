"""What every transport promises, asked of each of them; then what only those that open sockets have to."""

from __future__ import annotations

import socket
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import aiohttp
import anyio
import msgspec
import pytest
from msgspec import structs

from harvester.errors import MalformedError, ProviderError, RejectedError, TransportError
from harvester.model import Request
from harvester.testing import FakeTransport, reply
from harvester.transport import exchange
from harvester.transport.aiohttp import AiohttpTransport, unpack_by_isal
from harvester.transport.base import Transport
from harvester.transport.process import ProcessTransport

from .loopback import BODY, Server

CREDENTIAL = "s3cret-key"


class Target(msgspec.Struct, frozen=True):
    """Where to ask, and as whom."""

    base_url: str
    headers: Mapping[str, str] = MappingProxyType({"Authorization": f"Bearer {CREDENTIAL}"})


OPENERS: dict[str, Callable[..., Transport]] = {"aiohttp": AiohttpTransport, "process": ProcessTransport}


@asynccontextmanager
async def opened(kind: str) -> AsyncIterator[Transport]:
    transport = OPENERS[kind](read_s=0.15, total_s=0.3, max_body_bytes=1_000_000)
    try:
        yield transport
    finally:
        await transport.aclose()


@pytest.fixture(params=["aiohttp", "session", pytest.param("process", marks=pytest.mark.slow)])
async def transport(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Transport]:
    """Of `session` all goes through aiohttp's own, as with an aiohttp that is not known."""
    if request.param == "session":
        monkeypatch.setattr(exchange, "is_known", lambda: False)
    async with opened("process" if request.param == "process" else "aiohttp") as one:
        yield one


def at(server: Server, prefix: str = "") -> Target:
    return Target(f"http://127.0.0.1:{server.port}{prefix}")


# What every transport promises.


@pytest.fixture(params=["aiohttp", "process", "fake"])
async def each(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    if request.param in OPENERS:
        async with opened(request.param) as transport:
            yield transport
    else:
        answers = {"/ok": reply(BODY, headers={"Retry-After": "7"}), "/refused": reply(b"no", status=429)}
        yield FakeTransport(lambda _target, asked: answers.get(asked.path) or TransportError("reset"))


async def test_transport_returns_a_whole_answer(each: Transport, server: Server) -> None:
    """Status, headers and body come back as they were sent, with when that was and how long it took."""
    answer = await each.send(at(server), Request("list calls", "/ok"))
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (200, BODY, "7")
    assert answer.elapsed_s >= 0
    assert answer.received_at.tzinfo is not None


async def test_transport_judges_nothing(each: Transport, server: Server) -> None:
    """An answer that is a refusal is an answer."""
    answer = await each.send(at(server), Request("list calls", "/refused"))
    assert (answer.status, answer.body) == (429, b"no")


async def test_transport_raises_where_there_is_no_answer(each: Transport, server: Server) -> None:
    """Without a complete response there is an error that may be tried again."""
    with pytest.raises(TransportError) as caught:
        await each.send(at(server), Request("list calls", "/reset"))
    assert caught.value.is_retryable


async def test_transport_serves_many_at_once(each: Transport, server: Server) -> None:
    """Requests do not wait for each other."""
    statuses: list[int] = []

    async def send() -> None:
        statuses.append((await each.send(at(server), Request("list calls", "/ok"))).status)

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(send)
    assert statuses == [200] * 40


async def test_transport_closes_twice(each: Transport, server: Server) -> None:
    """Closing what is closed, or was never opened, is fine."""
    await each.aclose()
    await each.aclose()


# What goes over the wire.


async def test_request_goes_out_as_it_is(transport: Transport, server: Server) -> None:
    """The path keeps its prefix and its escapes, the query is escaped here, the credential goes along."""
    query = (("search", "+15550100 & co"), ("page", "1"))
    await transport.send(at(server, "/talkover"), Request("list calls", "/agents/a%2Fb/ok", query))
    (asked,) = server.asked
    assert asked.line == "GET /talkover/agents/a%2Fb/ok?search=%2B15550100%20%26%20co&page=1 HTTP/1.1"
    assert asked.headers["authorization"] == f"Bearer {CREDENTIAL}"
    assert asked.headers["user-agent"].startswith("harvester/")
    assert "gzip" in asked.headers["accept-encoding"]


@pytest.mark.parametrize("prefix", ["", "/talkover", "/%C3%BC", "/ü"])
async def test_request_is_what_a_session_would_send(
    server: Server, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """Line and headers are those of aiohttp's own requests, in their order too."""
    request = Request("list calls", "/ok", (("search", "+15550100 & co"), ("page", "1")))
    target = Target(
        f"http://127.0.0.1:{server.port}{prefix}",
        {"X-Api-Key": CREDENTIAL, "user-agent": "ours", "X-Organization": "é"},
    )
    async with opened("aiohttp") as transport:
        await transport.send(target, request)
        monkeypatch.setattr(exchange, "is_known", lambda: False)
        await transport.send(target, request)
    straight, by_session = server.asked
    assert straight.line == by_session.line
    assert list(straight.headers.items()) == list(by_session.headers.items())
    assert straight.headers["user-agent"] == "ours"


async def test_method_with_a_meaning_goes_out(transport: Transport, server: Server) -> None:
    """A request that is no GET says so."""
    answer = await transport.send(at(server), Request("stream ticket", "/ok", method="POST"))
    assert (answer.body, server.asked[0].line) == (BODY, "POST /ok HTTP/1.1")


async def test_hint_before_the_answer_is_passed_over(transport: Transport, server: Server) -> None:
    """A status of 103 is no answer yet; the connection serves the next request."""
    for _ in range(2):
        answer = await transport.send(at(server), Request("list calls", "/hinted"))
        assert (answer.status, answer.body) == (200, BODY)
    assert [asked.connection for asked in server.asked] == [1, 1]


async def test_empty_answer_is_one(transport: Transport, server: Server) -> None:
    """An answer that has no body ends where its headers do."""
    for _ in range(2):
        answer = await transport.send(at(server), Request("list calls", "/nothing"))
        assert (answer.status, answer.body) == (204, b"")
    assert [asked.connection for asked in server.asked] == [1, 1]


async def test_connection_that_the_server_gives_up_is_not_used_again(
    transport: Transport, server: Server
) -> None:
    """`Connection: close` is heeded."""
    for _ in range(2):
        assert (await transport.send(at(server), Request("list calls", "/last"))).body == BODY
    assert [asked.connection for asked in server.asked] == [1, 2]


async def test_each_has_its_own_credential(transport: Transport, server: Server) -> None:
    """Connections to one place are shared; what goes over them is not."""
    keys = [f"Bearer key-{number % 3}" for number in range(6)]
    for key in keys:
        target = Target(f"http://127.0.0.1:{server.port}", {"Authorization": key})
        await transport.send(target, Request("list calls", "/ok"))
    assert [asked.headers["authorization"] for asked in server.asked] == keys
    assert {asked.connection for asked in server.asked} == {1}


@pytest.mark.parametrize("odd", ["a\r\nHost: b", "a\nb"])
async def test_header_that_cannot_be_sent_is_refused(transport: Transport, server: Server, odd: str) -> None:
    """A line break in a header would begin another one."""
    error = await send_bad(transport, Target(f"http://127.0.0.1:{server.port}", {"X-Key": odd}), "/ok")
    assert type(error) is RejectedError
    assert not server.asked


@pytest.mark.parametrize("odd", ["a\0b", "a\x01b", "a\x0bb", "a\x7fb"])
async def test_control_in_a_header_is_refused(server: Server, odd: str) -> None:
    """Nor is there one that a server might take for the end of a line."""
    async with opened("aiohttp") as transport:
        error = await send_bad(transport, Target(f"http://127.0.0.1:{server.port}", {"X-Key": odd}), "/ok")
    assert type(error) is RejectedError
    assert not server.asked


async def test_one_header_is_sent_of_names_that_are_the_same(transport: Transport, server: Server) -> None:
    """Case does not count, and the last one does."""
    target = Target(f"http://127.0.0.1:{server.port}", {"X-Key": "1", "x-key": "2", "accept": "text/plain"})
    await transport.send(target, Request("list calls", "/ok"))
    assert {"x-key": "2", "accept": "text/plain"}.items() <= server.asked[0].headers.items()


async def test_user_in_an_address_takes_no_credentials_place(transport: Transport, server: Server) -> None:
    """Neither one of the config's, nor one that a redirect brings."""
    target = at(server)
    with_user = structs.replace(target, base_url=target.base_url.replace("//", "//x:y@"))
    assert type(await send_bad(transport, with_user, "/ok")) is RejectedError
    assert type(await send_bad(transport, target, "/moved-to-a-user")) is RejectedError
    assert [asked.headers["authorization"] for asked in server.asked] == [f"Bearer {CREDENTIAL}"]


@pytest.mark.parametrize("scheme", ["htps", "ftp", "ws", "http+unix"])
async def test_other_scheme_is_refused(transport: Transport, server: Server, scheme: str) -> None:
    """A letter is missing soon, and a credential in clear sent too soon."""
    target = Target(f"{scheme}://127.0.0.1:{server.port}")
    assert type(await send_bad(transport, target, "/ok")) is RejectedError
    assert not server.asked


async def test_what_nobody_asked_for_is_nobodys_answer(server: Server) -> None:
    """A server that answers twice costs an error; from then on each answer would be the one before."""
    async with opened("aiohttp") as transport:
        assert (await transport.send(at(server), Request("list calls", "/and-another"))).body == b"1"
        await anyio.sleep(0.1)
        with pytest.raises(TransportError):
            await transport.send(at(server), Request("list calls", "/ok"))
        assert (await transport.send(at(server), Request("list calls", "/ok"))).body == BODY


async def test_answer_that_switches_the_protocol_is_one(transport: Transport, server: Server) -> None:
    """Nobody asked for that, and nobody waits for what would follow."""
    assert (await transport.send(at(server), Request("list calls", "/switching"))).status == 101
    assert (await transport.send(at(server), Request("list calls", "/ok"))).body == BODY
    assert [asked.connection for asked in server.asked] == [1, 2]


async def test_closed_transport_sends_nothing(server: Server) -> None:
    """To a place that it knows, or one that is new."""
    async with opened("aiohttp") as transport:
        await transport.send(at(server), Request("list calls", "/ok"))
    for target in (at(server), Target(f"http://127.0.0.1:{server.port}", {})):
        with pytest.raises(RuntimeError):
            await transport.send(target, Request("list calls", "/ok"))
    assert len(server.asked) == 1


async def test_total_of_nothing_is_no_limit(server: Server) -> None:
    """As aiohttp has it."""
    transport = AiohttpTransport(total_s=0)
    assert (await transport.send(at(server), Request("list calls", "/after-a-while"))).body == b"ab"
    await transport.aclose()


@pytest.mark.parametrize(
    ("version", "is_so"), [("3.10.9", 0), ("3.11.0", 1), ("3.14.5", 1), ("3.15.0a1", 0), ("4.0.0", 0)]
)
def test_parts_of_aiohttp_are_known_by_its_version(
    monkeypatch: pytest.MonkeyPatch, version: str, is_so: int
) -> None:
    """What a later one has nobody knows; it is asked through its session."""
    exchange.is_known.cache_clear()
    monkeypatch.setattr(aiohttp, "__version__", version)
    assert exchange.is_known() == bool(is_so)
    exchange.is_known.cache_clear()


@pytest.mark.parametrize("odd", ["/a b", "/a\r\nHost: b", "/a\nb", "/a\0b"])
async def test_path_that_cannot_be_sent_is_refused(transport: Transport, server: Server, odd: str) -> None:
    """Nor may a path end the line that it stands in."""
    assert type(await send_bad(transport, at(server, odd), "/ok")) is RejectedError
    assert not server.asked


async def test_answer_that_nobody_waits_for_leaves_nothing(transport: Transport, server: Server) -> None:
    """What was given up on its way takes its connection with it, so that no other request gets its answer."""
    await transport.send(at(server), Request("list calls", "/ok"))
    with anyio.move_on_after(0.05):
        await transport.send(at(server), Request("list calls", "/drip"))
    assert (await transport.send(at(server), Request("list calls", "/ok"))).body == BODY
    assert [asked.connection for asked in server.asked] == [1, 1, 2]


async def test_connection_is_kept_and_cookies_are_not(transport: Transport, server: Server) -> None:
    """One connection serves requests one after another; what a server wants remembered is forgotten."""
    for _ in range(3):
        await transport.send(at(server), Request("list calls", "/ok"))
    assert [asked.connection for asked in server.asked] == [1, 1, 1]
    assert all("cookie" not in asked.headers for asked in server.asked)


async def test_nothing_is_sent_twice_by_itself(transport: Transport, server: Server) -> None:
    """A kept connection that the server drops costs one error: every request is counted where it is sent."""
    await transport.send(at(server), Request("list calls", "/second-dropped"))
    with pytest.raises(TransportError):
        await transport.send(at(server), Request("list calls", "/second-dropped"))
    assert len(server.asked) == 2


@pytest.fixture
def unpacked_by_isal() -> Iterator[None]:
    """As in the process of a ProcessTransport."""
    assert unpack_by_isal()
    try:
        yield
    finally:
        aiohttp.set_zlib_backend(zlib)


@pytest.mark.usefixtures("unpacked_by_isal")
@pytest.mark.parametrize("path", ["gzip", "two-members", "deflate"])
async def test_isal_unpacks_what_zlib_does(server: Server, path: str) -> None:
    """The same answers, whatever undoes their compression."""
    async with opened("aiohttp") as transport:
        for _ in range(2):
            assert (await transport.send(at(server), Request("list calls", f"/{path}"))).body == BODY


@pytest.mark.usefixtures("unpacked_by_isal")
@pytest.mark.parametrize(
    ("path", "kind"),
    [("bomb", MalformedError), ("not-packed", TransportError)],
)
async def test_isal_refuses_what_zlib_does(server: Server, path: str, kind: type[ProviderError]) -> None:
    """Too large, cut short or no gzip at all."""
    async with opened("aiohttp") as transport:
        assert type(await send_bad(transport, at(server), f"/{path}")) is kind


def test_isal_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, or aiohttp does not know of such, all is as it was."""
    monkeypatch.setattr(aiohttp, "set_zlib_backend", None)
    assert not unpack_by_isal()
    monkeypatch.setitem(sys.modules, "isal", None)
    assert not unpack_by_isal()


@pytest.mark.parametrize(
    ("path", "body"), [("chunked", b"abcde"), ("gzip", BODY), ("two-members", BODY), ("deflate", BODY)]
)
async def test_body_is_unpacked(transport: Transport, server: Server, path: str, body: bytes) -> None:
    """Chunks are joined and compression is undone."""
    assert (await transport.send(at(server), Request("list calls", f"/{path}"))).body == body


async def send_bad(transport: Transport, target: Target, path: str) -> ProviderError:
    """Send what fails; whatever fails, the message holds no query and no credential."""
    with pytest.raises(ProviderError) as caught:
        await transport.send(target, Request("list calls", path, (("phone_number", "+15550100"),)))
    assert "15550100" not in str(caught.value)
    assert CREDENTIAL not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "path",
    [
        "truncated",
        "half-chunked",
        "half-packed",
        "not-packed",
        "garbage",
        "closed",
        "reset",
        "silent",
        "drip",
    ],
)
async def test_incomplete_answer_is_an_error(transport: Transport, server: Server, path: str) -> None:
    """Cut short, reset, silent or too slow: no part of such an answer is given out, and it may be tried again."""
    error = await send_bad(transport, at(server), f"/{path}")
    assert type(error) is TransportError
    assert error.message.startswith("127.0.0.1: ")
    assert (await transport.send(at(server), Request("list calls", "/ok"))).body == BODY


@pytest.mark.parametrize("path", ["large", "bomb", "endless"])
async def test_body_that_is_too_large_is_not_read(transport: Transport, server: Server, path: str) -> None:
    """A body above the limit is refused, whether it says its size, hides it in compression or never ends."""
    assert type(await send_bad(transport, at(server), f"/{path}")) is MalformedError


async def test_redirect_within_the_origin_is_followed(transport: Transport, server: Server) -> None:
    """Another path of the same server is asked with the same credential."""
    answer = await transport.send(at(server, "/v1"), Request("list calls", "/moved"))
    assert answer.body == BODY
    assert [asked.line.split()[1] for asked in server.asked] == ["/v1/moved", "/v1/ok?page=2"]


@pytest.mark.parametrize("path", ["moved-large", "moved-cut-short", "moved-without-end", "moved-not-packed"])
async def test_redirect_is_followed_whatever_comes_with_it(
    transport: Transport, server: Server, path: str
) -> None:
    """Its body is not read, and the connection that brings it not used again."""
    assert (await transport.send(at(server), Request("list calls", f"/{path}"))).body == BODY
    assert len(server.asked) == 2


@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "http://[::1"])
async def test_proxy_that_is_no_address_is_named(
    kind: str, server: Server, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """It is the environment that is wrong, and the config is not blamed for it."""
    monkeypatch.setenv("http_proxy", address)
    monkeypatch.setenv("no_proxy", "other.test")
    async with opened(kind) as transport:
        error = await send_bad(transport, at(server), "/ok")
    assert type(error) is RejectedError
    assert error.message == "http_proxy in the environment is no address"
    assert not server.asked


@pytest.mark.parametrize("path", ["elsewhere", "circle", "nowhere"])
async def test_redirect_is_not_followed_anywhere(transport: Transport, server: Server, path: str) -> None:
    """Another origin is never asked, nor the same one for ever; the way out is in the message."""
    error = await send_bad(transport, at(server), f"/{path}")
    assert type(error) is RejectedError
    assert "base_url" in error.message
    assert len(server.asked) <= 4


async def test_server_that_is_not_there_is_an_error(transport: Transport) -> None:
    """Nobody listening and a name that nobody has are told apart."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await send_bad(transport, Target(f"http://127.0.0.1:{unused.getsockname()[1]}"), "/ok")
    assert "no connection" in error.message
    error = await send_bad(transport, Target("http://no-such-host.invalid"), "/ok")
    assert type(error) is TransportError


async def test_server_that_speaks_no_tls_is_an_error(transport: Transport, server: Server) -> None:
    """An answer in clear to a secure request is no connection."""
    error = await send_bad(transport, Target(f"https://127.0.0.1:{server.port}"), "/ok")
    assert type(error) is TransportError


@pytest.mark.parametrize(
    "base_url", ["http://[bad", "http://x:99999", "http://", "http://127.0.0.1?x=1", "http://127.0.0.1#x"]
)
async def test_address_that_is_none_is_rejected(transport: Transport, base_url: str) -> None:
    """What cannot be asked is told as such, and not tried again."""
    assert type(await send_bad(transport, Target(base_url), "/ok")) is RejectedError
