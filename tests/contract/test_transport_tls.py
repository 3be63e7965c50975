"""What https promises: only a server whose certificate is trusted is sent anything, and a connection is used again."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme

from harvester.errors import TransportError
from harvester.model import Request
from harvester.transport import trust
from harvester.transport.aiohttp import AiohttpTransport
from harvester.transport.base import Transport
from harvester.transport.process import ProcessTransport

from .loopback import BODY, Server, listening
from .test_transports import Target

OK = Request("list calls", "/ok")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secure(authority: trustme.CA) -> AsyncIterator[Server]:
    """A server with a certificate of that authority for 127.0.0.1."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with listening(tls) as server:
        yield server


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `SSL_CERT_FILE` name that authority."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


def at(server: Server) -> Target:
    return Target(f"https://127.0.0.1:{server.port}")


@asynccontextmanager
async def opened(open_one: Callable[[], Transport]) -> AsyncIterator[Transport]:
    transport = open_one()
    try:
        yield transport
    finally:
        await transport.aclose()


@pytest.mark.usefixtures("trusted")
async def test_child_trusts_whom_the_environment_names(secure: Server) -> None:
    """The certificates that the child leaves out at first are loaded for https, and one connection serves all."""
    async with opened(ProcessTransport) as transport:
        for _ in range(3):
            assert (await transport.send(at(secure), OK)).body == BODY
    assert [asked.connection for asked in secure.asked] == [1, 1, 1]


@pytest.mark.parametrize("open_one", [AiohttpTransport, ProcessTransport])
async def test_stranger_is_sent_nothing(secure: Server, open_one: Callable[[], Transport]) -> None:
    """A server whose certificate nobody vouches for does not see the credential."""
    async with opened(open_one) as transport:
        with pytest.raises(TransportError, match="the certificate is not trusted; SSL_CERT_FILE"):
            await transport.send(at(secure), OK)
    assert not secure.asked


@pytest.mark.usefixtures("trusted")
async def test_certificate_of_another_name_is_not_trusted(secure: Server) -> None:
    """Nor does one whose certificate is for another host, whoever vouches for it."""
    async with opened(ProcessTransport) as transport:
        with pytest.raises(TransportError, match="the certificate is not trusted"):
            await transport.send(Target(f"https://localhost:{secure.port}"), OK)
    assert not secure.asked


@pytest.mark.usefixtures("trusted")
async def test_proxy_over_https_is_verified_as_well(secure: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is reached over https has to be trusted, also where the address behind it is plain."""
    monkeypatch.setenv("http_proxy", at(secure).base_url)
    async with opened(ProcessTransport) as transport:
        assert (await transport.send(Target("http://far.test"), OK)).body == BODY
    assert secure.asked[0].line == "GET http://far.test/ok HTTP/1.1"


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one CONNECT as a proxy does, and pass on what goes either way."""
    _, address, _ = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)
    host, port = address.decode().split(":")
    there, back = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
        target.close()

    await asyncio.gather(pass_on(reader, back), pass_on(there, writer))


@pytest.mark.usefixtures("trusted")
async def test_server_behind_a_proxy_is_verified(secure: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a tunnel it is the server's own certificate that counts."""
    proxy = await asyncio.start_server(_tunnel, "127.0.0.1", 0)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    monkeypatch.setenv("no_proxy", "other.test")
    async with proxy:
        async with opened(ProcessTransport) as transport:
            assert (await transport.send(at(secure), OK)).body == BODY
        monkeypatch.delenv("SSL_CERT_FILE")
        async with opened(ProcessTransport) as transport:
            with pytest.raises(TransportError, match="the certificate is not trusted"):
                await transport.send(at(secure), OK)
    assert len(secure.asked) == 1


@pytest.mark.usefixtures("trusted")
async def test_each_scheme_has_its_own_proxy(secure: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a host was asked without one, over http, says nothing of https."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("no_proxy", "other.test")
    async with listening() as plain, opened(ProcessTransport) as transport:
        assert (await transport.send(Target(f"http://127.0.0.1:{plain.port}"), OK)).body == BODY
        with pytest.raises(TransportError):
            await transport.send(at(secure), OK)
    assert not secure.asked


@pytest.mark.usefixtures("trusted")
async def test_redirect_within_https_is_followed(secure: Server) -> None:
    """The next address is verified as the first was."""
    async with opened(ProcessTransport) as transport:
        assert (await transport.send(at(secure), Request("list calls", "/moved"))).body == BODY
    assert [asked.line.split()[1] for asked in secure.asked] == ["/moved", "/ok?page=2"]


async def test_authorities_may_be_handed_in(secure: Server, authority: trustme.CA) -> None:
    """They are asked for with the first https address, and no sooner."""
    made: list[ssl.SSLContext] = []

    def authorities() -> ssl.SSLContext:
        if not made:
            made.append(ssl.create_default_context(cadata=authority.cert_pem.bytes().decode()))
        return made[0]

    async with listening() as plain, opened(lambda: AiohttpTransport(authorities=authorities)) as transport:
        await transport.send(Target(f"http://127.0.0.1:{plain.port}"), OK)
        assert not made
        assert (await transport.send(at(secure), OK)).body == BODY


_OF_A_SERVICE = """
import asyncio, os, sys
before = dict(os.environ)
import harvester.transport.process, harvester.transport.worker
from harvester.model import Request
from harvester.transport.aiohttp import AiohttpTransport
assert dict(os.environ) == before
class Target:
    base_url, headers = sys.argv[1], {}
async def main():
    transport = AiohttpTransport()
    answer = await transport.send(Target, Request("list calls", "/ok"))
    await transport.aclose()
    print(answer.status)
asyncio.run(main())
"""


@pytest.mark.usefixtures("trusted")
async def test_service_that_embeds_us_trusts_whom_it_did(secure: Server) -> None:
    """Nothing but the child's own entry leaves certificates out."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OF_A_SERVICE, at(secure).base_url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said == b"200\n"


def _known() -> int:
    return len(ssl.create_default_context().get_ca_certs())


@pytest.mark.parametrize("folder", [None, "", "/there"])
@pytest.mark.usefixtures("trusted")
def test_nobody_is_trusted_for_a_while_only(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is loaded meanwhile finds no authority, and the environment is as it was, whatever happens."""
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    if folder is not None:
        monkeypatch.setenv("SSL_CERT_DIR", folder)
    before = dict(os.environ)
    assert _known() == 1
    with suppress(KeyError), trust.nobody():
        assert _known() == 0
        assert os.environ["SSL_CERT_DIR"] == os.devnull
        raise KeyError
    assert dict(os.environ) == before
    assert _known() == 1


def test_authorities_are_loaded_once(trusted: None) -> None:
    """And are those of the environment, as it is when they are first asked for."""
    trust.authorities.cache_clear()
    try:
        first = trust.authorities()
        assert len(first.get_ca_certs()) == 1
        assert first.check_hostname
        assert first.verify_mode is ssl.CERT_REQUIRED
        assert trust.authorities() is first
    finally:
        trust.authorities.cache_clear()
