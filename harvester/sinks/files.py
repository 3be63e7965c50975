"""The durable file steps all sinks share: a file aside, made whole, then renamed into place.

All but `publish` and `Steps` blocks, and runs in a worker thread. Nothing here knows what is in a file.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import anyio
import anyio.to_thread

from harvester.errors import OutputError
from harvester.model import Segment, SegmentKind

P = ParamSpec("P")
T = TypeVar("T")

ASIDE = "_harvester/aside"
"""Where unfinished and unpublished segments lie: on the output's file system, so a rename is enough."""

_NOTHING_TO_SYNC = {errno.EINVAL, errno.ENOTSUP}  # a network's file system that knows no fsync of a directory
_REMEDIES = {
    errno.ENOSPC: ("no space left", "free some space or choose another --out; the same command goes on"),
    errno.EDQUOT: (
        "the disk quota is used up",
        "free some space or choose another --out; the same command goes on",
    ),
    errno.EFBIG: ("the file is larger than this system allows", "raise the limit or choose another --out"),
    errno.EACCES: ("not allowed", "let this user write there or choose another --out"),
    errno.EPERM: ("not allowed", "let this user write there or choose another --out"),
    errno.EROFS: ("the file system is read-only", "choose another --out"),
    errno.ENOTDIR: ("a file is where a folder should be", "move it away or choose another --out"),
    errno.EEXIST: ("a file is where a folder should be", "move it away or choose another --out"),
}


def output_error(error: OSError, root: Path, path: Path) -> OutputError:
    """Return what an OSError at `path` means to the user, who knows the output as `root`."""
    if error.errno in {errno.EEXIST, errno.ENOTDIR} and isinstance(error.filename, str):
        path = Path(error.filename)  # what is in the way may be further up
    what, remedy = _REMEDIES.get(
        error.errno or 0, (error.strerror or str(error), "the same command goes on once that is mended")
    )
    return OutputError(f"cannot write {_place(root, path)}: {what}; {remedy}")


def _place(root: Path, path: Path) -> str:
    if not path.is_relative_to(root):
        return str(path)
    where = path.relative_to(root).as_posix()
    return root.name or str(root) if where == "." else f"{where} (below {root.name or root})"


@contextmanager
def translated(root: Path, path: Path) -> Iterator[None]:
    """Turn the OSErrors of a step at `path` into OutputErrors."""
    try:
        yield
    except OSError as error:
        raise output_error(error, root, path) from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_names(fd)
    finally:
        os.close(fd)


def sync_names(fd: int) -> None:
    """Make the names in an open directory durable, where its file system can."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NOTHING_TO_SYNC:
            raise


def make_directory(path: Path) -> None:
    """Create a directory and its parents, each durable in its own."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


class Aside:
    """One unfinished file: created by the first use, then either finished or discarded.

    Args:
        root: The output folder.
        label: What its name starts with, for a reader of the folder; a random part makes it unique.
    """

    def __init__(self, root: Path, label: str) -> None:
        self.root = root
        self.path: Path = root / ASIDE / f"{label[:120]}-{secrets.token_hex(8)}.open"

    def create(self) -> io.FileIO:
        """Create the file, which must not exist, and return it for writing."""
        with translated(self.root, self.path.parent):
            make_directory(self.path.parent)
            return io.FileIO(self.path, "xb")

    def finish(
        self, *, source: str, kind: SegmentKind, name: str, rows: int, sha256: str | None = None
    ) -> Segment:
        """Make the closed file durable under its name aside and say what it is; it is not yet visible.

        Without its hash the file is read back: 0.09 s for 128 MiB, without the interpreter's lock.
        """
        with translated(self.root, self.path):
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
                sha256 = sha256 or hashlib.file_digest(file, "sha256").hexdigest()
                size = file.seek(0, os.SEEK_END)
            for directory in (self.path.parent, self.path.parent.parent, self.root):
                sync_directory(directory)
        return Segment(
            source=source,
            kind=kind,
            path=f"{kind}/{source}/{name}",
            rows=rows,
            bytes=size,
            sha256=sha256,
            aside=self.path.relative_to(self.root).as_posix(),
        )

    def discard(self) -> None:
        """Remove the file if it is there."""
        # What cannot be removed now is found and removed on resuming.
        with suppress(OSError):
            self.path.unlink()


_threads = ThreadPoolExecutor(4, "harvester-sink")


class Steps:
    """A sink's steps in worker threads, one at a time, each done as a whole or the open segment is lost.

    A step is never abandoned: cancellation waits for its end and comes at the caller's next await. Should the
    waiting itself be torn away (asyncio's own `Task.cancel` passes every shield), the step still ends; only
    `last` can follow it, and waits for that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: Future[None] | None = None
        self._is_lost = False
        self._is_closed = False

    def check(self) -> None:
        """Refuse a segment that has lost rows, and a closed sink.

        Raises:
            OutputError: An earlier step failed, so rows given to the open segment are not in it.
        """
        if self._is_closed:
            raise OutputError("this sink is closed; open another")
        if self._is_lost:
            raise OutputError(
                "the open segment was lost by an earlier failure; start again, the same command goes on"
            )

    @property
    def is_busy(self) -> bool:
        """A step that was begun is not over."""
        return self._begun is not None and not self._begun.done()

    async def begin(self, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Begin a step, once the one before is over, and go on; if it fails the next to come is told."""
        await self.settle()
        self.check()

        def locked() -> None:
            with self._lock:
                step(*args, **kwargs)

        # Not by the loop's own: it would learn of the end only at its next turn, and that may take long.
        self._begun = _threads.submit(locked)

    async def settle(self) -> None:
        """Wait for the step that was begun; if it failed the open segment is lost."""
        if self._begun is None:
            return
        if not self._begun.done():
            ended = asyncio.wrap_future(self._begun)
            with anyio.CancelScope(shield=True):
                await asyncio.wait([ended])
            ended.exception()  # it is raised below, and asyncio is to know that
        begun, self._begun = self._begun, None
        self._is_lost = self._is_lost or begun.exception() is not None
        begun.result()

    async def run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step; if it fails the open segment is lost."""
        await self.settle()
        self.check()
        self._is_lost = True
        result = await self._run(lambda: step(*args, **kwargs))
        self._is_lost = False
        return result

    async def last(self, step: Callable[[], None]) -> None:
        """Run the step that ends the sink, once, after the one that was begun; whether that failed is no matter now."""
        if not self._is_closed:
            self._is_closed = True
            if self._begun is not None and not self._begun.cancel():
                with suppress(Exception):
                    await self.settle()
            await self._run(step)

    async def _run(self, step: Callable[[], T]) -> T:
        def locked() -> T:
            with self._lock:
                return step()

        results: list[T] = []
        with anyio.CancelScope(shield=True):
            results.append(await anyio.to_thread.run_sync(locked))
        return results[0]


class Sealed(Protocol):
    """A file that is whole and durable aside."""

    @property
    def path(self) -> str:
        """Where it belongs, relative to the output."""
        ...

    @property
    def aside(self) -> str:
        """Where it lies until then, likewise."""
        ...


async def publish(root: Path, *files: Sealed) -> None:
    """Make sealed files visible and their places durable; repeating it changes nothing.

    Args:
        root: The output folder.
        files: As `seal` returned them, or as the journal kept them; each folder of theirs is made durable once.

    Raises:
        OutputError: One is neither aside nor in place, or cannot be put there.
    """
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(_publish, root, files)


def _publish(root: Path, files: Sequence[Sealed]) -> None:
    # A dict keeps their order: folders before those they are in.
    folders: dict[Path, None] = {}
    for file in files:
        final = root / file.path
        with translated(root, final):
            make_directory(final.parent)
            _put_in_place(root, file)
        # All the way up, whoever made the folders: a run that was killed may have left one not yet durable.
        folders |= dict.fromkeys(one for one in final.parents if one.is_relative_to(root))
        if file.aside:
            folders[(root / file.aside).parent] = None
    for folder in folders:
        with translated(root, folder), suppress(FileNotFoundError):
            sync_directory(folder)


def _put_in_place(root: Path, file: Sealed) -> None:
    aside, final = root / file.aside, root / file.path
    if file.aside and aside.exists():
        aside.replace(final)
    elif not final.exists():
        raise OutputError(
            f"{file.path} is sealed, but neither in place nor aside ({file.aside or 'no name'}); "
            "put it back, or export this source again with --fresh"
        )
