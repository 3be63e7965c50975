"""The README's own examples."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from harvester.cli.main import COMMANDS
from harvester.sandbox import SandboxConfig, open_sandbox

from .exporting import document, four

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


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


def test_commands_in_the_readme_are_there() -> None:
    """Each line that calls harvester names a command that exists."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("harvester ")]
    assert len(lines) >= 7
    assert {line.split()[1] for line in lines} <= COMMANDS.keys()


def test_config_in_the_readme_is_toml() -> None:
    """The example reads as it stands."""
    (config,) = blocks("toml")
    assert tomllib.loads(config)["source"][0]["provider"] == "talkover"
