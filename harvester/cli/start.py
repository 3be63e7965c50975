"""Where the program starts: what takes longest is begun first, then the command line is imported and read."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable

from . import ahead

TYPE_CHECKING = False  # without `typing`, whose 6 ms the other process would begin later
if TYPE_CHECKING:
    from typing import NoReturn

_INTERRUPTED = 130  # as in `main`, which is still being imported then


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    try:
        ahead.begin(sys.argv[1:])
        run = _import_main()
        run()
    except (KeyboardInterrupt, RuntimeError) as error:
        # What comes while a class learns the names of its attributes Python 3.11 makes a RuntimeError.
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
            raise SystemExit(_INTERRUPTED) from None
        raise
    finally:
        ahead.drop()


def _import_main() -> Callable[[], NoReturn]:
    """Return what runs the command line; what is imported stays to the end, so no garbage is looked for in it."""
    gc.disable()
    try:
        from .main import main as run  # noqa: PLC0415 - typer takes 50 ms to import

        gc.freeze()
        return run
    finally:
        gc.enable()


def _open_standard_streams() -> None:
    """Give a process that was started without them its standard streams: their numbers would go to other files."""
    for fd, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            try:
                os.fstat(fd)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for the process
