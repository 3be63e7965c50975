"""The bodies of answers, from when they came until their rows are in a committed segment.

They are appended in batches, as zstd frames, to files of one job each; the database says which answer is where. A
file is dropped whole once no answer in it is needed. This is three times cheaper than a database blob each, and the
file shrinks as segments commit.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import zstandard

FOLDER = "answers"
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FRAME_BYTES = 2 * 1024 * 1024
"""Of bodies, before compression: what reading one of them costs."""
FRAMES_HELD = 4
LEVEL = -3
"""Of zstd: what is kept for minutes is to cost little. 17 us for a page of 44 kB, where level 1 takes 28."""


Place = tuple[int, int, int, int, int]
"""Where a body is: file, offset and length of its frame in the file, its start and length in the frame."""


class Bodies:
    """The files of an output's journal that hold bodies; used on the journal's thread alone.

    Args:
        folder: The output's `_harvester` folder.
        first_file: A number above that of every file there is.
    """

    def __init__(self, folder: Path, first_file: int) -> None:
        self._folder = folder / FOLDER
        self._next_file = first_file
        self._current: dict[int, tuple[int, int]] = {}
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        # Fresh memory for each frame would cost as much as compressing it: the system clears it page by page.
        self._joined = bytearray()
        self._frames: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def append(self, job_id: int, bodies: Sequence[bytes]) -> list[Place]:
        """Append bodies of a job and make them durable; return where each is."""
        self._folder.mkdir(exist_ok=True)
        number, end = self._current.get(job_id, (0, MAX_FILE_BYTES))
        is_new = end >= MAX_FILE_BYTES
        if is_new:
            number, end = self._next_file, 0
            self._next_file += 1
        places: list[Place] = []
        with self._path(number).open("ab") as file:
            # What a failed append left behind is not in the database: it is written over.
            file.truncate(end)
            for group in _groups(bodies):
                frame = self._pack(group)
                file.write(frame)
                places += _places(number, end, len(frame), group)
                end += len(frame)
            file.flush()
            os.fdatasync(file.fileno())
        if is_new:
            _sync(self._folder)
        self._current[job_id] = (number, end)
        return places

    def _pack(self, group: Sequence[bytes]) -> bytes:
        size = sum(map(len, group))
        if len(self._joined) < size:
            self._joined = bytearray(size)
        end = 0
        for body in group:
            begin, end = end, end + len(body)
            self._joined[begin:end] = body
        with memoryview(self._joined) as joined:
            frame: bytes = self._compressor.compress(joined[:size])
        if size > 2 * MAX_FRAME_BYTES:
            self._joined = bytearray()  # one body may be very large
        return frame

    def read(self, place: Place) -> bytes:
        """Return a body.

        Raises:
            ValueError: It is not there as it was written.
        """
        number, offset, length, start, size = place
        frame = self._frames.get((number, offset))
        if frame is None:
            try:
                with self._path(number).open("rb") as file:
                    file.seek(offset)
                    packed = file.read(length)
                frame = zstandard.ZstdDecompressor().decompress(packed)
            except FileNotFoundError as error:
                raise ValueError(f"answers file {number} is gone") from error
            except zstandard.ZstdError as error:
                raise ValueError(f"answers file {number} is damaged") from error
            self._frames[number, offset] = frame
            if len(self._frames) > FRAMES_HELD:
                self._frames.popitem(last=False)
        self._frames.move_to_end((number, offset))
        return frame[start : start + size]

    def roll(self, job_id: int) -> None:
        """Begin another file with the next answer of a job, so that this one can go when it is not needed."""
        self._current.pop(job_id, None)

    def drop_unless(self, needed: Collection[int]) -> None:
        """Remove the files that are neither needed nor appended to, whoever wrote them."""
        kept = {self._path(number).name for number in needed}
        kept |= {self._path(number).name for number, _ in self._current.values()}
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if path.name not in kept:
                    path.unlink()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.zst"


def _groups(bodies: Sequence[bytes]) -> Iterable[list[bytes]]:
    """Cut bodies into frames of about the largest size."""
    group: list[bytes] = []
    size = 0
    for body in bodies:
        group.append(body)
        size += len(body)
        if size >= MAX_FRAME_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _places(number: int, offset: int, length: int, group: Sequence[bytes]) -> Iterable[Place]:
    start = 0
    for body in group:
        yield (number, offset, length, start, len(body))
        start += len(body)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
