"""From an answer's bytes to rows and structs, whatever is in them; no API is named here.

The fast way decodes a page at once. Where that fails each row is decoded alone, and where that fails each of
its values: one bad value costs that value, one bad row that row. A `wire` is a struct type.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, cast

import msgspec
from msgspec import UNSET

from harvester.block import Row
from harvester.model import Problem
from harvester.record import utc

from .alike import decode
from .loose import read_json
from .transcripts import Transcript, turns_of

BOM = b"\xef\xbb\xbf"
REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Found = list[tuple[str | None, str]]

_zone_of = attrgetter("tzinfo")
_UTC_ALONE = {UTC}


@lru_cache(maxsize=128)  # `alike` makes structs of what answers hold
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return the one decoder of a type."""
    return msgspec.json.Decoder(kind)


@lru_cache(maxsize=128)
def _page_decoder(wire: Any, rows_key: str) -> msgspec.json.Decoder[Any]:
    """Return the one decoder of an envelope whose rows are `wire`, and in which nothing else is looked at."""
    page = msgspec.defstruct("Page", [("rows", list[wire], msgspec.field(name=rows_key))])
    return msgspec.json.Decoder(page)


def _read_in_part(kind: type[Transcript], value: Any) -> Transcript:
    return kind.read(value)


def decode_rows(
    body: bytes, rows: Sequence[Row], wire: Any, rows_key: str = "data"
) -> tuple[list[Any], list[Problem]]:
    """Decode a page's rows to `wire`, one struct or None a row, in their order.

    Args:
        body: The answer, for the fast way.
        rows: Its rows as `read_envelope` cut them.
        wire: The struct of a row, with the fields `id` and `created_at`.
        rows_key: The envelope's name for the rows.

    Returns:
        The structs, and a `Problem` for each row that is None and each value that does not fit.
    """
    if len(rows) == 1:  # What it came in may be no page: the answer of a get-one route.
        return _decode_each(rows, wire)
    try:
        _check_utf8(body)
        calls = _decode_page(body.removeprefix(BOM), wire, rows_key)
        if len(calls) == len(rows) and (checked := _checked(calls)) is not None:
            return checked, []
    except REFUSED:
        pass  # The rows are told apart below.
    return _decode_each(rows, wire)


def _check_utf8(text: bytes) -> None:
    """Refuse bytes that are no UTF-8; msgspec does not look into values that are not asked for."""
    if not text.isascii():
        text.decode()


def _decode_page(body: bytes, wire: Any, rows_key: str) -> list[Any]:
    is_bare = body.lstrip()[:1] == b"["

    def decode_as(kind: Any) -> list[Any]:
        calls = (
            decoder(list[kind]).decode(body) if is_bare else _page_decoder(kind, rows_key).decode(body).rows
        )
        return cast("list[Any]", calls)

    return decode(wire, decode_as)


class Sound(list[Any]):
    """Structs that all have an id and a time of creation in UTC, as on all ordinary pages; both are at hand."""

    __slots__ = ("ids", "moments")

    def __init__(self, calls: list[Any], ids: list[str], moments: list[datetime]) -> None:
        super().__init__(calls)
        self.ids: list[str] = ids
        self.moments: list[datetime] = moments

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The first moment and the last, where there are any."""
        ordered = sorted(self.moments)  # most lists are in some order: then this is half of `min` and `max`
        return ordered[0], ordered[-1]


def _checked(calls: list[Any]) -> list[Any] | None:
    """Return structs if all have an id, and a time of creation that exists in UTC or none."""
    # Attributes of structs are twice as fast so as through `attrgetter`.
    ids, created = [call.id for call in calls], [call.created_at for call in calls]
    if not all(ids):
        return None
    with suppress(AttributeError):  # one has no time
        if list(map(_zone_of, created)).count(UTC) == len(created):
            return Sound(calls, ids, created)
    is_told = all(at is None or moment(at) is not None for at in created)
    return calls if is_told else None


def moment(value: datetime | None) -> datetime | None:
    """Return a moment in UTC; None also for one at the calendar's ends that has no name there.

    `0001-01-01T00:00:00+01:00` is such a one.
    """
    if value is None or value.tzinfo is UTC:
        return value
    try:
        return utc(value)
    except OverflowError:
        return None


def moments(values: list[datetime | None]) -> list[datetime | None]:
    """Return a column of moments as `moment` has each of them."""
    if values.count(None) == len(values):
        return values
    if {UTC if value is None else value.tzinfo for value in values} == _UTC_ALONE:
        return values
    return [moment(value) for value in values]


def _decode_each(rows: Sequence[Row], wire: Any) -> tuple[list[Any], list[Problem]]:
    calls: list[Any] = []
    problems: list[Problem] = []
    for index, row in enumerate(rows):
        call, found = decode_row(bytes(row), wire)
        calls.append(call)
        problems += [Problem(index, field, reason) for field, reason in found]
    return calls, problems


def decode_row(row: bytes, wire: Any) -> tuple[Any, Found]:
    """Decode one row of calls, the fast way if it can be; the answer is that of `fit_row`."""
    try:
        _check_utf8(row)
        (call,) = decode(wire, lambda kind: [decoder(kind).decode(row)])
        if _checked([call]) is not None:
            return call, []
    except REFUSED:
        pass  # Its values are told apart below.
    return fit_row(row, wire)


def fit_row(row: bytes, wire: Any) -> tuple[Any, Found]:
    """Decode one row value by value.

    Returns:
        Its struct, or None where it is no call; and what does not fit: the value's name on the wire, or None
        for the row as a whole, and the reason, which never holds the value.
    """
    try:
        fields = read_json(row)
    except ValueError as error:
        return None, [(None, str(error))]
    if not isinstance(fields, dict):
        return None, [(None, "not a JSON object")]
    if isinstance(fields.get("id"), int) and not isinstance(fields["id"], bool):
        fields["id"] = str(fields["id"])
    found: Found = []
    call = _fit_struct(fields, wire, "", found)
    return (call, found) if call is not None and call.id else (None, [(None, "no id")])


@cache
def _fields(wire: Any) -> tuple[tuple[str, str, Any, Any], ...]:
    """Return of each field its name, its name on the wire, its type, and the struct that it may hold."""
    return tuple(
        (field.name, field.encode_name, field.type, _struct_in(field.type))
        for field in msgspec.structs.fields(wire)
    )


def _fit_struct(fields: dict[str, Any], wire: Any, prefix: str, found: Found) -> Any:
    """Build a struct from the values that fit; None where one that it cannot be without does not."""
    values: dict[str, Any] = {}
    for name, wire_name, kind, nested in _fields(wire):
        value = fields.get(wire_name, UNSET)
        if value is UNSET:
            continue
        path = prefix + wire_name
        if nested is not None and isinstance(value, dict):
            values[name] = _fit_struct(value, nested, path + ".", found)
            continue
        try:
            values[name] = fitted = _fit(value, kind)
        except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
            found.append((path, _reason(error)))
            continue
        if isinstance(fitted, Transcript) and fitted.problem:
            found.append((path, fitted.problem))
    try:
        return wire(**values)
    except TypeError:
        found.append((prefix.rstrip(".") or None, "a required value is missing"))
        return None


def _fit(value: Any, kind: Any) -> Any:
    """Return a value as a field of this type.

    Raises:
        ValidationError: It is of another type.
        ValueError: It is of the type, and still cannot be stored.
        OverflowError: It is too large for the type.
        RecursionError: It is nested too deeply.
    """
    fitted = msgspec.convert(value, kind, dec_hook=_read_in_part)
    if isinstance(fitted, Transcript):
        value = turns_of(fitted)  # What is stored of it.
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("Number out of range")
    elif isinstance(value, list | dict):
        msgspec.json.encode(value)
    if isinstance(fitted, datetime) and moment(fitted) is None:
        raise ValueError("no such moment in UTC")
    return fitted


def _struct_in(kind: Any) -> type[Any] | None:
    """Return the struct in `Struct` or `Struct | None`, None where there is none."""
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    for option in options:
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "half a character (lone surrogate)"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
