"""Where the program starts: what takes longest is begun first, then the command line is imported and read."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from . import ahead


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    ahead.begin(sys.argv[1:])
    try:
        from .main import main as run  # noqa: PLC0415 - typer takes 50 ms to import

        run()
    finally:
        ahead.drop()


def _open_standard_streams() -> None:
    """Give a process that was started without them its standard streams: their numbers would go to other files."""
    for fd, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            try:
                os.fstat(fd)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for the process
