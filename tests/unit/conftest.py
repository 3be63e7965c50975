"""Unit tests run on asyncio alone, and property tests take the time they take: the machine may be busy."""

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
