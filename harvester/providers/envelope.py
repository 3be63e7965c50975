"""What a list is wrapped in: its rows cut apart, and what it says of itself; no API is named here.

What an answer says of itself is read leniently: a paging field that is absent, null or of the wrong type says
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from harvester.errors import MalformedError
from harvester.model import Listing

from .cut import cut_array, cut_object
from .rows import BOM, REFUSED, decoder

_MOST = 2**63 - 1  # no count is larger: SQLite and Arrow would not hold it


class Envelope(msgspec.Struct):
    """What a list is wrapped in, by the names the four APIs use; a bare array is an envelope with rows alone.

    All but the rows is read leniently: a paging field of the wrong type says nothing, and is no failure.
    """

    rows: list[Raw] | UnsetType = msgspec.field(name="data", default=UNSET)
    success: Any = None
    error: Any = None
    pagination: Any = None
    meta: Any = None


def read_envelope(body: bytes, envelope: type[Envelope] = Envelope) -> tuple[list[Raw], Envelope]:
    """Decode a list answer and judge whether it is one.

    Args:
        body: The answer's bytes.
        envelope: The struct to read; its field `rows` has the wire's name for the rows.

    Returns:
        The rows, in the provider's order and byte for byte, and the envelope they came in.

    Raises:
        MalformedError: The body is no such envelope, has no rows, or says that it is no success.
    """
    body = body.removeprefix(BOM)
    try:
        if body.lstrip()[:1] == b"[":
            rows = decoder(list[Raw]).decode(body)
            return rows, envelope(rows=rows)
        page: Envelope = decoder(envelope).decode(body)
    except REFUSED:
        page = _cut_envelope(body, envelope)
    if page.success in (False, "false"):
        raise MalformedError(
            "the answer says that it is no success; asked again, and if it stays so report it"
        )
    if page.error:
        raise MalformedError("the answer holds an error where rows were expected; asked again")
    if page.rows is UNSET:
        raise MalformedError(
            f"the answer has no `{rows_key(envelope)}`; check that `base_url` is the provider's"
        )
    return page.rows, page


@cache
def rows_key(envelope: type[Envelope]) -> str:
    """Return the wire's name for the rows."""
    return envelope.__struct_encode_fields__[envelope.__struct_fields__.index("rows")]


def _cut_envelope(body: bytes, envelope: type[Envelope]) -> Envelope:
    """Cut a page that the decoder refuses: one lone surrogate in one row refuses all of them.

    Raises:
        MalformedError: There are no rows to cut.
    """
    if body.lstrip()[:1] == b"<":
        raise MalformedError(
            "an HTML page where JSON was expected: a proxy or captive portal may be in the way"
        )
    try:
        if body.lstrip()[:1] == b"[":
            return envelope(rows=_raws(cut_array(body)))
        texts = cut_object(body)
        key = rows_key(envelope)
        rows = _raws(cut_array(texts[key])) if key in texts else UNSET
    except (ValueError, TypeError, RecursionError) as error:
        message = "the answer is not the documented JSON; asked again, and if it stays so report it"
        raise MalformedError(message) from error
    others = zip(envelope.__struct_fields__, envelope.__struct_encode_fields__, strict=True)
    said = {field: loads(texts[name]) for field, name in others if name in texts and field != "rows"}
    return envelope(rows=rows, **said)


def _raws(texts: list[bytes]) -> list[Raw]:
    return [Raw(text) for text in texts]


def loads(text: bytes) -> Any:
    """Return a value beside the rows, None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def said(value: Any) -> Mapping[str, Any]:
    """Return what an answer says of itself, nothing where that is no object."""
    return value if isinstance(value, dict) else {}


def count(value: Any, least: int = 0) -> int | None:
    """Return a whole number from `least` up, also one sent as a float or in digits; else None."""
    if type(value) is int and least <= value <= _MOST:
        return value
    if (isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit()) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST:
        return value
    return None


def number_before(value: Any) -> int | None:
    """Return the number from 0 of a page that is counted from 1."""
    page = count(value, 1)
    return None if page is None else page - 1


def is_before(page: int | None, pages: int | None) -> bool | None:
    """Say whether pages follow `page` (from 0) where there are `pages`; None where either is not known."""
    return None if page is None or pages is None else page + 1 < pages


def has_more(listing: Listing) -> bool:
    """Say whether to ask for the next page: what the answer says, else as long as there are rows."""
    return bool(listing.rows) if listing.has_more is None else listing.has_more
