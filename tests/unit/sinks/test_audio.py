"""Recordings as files: begun, written, sealed, published, and gone on with."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from harvester.errors import MalformedError, OutputError, RejectedError, TransportError
from harvester.sandbox.media import sound
from harvester.sinks.audio import Recording, Recordings, Resume, Take

AT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
SOUND = sound("one", "mp3", 100_000)
ASIDE = "_harvester/aside"


def files(root: Path, under: str = "") -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in (root / under).rglob("*") if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path, buffer_bytes=8192, kept_bytes=20_000, max_bytes=200_000)


async def write(take: Take, data: bytes, *, piece: int = 1000) -> None:
    for start in range(0, len(data), piece):
        await take.write(data[start : start + piece])


async def take_one(
    place: Recordings, call_id: str = "call-1", data: bytes = SOUND, *, total: int | None = len(SOUND)
) -> Recording:
    async with place.open("sales", call_id, AT) as take:
        await take.begin(content_type="audio/mpeg", total=total)
        await write(take, data)
        return await take.seal()


def test_path_is_of_source_day_and_id(place: Recordings) -> None:
    """The day is that of UTC, and a call without a moment is undated; ids never lead elsewhere."""
    late = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert place.path_for("sales", "c1", AT, "mp3") == "recordings/sales/2026-03-01/c1.mp3"
    assert place.path_for("sales", "c1", late, "wav") == "recordings/sales/2026-03-02/c1.wav"
    assert place.path_for("sales", "c1", None, "mp3") == "recordings/sales/undated/c1.mp3"
    assert place.path_for("sales", "../../x", None, "mp3").count("/") == 3


async def test_recording_is_sealed_then_published(place: Recordings, tmp_path: Path) -> None:
    """Sealed it is whole and not visible, published it is in place; publishing may be repeated."""
    recording = await take_one(place)
    assert recording.path == "recordings/sales/2026-03-01/call-1.mp3"
    assert files(tmp_path) == [recording.aside]
    assert recording.aside.startswith(f"{ASIDE}/recording-sales.call-1-")
    for _ in range(2):
        await place.publish(recording)
    assert files(tmp_path) == [recording.path]
    assert (tmp_path / recording.path).read_bytes() == SOUND
    assert (recording.bytes, recording.sha256) == (len(SOUND), hashlib.sha256(SOUND).hexdigest())
    assert recording.content_type == "audio/mpeg"


async def test_recordings_are_published_together(place: Recordings, tmp_path: Path) -> None:
    """Those of a page take one step, some of them being in place already or not."""
    recordings = [await take_one(place, f"call-{number}") for number in range(3)]
    await place.publish(recordings[1])
    await place.publish(*recordings)
    await place.publish()
    assert files(tmp_path) == [one.path for one in recordings]


async def test_lost_recording_is_told(place: Recordings, tmp_path: Path) -> None:
    """What is neither aside nor in place cannot be published; what is discarded is gone, which may be repeated."""
    recording = await take_one(place)
    for _ in range(2):
        await place.discard(recording)
    assert files(tmp_path) == []
    with pytest.raises(OutputError, match="neither in place nor aside"):
        await place.publish(recording)


async def test_small_recording_takes_one_file_and_no_room(place: Recordings, tmp_path: Path) -> None:
    """Until the buffer is full nothing is on disk, and what is not sealed leaves nothing."""
    async with place.open("sales", "call-1", None) as take:
        await take.begin()
        await take.write(SOUND[:300])
        assert (take.size, files(tmp_path)) == (300, [])
    async with place.open("sales", "call-1", None) as take:
        await take.begin()
        await take.write(SOUND[:300])
        assert (await take.seal()).bytes == 300
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    ("total", "data", "error"),
    [
        (len(SOUND) + 1, SOUND, TransportError),
        (len(SOUND) - 1, SOUND, MalformedError),
        (0, b"", MalformedError),
        (None, b"", MalformedError),
        (None, b"<html>" + b" " * 10_000, MalformedError),
        (None, b"Not found", MalformedError),
        (200_001, b"", RejectedError),
        (None, SOUND * 3, RejectedError),
    ],
)
async def test_what_is_no_whole_recording_is_refused(
    place: Recordings, tmp_path: Path, total: int | None, data: bytes, error: type[Exception]
) -> None:
    """Too short, too long, empty, too large, or a page: it is told, and nothing is left."""
    with pytest.raises(error):
        await take_one(place, data=data, total=total)
    assert files(tmp_path) == []


async def test_take_goes_on_after_a_break(place: Recordings) -> None:
    """Within a take nothing is lost, the rest is appended; without a mark of its version it begins anew."""
    async with place.open("sales", "call-1", AT) as take:
        assert take.resume is None
        await take.begin(total=len(SOUND), validator='"v1"')
        await take.write(SOUND[:100])
        assert take.resume is None, "what it is is not known yet"
        await take.write(SOUND[100:30_000])
        assert take.resume == Resume(30_000, '"v1"', len(SOUND))
        with pytest.raises(TransportError):
            await take.seal()
        await write(take, SOUND[30_000:])
        assert (await take.seal()).sha256 == hashlib.sha256(SOUND).hexdigest()


async def test_take_begins_anew(place: Recordings, tmp_path: Path) -> None:
    """Another version takes the place of what was there, on disk and in memory."""
    other = sound("other", "wav", 40_000)
    async with place.open("sales", "call-1", AT) as take:
        await take.begin(validator='"v1"')
        await write(take, SOUND[:50_000])
        await take.begin(total=len(other))
        assert (take.size, take.resume) == (0, None)
        await write(take, other)
        recording = await take.seal()
    await place.publish(recording)
    assert (tmp_path / recording.path).read_bytes() == other
    assert files(tmp_path) == ["recordings/sales/2026-03-01/call-1.wav"]


@pytest.mark.parametrize("same_place", [True, False])
async def test_large_part_is_gone_on_with_later(place: Recordings, tmp_path: Path, same_place: bool) -> None:
    """What was made durable is taken up by the next take, of another process too, and ends in the same file."""
    async with place.open("sales", "Call/1", AT) as take:
        await take.begin(content_type="audio/mpeg", total=len(SOUND), validator='"v1"')
        await write(take, SOUND[:50_000])
    assert [name.partition("~")[0] for name in files(tmp_path)] == [f"{ASIDE}/recording-sales.Call_1"] * 2
    later = place if same_place else Recordings(tmp_path, kept_bytes=20_000)
    async with later.open("sales", "Call/1", AT) as take:
        resume = take.resume
        assert resume is not None
        assert 40_000 <= resume.bytes <= 50_000
        await write(take, SOUND[resume.bytes :])
        recording = await take.seal()
    assert files(tmp_path) == [recording.aside]
    assert recording.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert recording.content_type == "audio/mpeg"


@pytest.mark.parametrize("damage", ["torn", "changed", "note", "gone"])
async def test_part_that_is_not_what_its_note_says_is_not_used(
    place: Recordings, tmp_path: Path, damage: str
) -> None:
    """A file that is shorter, changed or gone, and a note that cannot be read: it begins anew."""
    async with place.open("sales", "c", AT) as take:
        await take.begin(total=len(SOUND), validator='"v1"')
        await write(take, SOUND[:50_000])
    note, part = tmp_path / ASIDE / "recording-sales.c.part.json", tmp_path / ASIDE / "recording-sales.c.part"
    if damage == "torn":
        part.write_bytes(SOUND[:30_000])
    elif damage == "changed":
        part.write_bytes(b"ID3" + bytes(50_000))
    elif damage == "note":
        note.write_bytes(b'{"bytes":')
    else:
        part.unlink()
    async with Recordings(tmp_path).open("sales", "c", AT) as take:
        assert (take.size, take.resume) == (0, None)
        await take.begin(total=len(SOUND))
        await write(take, SOUND)
        recording = await take.seal()
    assert recording.sha256 == hashlib.sha256(SOUND).hexdigest()


async def test_part_without_a_mark_is_not_kept(place: Recordings, tmp_path: Path) -> None:
    """However large, what cannot be known again is removed; so is a kept one that another version replaces."""
    async with place.open("sales", "c", AT) as take:
        await take.begin(validator='"v1"')
        await write(take, SOUND[:50_000])
        await take.begin()
        await write(take, SOUND)
    assert files(tmp_path) == []


async def test_cancelled_take_leaves_nothing_half_done(place: Recordings, tmp_path: Path) -> None:
    """A take that is cancelled keeps what is durable and no more."""
    with anyio.CancelScope() as scope:
        async with place.open("sales", "c", AT) as take:
            await take.begin(total=len(SOUND), validator='"v1"')
            await write(take, SOUND[:50_000])
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert len(files(tmp_path)) == 2
    async with place.open("sales", "c", AT) as take:
        assert take.resume is not None


async def test_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    """What the file system refuses is told with a way out, and the take is of no more use."""
    (tmp_path / "_harvester").write_text("a file")
    async with Recordings(tmp_path).open("sales", "c", AT) as take:
        await take.begin()
        await take.write(SOUND)
        with pytest.raises(OutputError, match="a file is where a folder should be"):
            await take.seal()
        with pytest.raises(OutputError, match="start again"):
            await take.seal()
