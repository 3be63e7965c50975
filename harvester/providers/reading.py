"""A list answer read where it arrives: the keys of its rows, where they stand, and the rows in the output's shape.

For `Request.read_by`: the process that fetched an answer does what costs most of reading it, and the one that walks
takes from it what it needs. Only answers without any flaw are read so; all others are left to who can tell what is
wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import Raw

from harvester.block import Block
from harvester.model import Lines, Listing, Origin, ReadBy
from harvester.record import Records

from . import get_provider
from .base import Provider
from .records import to_records
from .rows import Sound

Form = Literal["keys", "lines", "columns"]
"""What is made of rows beside their keys: nothing, unified lines, or the columns of unified records."""

_HEAD_BYTES = 4


class Options(msgspec.Struct, frozen=True, array_like=True):
    """How the answers of one source are read."""

    provider: str
    source: str
    form: Form
    keep_raw: bool


class Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an answer says of itself, and the keys of its rows.

    `ids` and `moments` are lists, which most go to the journal as they are; `first` and `last` the ends of `moments`.
    `start` and `lengths` are the `place` of the rows in it. `agents` are those that the rows name, None where nobody
    asked. The rows follow the head, in the `form` that was asked for.
    """

    total: int | None
    size: int | None
    page: int | None
    has_more: bool | None
    ids: Raw
    moments: Raw
    first: datetime
    last: datetime
    agents: list[str | None] | None
    start: int
    lengths: bytes
    is_flat: bool
    form: Form


class PackedKeys(msgspec.Struct, frozen=True):
    """The ids and the moments (UTC) of rows, each list as MessagePack."""

    ids: Raw
    moments: Raw


class Reading(msgspec.Struct, frozen=True):
    """What was read of an answer: the answer as a Listing, its rows' keys, and they in the form that was asked for.

    `ids` are distinct, `span` is the first moment and the last; `keys` are the ids and moments once more, packed.
    """

    listing: Listing
    ids: Sequence[str]
    moments: Sequence[datetime]
    span: tuple[datetime, datetime]
    keys: PackedKeys
    agents: list[str | None] | None
    made: Lines | Records | None


class Later(Sequence[Any]):
    """A sequence that is made only where somebody looks into it after all.

    Args:
        make: Makes it.
        count: How many are in it.
    """

    def __init__(self, make: Callable[[], Sequence[Any]], count: int) -> None:
        self._make = make
        self._count = count

    @cached_property
    def _made(self) -> Sequence[Any]:
        return self._make()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._made)

    def __getitem__(self, index: Any) -> Any:
        return self._made[index]


def read_by(options: Options) -> ReadBy:
    """Return what a request says of how its answer may be read."""
    is_light = options.form == "keys"
    return ReadBy("harvester.providers.reading:open_reader", _encode(options), is_light)


def note(run_id: str, agent_id: str | None, agent_name: str | None) -> bytes:
    """Return what a request says of its own: its run, the agent in its address, and that one's name."""
    return _encode((run_id, agent_id, agent_name))


def open_reader(options: bytes) -> Callable[[bytes, datetime, bytes], bytes]:
    """Return what reads the answers of a source; see `ReadBy`."""
    return _Reader(msgspec.msgpack.decode(options, type=Options)).read


class _Reader:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._provider: Provider = get_provider(options.provider)
        is_keys = options.form == "keys"
        self._wire = self._provider.key_type if is_keys else self._provider.call_type

    def read(self, body: bytes, received_at: datetime, told: bytes) -> bytes:
        """Return an answer's head and rows, nothing where it is not quite as it should be.

        Raises:
            MalformedError: The body is not the documented envelope.
            ValueError: A record cannot be written: half a character.
            OverflowError: A record cannot be written: too large an integer.
        """
        provider, form = self._provider, self._options.form
        listing = provider.read_listing(body)
        block = Block.find(body, listing.rows)
        if block is None:
            return b""
        calls, problems = provider.decode(body, listing, self._wire)
        if problems or not isinstance(calls, Sound) or len(set(calls.ids)) < len(calls):
            return b""
        start, lengths = block.place
        run_id, agent_id, agent_name = _decode_note(told)
        # Rows that name no agent get that of the address, in either shape; who walks an account rarely asks.
        agents = None if agent_id is None else list(map(provider.agent_of, calls))
        head = Head(
            listing.total,
            listing.size,
            listing.page,
            listing.has_more,
            Raw(_encode(calls.ids)),
            Raw(_encode(calls.moments)),
            *calls.span,
            agents,
            start,
            lengths,
            block.is_flat,
            form,
        )
        encoded = _encode(head)
        origin = Origin(
            self._options.source,
            self._options.provider,
            run_id,
            received_at,
            agent_id,
            agent_name,
        )
        rows = b"" if form == "keys" else self._rows(calls, block, origin)
        return b"".join([len(encoded).to_bytes(_HEAD_BYTES, "big"), encoded, rows])

    def _rows(self, calls: Sequence[Any], block: Block, origin: Origin) -> bytes:
        options = self._options
        raw = block.texts() if options.keep_raw else None
        records = to_records(self._provider, calls, origin, raw=raw)
        return records.lines() if options.form == "lines" else records.pack()


def take(body: bytes, reading: bytes) -> Reading:
    """Return what was read of an answer.

    Args:
        body: The answer.
        reading: What `open_reader`'s function made of it, not empty.

    Raises:
        MsgspecError: It was made by another version of this code.
    """
    with memoryview(reading) as whole:
        end = _HEAD_BYTES + int.from_bytes(whole[:_HEAD_BYTES], "big")
        head = _decode_head(bytes(whole[_HEAD_BYTES:end]))
        block = Block.unpack(body, head.start, head.lengths, is_flat=head.is_flat)
        count = len(block)
        made: Lines | Records | None = None
        if head.form == "lines":
            made = Lines(bytes(whole[end:]), count)
        elif head.form == "columns":
            made = Records.unpack(whole[end:], count)
    listing = Listing(block, head.total, head.size, head.page, head.has_more)
    ids = Later(lambda: _decode_ids(head.ids), count)
    moments = Later(lambda: _decode_moments(head.moments), count)
    span, keys = (head.first, head.last), PackedKeys(head.ids, head.moments)
    return Reading(listing, ids, moments, span, keys, head.agents, made)


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_ids = msgspec.msgpack.Decoder(list[str]).decode
_decode_moments = msgspec.msgpack.Decoder(list[datetime]).decode
_decode_note = msgspec.msgpack.Decoder(tuple[str, str | None, str | None]).decode
