"""The README's own examples."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harvester.app import Harvester
from harvester.cli.main import COMMANDS
from harvester.config import load_config
from harvester.sandbox import SandboxConfig, open_sandbox
from harvester.testing import START, FakeClock, FakeTransport, reply, streamed

from .exporting import document, four, source

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def functions(folder: Path) -> dict[str, Any]:
    """Return the functions of the second example."""
    program = folder / "single.py"
    program.write_text(blocks("python")[1])
    return runpy.run_path(str(program))


async def test_program_in_the_readme_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines for embedding export what a config says, as they stand."""
    program = tmp_path / "program.py"
    program.write_text(blocks("python")[0])
    export = runpy.run_path(str(program))["export"]
    async with open_sandbox(SandboxConfig(calls=200)) as sandbox:
        config = tmp_path / "harvester.toml"
        config.write_text(document(four(sandbox.url)))
        report = await export(config)
    assert report.outcome == "complete"
    assert capsys.readouterr().out.splitlines()[0] == "talkover complete 200 []"


async def test_lines_for_a_single_call_in_the_readme_run(tmp_path: Path) -> None:
    """They return the newest call, in full."""
    async with open_sandbox(SandboxConfig(calls=40)) as sandbox:
        config = load_config(document(four(sandbox.url)), folder=tmp_path, environ={}, now=START)
        async with Harvester(config) as h:
            record = await functions(tmp_path)["look"](h, "bimpe")
        rows = sandbox.world.account("bimpe").rows(None, "detail")
    found = {row.call_id: row for row in rows if row.created_at is not None}
    assert record.created_at == max(row.created_at for row in found.values() if row.created_at is not None)
    assert record.raw == found[record.call_id].raw.decode()


async def test_lines_for_a_conversation_in_the_readme_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They print its messages, each on a line, until the server says that there are no more."""
    ticket = reply({"data": {"ticket": "t"}})
    said = streamed(
        b'data: {"id":"1"}\n\ndata: {"id":"2"}\n\n', headers={"Content-Type": "text/event-stream"}
    )
    transport = FakeTransport([ticket, ticket], streams=[said, streamed(status=204)])
    text = document([source("bimpe", lambda _: "https://x.test")])
    config = load_config(text, folder=tmp_path, environ={}, now=START)
    async with Harvester(config, transport=transport, clock=FakeClock()) as h:
        await functions(tmp_path)["follow"](h, "bimpe", "c1", "a1")
    assert capsys.readouterr().out == '{"id":"1"}\n{"id":"2"}\n'


def test_commands_in_the_readme_are_there() -> None:
    """Each line that calls harvester names a command that exists."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("harvester ")]
    assert len(lines) >= 7
    assert {line.split()[1] for line in lines} <= COMMANDS.keys()


def test_config_in_the_readme_is_toml() -> None:
    """The example reads as it stands."""
    (config,) = blocks("toml")
    assert tomllib.loads(config)["source"][0]["provider"] == "talkover"
