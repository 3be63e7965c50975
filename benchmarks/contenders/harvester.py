"""Harvester as a user runs it: the ordinary command, an ordinary config, nothing for the benchmark."""

from __future__ import annotations

import sys
from pathlib import Path

from .base import Contender, Target, count_written

_CONFIG = """\
[output]
path = "out"
format = "{format}"
shape = "{shape}"

[[source]]
name = "sales"
provider = "talkover"
base_url = "{url}"
token = "sandbox"
rate = "unlimited"
"""
_TITLES = {"ndjson": "NDJSON", "parquet": "Parquet"}


def harvester(output_format: str, shape: str) -> Contender:
    """Return `harvester export` with one format and shape."""

    def prepare(target: Target, folder: Path) -> list[str]:
        config = folder / "harvester.toml"
        config.write_text(_CONFIG.format(format=output_format, shape=shape, url=target.url))
        return [sys.executable, "-m", "harvester", "export", "--config", str(config)]

    return Contender(
        name=f"harvester-{output_format}-{shape}",
        title=f"harvester, {_TITLES[output_format]}, {shape}",
        prepare=prepare,
        count=lambda folder, log: count_written(folder / "out" / "calls", log),
    )
