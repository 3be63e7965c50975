"""Transcripts on the fast way: turns that are objects with the same names are decoded by a struct made for these.

What `transcripts` makes of Python objects is made here of JSON, at a fifth of the price, or not at all: one speaker, one
text and at most one time, each of the plainest type. All else is left to `transcripts`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Raw

from harvester.record import Turn, utc

from .transcripts import DAY_S, Transcript, names_in
from .words import ROLES

Read: TypeAlias = Callable[[Raw], list[Turn]]

_NULL = Raw(b"null")
_REFUSED = (ValueError, OverflowError, RecursionError)  # what msgspec raises is a ValueError
_MOST_NAMES = 16
"""Of an object for which a struct is made; those of 64 are kept."""

_Offset = Annotated[float, Meta(ge=0, lt=DAY_S)] | None


class Reader:
    """Reads one field's transcripts; what the last turns were like is tried with the next.

    Args:
        kind: What they become.
    """

    def __init__(self, kind: type[Transcript]) -> None:
        self._kind = kind
        self._read: Read | None = None

    def read(self, raw: Raw) -> Transcript | None:
        """Return a value's transcript, None for null.

        Raises:
            DecodeError: It cannot be decoded at once.
            ValueError: It is no transcript, or one with a problem.
            RecursionError: It is nested too deeply.
        """
        if raw == _NULL:
            return None
        if self._read is not None:
            try:
                return self._kind(self._read(raw))
            except _REFUSED:
                pass  # Other names, or values that are not plain.
        value = msgspec.json.decode(raw)
        transcript = self._kind.read(value)
        if transcript.problem:
            raise ValueError(transcript.problem)
        if isinstance(value, list) and value:
            self._read = _like(value[0])
        return transcript


def _like(element: dict[str, Any]) -> Read | None:
    """Return what reads turns like this one, None where they are not plain."""
    names = names_in(tuple(element))
    if len(element) > _MOST_NAMES or (len(names.speakers), len(names.texts)) != (1, 1) or len(names.times) > 1:
        return None
    time = names.times[0] if names.times else None
    if time is not None and time.endswith("_ms"):
        return None
    others = tuple(name for name in element if name not in {names.speakers[0], names.texts[0], time})
    is_moment = time is not None and isinstance(element[time], str)
    return _reader(names.speakers[0], names.texts[0], time, others, is_moment=is_moment)


@lru_cache(maxsize=64)
def _reader(speaker: str, text: str, time: str | None, others: tuple[str, ...], *, is_moment: bool) -> Read:
    """Return what reads turns with these names, all of them and no other."""
    fields: list[tuple[str, Any, Any]] = [
        ("role", str | None, msgspec.field(name=speaker)),
        ("text", str | None, msgspec.field(name=text)),
    ]
    if time is not None:
        fields.append(("time", datetime | None if is_moment else _Offset, msgspec.field(name=time)))
    fields += [(f"other_{place}", Raw, msgspec.field(name=name)) for place, name in enumerate(others)]
    wire = msgspec.defstruct("Turn", fields, forbid_unknown_fields=True, gc=False)
    decode: Callable[[Raw], list[Any]] = msgspec.json.Decoder(list[wire]).decode  # type: ignore[valid-type]
    if time is None:
        return lambda raw: [Turn(role=ROLES[one.role], text=one.text) for one in decode(raw)]
    if is_moment:
        return lambda raw: [Turn(role=ROLES[one.role], text=one.text, at=utc(one.time)) for one in decode(raw)]
    return lambda raw: [Turn(role=ROLES[one.role], text=one.text, offset_s=one.time) for one in decode(raw)]


@cache
def put_off(wire: Any) -> Any:
    """Return a struct like `wire` whose transcripts are as they came, for `settled`; `wire` where it has none."""
    readers = _readers(wire)
    if not readers:
        return wire
    fields: list[tuple[str, Any, Any]] = []
    for place, one in enumerate(msgspec.structs.fields(wire)):
        kind, default = (Raw, _NULL) if place in readers else (one.type, one.default)
        fields.append((one.name, kind, msgspec.field(name=one.encode_name, default=default, default_factory=one.default_factory)))
    return msgspec.defstruct(wire.__name__, fields, gc=False)


def settled(wire: Any, calls: list[Any]) -> list[Any]:
    """Return calls that were decoded as `put_off(wire)` as those of `wire`, their transcripts read.

    Raises:
        ValidationError: One has a problem, or cannot be read at once.
    """
    readers = _readers(wire)
    return [_settled(wire, call, readers) for call in calls] if readers else calls


def _settled(wire: Any, call: Any, readers: dict[int, Reader]) -> Any:
    values = list(msgspec.structs.astuple(call))
    for place, reader in readers.items():
        try:
            values[place] = reader.read(values[place])
        except ValueError as error:
            raise msgspec.ValidationError(str(error)) from error
    return wire(*values)


@cache
def _readers(wire: Any) -> dict[int, Reader]:
    """Return a reader for each field with transcripts, by its place."""
    if not (isinstance(wire, type) and issubclass(wire, msgspec.Struct)):
        return {}
    kinds = [typing.get_args(field.type)[:1] for field in msgspec.structs.fields(wire)]
    return {
        place: Reader(kind)
        for place, (kind, *_) in enumerate(one or (None,) for one in kinds)
        if isinstance(kind, type) and issubclass(kind, Transcript)
    }
