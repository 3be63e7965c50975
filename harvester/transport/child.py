"""The process of a ProcessTransport, begun: with so few imports that it can be the first thing a program does.

A program of its own is started, or this process is forked: half of what the child imports it has imported then. That
is for who knows all that this process has done so far, which the command line does and no service. Elsewhere than on
Linux what a fork finds open or half done is not its own: the system's libraries of macOS are known to end such a
process.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # without `typing`, for who starts a program
if TYPE_CHECKING:
    from typing import NoReturn, TypeAlias

    Process: TypeAlias = "subprocess.Popen[bytes] | Forked"

_CHANNEL_BYTES = 1024 * 1024
"""What may be on its way to this process: a few pages of any kind, so that the child goes on while one is read here.
With a quarter, which one page can fill, unified lines took 4 to 10 % longer, and pages of transcripts up to 8. The
system may give less, without a word: then it is as with a quarter."""

_OPEN_FILES = "/proc/self/fd"
_THREADS = "/proc/self/task"


class Begun:
    """A child that imports what it needs, and our end of the channel to it.

    Args:
        by_fork: This process is forked, where `can_fork`.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self, *, by_fork: bool = False) -> None:
        ours, theirs = socket.socketpair()
        self.socket: socket.socket = ours
        try:
            with theirs, signals_blocked():
                with suppress(OSError):  # beyond what the system allows
                    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHANNEL_BYTES)
                self.process: Process = _fork(theirs) if by_fork else _spawn(theirs.fileno())
        except BaseException:
            self.socket.close()
            raise

    def give_up(self) -> None:
        """End it before anything was asked: it may still be importing, and has nothing to finish."""
        self.socket.close()
        self.process.kill()


def can_begin() -> bool:
    """Say whether there are descriptors to hand on, and an interpreter that runs any module it is told."""
    return os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)


def can_fork() -> bool:
    """Say whether a fork of this process would find nothing that another thread, whoever began it, left half done."""
    try:
        return sys.platform == "linux" and len(os.listdir(_THREADS)) == 1  # noqa: PTH208 - only how many
    except OSError:  # without `/proc`
        return False


def serve(descriptor: int) -> None:
    """Serve the channel at a descriptor, and end the process, which is this one.

    The first request waits for what is imported, so nothing else is done meanwhile: garbage is not looked for, and no
    certificates are loaded.
    """
    gc.disable()
    from . import trust  # noqa: PLC0415 - the child's alone

    with trust.nobody():
        from .worker import main  # noqa: PLC0415
    main(descriptor)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Put off what ends a process; a child that begins here never hears of it, from its first moment.

    Ctrl-C reaches all processes of a terminal and a service's stop all of a service, and what ends then is its parent's
    to decide.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _spawn(descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "harvester.transport", str(descriptor)],
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # It finds modules where this process does, however that came to know them.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_places())},
    )


def _places() -> list[str]:
    """Return where this process finds modules; what a program put there beside text is passed over, as imports do."""
    places: list[object] = [*sys.path]
    return [path or os.curdir for path in places if isinstance(path, str)]


def _fork(theirs: socket.socket) -> Forked:
    pid = os.fork()
    return Forked(pid) if pid else _serve_here(theirs.detach())


def _serve_here(descriptor: int) -> NoReturn:
    """Serve in a process that was just forked, and never return to what it was forked from."""
    try:
        _keep_open(descriptor)
        serve(descriptor)
    except BaseException:  # noqa: BLE001 - as it would be said of a program
        import traceback  # noqa: PLC0415 - a mistake of ours

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)


def _keep_open(descriptor: int) -> None:
    """Close all that the process was forked with but stderr and the channel, as a program that is started finds it."""
    signal.set_wakeup_fd(-1)  # where a loop has one
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nothing, standard)
    for name in os.listdir(_OPEN_FILES):  # noqa: PTH208 - strings
        if int(name) > 2 and int(name) != descriptor:
            with suppress(OSError):  # what was listed with
                os.close(int(name))


class Forked:
    """A fork of this process, with what is used of a `Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid: int = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, None where it has not."""
        return self._ended(os.WNOHANG)

    def wait(self) -> int:
        """Return how it ended, once it has."""
        status = self._ended(0)
        assert status is not None
        return status

    def kill(self) -> None:
        """Kill it, unless it has ended: its number may be another's by then."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _ended(self, options: int) -> int | None:
        """Return how it ended: 0, as of a `Popen`, where nobody knows, for the program ignores signals of children."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:
                self._status = 0
            else:
                self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status
