"""The process of a ProcessTransport, begun: with so few imports that it can be the first thing a program does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

_CHANNEL_BYTES = 1024 * 1024
"""What may be on its way to this process: a few pages of any kind, so that the child goes on while one is read here.
With a quarter, which one page can fill, unified lines took 4 to 10 % longer, and pages of transcripts up to 8. The
system may give less, without a word: then it is as with a quarter."""


class Begun:
    """A child that imports what it needs, and our end of the channel to it.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.socket: socket.socket = ours
        try:
            with theirs:
                with suppress(OSError):  # beyond what the system allows
                    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHANNEL_BYTES)
                self.process: subprocess.Popen[bytes] = _spawn(theirs.fileno())
        except BaseException:
            self.socket.close()
            raise

    def give_up(self) -> None:
        """End it before anything was asked: it may still be importing, and has nothing to finish."""
        self.socket.close()
        self.process.kill()


def _places() -> list[str]:
    """Return where this process finds modules; what a program put there beside text is passed over, as imports do."""
    places: list[object] = [*sys.path]
    return [path or os.curdir for path in places if isinstance(path, str)]


def can_begin() -> bool:
    """Say whether there are descriptors to hand on, and an interpreter that is no program of its own."""
    return os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)


def _spawn(descriptor: int) -> subprocess.Popen[bytes]:
    """Start a child with one end of the channel.

    Ctrl-C reaches all processes of a terminal and a service's stop all of a service; what ends then is decided here.
    Signals that are blocked stay so in the child, from its first moment.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "harvester.transport", str(descriptor)],
            pass_fds=(descriptor,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # It finds modules where this process does, however that came to know them.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_places())},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
