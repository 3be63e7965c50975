"""What https promises: only a server whose certificate is trusted is sent anything, and a connection is used again."""

from __future__ import annotations

import os
import ssl
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


@pytest.mark.parametrize("before", [None, "mine.pem"])
def test_nobody_is_trusted_for_a_while_only(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is loaded meanwhile finds no authority, and the environment is as it was, whatever happens."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if before is not None:
        monkeypatch.setenv("SSL_CERT_FILE", before)
    with suppress(KeyError), trust.nobody():
        assert not ssl.create_default_context().get_ca_certs()
        raise KeyError
    assert os.environ.get("SSL_CERT_FILE") == before
