"""Unit tests of the durable file steps."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import anyio
import pytest

from harvester.errors import OutputError
from harvester.model import Segment
from harvester.sinks.files import (
    Aside,
    Steps,
    make_directory,
    output_error,
    publish,
    sync_directory,
    sync_names,
)


def segment_of(root: Path, content: bytes) -> Segment:
    aside = Aside(root, "sales-calls")
    with aside.create() as file:
        file.write(content)
    return aside.finish(source="sales", kind="calls", name="part-0.ndjson", rows=1)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (errno.ENOSPC, "no space left; free some space or choose another --out; the same command goes on"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "not allowed; let this user write there"),
        (errno.EROFS, "read-only; choose another --out"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_output_error_says_what_and_what_to_do(code: int, what: str) -> None:
    """The message holds the place below the output, what happened and what to do, and no path of the machine."""
    error = output_error(OSError(code, os.strerror(code)), Path("/data/out"), Path("/data/out/calls/sales"))
    assert str(error).startswith("cannot write calls/sales (below out): ")
    assert what in str(error)
    assert "/data" not in str(error)


def test_output_error_without_a_number_still_says_something() -> None:
    """An error of a library that knows no errno gives its own words."""
    assert "odd" in str(output_error(OSError("odd"), Path("out"), Path("out")))


def test_output_error_names_what_is_in_the_way() -> None:
    """Where a parent of the output is a file, that file is named."""
    reason = NotADirectoryError(errno.ENOTDIR, "Not a directory", "/data/file")
    error = output_error(reason, Path("/data/file/out"), Path("/data/file/out/calls"))
    assert "cannot write /data/file: a file is where a folder should be" in str(error)


def test_full_disk_is_an_output_error() -> None:
    """A device without space is met at the write, and translated there."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no full device")
    with pytest.raises(OSError, match="No space") as caught, full.open("wb", buffering=0) as file:
        file.write(b"x")
    assert "no space left" in str(output_error(caught.value, Path("/dev"), full))


def test_aside_refuses_a_file_that_is_there(tmp_path: Path) -> None:
    """A file aside is created by one only: two with one name are an error, not an overwritten file."""
    aside = Aside(tmp_path, "sales-calls")
    aside.create().close()
    with pytest.raises(OutputError):
        aside.create()


def test_aside_names_are_short_enough(tmp_path: Path) -> None:
    """A source's name of any length makes a name that a file system takes."""
    aside = Aside(tmp_path, "s" * 240 + "-calls")
    aside.create().close()
    assert aside.path.name.startswith("s" * 100)


def test_aside_discards_nothing_in_peace(tmp_path: Path) -> None:
    """Discarding a file that was never made is no error."""
    Aside(tmp_path / "gone", "sales-calls").discard()


def test_finish_needs_the_file(tmp_path: Path) -> None:
    """A file that somebody removed meanwhile cannot be sealed."""
    aside = Aside(tmp_path, "sales-calls")
    aside.create().close()
    aside.path.unlink()
    with pytest.raises(OutputError, match="No such file"):
        aside.finish(source="sales", kind="calls", name="part-0.ndjson", rows=0)


def test_make_directory_makes_parents(tmp_path: Path) -> None:
    """A folder is made with all above it, and making it again is nothing."""
    make_directory(tmp_path / "a" / "b" / "c")
    make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_sync_directory_needs_one(tmp_path: Path) -> None:
    """A folder that is not there cannot be made durable."""
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "gone")


def test_sync_directory_forgives_a_file_system_without_it() -> None:
    """A file system that knows no such step, as `/proc`, is no error."""
    if not Path("/proc/self").exists():
        pytest.skip("this system has no such file system")
    sync_directory(Path("/proc/self"))


def test_sync_names_reports_every_other_error() -> None:
    """What is no lack of support is an error, such as a descriptor that is none."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_names(2**20)


async def test_publish_goes_on_where_aside_is_gone_and_unknown(tmp_path: Path) -> None:
    """A segment in place is published, even where the journal no longer knows its name aside."""
    segment = segment_of(tmp_path, b"{}\n")
    await publish(tmp_path, segment)
    (tmp_path / segment.aside).parent.rmdir()
    await publish(tmp_path, segment)
    await publish(tmp_path, Segment("sales", "calls", segment.path, 1, 3, segment.sha256))
    assert (tmp_path / segment.path).read_bytes() == b"{}\n"


async def test_publish_of_nothing_leaves_the_output_whole(tmp_path: Path) -> None:
    """Without a name aside and without the file in place it is an error, and nothing is moved."""
    with pytest.raises(OutputError, match="neither in place nor aside"):
        await publish(tmp_path, Segment("sales", "calls", "calls/sales/part-0.ndjson", 1, 3, "0"))


async def test_last_step_waits_for_one_torn_away() -> None:
    """A step goes on when its waiter is cancelled past the shield, and what ends the sink comes after it."""
    steps, begun, goes_on, order = Steps(), threading.Event(), threading.Event(), list[str]()

    def slow() -> None:
        begun.set()
        goes_on.wait(10)
        order.append("slow")

    task = asyncio.get_running_loop().create_task(steps.run(slow))
    await anyio.to_thread.run_sync(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(steps.last, lambda: order.append("last"))
        await anyio.wait_all_tasks_blocked()
        goes_on.set()
    assert order == ["slow", "last"]


async def test_steps_after_a_failure_refuse() -> None:
    """A step that fails raises its error, and every later one says that the segment is lost."""
    steps = Steps()
    with pytest.raises(ZeroDivisionError):
        await steps.run(lambda: 1 // 0)
    with pytest.raises(OutputError, match="lost"):
        await steps.run(lambda: None)


async def test_last_step_comes_after_one_that_waits_for_a_thread() -> None:
    """More sinks than threads: what was begun is over, or never begins, before the end."""
    order: list[str] = []
    is_free = threading.Event()
    busy = [Steps() for _ in range(4)]
    for steps in busy:
        await steps.begin(is_free.wait)  # type: ignore[arg-type] # its result is no matter
    last = Steps()
    await last.begin(lambda: order.append("begun"))
    await last.last(lambda: order.append("last"))
    is_free.set()
    for steps in busy:
        await steps.settle()
    assert order == ["last"]


async def test_last_step_follows_one_that_failed() -> None:
    """What went wrong before is no reason not to clean up."""
    steps, order = Steps(), list[str]()

    def fail() -> None:
        raise OutputError("the disk is full")

    await steps.begin(fail)
    await steps.last(lambda: order.append("last"))
    assert order == ["last"]
