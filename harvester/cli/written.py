"""`--report FILE`: an answer that goes to a file as well."""

from __future__ import annotations

from pathlib import Path

from harvester.errors import OutputError, UsageError


def check_report_path(name: str | None) -> None:
    """Find out before hours of work, not after, that a report could not be written.

    Raises:
        UsageError: There is no such folder, or it is one itself.
    """
    if name is None or name == "-":
        return
    if not Path(name).parent.is_dir():
        raise UsageError(f"--report: there is no folder {Path(name).parent}")
    if Path(name).is_dir():
        raise UsageError(f"--report: {name} is a folder")


def write_report(content: bytes, name: str) -> None:
    """Write a report to a file, or to stdout where its name is `-`.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        if name == "-":
            print(content.decode(), flush=True)
        else:
            Path(name).write_bytes(content)
    except BrokenPipeError:
        return  # a reader that is gone takes nothing from what was done
    except OSError as error:
        raise OutputError(f"the report {name} cannot be written: {error.strerror}") from None
