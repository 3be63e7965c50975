"""Recordings: streamed to a file aside, checked, renamed into place.

The order is that of segments: a take is sealed (whole and durable, not visible), the caller enters it in the journal,
and then it is published. A take that broke off can go on where it was, a large one in a later process too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from harvester.errors import MalformedError, RejectedError, TransportError

from .files import Steps, publish
from .names import file_stem
from .partial import PartFile, Version, notes_in
from .sounds import HEAD_BYTES, suffix_of

MAX_BYTES = 2 * 1024**3
"""A larger recording is refused: three days of sound at 64 kbit/s."""

BUFFER_BYTES = 1024**2
"""What a take holds in memory: a thread for each small write costs 38 % at 256 kB and 9 % at 1 MB (`SPEED.md`)."""

KEPT_BYTES = 16 * 1024**2
"""So often what is there is made durable; less than that is fetched anew by the next process."""


class Recording(msgspec.Struct, frozen=True):
    """One recording's file, whole and durable; `path` and `aside` are relative to the output, as in a Segment."""

    path: str
    aside: str
    bytes: int
    sha256: str
    content_type: str = ""


class Resume(msgspec.Struct, frozen=True):
    """What is there of a recording: go on behind so many bytes, if the storage still has this version of it.

    `validator` is for `If-Range` (RFC 9110, 13.1.5); `total` the size of the whole.
    """

    bytes: int
    validator: str
    total: int | None


class Recordings:
    """Where the recordings of an output go.

    Args:
        root: The output folder.
        max_bytes: The largest recording that is taken.
        buffer_bytes: What each take holds in memory.
        kept_bytes: How often an unfinished one is made durable.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int = MAX_BYTES,
        buffer_bytes: int = BUFFER_BYTES,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.buffer_bytes = buffer_bytes
        self.kept_bytes = kept_bytes
        self._left: set[str] | None = None

    def path_for(self, source: str, call_id: str, created_at: datetime | None, suffix: str) -> str:
        """Return where a call's recording belongs, relative to the output.

        Args:
            source: The source's name.
            call_id: Whatever is in it, it stays one name in its folder, the same one in every run.
            created_at: When the call was created; its UTC day is the folder, `undated` for None.
            suffix: As the sound itself says, less the dot.
        """
        day = "undated" if created_at is None else created_at.astimezone(UTC).date().isoformat()
        return f"recordings/{source}/{day}/{file_stem(call_id)}.{suffix}"

    @asynccontextmanager
    async def open(self, source: str, call_id: str, created_at: datetime | None) -> AsyncIterator[Take]:
        """Open a call's take, one at a time for each call; unless it is sealed nothing visible comes of it.

        Raises:
            OutputError: What lies aside cannot be read.
        """
        if self._left is None:  # the folder is looked at once
            self._left = await anyio.to_thread.run_sync(notes_in, self.root)
        take = Take(self, source, call_id, created_at)
        if take.label in self._left:
            await take.recall()
        try:
            yield take
        finally:
            with anyio.CancelScope(shield=True):
                if await take.aclose():
                    self._left.add(take.label)

    async def publish(self, *recordings: Recording) -> None:
        """Make sealed recordings visible and their places durable; repeating it changes nothing.

        Raises:
            OutputError: One is neither aside nor in place, or cannot be put there.
        """
        await publish(self.root, *recordings)

    async def discard(self, recording: Recording) -> None:
        """Remove a sealed recording that is not to be published."""
        await anyio.to_thread.run_sync(lambda: (self.root / recording.aside).unlink(missing_ok=True))


class Take:
    """One recording on its way to a file: `begin`, `write` until it is all there, `seal`.

    Args:
        place: Where it goes.
        source: The source's name.
        call_id: The call's id.
        created_at: When the call was created.
    """

    def __init__(self, place: Recordings, source: str, call_id: str, created_at: datetime | None) -> None:
        self._place = place
        self._call = (source, call_id, created_at)
        self.label: str = f"recording-{file_stem(f'{source}.{call_id}')}"
        self._file = PartFile(place.root, self.label, kept_bytes=place.kept_bytes)
        self._steps = Steps()
        self._begin(Version())

    def _begin(self, version: Version) -> None:
        self._version = version
        self._held: list[bytes] = []
        self._held_bytes = 0

    @property
    def size(self) -> int:
        """What is there, in bytes."""
        return self._file.size + self._held_bytes

    @property
    def resume(self) -> Resume | None:
        """Where to go on; None where there is nothing, or nothing by which to know it again."""
        version = self._version
        if not self.size or not version.validator or not version.suffix:
            return None
        return Resume(self.size, version.validator, version.total)

    async def begin(self, *, content_type: str = "", total: int | None = None, validator: str = "") -> None:
        """Begin, or begin anew.

        Args:
            content_type: What the storage calls it.
            total: Its size, None where nobody says; what comes is held to it.
            validator: Its strong `ETag` or its `Last-Modified`, which `resume` gives back; empty for neither.

        Raises:
            RejectedError: It is larger than is taken.
            OutputError: What was there cannot be removed.
        """
        self._check_size(total or 0)
        if self._file.is_open:
            await self._steps.run(self._file.empty)
        self._begin(Version(validator, total, content_type))

    async def write(self, data: bytes) -> None:
        """Append what came.

        Raises:
            MalformedError: It is no recording, or longer than it said.
            RejectedError: It is larger than is taken.
            OutputError: The file cannot be written.
        """
        self._steps.check()
        self._check_size(self.size + len(data))
        if self._version.total is not None and self.size + len(data) > self._version.total:
            raise MalformedError("the recording is longer than its storage said")
        self._held.append(data)
        self._held_bytes += len(data)
        if not self._version.suffix and self._held_bytes >= HEAD_BYTES:
            self._recognise()
        if self._held_bytes >= max(self._place.buffer_bytes, HEAD_BYTES):
            await self._steps.run(self._append)

    def check(self) -> None:
        """Check that all of it is there, and that it is a recording.

        Raises:
            TransportError: It is shorter than it said; what is there stays, to go on from.
            MalformedError: It is no recording, or empty.
        """
        if self._version.total is not None and self.size < self._version.total:
            raise TransportError("the recording broke off before it was complete")
        if not self._version.suffix:
            self._recognise(is_whole=True)

    async def seal(self) -> Recording:
        """End it: whole and durable, not yet visible.

        Raises:
            ProviderError: It is not all there, or no recording; see `check`.
            OutputError: The file cannot be written.
        """
        self._steps.check()
        self.check()
        await self._steps.run(self._append)
        aside, sha256 = await self._steps.run(self._file.finish)
        version = self._version
        return Recording(
            path=self._place.path_for(*self._call, version.suffix),
            aside=aside,
            bytes=self._file.size,
            sha256=sha256,
            content_type=version.content_type,
        )

    async def recall(self) -> None:
        """Take up what an earlier process left, if it is what its note says."""
        version = await self._steps.run(self._file.recall)
        if version is not None:
            self._begin(version)

    async def aclose(self) -> bool:
        """Keep what a later take of this call can go on from, and say whether there is such; discard any other."""
        await self._steps.last(self._close)
        return self._file.is_noted

    def _check_size(self, size: int) -> None:
        if size > self._place.max_bytes:
            raise RejectedError(f"the recording is larger than {self._place.max_bytes:,} bytes")

    def _recognise(self, *, is_whole: bool = False) -> None:
        head = b"".join(self._held)[:HEAD_BYTES]
        suffix = suffix_of(head, self._version.content_type, is_whole=is_whole)
        self._version = msgspec.structs.replace(self._version, suffix=suffix)

    def _append(self) -> None:
        """Give the file what is held; in a worker thread."""
        data, self._held, self._held_bytes = b"".join(self._held), [], 0
        self._file.append(data, self._version)

    def _close(self) -> None:
        self._file.close(self._version)
