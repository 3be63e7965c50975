"""The unified record: one struct, one row a call, and what each column means.

Column order is the order of the fields. Columns may be added; none is renamed, retyped or dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import groupby, repeat
from operator import itemgetter
from types import GenericAlias
from typing import Annotated, Any, Literal, overload

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

Status = Literal[
    "queued", "initiated", "ringing", "answered", "in_progress", "completed",
    "failed", "busy", "no_answer", "canceled", "unknown",
]  # fmt: skip
Direction = Literal["inbound", "outbound"]

Moment = Annotated[datetime, Meta(tz=True)]


_encode = msgspec.msgpack.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


class Turn(msgspec.Struct, kw_only=True, gc=False):
    """One turn of a transcript; `role` is `agent`, `user`, `system`, `tool` or null."""

    role: str | None = None
    text: str | None = None
    at: Moment | None = None
    offset_s: float | None = None


class Record(msgspec.Struct, kw_only=True, gc=False):
    """A call in the unified shape; its key is (`source`, `call_id`). Absent values are null, never guessed."""

    provider: Annotated[str, Meta(description="the platform")]
    source: Annotated[str, Meta(description="the account, as the config names it")]
    call_id: Annotated[str, Meta(description="the provider's id")]
    external_id: Annotated[str | None, Meta(description="telephony or media id")] = None
    agent_id: Annotated[str | None, Meta(description="the row's, else that of the URL")] = None
    agent_name: Annotated[str | None, Meta(description="the row's, else that of the agent list")] = None
    direction: Annotated[Direction | None, Meta(description="inbound or outbound")] = None
    status: Annotated[Status, Meta(description="the provider's word in common terms")] = "unknown"
    status_raw: Annotated[str | None, Meta(description="the provider's own word")] = None
    is_test: bool | None = None
    from_number: Annotated[str | None, Meta(description="as sent")] = None
    to_number: Annotated[str | None, Meta(description="as sent")] = None
    customer_number: Annotated[str | None, Meta(description="from when inbound, to when outbound")] = None
    contact_id: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    campaign_id: str | None = None
    campaign_name: str | None = None
    created_at: Annotated[Moment | None, Meta(description="since and until act on this")] = None
    started_at: Moment | None = None
    ringing_at: Moment | None = None
    answered_at: Moment | None = None
    ended_at: Moment | None = None
    updated_at: Moment | None = None
    deleted_at: Moment | None = None
    duration_s: Annotated[float | None, Meta(description="seconds")] = None
    success: bool | None = None
    voicemail: bool | None = None
    is_purged: bool | None = None
    end_reason: str | None = None
    error_reason: str | None = None
    summary: str | None = None
    score: Annotated[float | None, Meta(description="on the provider's scale")] = None
    transcript: Annotated[
        list[Turn] | None,
        Meta(description="turns in order; null: not fetched or not there; []: nobody spoke"),
    ] = None
    recording_url: Annotated[str | None, Meta(description="less its signature")] = None
    recording_path: Annotated[str | None, Meta(description="relative to the output")] = None
    recording_sha256: str | None = None
    recording_bytes: int | None = None
    raw: Annotated[str | None, Meta(description="the provider's JSON for this call, byte for byte")] = None
    raw_list: Annotated[str | None, Meta(description="the list row where raw is a detail")] = None
    version: int = 1
    fetched_at: Moment
    run_id: str


COLUMNS: tuple[str, ...] = Record.__struct_fields__

_DEFAULTS: dict[str, Any] = {
    field.name: None if field.required else field.default for field in msgspec.structs.fields(Record)
}


class Records(Sequence[Record]):
    """Calls in the unified shape, kept by columns: a hundred at once cost a third of one by one.

    A Sequence of Records to whoever looks at one; what writes many takes `columns` or `rows`.

    Args:
        length: How many.
        columns: By name, a list of so many values, or one value that is not a list for all of them; what is not named
            has its default.
    """

    def __init__(self, length: int, columns: Mapping[str, Any]) -> None:
        self.columns: dict[str, Any] = {**_DEFAULTS, **columns}
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Return records, made now; what is changed in one stays there."""
        if isinstance(index, slice):
            return [self[at] for at in range(self._length)[index]]
        at = range(self._length)[index]
        return Record(
            **{name: value[at] if type(value) is list else value for name, value in self.columns.items()}
        )

    def some(self, indices: Sequence[int]) -> Records:
        """Return some of them, in this order."""
        columns = {
            name: [value[index] for index in indices] if type(value) is list else value
            for name, value in self.columns.items()
        }
        return Records(len(indices), columns)

    def pack(self) -> bytes:
        """Return the columns as bytes, for `unpack`.

        Raises:
            ValueError: A value cannot be stored: half a character.
            OverflowError: A value cannot be stored: too large an integer.
        """
        lists: dict[str, Any] = {}
        ones: dict[str, Any] = {}
        for name, value in self.columns.items():
            (lists if type(value) is list else ones)[name] = value
        return _encode((lists, ones))

    @classmethod
    def unpack(cls, packed: bytes | memoryview, length: int) -> Records:
        """Return so many records by what `pack` made of them.

        Raises:
            MsgspecError: It is not what `pack` makes.
        """
        lists, ones = _decoder().decode(packed)
        columns = [*structs.asdict(lists).items(), *structs.asdict(ones).items()]
        return cls(length, {name: value for name, value in columns if value is not UNSET})

    def lines(self) -> bytes:
        """Return each as a line of JSON.

        Raises:
            ValueError: A value cannot be written: half a character.
            OverflowError: A value cannot be written: too large an integer.
        """
        return _encode_lines(self.rows())

    def rows(self) -> list[Any]:
        """Return structs that are encoded as Records are, and are good for nothing else.

        Columns side by side that hold one value for all are one field of them, already encoded: more than half of the
        columns of a page are null.
        """
        columns = self.columns
        kind, groups = _layout(tuple([type(columns[name]) is list for name in COLUMNS]))
        values: list[Any] = []
        for names, is_list in groups:
            if is_list:
                values += [columns[name] for name in names]
            else:
                values.append(repeat(_encoded(names, *[columns[name] for name in names]), self._length))
        return list(map(kind, *values))


@cache
def _decoder() -> msgspec.msgpack.Decoder[Any]:
    """Return what decodes packed columns: those that are lists, then those that are one value for all."""
    kinds: dict[str, Any] = {field.name: field.type for field in structs.fields(Record)}
    lists = [(name, list[kind] | UnsetType, UNSET) for name, kind in kinds.items()]  # type: ignore[valid-type]
    ones = [(name, kind | UnsetType, UNSET) for name, kind in kinds.items()]
    both = (msgspec.defstruct("Lists", lists, gc=False), msgspec.defstruct("Ones", ones, gc=False))
    pair: Any = GenericAlias(tuple, both)
    return msgspec.msgpack.Decoder(pair)


@lru_cache(maxsize=64)
def _layout(are_lists: tuple[bool, ...]) -> tuple[Any, list[tuple[tuple[str, ...], bool]]]:
    """Return the struct for rows whose columns are lists or not, and the columns side by side that are alike."""
    found = groupby(zip(COLUMNS, are_lists, strict=True), key=itemgetter(1))
    groups = [(tuple(name for name, _ in run), is_list) for is_list, run in found]
    fields = [name for names, is_list in groups for name in (names if is_list else names[:1])]
    return msgspec.defstruct("Row", [(name, Any) for name in fields], gc=False), groups


@lru_cache(maxsize=256, typed=True)  # 1 and 1.0 are equal, and not the same text
def _encoded(names: tuple[str, ...], *values: Any) -> msgspec.Raw:
    """Return the first value as JSON, and after it the other members as they follow it in an object."""
    encode = msgspec.json.encode
    first, *others = map(encode, values)
    members = [encode(name) + b":" + value for name, value in zip(names[1:], others, strict=True)]
    return msgspec.Raw(b",".join([first, *members]))


def utc(moment: datetime | None) -> datetime | None:
    """Return the same moment in UTC; one without a zone is read as UTC."""
    if moment is None or moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def json_schema() -> dict[str, object]:
    """Return the unified record as JSON Schema."""
    return msgspec.json.schema(Record)
