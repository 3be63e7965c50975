"""The answer of a get-one route, cut into its one row; no API is named here.

Some APIs answer with the bare object, some with an envelope; `FACTS` is not sure which, so either is taken from all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from harvester.errors import MalformedError, RejectedError
from harvester.model import Listing

from .cut import cut_object
from .envelope import loads
from .refusals import says_no_calls
from .rows import BOM, REFUSED, decoder

_SPACE = b" \t\r\n"


class _Single(msgspec.Struct):
    """A call, of which only its having an id is looked at, or what it is wrapped in."""

    id: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    success: Any = None
    error: Any = None


def read_single(body: bytes) -> Listing:
    """Cut an answer into its one row, byte for byte: the object that has an `id`, else the one in `data`.

    Raises:
        MalformedError: It is neither, or says that it is no success.
        RejectedError: It says that there is no such call; `is_gone`.
    """
    body = body.removeprefix(BOM).strip(_SPACE)
    if says_no_calls(body):
        raise RejectedError("there is no such call", status=404, is_gone=True)
    try:
        one: _Single = decoder(_Single).decode(body)
    except REFUSED:
        one = _cut_single(body)
    if isinstance(one.id, Raw) and bytes(one.id) != b"null":
        return Listing([Raw(body)])
    if one.success in (False, "false") or one.error:
        raise MalformedError("the answer says that it is no success; asked again")
    row = b"" if one.data is UNSET else bytes(one.data)
    if row[:1] != b"{":
        raise MalformedError("the answer is no call; asked again, and if it stays so check `base_url`")
    return Listing([Raw(row)])


def _cut_single(body: bytes) -> _Single:
    """Cut an answer that the decoder refuses: a lone surrogate or `NaN` in a call is the call's own affair.

    Raises:
        MalformedError: It is no object.
    """
    try:
        texts = cut_object(body)
    except (ValueError, TypeError, RecursionError) as error:
        what = "an HTML page" if body[:1] == b"<" else "no JSON object"
        message = f"{what} where a call was expected; asked again, and if it stays so check `base_url`"
        raise MalformedError(message) from error
    raws = {name: Raw(texts[name]) for name in ("id", "data") if name in texts}
    said = {name: loads(texts[name]) for name in ("success", "error") if name in texts}
    return _Single(**raws, **said)


def read_newest(body: bytes, read_listing: Callable[[bytes], Listing]) -> Listing:
    """Cut an answer that is one call, none, or a list that is asked for in their stead.

    Raises:
        MalformedError: It is none of them.
    """
    if says_no_calls(body):
        return Listing([], total=0)
    try:
        return read_single(body)
    except MalformedError:
        return read_listing(body)
