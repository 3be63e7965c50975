"""A loopback server that imitates the four providers with made-up calls: no account is needed to try things.

`config` says what is served, `world` what exists, `churn` what becomes of it, `desk` (over `apis`, `limits`,
`faults`, `stats`) what is answered, `server` moves the bytes. Written from the providers' documents alone; it
knows nothing of `harvester.providers`, so that agreement between the two means something.
"""

from typing import TYPE_CHECKING, Any

from .config import (
    PROVIDERS,
    Behaviour,
    Churn,
    FaultRule,
    Faults,
    Limits,
    Media,
    Overrides,
    SandboxConfig,
    Streams,
)
from .quirks import Quirks

if TYPE_CHECKING:
    from .churn import History, Life
    from .server import Sandbox, open_sandbox, serve
    from .world import Account, Agent, TruthRow, World

__all__ = [
    "PROVIDERS",
    "Account",
    "Agent",
    "Behaviour",
    "Churn",
    "FaultRule",
    "Faults",
    "History",
    "Life",
    "Limits",
    "Media",
    "Overrides",
    "Quirks",
    "Sandbox",
    "SandboxConfig",
    "Streams",
    "TruthRow",
    "World",
    "open_sandbox",
    "serve",
]

# aiohttp takes longer to import than all the rest.
_LAZY = {
    "Sandbox": "server",
    "open_sandbox": "server",
    "serve": "server",
    "History": "churn",
    "Life": "churn",
    "Account": "world",
    "Agent": "world",
    "TruthRow": "world",
    "World": "world",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - needed on first use only

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
