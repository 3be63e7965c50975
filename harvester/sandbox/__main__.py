"""`python -m harvester.sandbox [CONFIG]`: serve until SIGTERM or SIGINT.

CONFIG is a `SandboxConfig` as JSON, or `-` to read it from stdin. One JSON line with `url` and `port` goes to
stdout as soon as connections are accepted.
"""

import sys
from collections.abc import Callable, Sequence

import msgspec
import uvloop

from .config import SandboxConfig
from .server import Sandbox, serve


def announce(sandbox: Sandbox) -> None:
    """Say on stdout where it is."""
    line = msgspec.json.encode({"url": sandbox.origin, "port": sandbox.port})
    sys.stdout.write(f"{line.decode()}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str], *, on_ready: Callable[[Sandbox], None] = announce) -> int:
    """Read the config and serve; gives the exit code."""
    text = arguments[0] if arguments else "{}"
    if text == "-":
        text = sys.stdin.read()
    try:
        config = msgspec.json.decode(text.encode(), type=SandboxConfig)
    except (msgspec.MsgspecError, ValueError) as error:
        sys.stderr.write(f"harvester.sandbox: {error}\n")
        return 2
    uvloop.run(serve(config, on_ready=on_ready))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
