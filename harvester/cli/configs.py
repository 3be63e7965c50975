"""The Config that a command line names, or is.

With it come the providers: 35 ms that neither help nor a wrong option waits for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harvester.clock import SystemClock
from harvester.config import Config, Overrides, ad_hoc_config, load_config
from harvester.errors import UsageError

from .options import DEFAULT_CONFIG


def config_of(said: Mapping[str, Any]) -> Config:
    """Return the config that the options name, or one made of the options alone.

    Raises:
        UsageError: There is no config, or it or an option is wrong.
    """
    if said.get("provider") is None:
        _refuse(said, ("base_url", "credentials"), "only with --provider; a config says it itself")
        return _from_file(said)
    _refuse(said, ("config",), "not with --provider, which is for running without a config")
    return _from_options(said)


def _from_file(said: Mapping[str, Any]) -> Config:
    text, folder = _config_text(said.get("config"))
    now = SystemClock().now()
    return load_config(text, folder=folder, environ=os.environ, now=now, overrides=_overrides(said))


def _from_options(said: Mapping[str, Any]) -> Config:
    return ad_hoc_config(
        provider=said["provider"],
        base_url=said.get("base_url"),
        credentials=tuple(said.get("credentials") or ()),
        folder=Path(),
        environ=os.environ,
        now=SystemClock().now(),
        overrides=_overrides(said),
    )


def _refuse(said: Mapping[str, Any], names: tuple[str, ...], why: str) -> None:
    options = {"base_url": "--base-url", "credentials": "--credential", "config": "--config"}
    wrong = [f"{options[name]}: {why}" for name in names if said.get(name)]
    if wrong:
        raise UsageError(*wrong)


def _config_text(option: str | None) -> tuple[str, Path]:
    """Return the config and the folder its relative paths start from."""
    if option == "-":
        return _decoded(sys.stdin.buffer.read(), "stdin"), Path()
    named = option or os.environ.get("HARVESTER_CONFIG")
    path = Path(named or DEFAULT_CONFIG)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hint = "" if named else "; 'harvester init' writes one to start from, -c FILE names another"
        raise UsageError(f"there is no config {path.absolute()}{hint}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UsageError(f"the config {path} cannot be read: {reason}") from None
    return _decoded(content, str(path)), path.parent


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"the config {name} is no UTF-8 text (line {line})") from None


def _overrides(said: Mapping[str, Any]) -> Overrides:
    out = said.get("out")
    if out == "":
        raise UsageError("--out: is empty")
    kind, shape = said.get("output_format"), said.get("shape")
    return Overrides(
        sources=tuple(said.get("sources") or ()) or _named(said),
        agents=tuple(said.get("agents") or ()),
        filters=read_filter_options(said.get("filters") or ()),
        out=None if out is None else Path(out),
        format=None if kind is None else kind.value,
        shape=None if shape is None else shape.value,
        since=said.get("since"),
        until=said.get("until"),
        details=said.get("details"),
        recordings=said.get("recordings"),
        concurrency=said.get("concurrency"),
    )


def _named(said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the one source that a command is about; without a config it is the only one there is."""
    source = said.get("source")
    return () if source is None or said.get("provider") is not None else (source,)


def read_filter_options(given: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Read `KEY=VALUE` of each `--filter`; the last of one key holds.

    Raises:
        UsageError: One has no key or no value.
    """
    filters = {}
    for one in given:
        key, joint, value = one.partition("=")
        if not (key and joint and value):
            raise UsageError(f"--filter: must be KEY=VALUE, not {one!r}")
        filters[key] = value
    return filters
