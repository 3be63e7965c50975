"""The server on a real socket: waiting, compression, and answers that break on the way."""

import asyncio
import gzip
import json
import os
import signal
from typing import Any

import aiohttp
import msgspec
import pytest

import harvester.sandbox
from harvester.sandbox import (
    Churn,
    FaultRule,
    Faults,
    History,
    Limits,
    Media,
    Sandbox,
    SandboxConfig,
    open_sandbox,
    serve,
)
from harvester.sandbox.__main__ import announce, main
from harvester.sandbox.server import check_loopback

PATHS = {
    "talkover": "/talkover/api/v1/calls?per_page=100",
    "agentvoice": "/agentvoice/api/calls?limit=100&order_by=created_at",
}
CALLS = PATHS["talkover"]


async def test_server_sends_the_truth(connect: Any) -> None:
    """What comes over the socket is what the world says."""
    async with connect(calls=100) as client:
        for provider, path in PATHS.items():
            status, body = await client.get(path)
            rows = [row.raw for row in client.sandbox.world.account(provider).rows()]
            assert status == 200
            assert b"[" + b",".join(rows) + b"]" in body


async def test_recordings_point_to_the_server(connect: Any) -> None:
    """Links to recordings begin with the provider's base URL, or with the configured one."""
    async with connect(calls=50) as client:
        _, body = await client.get(PATHS["agentvoice"])
        links = [row["recording_url"] for row in json.loads(body)["data"] if row["recording_url"]]
        base = client.sandbox.url("agentvoice")
        assert links
        assert all(link.startswith(f"{base}/media/") for link in links)
    async with connect(calls=50, media_base="http://media.example.org") as client:
        _, body = await client.get(PATHS["agentvoice"])
        assert b'"http://media.example.org/agentvoice/media/' in body


async def test_unknown_paths_are_404(connect: Any) -> None:
    """There is nothing at the root, and no other provider."""
    async with connect() as client:
        for path in ("/", "/nobody/api", "/_sandbox/other"):
            assert (await client.get(path))[0] == 404
        with pytest.raises(ValueError, match="unknown provider"):
            client.sandbox.url("nobody")


async def test_paths_are_decoded_by_segment(connect: Any) -> None:
    """An escaped slash belongs to its segment."""
    async with connect() as client:
        agent = client.sandbox.world.account("talkpilot").agents()[0].id
        status, body = await client.get(f"/talkpilot/v1/agents/{agent}/calls/a%2Fb")
        assert (status, json.loads(body)["error"]["code"]) == (404, "NOT_FOUND")


async def test_stats_and_reset(connect: Any) -> None:
    """Counts are served, the same as in the process, and can be reset."""
    async with connect() as client:
        await client.get(f"{CALLS}&page=1")
        await client.get(f"{CALLS}&colour=blue")
        await client.get(CALLS, Authorization="Bearer wrong")
        _, body = await client.get("/_sandbox/stats")
        assert json.loads(body) == client.sandbox.stats()
        seen = json.loads(body)["talkover"]
        assert seen["keys"][0]["requests"] == {"calls": 2}
        assert seen["keys"][0]["answers"] == {"200": 2}
        assert seen["keys"][0]["violations"] == {"count": 1, "messages": ["unknown parameter colour"]}
        assert seen["strangers"]["answers"] == {"401": 1}
        async with client.session.post(f"{client.sandbox.origin}/_sandbox/reset") as response:
            assert response.status == 204
        assert client.sandbox.stats()["talkover"]["keys"][0]["requests"] == {}


async def test_history_is_served(connect: Any) -> None:
    """What happened to an account is told to other processes as well."""
    async with connect(calls=100, churn=Churn(inserts_per_s=1000.0)) as client:
        path = "/_sandbox/history/talkover/sandbox"
        assert json.loads((await client.get(path))[1])["started_at"] is None
        while not client.sandbox.world.account("talkover").history().lives:
            await client.get(CALLS)
        history = msgspec.json.decode((await client.get(path))[1], type=History)
        assert history == client.sandbox.world.account("talkover").history()
        assert (await client.get("/_sandbox/history/nobody/sandbox"))[0] == 404


async def test_gzip_only_where_accepted(connect: Any) -> None:
    """The body is compressed if the flag is on and the client accepts it."""
    async with connect(gzip=True) as client:
        url, headers = f"{client.sandbox.origin}{CALLS}", client.headers
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            async with session.get(url, headers=headers | {"Accept-Encoding": "gzip"}) as response:
                packed = await response.read()
                assert response.headers["Content-Encoding"] == "gzip"
            async with session.get(url, headers=headers | {"Accept-Encoding": "identity"}) as response:
                assert gzip.decompress(packed) == await response.read()
                assert "Content-Encoding" not in response.headers


async def test_latency_and_requests_in_flight(connect: Any) -> None:
    """Answers wait, and those that wait are in flight: one too many is refused."""
    config: dict[str, Any] = {"latency_s": 0.05, "latency_jitter_s": 0.01, "limits": Limits(max_in_flight=2)}
    async with connect(**config) as client:
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(client.get(CALLS) for _ in range(3)))
        assert asyncio.get_running_loop().time() - began >= 0.05
        assert sorted(status for status, _ in answers) == [200, 200, 429]
        tally = client.sandbox.stats()["talkover"]["keys"][0]
        assert (tally["max_in_flight"], tally["refused"]) == (3, 1)
        assert (await client.get(CALLS))[0] == 200


async def broken(connect: Any, kind: str, **faults: Any) -> tuple[int, bytes]:
    """Meet a fault, then show that the control paths and the next request are sound."""
    rules = (FaultRule(kind, request=1),)
    async with connect(faults=Faults(rules=rules, **faults)) as client:
        # By itself aiohttp sends a request once more after a lost connection, and hides the fault.
        client.session._retry_connection = False
        try:
            met: tuple[int, bytes] = await client.get(CALLS)
        finally:
            assert (await client.get("/_sandbox/stats"))[0] == 200
            assert (await client.get(CALLS))[0] == 200
            assert client.sandbox.stats()["talkover"]["keys"][0]["faults"] == {kind: 1}
    return met


async def test_reset_breaks_the_connection(connect: Any) -> None:
    """The connection is reset before any answer."""
    with pytest.raises(aiohttp.ClientConnectionError):
        await broken(connect, "reset")


async def test_hang_ends_at_its_cap(connect: Any) -> None:
    """No answer comes, and after the cap the connection breaks."""
    with pytest.raises(aiohttp.ClientConnectionError):
        await broken(connect, "hang", hang_s=0.05)


async def test_hang_ends_with_the_client(connect: Any) -> None:
    """A client that gives up is in flight no longer."""
    async with connect(faults=Faults(rules=(FaultRule("hang", request=1),))) as client:
        timeout = aiohttp.ClientTimeout(total=0.05)
        url = f"{client.sandbox.origin}{CALLS}"
        with pytest.raises(TimeoutError):
            await client.session.get(url, headers=client.headers, timeout=timeout)
        assert (await client.get(CALLS))[0] == 200
        assert client.sandbox.stats()["talkover"]["keys"][0]["max_in_flight"] <= 2


async def test_truncated_body(connect: Any) -> None:
    """Less comes than Content-Length promised."""
    with pytest.raises(aiohttp.ClientPayloadError):
        await broken(connect, "truncated")


async def test_half_a_json(connect: Any) -> None:
    """A complete answer holds half a JSON."""
    status, body = await broken(connect, "half_json")
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


async def test_captive_portal(connect: Any) -> None:
    """HTML comes with a 200."""
    status, body = await broken(connect, "html")
    assert (status, body[:9]) == (200, b"<!DOCTYPE")


async def test_slow_drip_is_whole(connect: Any) -> None:
    """A dripping body is complete in the end."""
    status, body = await broken(connect, "drip", drip_s=0.05)
    assert status == 200
    assert json.loads(body)["success"] is True


async def test_recordings_are_served(connect: Any) -> None:
    """A link in a row leads to its recording on this very server, as a whole and in part."""
    async with connect(calls=50, agents=1, latency_s=0.001) as client:
        path = "/agentvoice/api/calls?limit=50&order_by=created_at"
        rows = json.loads((await client.get(path))[1])["data"]
        row = next(row for row in rows if row["recording_url"])
        truth = client.sandbox.world.account("agentvoice").recording(row["id"])
        async with client.session.get(row["recording_url"]) as response:
            assert response.content_type == "audio/mpeg"
            assert await response.read() == truth
        async with client.session.get(row["recording_url"], headers={"Range": "bytes=5-9"}) as response:
            assert response.status == 206
            assert await response.read() == truth[5:10]
        assert (await client.get("/agentvoice/media/nothing.mp3"))[0] == 404
        assert (await client.get("/agentvoice"))[0] == 404
        media = client.sandbox.stats()["agentvoice"]["media"]
        assert media["keys"][0]["answers"] == {"200": 1, "206": 1}
        assert media["strangers"]["answers"] == {"404": 1}
        assert "Authorization sent to media" in media["strangers"]["violations"]["messages"]
        client.sandbox.reset()
        assert client.sandbox.stats()["agentvoice"]["media"]["keys"][0]["answers"] == {}


async def test_html_in_place_of_a_recording(connect: Any) -> None:
    """A fault of the storage can put a page in place of the sound."""
    media = Media(faults=Faults(rules=(FaultRule("html", times=1),)))
    async with connect(calls=50, media=media) as client:
        _, body = await client.get("/agentvoice/api/calls?limit=50")
        url = next(row["recording_url"] for row in json.loads(body)["data"] if row["recording_url"])
        kinds = []
        for _ in range(2):
            async with client.session.get(url) as response:
                kinds.append(response.content_type)
        assert kinds == ["text/html", "audio/mpeg"]


def test_only_loopback_hosts() -> None:
    """Addresses that others can reach are refused."""
    assert [check_loopback(host) for host in ("localhost", "127.0.0.9", "::1")] == [
        "127.0.0.1",
        "127.0.0.9",
        "::1",
    ]
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com", ""):
        with pytest.raises(ValueError, match="loopback"):
            check_loopback(host)


async def test_open_sandbox_refuses_other_hosts() -> None:
    """Nothing is opened on another host; a port that is taken is an error."""
    with pytest.raises(ValueError, match="loopback"):
        async with open_sandbox(SandboxConfig(host="0.0.0.0")):
            pass
    async with open_sandbox() as sandbox:
        with pytest.raises(OSError, match="in use"):
            async with open_sandbox(SandboxConfig(port=sandbox.port)):
                pass


def test_main_serves_until_a_signal(capsys: pytest.CaptureFixture[str]) -> None:
    """The process says where it is and ends well when it is told to."""

    def stop_at_once(sandbox: Sandbox) -> None:
        announce(sandbox)
        os.kill(os.getpid(), signal.SIGTERM)

    assert main([], on_ready=stop_at_once) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["url"].endswith(f":{said['port']}")


def test_main_refuses_a_wrong_config(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in the config is exit code 2 with a message."""
    assert main(['{"colour":1}']) == 2
    assert "colour" in capsys.readouterr().err


async def test_serve_needs_no_callback() -> None:
    """Serving ends on SIGINT, whether somebody wants to know when it began or not."""
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
    await serve()


def test_package_names_nothing_else() -> None:
    """What is not in the package's face is an AttributeError."""
    with pytest.raises(AttributeError, match="nothing"):
        harvester.sandbox.nothing  # noqa: B018 - asking is the test
