"""The process that sends an export's requests, begun before the command line is read: it imports for 0.2 s as well.

What both need is imported first, where this one is forked then.

Like the command line it is the process's own, and there is one of it; whoever exports takes it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

TYPE_CHECKING = False  # as in `start`
if TYPE_CHECKING:
    from harvester.transport.child import Begun

_begun: list[Begun] = []


def begin(arguments: Sequence[str]) -> None:
    """Begin it if the command line looks like an export, and there is a core for it."""
    is_export = arguments[:1] == ["export"] and not {"-h", "--help"} & set(arguments)
    if not is_export or cores() < 2:
        return
    from harvester.transport import child  # noqa: PLC0415 - help needs no sockets

    if not child.can_begin():
        return
    # What is imported here does not forgive an interrupt: msgspec takes it for nothing, and crashes when it is used.
    with child.signals_blocked():
        if child.can_fork():
            _import_for_both()
        with suppress(OSError):  # the export tries itself, and knows what to do without
            _begun.append(child.Begun(by_fork=child.can_fork()))


def _import_for_both() -> None:
    """Import what both processes need, before there are two: half of what the other one imports, a third of ours."""
    from harvester.transport import process  # noqa: F401, PLC0415

    with suppress(ImportError):
        import uvloop  # noqa: F401, PLC0415 - not everywhere
    import multidict  # noqa: F401, PLC0415


def take() -> Begun | None:
    """Return what was begun, None where nothing was."""
    return _begun.pop() if _begun else None


def drop() -> None:
    """End what nobody took: there was no export to be made."""
    if (begun := take()) is not None:
        begun.give_up()
        begun.process.wait()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
