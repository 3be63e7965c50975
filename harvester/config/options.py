"""What the command line says, and how far what is said for many sources reached."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import msgspec

from harvester.model import Format, Shape

from .table import Problems

_MAX_NAMED = 10


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; None or empty is not said.

    `sources` chooses among the file's. `agents`, `since` and `until` replace what the sources in use have,
    `filters` are added to theirs, `details` and `recordings` apply to those whose provider can.
    `out` starts at the current folder.
    """

    sources: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    filters: Mapping[str, str] = {}
    out: Path | None = None
    format: Format | None = None
    shape: Shape | None = None
    since: str | date | datetime | None = None
    until: str | date | datetime | None = None
    details: bool | None = None
    recordings: bool | None = None
    concurrency: int | None = None


class Reach:
    """How far each option and default reached: whether any source could, and who could not and why."""

    def __init__(self) -> None:
        self._could: dict[str, bool] = {}
        self._left_out: dict[tuple[str, str], list[str]] = {}

    def note(self, key: str, source: str, refusal: str | None, *, used: bool) -> bool:
        """Note what one source made of a key; return whether it applies there."""
        self._could[key] = self._could.get(key, False) or refusal is None
        if refusal is not None:
            names = self._left_out.setdefault((key, refusal), [])
            if used:
                names.append(source)
        return refusal is None

    def settle(self, problems: Problems) -> tuple[str, ...]:
        """Return a notice for each key some sources in use were left out of; what none could is a problem."""
        notices = []
        for (key, refusal), names in self._left_out.items():
            if not self._could[key]:
                problems.add(key, f"no source can do this: {refusal}", unsupported=True)
            elif names:
                more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
                notices.append(f"{key}: not for {', '.join(names[:_MAX_NAMED])}{more}: {refusal}")
        return tuple(notices)
