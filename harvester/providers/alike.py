"""Transcripts on the fast way: turns that are objects with the same names are decoded by a struct made for these.

What `transcripts` makes of Python objects is made here of JSON, at a fifth of the price, or not at all: one speaker,
one text and at most one time, each of the plainest type. All else is left to `transcripts`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import NODEFAULT, Meta, Raw, structs
from msgspec.structs import astuple

from harvester.record import Turn, utc

from .transcripts import DAY_S, Transcript, names_in
from .words import ROLES

_field: Any = msgspec.field
_NULL = Raw(b"null")
_REFUSED = (ValueError, OverflowError)  # not plain, or with a moment that has no name in UTC
_MOST_NAMES = 16
"""Of an object for which a struct is made; those of 64 are kept."""

_Role = Literal["agent", "user", "system", "tool"] | None
_ROLES = ("agent", "user", "system", "tool", None)
_Offset = Annotated[float, Meta(ge=0, lt=DAY_S)] | None


class Form(msgspec.Struct, frozen=True):
    """What a field's transcripts are like: the type that they are decoded as, and what makes turns of a list of these.

    `turns` is None where they are strings, which are cut out alone and may not even have to be decoded.
    """

    kind: Any
    turns: Callable[[list[Any]], list[Turn]] | None = None

    def read(self, kind: type[Transcript], value: Any) -> Transcript | None:
        """Return the transcript that a value of the type is.

        Raises:
            ValueError: It has a problem, cannot be read, or is of another form.
            OverflowError: A moment has no name in UTC.
        """
        if self.turns is not None:
            return None if value is None else kind(self.turns(value))
        if value == _NULL:
            return None
        text = bytes(value)
        transcript = kind.read_json(text)
        if transcript.problem or text[:1] != b'"':
            raise ValueError(transcript.problem or "no string")
        return transcript


_STRING = Form(Raw)


class Reader:
    """Reads one field's transcripts; the form that one had is tried with the next.

    It is steady while all have the same form, or are null.

    Args:
        kind: What they become.
    """

    def __init__(self, kind: type[Transcript]) -> None:
        self.kind: type[Transcript] = kind
        self.form: Form | None = None
        self.is_steady: bool = False

    def read(self, raw: Raw) -> Transcript | None:
        """Return a value's transcript, None for null.

        Raises:
            DecodeError: It cannot be decoded at once.
            ValueError: It is no transcript, or one with a problem.
        """
        if raw == _NULL:
            return None
        if self.form is not None:
            try:
                return self.form.read(self.kind, _decoder(self.form.kind)(raw))
            except _REFUSED:
                pass  # Another form, or values that are not plain.
        self.is_steady = False
        value = msgspec.json.decode(raw)
        transcript = self.kind.read(value)
        if transcript.problem:
            raise ValueError(transcript.problem)
        if isinstance(value, str):
            self.form = _STRING
        elif isinstance(value, list) and value:
            self.form = _like(value)
        return transcript


@lru_cache(maxsize=64)
def _decoder(kind: Any) -> Callable[[Raw], Any]:
    return msgspec.json.Decoder(kind).decode


def _like(elements: list[dict[str, Any]]) -> Form | None:
    """Return the form of turns like these, None where they are not plain."""
    element = elements[0]
    names = names_in(tuple(element))
    if (
        len(element) > _MOST_NAMES
        or (len(names.speakers), len(names.texts)) != (1, 1)
        or len(names.times) > 1
    ):
        return None
    (speaker,), (text,), time = names.speakers, names.texts, names.times[0] if names.times else None
    if time is not None and time.endswith("_ms"):
        return None
    others = tuple(name for name in element if name not in {speaker, text, time})
    are_roles = all(one.get(speaker) in _ROLES for one in elements)
    is_moment = time is not None and isinstance(element[time], str)
    try:
        return _form(speaker, text, time, others, are_roles=are_roles, is_moment=is_moment)
    except ValueError:
        return None  # No struct can have these names: a quote in one, or an `at` that is an offset.


@lru_cache(maxsize=64)
def _form(
    speaker: str, text: str, time: str | None, others: tuple[str, ...], *, are_roles: bool, is_moment: bool
) -> Form:
    """Return the form of turns with these names, all of them and no other.

    Raises:
        ValueError: No struct can have them.
    """
    unused: Any = (None, _field(default=None))
    at: Any = (datetime | None, _field(name=time)) if time and is_moment else unused
    offset: Any = (_Offset, _field(name=time)) if time and not is_moment else unused
    fields: list[tuple[str, Any, Any]] = [
        ("role", _Role if are_roles else str | None, _field(name=speaker)),
        ("text", str | None, _field(name=text)),
        ("at", *at),
        ("offset_s", *offset),
        *((f"other_{place}", Raw, _field(name=name)) for place, name in enumerate(others)),
    ]
    wire: Any = msgspec.defstruct("Turn", fields, forbid_unknown_fields=True, gc=False, kw_only=True)
    if others or not _is_laid_out_alike(wire):
        return Form(list[wire] | None, _made)
    return Form(list[wire] | None, _renamed if are_roles and not is_moment else _reworded)


def _is_laid_out_alike(wire: Any) -> bool:
    """Say whether an object of this struct can become a Turn."""
    try:
        wire(role=None, text=None).__class__ = Turn
    except TypeError:
        return False
    return True


def _made(found: list[Any]) -> list[Turn]:
    return [Turn(role=ROLES[one.role], text=one.text, at=utc(one.at), offset_s=one.offset_s) for one in found]


def _renamed(found: list[Any]) -> list[Turn]:
    """Make turns of objects that are laid out as these: half the price of others beside them."""
    for one in found:
        one.__class__ = Turn
    return found


def _reworded(found: list[Any]) -> list[Turn]:
    for one in found:
        one.__class__ = Turn
        one.role, one.at = ROLES[one.role], utc(one.at)
    return found


def decode(wire: Any, decode_as: Callable[[Any], list[Any]]) -> list[Any]:
    """Decode calls, their transcripts in the forms that those before had, or else one by one.

    Args:
        wire: Their struct.
        decode_as: Decodes them as another struct with the same fields.

    Raises:
        DecodeError: A value does not fit, or a transcript has a problem.
    """
    readers = _readers(wire)
    if not readers:
        return decode_as(wire)
    if all(reader.is_steady for reader in readers.values()):
        forms = tuple([reader.form for reader in readers.values()])
        try:
            return _settled(wire, decode_as(_put_off(wire, forms)), readers, forms)
        except _REFUSED:
            pass  # One is not like the last, if nothing else is wrong.
    for reader in readers.values():
        reader.is_steady = True
    forms = (None,) * len(readers)
    try:
        return _settled(wire, decode_as(_put_off(wire, forms)), readers, forms)
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from error


def _settled(
    wire: Any, calls: list[Any], readers: dict[int, Reader], forms: tuple[Form | None, ...]
) -> list[Any]:
    """Return calls as those of `wire`, with their transcripts read."""
    reads = [
        (place, reader.read if form is None else partial(form.read, reader.kind))
        for (place, reader), form in zip(readers.items(), forms, strict=True)
    ]
    settled: list[Any] = []
    for call in calls:
        values = list(astuple(call))
        for place, read in reads:
            values[place] = read(values[place])
        settled.append(wire(*values))
    return settled


@lru_cache(maxsize=64)
def _put_off(wire: Any, forms: tuple[Form | None, ...]) -> Any:
    """Return a struct like `wire` with transcripts in these forms, or as they came."""
    kinds = dict(zip(_readers(wire), forms, strict=True))
    fields: list[tuple[str, Any, Any]] = []
    for place, one in enumerate(structs.fields(wire)):
        kind, default, factory = one.type, one.default, one.default_factory
        if place in kinds:
            form, factory = kinds[place], NODEFAULT
            kind, default = (Raw, _NULL) if form is None or form.kind is Raw else (form.kind, None)
        fields.append(
            (one.name, kind, _field(name=one.encode_name, default=default, default_factory=factory))
        )
    return msgspec.defstruct(wire.__name__, fields, gc=False)


@cache
def _readers(wire: Any) -> dict[int, Reader]:
    """Return a reader for each field with transcripts, by its place."""
    kinds = [typing.get_args(field.type)[:1] or (None,) for field in structs.fields(wire)]
    return {
        place: Reader(kind)
        for place, (kind,) in enumerate(kinds)
        if isinstance(kind, type) and issubclass(kind, Transcript)
    }
