"""Unit tests of a provider's own rows as columns: nothing they say may be lost."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.model import NativeRows
from harvester.sinks.native import NativeColumns
from harvester.sinks.parquet import ParquetSink

COLUMNS = {"id": "string", "n": "int", "score": "float", "ok": "bool", "agent": "json"}
OURS = {"_agent_id", "_recording_path", "extra"}
NAMES = st.sampled_from([*COLUMNS, "new", 'qu"ote', "back\\slash", "", "é", "\ud83d", "extra", "_agent_id"])
TEXTS = st.text(st.characters(exclude_categories=[]), max_size=5)  # halves of characters, too
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from(
        [2**53, 2**53 + 1, -(2**53) - 1, 2**60, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
ROWS = st.dictionaries(NAMES, VALUES, max_size=6)


def raws(texts: Sequence[str | bytes]) -> list[msgspec.Raw]:
    return [msgspec.Raw(text.encode() if isinstance(text, str) else text) for text in texts]


def stored(*texts: str | bytes, columns: dict[str, str] = COLUMNS) -> list[dict[str, Any]]:
    batch = NativeColumns(columns, adds_agent_id=True).batch([NativeRows(raws(texts))])
    batch.validate(full=True)
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


def restored(row: dict[str, Any]) -> dict[str, Any]:
    """Return the object a stored row was, less its nulls."""
    found = {name: value for name, value in row.items() if name not in OURS and value is not None}
    if "agent" in found:
        found["agent"] = json.loads(found["agent"])
    return found | {
        name: value for name, value in json.loads(row["extra"] or "{}").items() if value is not None
    }


def same(one: Any, other: Any) -> bool:
    """Compare as JSON does: a bool is no number, and numbers of one value are one."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(pages=st.lists(st.lists(ROWS, max_size=4), max_size=3), is_ascii=st.booleans())
def test_native_columns_hold_every_value(pages: list[list[dict[str, Any]]], is_ascii: bool) -> None:
    """Any objects come back value for value, in their order, whatever earlier batches taught the columns."""
    columns = NativeColumns(COLUMNS, adds_agent_id=True)
    for page in pages:
        texts = [json.dumps(row, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass") for row in page]
        readable = [json.loads(text.decode("utf-8", "surrogateescape")) for text in texts]
        batch = columns.batch([NativeRows(raws(texts))])
        batch.validate(full=True)
        for row, stored_row in zip(readable, batch.to_pylist(), strict=True):
            assert same(
                restored(stored_row), {name: value for name, value in row.items() if value is not None}
            )


@pytest.mark.parametrize(
    ("member", "column"),
    [
        ('"id":"x"', "x"), ('"id":"\\u0000é"', "\x00é"), ('"id":null', None),
        ('"n":120', 120), ('"n":-9223372036854775808', -(2**63)), ('"n":null', None),
        ('"score":1', 1.0), ('"score":1.5e3', 1500.0), ('"score":9007199254740992', float(2**53)),
        ('"score":1152921504606846976', float(2**60)), ('"ok":false', False),
        ('"agent":{"a" : 1.0, "b":[1,\n2]}', '{"a" : 1.0, "b":[1,\n2]}'), ('"agent":"x"', '"x"'),
        ('"agent":1e400', "1e400"), ('"agent":"\\ud83d"', '"\\ud83d"'), ('"agent":null', None),
        ('"n":1,"n":2', 2), ('"\\u006e":3', 3),
    ],
)  # fmt: skip
def test_value_that_fits_is_in_its_column(member: str, column: object) -> None:
    """A value of the declared type is in its column, a json one as the text it was, and `extra` is null."""
    (row,) = stored("{" + member + "}")
    name = json.loads(member.split(":", maxsplit=1)[0])
    assert row[name] == column
    assert row["extra"] is None


@pytest.mark.parametrize(
    "member",
    [
        '"id":1', '"id":{"a":1}', '"id":"\\ud83d"', '"id":true', '"n":120.0', '"n":1e2', '"n":true', '"n":"1"',
        '"n":9223372036854775808', '"n":1180591620717411303424', '"score":9007199254740993', '"score":"1.5"',
        '"score":true', '"score":1e400', '"score":' + "9" * 400, '"ok":1', '"ok":"true"', '"new":1.0', '"new":null',
        '"_agent_id":"x"', '"extra":{"a":1}', '"new":"\\ud83d"',
    ],
)  # fmt: skip
def test_value_that_does_not_fit_is_in_extra(member: str) -> None:
    """A value of another type, and one of another name, is in `extra` as the JSON it was; the others are not."""
    (row,) = stored('{"agent":1,' + member + "}")
    assert row["extra"] == "{" + member + "}"
    assert row["agent"] == "1"
    assert [row[name] for name in ("id", "n", "score", "ok")] == [None] * 4


def test_one_odd_row_leaves_the_others_alone() -> None:
    """A row that does not fit changes nothing for its neighbours."""
    rows = stored('{"id":"a","n":1}', '{"id":"b","n":"x"}', '{"id":"c","n":3}')
    assert [(row["id"], row["n"], row["extra"]) for row in rows] == [
        ("a", 1, None), ("b", None, '{"n":"x"}'), ("c", 3, None),
    ]  # fmt: skip


def test_bytes_that_are_no_text_are_kept_as_escapes() -> None:
    """A value that is not UTF-8 is in `extra`, from where it can be had back; its neighbours are whole."""
    rows = stored(b'{"id":"\xff","agent":"\xfe","n":1}', '{"id":"b"}')
    extra = json.loads(rows[0]["extra"])
    assert extra["id"].encode("utf-8", "surrogateescape") == b"\xff"
    assert extra["agent"].encode("utf-8", "surrogateescape") == b"\xfe"
    assert (rows[0]["n"], rows[1]["id"]) == (1, "b")


def test_json_that_is_no_text_is_no_column() -> None:
    """A json value that is not UTF-8, which no decoder looks at, is in `extra` with its bytes as escapes."""
    rows = stored(b'{"agent":"\xfe"}', '{"agent":1}')
    assert [(row["agent"], row["extra"]) for row in rows] == [(None, '{"agent":"\\udcfe"}'), ("1", None)]


def test_new_names_are_learned() -> None:
    """A name seen in one batch takes the fast way in the next, to the same end."""
    columns = NativeColumns(COLUMNS, adds_agent_id=False)
    for _ in range(3):
        page = NativeRows(
            raws(['{"id":"a","new":1.0,"other":{"x" : 1}}', '{"id":"b","new":null}', '{"id":"c"}'])
        )
        assert columns.batch([page])["extra"].to_pylist() == [
            '{"new":1.0,"other":{"x" : 1}}',
            '{"new":null}',
            None,
        ]


def test_names_without_end_are_not_learned_without_end() -> None:
    """A row that is a map of ids costs the slow way and no more; nothing is lost."""
    columns = NativeColumns(COLUMNS, adds_agent_id=False)
    for start in (0, 300, 600):
        text = json.dumps({f"k{n}": n for n in range(start, start + 300)}, separators=(",", ":"))
        assert columns.batch([NativeRows(raws([text]))])["extra"].to_pylist() == [text]


@pytest.mark.parametrize(
    "text", ["[1]", "1", "null", '{"id":"a"},{"id":"c"}', '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"]
)
def test_row_that_cannot_be_cut_is_whole_in_extra(text: str) -> None:
    """What is no object, or too deep for any reader, is kept as it is."""
    rows = stored(text, '{"id":"b"}')
    assert rows[0]["extra"] == text
    assert rows[1]["id"] == "b"


def test_agent_s_id_is_in_its_column() -> None:
    """Each row has the agent of its page, null where the page has none."""
    columns = NativeColumns(COLUMNS, adds_agent_id=True)
    batch = columns.batch([NativeRows(raws(['{"n":1}', '{"n":2}']), "x"), NativeRows(raws(['{"n":3}']))])
    assert batch["_agent_id"].to_pylist() == ["x", "x", None]


def test_agent_s_id_without_a_column_is_in_extra() -> None:
    """Where rows name their agent and one does not, its page's agent is a member of `extra`, never dropped."""
    columns = NativeColumns(COLUMNS, adds_agent_id=False)
    batch = columns.batch([NativeRows(raws(['{"n":1}', '{"new":2}']), 'x"y'), NativeRows(raws(['{"n":3}']))])
    assert batch["extra"].to_pylist() == ['{"_agent_id":"x\\"y"}', '{"new":2,"_agent_id":"x\\"y"}', None]


def test_columns_may_not_have_our_names() -> None:
    """A provider's column cannot stand for one that the output adds."""
    with pytest.raises(ValueError, match="extra: the output has a column of that name"):
        NativeColumns({"extra": "json"}, adds_agent_id=False)


def test_schema_is_declared_not_found() -> None:
    """Columns have their order and types before the first row, and without one."""
    batch = NativeColumns(COLUMNS, adds_agent_id=False).batch([])
    assert {field.name: str(field.type) for field in batch.schema} == {
        "id": "string", "n": "int64", "score": "double", "ok": "bool", "agent": "string",
        "_recording_path": "string", "extra": "string",
    }  # fmt: skip


def test_minus_zero_keeps_its_sign_where_a_double_has_one() -> None:
    """A double is bit for bit what was sent."""
    (row,) = stored('{"score":-0.0}')
    assert math.copysign(1, row["score"]) == -1


async def test_native_segment_keeps_a_dictionary_of_what_repeats(tmp_path: Path) -> None:
    """Whether a column's values repeat is seen in the first rows of the file."""
    sink = ParquetSink(tmp_path, "sales", columns=COLUMNS)
    await sink.write(NativeRows(raws([f'{{"id":"{n}","n":{n % 3}}}' for n in range(100)]), "x"))
    segment = await sink.seal("part-0")
    await sink.aclose()
    group = pq.read_metadata(tmp_path / segment.aside).row_group(0)
    kept = {
        group.column(n).path_in_schema
        for n in range(group.num_columns)
        if group.column(n).has_dictionary_page
    }
    assert {"n", "_agent_id"} <= kept
    assert "id" not in kept
