"""A file that is written aside in more than one attempt: what is durable is noted beside it, and tested when used.

All of it blocks, and runs in a worker thread. Nothing here knows what is in the file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from .files import ASIDE, make_directory, sync_directory, translated

PARTIAL = ".part"
"""What the name of an unfinished file ends in; `.part.json` beside it is its note."""

_READ_BYTES = 1024**2


class Version(msgspec.Struct, frozen=True):
    """Which file it is that is being fetched.

    `validator` is its strong `ETag` or its `Last-Modified`, empty for neither; `total` its size, None where nobody says
    it; `suffix` is known from its first bytes on.
    """

    validator: str = ""
    total: int | None = None
    content_type: str = ""
    suffix: str = ""


class _Note(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str
    version: Version


def notes_in(root: Path) -> set[str]:
    """Return the labels of the files that an earlier process left, each with its note."""
    folder, end = root / ASIDE, f"{PARTIAL}.json"
    with translated(root, folder):
        return {path.name.removesuffix(end) for path in folder.glob(f"*{end}")}


class PartFile:
    """One unfinished file, created by the first bytes.

    Args:
        root: The output folder.
        label: Its name aside, the same in every process.
        kept_bytes: So often what is there is made durable; less is not worth keeping for another process.
    """

    def __init__(self, root: Path, label: str, *, kept_bytes: int) -> None:
        self._root = root
        self._part = root / ASIDE / f"{label}{PARTIAL}"
        self._note = self._part.with_name(f"{self._part.name}.json")
        self._sealed = self._part.with_name(f"{label}-{secrets.token_hex(8)}.sealed")
        self._kept_bytes = kept_bytes
        self._file: BinaryIO | None = None
        self._noted = 0
        self._hash = hashlib.sha256()
        self.size: int = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    @property
    def is_noted(self) -> bool:
        """Whether a later process can go on from it."""
        return self._noted > 0

    def append(self, data: bytes, version: Version) -> None:
        """Write at the end."""
        with translated(self._root, self._part):
            file = self._opened()
            file.write(data)
            self._hash.update(data)
            self.size += len(data)
            if version.validator and self.size - self._noted >= self._kept_bytes:
                self._keep(file, version)

    def empty(self) -> None:
        """Begin anew."""
        with translated(self._root, self._part):
            file = self._opened()
            self._forget()
            file.seek(0)
            file.truncate()
            self._hash, self.size = hashlib.sha256(), 0

    def finish(self) -> tuple[str, str]:
        """Make it whole and durable under a name of its own aside; return that, and its hash."""
        with translated(self._root, self._part):
            file = self._opened()
            _sync(file)
            file.close()
            self._file = None
            self._forget()
            self._part.replace(self._sealed)
            for folder in (self._part.parent, self._part.parent.parent, self._root):
                sync_directory(folder)
        return self._sealed.relative_to(self._root).as_posix(), self._hash.hexdigest()

    def recall(self) -> Version | None:
        """Take up what an earlier process left; None where it is not what its note says."""
        with translated(self._root, self._part):
            try:
                note = msgspec.json.decode(self._note.read_bytes(), type=_Note)
                self._file = self._part.open("r+b")
            except (FileNotFoundError, msgspec.DecodeError):
                return None
            self._noted = note.bytes
            while self.size < note.bytes and (
                data := self._file.read(min(note.bytes - self.size, _READ_BYTES))
            ):
                self._hash.update(data)
                self.size += len(data)
            if self._hash.hexdigest() != note.sha256:
                self.empty()
                return None
            self._file.truncate(note.bytes)
            self._file.seek(note.bytes)
        return note.version

    def close(self, version: Version) -> None:
        """Keep what a later process can go on from, and discard any other."""
        if self._file is None:
            return
        is_worth_it = version.validator != "" and self.size >= self._kept_bytes
        # What cannot be kept or removed now lies there for the next process, which believes no note untested.
        with suppress(OSError), self._file as file:
            if is_worth_it and self.size > self._noted:
                self._keep(file, version)
        if not is_worth_it or not self._noted:
            with suppress(OSError):
                self._forget()
                self._part.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            make_directory(self._part.parent)
            self._file = self._part.open("wb")
        return self._file

    def _keep(self, file: BinaryIO, version: Version) -> None:
        """Make what is there durable, and only then say so."""
        _sync(file)
        fresh = self._note.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(_Note(self.size, self._hash.hexdigest(), version)))
        fresh.replace(self._note)
        self._noted = self.size

    def _forget(self) -> None:
        if self._noted:
            self._note.unlink(missing_ok=True)
            self._noted = 0


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
