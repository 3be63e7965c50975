"""Where the program starts: what takes longest is begun first, then the command line is imported and read."""

from __future__ import annotations

import sys
from typing import NoReturn

from . import ahead


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    ahead.begin(sys.argv[1:])
    try:
        from .main import main as run  # noqa: PLC0415 - typer takes 50 ms to import

        run()
    finally:
        ahead.drop()
