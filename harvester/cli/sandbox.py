"""`harvester sandbox`: all providers on this machine, with made-up calls.

What it prints is a config: `harvester sandbox > harvester.toml &` is all there is to set up. With a command behind
`--` it serves as long as that command runs, which then finds the config in $HARVESTER_CONFIG.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.abc
import msgspec
import typer

from harvester.errors import OutputError, UsageError
from harvester.sandbox import SandboxConfig

from .options import Unread
from .screen import Screen
from .session import run_async
from .settings import prepare

EXAMPLES = (
    "harvester sandbox > harvester.toml",
    "harvester sandbox --calls 10000 --latency 0.05 --limit 50/s -- harvester export --out out",
    "harvester sandbox --fault 500=0.02 --quirk order=random --config-out sandbox.toml",
)

# A refusal that says when to come back, as most real ones do.
_MANNERS = {"headers": "epoch", "retry_after": "seconds"}

_DEFAULTS = '\n[defaults]\nrate = "unlimited"\n'

# What each source of the printed config has besides its address; details where there are any.
_SOURCES = {
    "talkover": 'token = "sandbox"',
    "agentvoice": 'api_key = "sandbox"\norganization_id = "sandbox"\ndetails = true',
    "talkpilot": 'api_key = "sandbox"\ndetails = true',
    "bimpe": 'api_key = "sandbox"\ndetails = true',
}


def command(
    context: typer.Context,
    *,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="Serve only while this runs.")
    ] = None,
    _config: Unread = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 for any.")] = 8800,
    seed: Annotated[int | None, typer.Option("--seed", help="All that is made up follows from it.")] = None,
    agents: Annotated[int | None, typer.Option("--agents", min=1, help="Agents of each account.")] = None,
    calls: Annotated[int | None, typer.Option("--calls", min=0, help="Calls of each account.")] = None,
    latency: Annotated[
        float | None, typer.Option("--latency", min=0, metavar="SECONDS", help="The wait before each answer.")
    ] = None,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="N/s", help="What a key may ask; may be repeated.")
    ] = None,
    faults: Annotated[
        list[str] | None, typer.Option("--fault", metavar="KIND=SHARE", help="As 500=0.02 or reset=0.01.")
    ] = None,
    quirks: Annotated[
        list[str] | None, typer.Option("--quirk", metavar="NAME=VALUE", help="As order=random, extra_fields.")
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option("--spec", metavar="FILE", help="A whole SandboxConfig as JSON; options add to it."),
    ] = None,
    config_out: Annotated[
        str | None,
        typer.Option("--config-out", metavar="FILE", help="Write the config there once it serves."),
    ] = None,
) -> int:
    """Serve all providers on this machine, with made-up calls, until Ctrl-C; prints a config to use it with."""
    screen = prepare(context)
    said = {"port": port, "seed": seed, "agents": agents, "calls": calls, "latency_s": latency}
    document = _document(spec) | {key: value for key, value in said.items() if value is not None}
    config = read_sandbox(document, limits=limits or (), faults=faults or (), quirks=quirks or ())
    try:
        return run_async(lambda: _serve(config, screen, run or [], config_out))
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise UsageError(
            f"--port: {port} cannot be had ({os.strerror(error.errno)}); 0 takes a free one"
        ) from None


def read_sandbox(
    document: Mapping[str, Any], *, limits: Sequence[str], faults: Sequence[str], quirks: Sequence[str]
) -> SandboxConfig:
    """Return what the sandbox is told.

    Raises:
        UsageError: An option or the file is wrong.
    """
    whole = dict(document)
    if limits:
        whole["limits"] = {**whole.get("limits", {}), **_MANNERS, "rates": list(limits)}
    if faults:
        told = whole.get("faults", {})
        whole["faults"] = {**told, "rates": {**told.get("rates", {}), **_pairs("--fault", faults)}}
    if quirks:
        whole["quirks"] = {**whole.get("quirks", {}), **_pairs("--quirk", quirks)}
    try:
        return msgspec.convert(whole, SandboxConfig)
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"sandbox: {error}") from None


def _pairs(option: str, given: Sequence[str]) -> dict[str, Any]:
    pairs = {}
    for one in given:
        name, joint, text = one.partition("=")
        if not name:
            raise UsageError(f"{option}: {one!r} has no name")
        pairs[name] = _value(text) if joint else True
    return pairs


def _value(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _document(spec: str | None) -> dict[str, Any]:
    if spec is None:
        return {}
    try:
        document: dict[str, Any] = msgspec.json.decode(Path(spec).read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise UsageError(f"--spec: {spec} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise UsageError(f"--spec: {spec} is no SandboxConfig: {error}") from None
    return document


def config_text(urls: Mapping[str, str], out: Path) -> str:
    """Return a config for a running sandbox; it holds no secret, for the sandbox knows none."""
    output = f"[output]\npath = {msgspec.json.encode(str(out)).decode()}\n"
    sources = [
        f'\n[[source]]\nname = "{name}"\nprovider = "{name}"\nbase_url = "{url}"\n{_SOURCES[name]}\n'
        for name, url in urls.items()
    ]
    return "".join([output, _DEFAULTS, *sources])


async def _serve(config: SandboxConfig, screen: Screen, run: list[str], config_out: str | None) -> int:
    # aiohttp takes 190 ms to import, and help and mistakes need none of it.
    from harvester.sandbox import open_sandbox  # noqa: PLC0415

    async with open_sandbox(config) as sandbox:
        urls = {name: sandbox.url(name) for name in _SOURCES}
        text = config_text(urls, Path.cwd() / "out")
        if config_out is not None:
            _write(Path(config_out), text)
        if run:
            return await _run_beside(run, text)
        print(text, end="", flush=True)
        screen.info(f"serving {sandbox.origin} until Ctrl-C")
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break
        return 0


def _write(path: Path, text: str) -> None:
    # Aside first: who waits for the file finds it whole, and the server behind it.
    aside = path.with_name(path.name + ".new")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None


async def _run_beside(arguments: list[str], text: str) -> int:
    """Run a command with a config of the sandbox; return its exit code as a shell would."""
    with tempfile.TemporaryDirectory(prefix="harvester-") as folder:
        config = Path(folder) / "harvester.toml"
        config.write_text(text, encoding="utf-8")
        own = [sys.executable, "-m", "harvester"] if arguments[0] == "harvester" else arguments[:1]
        environ = {**os.environ, "HARVESTER_CONFIG": str(config)}
        try:
            child = await anyio.open_process(
                [*own, *arguments[1:]], stdin=None, stdout=None, stderr=None, env=environ
            )
        except OSError as error:
            raise UsageError(f"{arguments[0]} cannot be run: {error.strerror}") from None
        async with child, anyio.create_task_group() as tasks:
            tasks.start_soon(_pass_on_signals, child)
            await child.wait()
            tasks.cancel_scope.cancel()
    code = child.returncode or 0
    return code if code >= 0 else 128 - code


async def _pass_on_signals(child: anyio.abc.Process) -> None:
    # A terminal sends Ctrl-C to both: the child ends by it, and this goes on serving until it has.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if number == signal.SIGTERM:
                with suppress(ProcessLookupError):  # it has just ended
                    child.send_signal(number)
