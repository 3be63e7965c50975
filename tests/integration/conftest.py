"""What the tests of exports are handed: a loop, a sandbox in a process of its own, places to write."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .exporting import SandboxProcess


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def serve() -> Iterator[Callable[..., SandboxProcess]]:
    """Start sandboxes, each a process; all are stopped at the end."""
    with ExitStack() as stack:
        yield lambda **config: stack.enter_context(SandboxProcess(**config))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxProcess]:
    """A sandbox by the book, for tests that ask it for little."""
    with SandboxProcess(calls=300, agents=3) as process:
        yield process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    told = "no `mount` here"
    if mount is not None:
        done = subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        told = done.stderr.strip()
        if not done.returncode:
            yield folder
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    pytest.skip(f"no small disk to fill: {told}")
