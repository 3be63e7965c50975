"""A provider's own rows as Arrow: the declared columns, and `extra` for all that does not fit them.

Every value comes back: a declared one of its declared type from its column, all else from `extra` as the JSON
it was. Absent and null are one in a column. A number in a `float` column is the double nearest to it; an
integer that no double equals is in `extra`.

A block of rows is decoded at once, by a struct made for these columns that refuses other names and other types;
where it refuses, row by row; and where that refuses, member by member. Names met that way join the struct for the
next block: a field that a provider added to all its rows is slow once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Annotated, Any, TypeAlias

import msgspec
import pyarrow as pa
from msgspec import Meta
from msgspec.structs import astuple

from harvester.block import array_of as rows_as_array
from harvester.model import NativeRows

from .columns import NO_JSON, Jsons, Kind, Piece, Plain, Texts, array_of
from .members import cut, legal, quoted

_Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None
_Double: TypeAlias = (
    Annotated[int, Meta(ge=-(2**53), le=2**53)] | float | None
)  # each of those integers is a double

_TYPES: dict[str, tuple[Any, Kind]] = {
    "string": (str | None, Texts()),
    "bool": (bool | None, Plain(pa.bool_())),
    "int": (_Int64, Plain(pa.int64())),
    "float": (_Double, Plain(pa.float64())),
    "json": (msgspec.Raw, Jsons()),
}
_ABSENT = msgspec.Raw(b"")
_BLOCK_ROWS = 200
"""Rows decoded at a time: more do not fit a core's own cache, and cost half as much again."""
_LEARNED_AT_MOST = 256
"""Undeclared names in the struct: a row that is really a map of ids must not make one without end."""

_values = {kind: msgspec.json.Decoder(wire) for kind, (wire, _) in _TYPES.items()}
_integer = msgspec.json.Decoder(int)


class NativeColumns:
    """One provider's rows, batch by batch, in one schema.

    Args:
        columns: Wire name to `string`, `bool`, `int`, `float` or `json`, in the order of the file.
        adds_agent_id: A column `_agent_id` follows, for rows that come with an agent's id; without it that is in
            `extra`.

    Raises:
        ValueError: A column has the name of one of ours.
    """

    def __init__(self, columns: Mapping[str, str], *, adds_agent_id: bool) -> None:
        self._columns = dict(columns)
        self._adds_agent_id = adds_agent_id
        ours = [*(["_agent_id"] if adds_agent_id else []), "_recording_path", "extra"]
        if taken := self._columns.keys() & set(ours):
            raise ValueError(f"{', '.join(sorted(taken))}: the output has a column of that name itself")
        declared = [pa.field(name, _TYPES[kind][1].type) for name, kind in self._columns.items()]
        self.schema: pa.Schema = pa.schema(declared + [pa.field(name, pa.string()) for name in ours])
        self._places = {name: (f"c{place}", kind) for place, (name, kind) in enumerate(self._columns.items())}
        self._kinds: list[Kind] = [_TYPES[kind][1] for kind in self._columns.values()] + [Texts()] * len(ours)
        self._kinds_without_escapes: list[Kind] = [
            Texts(is_checked=True) if kind == "string" else _TYPES[kind][1] for kind in self._columns.values()
        ] + [Texts()] * len(ours)
        self._learned: list[str] = []
        self._strangers: dict[str, None] = {}
        self._row: Any = None  # made with the first rows: of a thousand sources many have none

    def batch(self, pages: Sequence[NativeRows]) -> pa.RecordBatch:
        """Return pages as columns; every row finds its place, whatever is in it.

        A row that is no JSON object, or nested too deeply to be read, is in `extra` as it is.
        """
        blocks = [self._read(block) for block in _blocks(pages)]
        columns = zip(*blocks, strict=True) if blocks else [()] * len(self._kinds)
        arrays = [array_of(kind, pieces) for kind, pieces in zip(self._kinds, columns, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _read(self, pages: Sequence[NativeRows]) -> list[Piece]:
        """Return pages as a piece for each column of the file."""
        self._learn()
        text = rows_as_array(page.rows for page in pages)
        structs, extras = self._decode(pages, text)
        columns: list[Sequence[Any]] = list(zip(*map(astuple, structs), strict=True))
        width = len(self._columns)
        self._gather(columns[width:], extras)
        agents: list[str | None] = []
        paths: list[str | None] = []
        for page in pages:
            agents += [page.agent_id] * len(page.rows)
            paths += page.recording_paths or [None] * len(page.rows)
        if self._adds_agent_id:
            columns[width:] = [agents]
        else:
            _add_agents(agents, extras)
            del columns[width:]
        columns += [
            paths,
            [extras.get(index) for index in range(len(agents))] if extras else [None] * len(agents),
        ]
        # A control, of which two are marks among texts, can only stand in JSON as an escape.
        kinds = self._kinds if b"\\" in text else self._kinds_without_escapes
        return [kind.read(column) for kind, column in zip(kinds, columns, strict=True)]

    def _make_decoders(self) -> None:
        names = [*self._columns, *self._learned]
        kinds = [(_TYPES[kind][0], NO_JSON if kind == "json" else None) for kind in self._columns.values()]
        kinds += [(msgspec.Raw, _ABSENT)] * len(self._learned)
        fields = [(f"c{place}", wire, default) for place, (wire, default) in enumerate(kinds)]
        self._row = row = msgspec.defstruct(
            "Row",
            fields,
            rename={field[0]: name for field, name in zip(fields, names, strict=True)},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._one = msgspec.json.Decoder(row)
        self._all = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]

    def _learn(self) -> None:
        if self._row is None or self._strangers:
            self._learned += self._strangers
            self._strangers = {}
            self._make_decoders()

    def _decode(self, pages: Sequence[NativeRows], text: bytes) -> tuple[list[Any], dict[int, str]]:
        """Return a struct a row, and by its index the `extra` of each row that went the slow way.

        Args:
            pages: Their rows, each as it was sent.
            text: All of these as an array.
        """
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if not text.isascii():
                text.decode()  # msgspec does not look at the bytes it passes over
            structs = self._all.decode(text)
            if len(structs) == sum([len(page.rows) for page in pages]):
                return structs, {}
        extras: dict[int, str] = {}
        rows = chain.from_iterable(page.rows for page in pages)
        return [self._decode_one(bytes(row), index, extras) for index, row in enumerate(rows)], extras

    def _decode_one(self, row: bytes, index: int, extras: dict[int, str]) -> Any:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            row.decode()
            return self._one.decode(row)
        try:
            members = cut(row)
        except (ValueError, RecursionError):
            extras[index] = legal(row)
            return self._row()
        values: dict[str, Any] = {}
        rest: list[str] = []
        for name, text in members.items():
            place, kind = self._places.get(name, ("", ""))
            if kind and (value := _value(text, kind)) is not _MISFIT:
                values[place] = value
                continue
            rest.append(f"{quoted(name)}:{legal(text)}")
            if not kind:
                self._notice(name)
        if rest:
            extras[index] = "{" + ",".join(rest) + "}"
        return self._row(**values)

    def _notice(self, name: str) -> None:
        """Remember an undeclared name, if msgspec takes it for a struct: no quotes, backslashes or controls."""
        is_name = name.isprintable() and '"' not in name and "\\" not in name
        has_room = len(self._learned) + len(self._strangers) < _LEARNED_AT_MOST
        if is_name and has_room and name not in self._learned:
            self._strangers[name] = None

    def _gather(self, columns: Sequence[Sequence[msgspec.Raw]], extras: dict[int, str]) -> None:
        """Put the learned members of each row that came the fast way into its `extra`."""
        if all(column.count(_ABSENT) == len(column) for column in columns):
            return
        names = [quoted(name) + ":" for name in self._learned]
        for index, values in enumerate(zip(*columns, strict=True)):
            parts = [
                name + bytes(value).decode()
                for name, value in zip(names, values, strict=True)
                if value is not _ABSENT
            ]
            if parts:
                extras[index] = "{" + ",".join(parts) + "}"


def _blocks(pages: Sequence[NativeRows]) -> Iterator[list[NativeRows]]:
    """Yield pages together until they are a block of rows."""
    block: list[NativeRows] = []
    count = 0
    for page in pages:
        block.append(page)
        count += len(page.rows)
        if count >= _BLOCK_ROWS:
            yield block
            block, count = [], 0
    if count:
        yield block


def _add_agents(agents: Sequence[str | None], extras: dict[int, str]) -> None:
    """Put the agents' ids where all goes that has no column."""
    if agents.count(None) == len(agents):
        return
    for index, agent in enumerate(agents):
        if agent is not None:
            before = extras[index][:-1] + "," if index in extras else "{"
            extras[index] = f'{before}"_agent_id":{quoted(agent)}}}'


_MISFIT = object()


def _value(text: bytes, kind: str) -> Any:
    """Return a member's value for its column, `_MISFIT` if it is of another type."""
    try:
        text.decode()
        if kind == "json":
            return msgspec.Raw(text)
        return _values[kind].decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _large_double(text) if kind == "float" else _MISFIT


def _large_double(text: bytes) -> Any:
    """Return an integer beyond 2**53 as a double, if there is one."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, OverflowError):
        whole = _integer.decode(text)
        if float(whole) == whole:
            return float(whole)
    return _MISFIT
