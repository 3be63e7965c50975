"""Who sends the requests of an export."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harvester.cli import engine
from harvester.config import Config, load_config
from harvester.transport.process import ProcessTransport

CONFIG = """
[output]
path = "out"

[[source]]
name = "sales"
provider = "talkover"
base_url = "http://127.0.0.1:9"
token = "sandbox"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(CONFIG, folder=tmp_path, environ={}, now=datetime.now(UTC))


@pytest.mark.parametrize(("cores", "started"), [(1, 0), (2, 1), (64, 1)])
async def test_requests_have_a_process_of_their_own_where_there_is_a_core_for_it(
    config: Config, monkeypatch: pytest.MonkeyPatch, cores: int, started: int
) -> None:
    """With one core another process would only take its time; what was started is ended."""
    ended: list[ProcessTransport] = []
    begun: list[ProcessTransport] = []

    def begin(self: ProcessTransport) -> None:
        begun.append(self)

    async def end(self: ProcessTransport) -> None:
        ended.append(self)

    monkeypatch.setattr(ProcessTransport, "start", begin)
    monkeypatch.setattr(ProcessTransport, "aclose", end)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    async with engine.open_exporter(config):
        assert (len(begun), ended) == (started, [])
    assert ended == begun


async def test_process_is_ended_when_an_export_fails(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left behind by an error."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    seen: list[ProcessTransport] = []
    close = ProcessTransport.aclose

    async def end(self: ProcessTransport) -> None:
        seen.append(self)
        await close(self)

    monkeypatch.setattr(ProcessTransport, "aclose", end)
    with pytest.raises(RuntimeError, match="told to"):
        async with engine.open_exporter(config):
            raise RuntimeError("told to")
    assert len(seen) == 1
    assert seen[0]._child is None
