"""One run an output: an advisory lock on a file, which says who holds it and is gone with its process."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from harvester.errors import HeldError


class Lock:
    """Holds an output for as long as it is open.

    Raises:
        HeldError: Another run holds it; the message says which.
    """

    def __init__(self, path: Path, *, holder: str) -> None:
        self._file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            other = self._file.read().strip() or "another process"
            self._file.close()
            raise HeldError(
                f"this output is held by {other}; wait until it ends, or write elsewhere with --out"
            ) from error
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}: {holder}\n")
        self._file.flush()

    def close(self) -> None:
        """Let go."""
        self._file.close()


def holder_of(path: Path) -> str | None:
    """Return who holds an output, None where nobody does or it cannot be told."""
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read().strip() or "another process"
    except OSError:
        return None
    return None
