"""What the crash tests are handed: a process to fork exports from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .crashing import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A process that forks exports."""
    with Nursery() as process:
        yield process
