"""Environments of Python for what is not part of this project: the peers, and what draws the charts.

Each is made by pip when it is first needed, below `.bench/` in the checkout, and kept; only the least versions are
given, and those that were installed are in the report. What cannot be installed is missing from it, with the reason.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .measure import ROOT

FOLDER = ROOT / ".bench" / "environments"
_LONGEST_S = 600
_ADDRESS = re.compile(r"\b\w+://\S+")  # of the package index: nobody else's business
_NAME = re.compile(r"[A-Za-z0-9-]+")


class MissingError(RuntimeError):
    """An environment could not be made."""


@dataclass(frozen=True)
class Environment:
    """A folder with a Python of its own.

    Attributes:
        name: Of the folder.
        requirements: What pip is asked for.
    """

    name: str
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self._folder / "bin" / "python"

    @property
    def _folder(self) -> Path:
        return FOLDER / f"{self.name}-{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def is_ready(self) -> bool:
        """Whether it was made, with these requirements."""
        ready = self._folder / "ready"
        return ready.is_file() and ready.read_text(encoding="utf-8") == self._contents

    @property
    def _contents(self) -> str:
        return "".join(f"{requirement}\n" for requirement in self.requirements)

    def make(self) -> None:
        """Make it where it is not there.

        Raises:
            MissingError: pip could not; the message is the last it said.
        """
        if self.is_ready:
            return
        print(f"making an environment for {self.name}: {', '.join(self.requirements)}", file=sys.stderr)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._call([sys.executable, "-m", "venv", str(self._folder)])
        options = ["--quiet", "--disable-pip-version-check", "--no-input"]
        self._call([str(self.python), "-m", "pip", "install", *options, *self.requirements])
        (self._folder / "ready").write_text(self._contents, encoding="utf-8")

    def versions(self) -> dict[str, str]:
        """Return the version of each requirement that is installed."""
        names = [found[0] for each in self.requirements if (found := _NAME.match(each))]
        code = (
            "import sys; from importlib.metadata import version; [print(n, version(n)) for n in sys.argv[1:]]"
        )
        done = subprocess.run(
            [self.python, "-c", code, *names], capture_output=True, text=True, check=False, timeout=_LONGEST_S
        )
        return {
            name: version for name, _, version in (line.partition(" ") for line in done.stdout.splitlines())
        }

    def _call(self, command: list[str]) -> None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingError(f"{self.name}: {error}") from error
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            reason = _ADDRESS.sub("…", said[-1]) if said else str(done.returncode)
            raise MissingError(f"{self.name} cannot be installed: {reason}")


DLT = Environment("dlt", ("dlt[parquet]>=1.20", "orjson>=3.10", "requests>=2.32"))
AIRBYTE = Environment("airbyte", ("airbyte-cdk>=7",))
SINGER = Environment("singer", ("singer-sdk>=0.54", "orjson>=3.10"))
SCRAPY = Environment("scrapy", ("scrapy>=2.13", "orjson>=3.10", "uvloop>=0.21"))
BIMPEAI = Environment("bimpeai", ("bimpeai>=0.4.1",))
CHARTS = Environment("charts", ("pygal>=3",))
