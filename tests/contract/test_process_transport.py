"""What a transport in a process of its own has to promise beside: whose life depends on whose, and who sees what."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import msgspec
import psutil
import pytest
from msgspec import structs

from harvester.errors import MalformedError, RejectedError, TransportError
from harvester.model import ReadBy, Request
from harvester.transport import child as child_module
from harvester.transport.aiohttp import AiohttpTransport
from harvester.transport.base import Link, Opening
from harvester.transport.child import Begun
from harvester.transport.frames import (
    KEPT_BYTES,
    TOGETHER,
    UNSENT_BYTES,
    Answer,
    Ask,
    Drop,
    Failure,
    Frames,
    FromChild,
    Limits,
    Place,
    Reader,
    Ready,
)
from harvester.transport.load import LOOK_EACH, Load
from harvester.transport.process import LEAVE_S, MAX_STARTS, ProcessTransport
from harvester.transport.worker import Worker

from .loopback import BODY, Server

CREDENTIAL = "s3cret-key"
NOW = datetime(2026, 4, 1, tzinfo=UTC)
OK = Request("list calls", "/ok")
SILENT = Request("list calls", "/silent")


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a process is forked")


def is_open(transport: ProcessTransport) -> bool:
    return transport._child is not None and transport._child.is_open


class Target(msgspec.Struct, frozen=True):
    """Where to ask, and as whom."""

    base_url: str
    headers: Mapping[str, str] = MappingProxyType({"Authorization": f"Bearer {CREDENTIAL}"})


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def transport() -> AsyncIterator[ProcessTransport]:
    opened = ProcessTransport()
    yield opened
    await opened.aclose()


def at(server: Server) -> Target:
    return Target(f"http://127.0.0.1:{server.port}")


def child_of(transport: ProcessTransport) -> psutil.Process:
    assert transport._child is not None
    return psutil.Process(transport._child.process.pid)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - of another process, or a server that has no events
            await asyncio.sleep(0.005)


@asynccontextmanager
async def under_way(transport: ProcessTransport, server: Server) -> AsyncIterator[asyncio.Task[object]]:
    """A request whose answer does not come, once the server has it."""
    before = len(server.asked)
    task: asyncio.Task[object] = asyncio.ensure_future(transport.send(at(server), SILENT))
    await until(lambda: len(server.asked) > before)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


# Requests and answers.


def test_limits_are_those_of_the_other() -> None:
    """Both take the same limits, with the same defaults."""
    ours, theirs = (inspect.signature(kind).parameters for kind in (ProcessTransport, AiohttpTransport))
    assert {name: one.default for name, one in ours.items()} == {name: theirs[name].default for name in ours}


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[tuple[Target, asyncio.Event, asyncio.Event]]:
    """A server that says this once it is asked, and then waits until the connection is closed; both are told."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        writer.write(answer)
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), asked, gone
    finally:
        server.close()
        await asyncio.sleep(0.01)


async def test_body_of_any_size_comes_whole(transport: ProcessTransport) -> None:
    """A body that is larger than any buffer comes as it was sent, and small ones before and after it too."""
    for size in (0, 1, KEPT_BYTES // 3, 3 * KEPT_BYTES + 17, 5):
        body = os.urandom(size)
        async with saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, body)) as (target, *_):
            assert (await transport.send(target, OK)).body == body
    assert transport._child is not None
    assert len(transport._child._frames._buffer) <= KEPT_BYTES


async def test_headers_come_as_they_were(transport: ProcessTransport) -> None:
    """One that comes twice, one that is no UTF-8, one without a value: they are as in the other transport."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Name: caf\xe9\r\nX-Empty:\r\nLink: a\r\nlink: b\r\n\r\n"
    )
    here = AiohttpTransport()
    try:
        async with saying(head) as (target, *_):
            ours, theirs = await transport.send(target, OK), await here.send(target, OK)
    finally:
        await here.aclose()
    assert list(ours.headers.items()) == list(theirs.headers.items())
    assert (ours.headers["x-empty"], ours.headers["LINK"]) == ("", "a")


@pytest.mark.parametrize(
    ("headers", "value"),
    [({}, "\ud800"), ({"X": "\ud800"}, "a"), ({"X": "a\nb"}, "a")],
)
async def test_what_cannot_be_sent_is_rejected(
    transport: ProcessTransport, server: Server, headers: dict[str, str], value: str
) -> None:
    """What is no Unicode, or no header, is told as such and goes nowhere; the next request is well."""
    with pytest.raises(RejectedError):
        await transport.send(
            Target(at(server).base_url, headers), Request("get call", "/ok", (("q", value),))
        )
    assert server.asked == []
    assert (await transport.send(at(server), OK)).body == BODY


async def test_error_has_its_status(server: Server) -> None:
    """An answer above the limit says what it was."""
    transport = ProcessTransport(max_body_bytes=1_000_000)
    try:
        with pytest.raises(MalformedError, match="larger than 0 MB") as caught:
            await transport.send(at(server), Request("list calls", "/large"))
    finally:
        await transport.aclose()
    assert caught.value.status == 200


async def test_each_target_is_asked_as_itself(transport: ProcessTransport, server: Server) -> None:
    """Requests for several accounts at once, and one whose key was renewed, carry their own credentials."""
    targets = [Target(at(server).base_url, {"Authorization": str(number)}) for number in range(5)]
    await asyncio.gather(*(transport.send(target, OK) for target in targets * 3))
    assert sorted(asked.headers["authorization"] for asked in server.asked) == sorted("01234" * 3)


async def test_cancelling_gives_up_the_request(transport: ProcessTransport) -> None:
    """Who no longer waits for an answer closes the connection; others go on."""
    async with saying(b"") as (target, asked, gone):
        task = asyncio.ensure_future(transport.send(target, OK))
        await asked.wait()
        assert not gone.is_set()
        task.cancel()
        await asyncio.wait_for(gone.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelling_at_once_disturbs_nobody(transport: ProcessTransport, server: Server) -> None:
    """The first of many may be cancelled while the child starts: the others get their answers."""
    tasks = [asyncio.ensure_future(transport.send(at(server), OK)) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [answer.body for answer in answers if not isinstance(answer, BaseException)] == [BODY] * 4


@pytest.mark.parametrize("what", ["answer", "end"])
async def test_what_comes_too_late_is_left(transport: ProcessTransport, server: Server, what: str) -> None:
    """Who was cancelled in the moment of the answer, or of the child's end, was cancelled."""
    async with under_way(transport, server) as task:
        child = transport._child
        assert child is not None
        (number,) = child._waiting
        if what == "end":
            child.close()
        task.cancel()
        if what == "answer":
            for one in (number, number + 1):
                child._receive(memoryview(msgspec.msgpack.encode(Answer(one, 200, [], NOW, 0.1))), b"", b"")
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await transport.send(at(server), OK)).body == BODY


async def test_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child has the environment of its parent."""
    monkeypatch.setenv("http_proxy", at(server).base_url)
    monkeypatch.setenv("no_proxy", "other.test")
    transport = ProcessTransport()
    try:
        assert (await transport.send(Target("http://far.test"), OK)).body == BODY
    finally:
        await transport.aclose()
    assert server.asked[0].line == "GET http://far.test/ok HTTP/1.1"


# Lives.


async def test_start_is_for_early(transport: ProcessTransport, server: Server) -> None:
    """Started before there is work, however often, it is one child, and the one that is asked."""
    transport.start()
    transport.start()
    child = child_of(transport)
    await transport.send(at(server), OK)
    assert child_of(transport) == child


# A child that is begun before there is a transport: a program of its own, or a fork.

either = pytest.mark.parametrize("by_fork", [False, pytest.param(True, marks=on_linux)])


async def adopted(transport: ProcessTransport, server: Server, *, by_fork: bool) -> Begun:
    """Return a child that was begun before, and has answered as the transport's."""
    begun = Begun(by_fork=by_fork)
    transport.adopt(begun)
    transport.start()
    assert (await transport.send(at(server), OK)).status == 200
    assert child_of(transport).pid == begun.process.pid
    return begun


@either
async def test_child_that_was_begun_before_is_the_one_that_is_asked(
    transport: ProcessTransport, server: Server, by_fork: bool
) -> None:
    """A program may begin it before it has a transport."""
    begun = await adopted(transport, server, by_fork=by_fork)
    assert begun.process.poll() is None
    await transport.aclose()
    assert begun.process.poll() == 0


@either
def test_child_that_nobody_takes_is_ended(by_fork: bool) -> None:
    """Where nothing was to be asked after all, neither it nor the channel is left."""
    begun = Begun(by_fork=by_fork)
    begun.give_up()
    assert begun.process.wait() == -signal.SIGKILL
    assert begun.socket.fileno() == -1
    begun.process.kill()  # what is over already, whatever has its number now


@either
async def test_child_that_was_begun_and_dies_is_replaced(
    transport: ProcessTransport, server: Server, by_fork: bool
) -> None:
    """What takes its place is a program of its own, for this one has threads by then."""
    begun = await adopted(transport, server, by_fork=by_fork)
    begun.process.kill()
    await until(lambda: not is_open(transport))
    assert (await transport.send(at(server), OK)).status == 200
    assert begun.process.poll() == -signal.SIGKILL
    assert "harvester.transport" in child_of(transport).cmdline()


@either
async def test_child_holds_nothing_of_its_parents_but_stderr(
    transport: ProcessTransport, server: Server, by_fork: bool
) -> None:
    """Whoever reads what the parent writes sees its end when the parent closes it."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    await adopted(transport, server, by_fork=by_fork)
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)
    if sys.platform == "linux":
        ours, its = os.getpid(), child_of(transport).pid
        assert [_opened(its, fd) for fd in range(3)] == [os.devnull, os.devnull, _opened(ours, 2)]


def _opened(pid: int, fd: int) -> str:
    return str(Path(f"/proc/{pid}/fd/{fd}").readlink())


@either
async def test_child_outlives_no_parent(server: Server, by_fork: bool) -> None:
    """Where its parent is killed it sees the channel's end, and leaves."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ASKS, str(at(server).base_url), str(by_fork), stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    child = int(await program.stdout.readline())
    assert psutil.pid_exists(child)
    program.kill()
    await program.wait()
    await until(lambda: not is_running(child))


_ASKS = """
import asyncio, sys
from harvester.model import Request
from harvester.transport.child import Begun
from harvester.transport.process import ProcessTransport
begun = Begun(by_fork=sys.argv[2] == "True")
class Target:
    base_url, headers = sys.argv[1], {}
async def main():
    transport = ProcessTransport()
    transport.adopt(begun)
    await transport.send(Target, Request("list calls", "/ok"))
    print(begun.process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@on_linux
def test_fork_that_cannot_serve_says_why(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as a program would, and never goes on with what its parent was doing."""

    def fail(_: int) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(child_module, "serve", fail)
    begun = Begun(by_fork=True)
    assert begun.process.wait() == 1
    assert begun.socket.recv(1) == b""
    begun.give_up()
    assert "KeyError: 'a mistake'" in capfd.readouterr().err


@on_linux
def test_end_that_nobody_is_told_of_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may ignore what becomes of its children; the system keeps no status of theirs then."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        begun = Begun(by_fork=True)
        begun.give_up()
        assert begun.process.wait() == 0
        assert begun.process.poll() == 0
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("kind", ["untouched", "started", "used", "dead"])
async def test_closing_leaves_nothing(server: Server, kind: str) -> None:
    """No process, no descriptor: whether it was used, only started, or its child is dead by then."""
    before = psutil.Process().num_fds()
    pid = 0
    transport = ProcessTransport()
    if kind != "untouched":
        transport.start()
        pid = child_of(transport).pid
    if kind in {"used", "dead"}:
        await transport.send(at(server), OK)
    if kind == "dead":
        child_of(transport).kill()
    await transport.aclose()
    await transport.aclose()
    assert not pid or not psutil.pid_exists(pid)
    await until(lambda: psutil.Process().num_fds() <= before)


async def test_closing_ends_what_is_under_way(server: Server) -> None:
    """Nobody is left waiting, and nobody starts it again."""
    transport = ProcessTransport()
    async with under_way(transport, server) as task:
        await transport.aclose()
        with pytest.raises(TransportError):
            await task
    with pytest.raises(RuntimeError):
        await transport.send(at(server), OK)


async def test_closing_while_it_opens_ends_it(server: Server) -> None:
    """A request that is as early as the end gets an error, not an answer."""
    transport = ProcessTransport()
    task = asyncio.ensure_future(transport.send(at(server), OK))
    await asyncio.sleep(0)
    await transport.aclose()
    with pytest.raises(TransportError):
        await task


@pytest.mark.slow
async def test_child_that_does_not_leave_is_killed(server: Server) -> None:
    """One that is stopped does not see that its channel is closed; it is given some time and no more."""
    transport = ProcessTransport()
    await transport.send(at(server), OK)
    child = child_of(transport)
    child.suspend()
    began = asyncio.get_running_loop().time()
    await transport.aclose()
    assert asyncio.get_running_loop().time() - began == pytest.approx(LEAVE_S, abs=1)
    assert not psutil.pid_exists(child.pid)


async def test_child_that_dies_is_replaced(transport: ProcessTransport, server: Server) -> None:
    """What was under way may be tried again, by another child."""
    await transport.send(at(server), OK)
    async with under_way(transport, server) as task:
        child = child_of(transport)
        child.kill()
        with pytest.raises(TransportError) as caught:
            await task
    assert caught.value.is_retryable
    assert (await transport.send(at(server), OK)).body == BODY
    assert child_of(transport) != child


async def test_requests_that_waited_for_another_child_are_to_go_again(
    transport: ProcessTransport, server: Server
) -> None:
    """They counted against their limit one by one, and would be sent all at once: the first of them alone is."""
    await transport.send(at(server), OK)
    child = child_of(transport)
    child.kill()
    await until(lambda: not is_open(transport))
    sent = await asyncio.gather(*[transport.send(at(server), OK) for _ in range(5)], return_exceptions=True)
    assert [isinstance(one, TransportError) and one.is_retryable for one in sent] == [False, *[True] * 4]
    assert (await transport.send(at(server), OK)).body == BODY


async def test_transport_is_open_once_its_child_serves(transport: ProcessTransport) -> None:
    """An export waits for that before its first request, which is sent when it is counted."""
    assert isinstance(transport, Opening)
    transport.start()
    assert not is_open(transport)
    await transport.open()
    assert is_open(transport)


async def test_transport_whose_child_ends_while_it_is_begun_is_not_waited_for(
    transport: ProcessTransport,
) -> None:
    """Opening it fails nothing: the first request says what is wrong, or goes by another child."""
    transport.start()
    child_of(transport).kill()
    async with asyncio.timeout(10):
        await transport.open()
    assert not is_open(transport)


async def test_child_that_comes_too_late_is_ended(transport: ProcessTransport) -> None:
    """A transport has one child; another that was begun is given up and not left behind."""
    transport.start()
    begun = Begun()
    transport.adopt(begun)
    assert child_of(transport).pid != begun.process.pid
    await transport.aclose()
    assert begun.process.poll() is not None


@pytest.mark.slow
async def test_children_that_die_in_vain_are_enough(transport: ProcessTransport, server: Server) -> None:
    """After three without an answer each request says so; one answer between and they are counted anew."""
    for is_answered in (True, *[False] * MAX_STARTS):
        if is_answered:
            await transport.send(at(server), OK)
        async with under_way(transport, server) as task:
            child_of(transport).kill()
            with pytest.raises(TransportError, match="before the answer came"):
                await task
    for _ in range(2):
        with pytest.raises(TransportError, match="3 times without an answer"):
            await transport.send(at(server), OK)


async def test_signals_are_the_parents_affair(transport: ProcessTransport, server: Server) -> None:
    """Ctrl-C and a service's stop reach the child too, from its first moment, and mean nothing to it."""
    transport.start()
    child = child_of(transport)
    for _ in range(3):
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        assert (await transport.send(at(server), OK)).body == BODY
    assert child_of(transport) == child


async def test_credentials_travel_through_the_channel_only(
    transport: ProcessTransport, server: Server
) -> None:
    """Neither arguments nor environment of the child tell, nor what is logged or printed of a message."""
    await transport.send(at(server), OK)
    child = child_of(transport)
    assert CREDENTIAL not in f"{child.cmdline()} {child.environ()}"
    assert CREDENTIAL not in repr(Place(0, CREDENTIAL, {"Authorization": CREDENTIAL}))
    assert CREDENTIAL not in repr(Ask(0, 0, "GET", CREDENTIAL, ((CREDENTIAL, CREDENTIAL),)))


@pytest.mark.parametrize("executable", ["", "/nonexistent/python"])
async def test_without_a_child_it_asks_itself(
    server: Server, monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    """Where no process can be started, this one does the work."""
    monkeypatch.setattr(sys, "executable", executable)
    transport = ProcessTransport()
    transport.start()
    try:
        for _ in range(2):
            assert (await transport.send(at(server), OK)).body == BODY
    finally:
        await transport.aclose()
    assert transport._child is None
    assert [asked.connection for asked in server.asked] == [1, 1]


# The process as a whole, seen from outside.

FETCH = """
import asyncio, sys
from harvester.model import Request
from harvester.transport.process import ProcessTransport
class Target:
    base_url, headers = sys.argv[1], {}
async def main():
    transport = ProcessTransport()
    assert not {"aiohttp", "multidict"} & set(sys.modules)
    answer = await transport.send(Target, Request("", "/ok"))
    print(answer.status, transport._child.process.pid, "aiohttp" in sys.modules, flush=True)
    await asyncio.sleep(float(sys.argv[2]))
    await transport.aclose()
asyncio.run(main())
"""


async def fetching(server: Server, wait_s: float, folder: str = ".") -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", FETCH, at(server).base_url, str(wait_s), stdout=subprocess.PIPE, cwd=folder
    )


@pytest.mark.slow
async def test_aiohttp_stays_out_of_this_process(server: Server) -> None:
    """What takes 190 ms and 10 MB to import is paid beside the caller's own start."""
    run = await fetching(server, 0)
    out, _ = await run.communicate()
    assert (out.split()[0], out.split()[2], run.returncode) == (b"200", b"False", 0)


@pytest.mark.slow
async def test_child_finds_what_its_parent_finds(server: Server, tmp_path: Path) -> None:
    """It looks for modules where its parent does, in the same order; and it can do without uvloop."""
    (tmp_path / "uvloop.py").write_text("open('looked', 'w').close()\nraise ImportError\n")
    run = await fetching(server, 0, str(tmp_path))
    out, _ = await run.communicate()
    assert (out[:3], run.returncode, (tmp_path / "looked").exists()) == (b"200", 0, True)


@pytest.mark.slow
async def test_child_ends_with_its_parent(server: Server) -> None:
    """Whatever becomes of the parent, by `kill -9` too, no child is left."""
    run = await fetching(server, 60)
    assert run.stdout is not None
    child = psutil.Process(int((await run.stdout.readline()).split()[1]))
    run.kill()
    await run.wait()
    await until(lambda: not is_running(child.pid))


# The other end, in this process.


class Parent:
    """Speaks to a Worker as a ProcessTransport does."""

    def __init__(self) -> None:
        self.frames = Frames(self._receive, lambda: None, size=64)
        self.is_served = False
        self.said: list[Answer | Failure] = []
        self.bodies: list[bytes] = []
        self.readings: list[bytes] = []

    def _receive(self, encoded: memoryview, body: bytes, reading: bytes) -> None:
        message = msgspec.msgpack.decode(encoded, type=FromChild)
        if isinstance(message, Ready):
            self.is_served = True
            return
        assert self.is_served
        self.said.append(message)
        self.bodies.append(body)
        self.readings.append(reading)

    async def hear(self, count: int) -> None:
        await until(lambda: len(self.said) >= count)


@pytest.fixture
async def parent() -> AsyncIterator[Parent]:
    ours, theirs = socket.socketpair()
    opened, worker = Parent(), Worker()
    serving = asyncio.ensure_future(worker.serve(theirs))
    await asyncio.get_running_loop().create_unix_connection(lambda: opened.frames, sock=ours)
    yield opened
    opened.frames.close()
    opened.frames.write(Drop(0))  # into the void
    await serving
    await worker.aclose()
    assert not opened.frames.is_open


async def test_worker_answers_by_number(parent: Parent, server: Server) -> None:
    """Each answer has the number of its question, whatever the order."""
    parent.frames.write(Limits(1, 1, 1, 1000))
    parent.frames.write(Place(7, at(server).base_url, {}))
    for number, path in enumerate(("/ok", "/refused", "/reset", "/large", "/after-a-while")):
        parent.frames.write(Ask(number, 7, "GET", path, ()))
    await parent.hear(5)
    said = {one.number: one for one in parent.said}
    assert [getattr(said[number], "status") for number in range(5)] == [200, 429, None, 200, 200]  # noqa: B009
    kinds = [getattr(said[number], "kind", "") for number in range(5)]
    assert kinds == ["", "", "TransportError", "MalformedError", ""]
    assert parent.said[-1].number == 4


async def test_worker_gives_odd_headers_as_bytes(parent: Parent) -> None:
    """What is no UTF-8 goes along as it came."""
    async with saying(b"HTTP/1.1 204 No\r\nX-Name: caf\xe9\r\n\r\n") as (target, *_):
        parent.frames.write(Place(0, target.base_url, {}))
        parent.frames.write(Ask(0, 0, "GET", "/", ()))
        await parent.hear(1)
    (answer,) = parent.said
    assert isinstance(answer, Answer)
    assert (answer.headers, answer.odd_headers) == ([], [(b"X-Name", b"caf\xe9")])


async def test_worker_tells_of_its_own_mistakes(parent: Parent) -> None:
    """A question about a place it was not told of is answered: nobody waits for ever."""
    parent.frames.write(Ask(0, 1, "GET", "/", ()))
    await parent.hear(1)
    assert isinstance(parent.said[0], Failure)
    assert parent.said[0].message.startswith("KeyError in _answer, line ")


READ_TWICE = """
def open_reader(options):
    def read(body, received_at, note):
        assert received_at.tzinfo is not None and note != b"refuse"
        return b"|".join([options, note, body, body])
    return read
"""


@pytest.fixture
def read_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReadBy:
    """What reads a body twice, in a module that a child finds where this process does."""
    (tmp_path / "reads_twice.py").write_text(READ_TWICE)
    monkeypatch.syspath_prepend(tmp_path)
    return ReadBy("reads_twice:open_reader", b"o")


async def test_worker_reads_what_it_is_asked_to(parent: Parent, server: Server, read_by: ReadBy) -> None:
    """What a reader makes of a body goes along; of a failure, a refusal or for want of a reader, nothing."""
    parent.frames.write(Place(0, at(server).base_url, {}))
    parent.frames.write(Reader(3, read_by.function, read_by.options))
    parent.frames.write(Reader(4, "reads_twice:no_such_function", b""))
    asked = [
        ("/ok", 3, b"n"),
        ("/ok", 3, b"refuse"),
        ("/ok", None, b""),
        ("/refused", 3, b"n"),
        ("/ok", 4, b""),
    ]
    for number, (path, reader, note) in enumerate(asked):
        parent.frames.write(Ask(number, 0, "GET", path, (), reader, note))
    await parent.hear(5)
    said = {one.number: at for at, one in enumerate(parent.said)}
    body = parent.bodies[said[0]]
    assert body
    assert parent.readings[said[0]] == b"|".join([b"o", b"n", body, body])
    assert [parent.readings[said[number]] for number in (1, 2, 3, 4)] == [b""] * 4


async def test_answer_is_read_where_it_arrives(
    transport: ProcessTransport, server: Server, read_by: ReadBy
) -> None:
    """The request says by what; the answer has what was made of it, beside all that it is."""
    for note in (b"1", b"2"):
        response = await transport.send(at(server), structs.replace(OK, read_by=read_by, note=note))
        assert response.reading == b"|".join([b"o", note, response.body, response.body])
    assert (await transport.send(at(server), OK)).reading == b""


async def test_reading_is_done_by_whoever_has_less_to_do(
    transport: ProcessTransport, server: Server, read_by: ReadBy
) -> None:
    """With all requests under way there, this process waits anyway; with nearly all it has time for what is light."""
    light = structs.replace(read_by, is_light=True)

    async def is_read_there(one: ReadBy) -> bool:
        response = await transport.send(at(server), structs.replace(OK, read_by=one))
        assert transport._child is not None
        assert one in transport._child._readers, "the child is told of it before it is needed"
        return bool(response.reading)

    held = [asyncio.ensure_future(transport.send(at(server), SILENT)) for _ in range(20)]
    await until(lambda: len(server.asked) == 20)
    try:
        assert not await is_read_there(light)
        assert not await is_read_there(read_by)
        for left, is_light_there in ((18, False), (1, True)):
            given_up, held = held[left:], held[:left]
            for task in given_up:
                task.cancel()
            await asyncio.wait(given_up)
            assert await is_read_there(light) == is_light_there
            assert await is_read_there(read_by)
    finally:
        for task in held:
            task.cancel()


async def test_worker_gives_up_reading_what_it_cannot(
    parent: Parent, server: Server, read_by: ReadBy
) -> None:
    """After some in vain one in a while is tried: each would be read twice, and the next may be ordinary again."""
    parent.frames.write(Place(0, at(server).base_url, {}))
    parent.frames.write(Reader(3, read_by.function, read_by.options))
    for number, note in enumerate([b"refuse"] * 7 + [b"n"] + [b"refuse"] * 8 + [b"n"] * 10):
        parent.frames.write(Ask(number, 0, "GET", "/ok", (), 3, note))
        await parent.hear(number + 1)
    assert [bool(reading) for reading in parent.readings] == [False] * 7 + [True] + [False] * 16 + [True] * 2


@pytest.mark.parametrize("end", ["read", "close"])
async def test_drained_waits_for_the_other_side(end: str) -> None:
    """Until it has read almost all, or the channel is closed: nobody waits for ever."""
    ours, theirs = socket.socketpair()
    loop, frames = asyncio.get_running_loop(), Frames(lambda *_: None, lambda: None, size=64)
    await loop.create_unix_connection(lambda: frames, sock=ours)
    await frames.drained()
    frames.write(Drop(0), b"x" * (UNSENT_BYTES + 4_000_000))
    with theirs:
        theirs.setblocking(False)
        assert await loop.sock_recv(theirs, 1)  # it is on its way
        waiting = asyncio.ensure_future(frames.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        if end == "close":
            frames.close()
        else:
            await until_read(theirs, waiting.done)
        await asyncio.wait_for(waiting, 10)
        frames.close()


class _Working(Load):
    """A load that says what it is told to."""

    def __init__(self, *, has_time: bool) -> None:
        super().__init__()
        self.has_time = has_time

    def count(self) -> None:
        """Look at nothing."""


@pytest.mark.parametrize("has_time", [True, False])
async def test_who_has_time_writes_each_frame_at_once(has_time: bool) -> None:
    """Who has none writes those of a turn together, and never more than some: the other side is to go on meanwhile."""
    ours, theirs = socket.socketpair()
    frames = Frames(lambda *_: None, lambda: None, size=64, load=_Working(has_time=has_time))
    await asyncio.get_running_loop().create_unix_connection(lambda: frames, sock=ours)
    with theirs:
        theirs.setblocking(False)

        def come() -> int:
            with suppress(BlockingIOError):
                return len(theirs.recv(1 << 16))
            return 0

        frames.write(Drop(0))
        size = come()
        assert bool(size) == has_time
        await asyncio.sleep(0)
        size = size or come()
        assert size
        for count in range(1, TOGETHER + 2):
            frames.write(Drop(0))
            assert come() == (size if has_time else TOGETHER * size if count == TOGETHER else 0)
        frames.close()


async def test_frames_are_written_when_time_runs_out() -> None:
    """The one with which the load is seen is not left behind."""
    ours, theirs = socket.socketpair()
    load = Load(lambda: 0.0, lambda: 0.0)  # no time passes: at the first look there is none to spare
    frames = Frames(lambda *_: None, lambda: None, size=64, load=load)
    await asyncio.get_running_loop().create_unix_connection(lambda: frames, sock=ours)
    with theirs:
        theirs.setblocking(False)
        frames.write(Drop(0))
        size = len(theirs.recv(1 << 16))
        for _ in range(1, LOOK_EACH):
            frames.write(Drop(0))
        assert not load.has_time
        await asyncio.sleep(0)
        assert len(theirs.recv(1 << 16)) == (LOOK_EACH - 1) * size
        frames.close()


async def until_read(channel: socket.socket, is_enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_enough():
            await asyncio.get_running_loop().sock_recv(channel, 1 << 20)


async def test_worker_drops_what_is_not_wanted(parent: Parent, server: Server) -> None:
    """Dropped with its question, under way, or long answered: nothing comes of it."""
    parent.frames.write(Place(0, at(server).base_url, {}))
    parent.frames.write(Ask(0, 0, "GET", "/never-sent", ()))
    parent.frames.write(Drop(0))
    parent.frames.write(Ask(1, 0, "GET", "/silent", ()))
    parent.frames.write(Ask(2, 0, "GET", "/ok", ()))
    await parent.hear(1)
    parent.frames.write(Drop(1))
    parent.frames.write(Drop(2))
    parent.frames.write(Ask(3, 0, "GET", "/ok", ()))
    parent.frames.write(Ask(4, 0, "GET", "/silent", ()))  # and this one when all is over
    await parent.hear(2)
    await until(lambda: len(server.asked) == 4)
    assert [one.number for one in parent.said] == [2, 3]
    assert sorted(asked.line.split()[1] for asked in server.asked) == ["/ok", "/ok", "/silent", "/silent"]


async def test_mistake_of_the_child_is_not_a_refusal(transport: ProcessTransport, server: Server) -> None:
    """What the child did not foresee is a mistake here too, and no reason to try again."""
    await transport.send(at(server), OK)
    assert transport._child is not None
    transport._child._places = dict.fromkeys(transport._child._places, 99)
    with pytest.raises(RuntimeError, match="met a KeyError in _answer"):
        await transport.send(at(server), OK)


async def test_stream_is_followed_here(transport: ProcessTransport, server: Server) -> None:
    """A link needs no child."""
    link = Link(f"{at(server).base_url}/ok", trusted="http://127.0.0.1")
    async with transport.stream(link) as stream:
        assert stream.status == 200
    assert transport._child is None
