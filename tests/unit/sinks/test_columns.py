"""Unit tests of values on their way into Arrow: whatever piece they are made, they come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sinks.columns import (
    MOMENT,
    NO_JSON,
    Jsons,
    Kind,
    Moments,
    Plain,
    Repeated,
    Texts,
    array_of,
    size_of,
)

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30)), timezone(timedelta(seconds=1))])
VALUES: dict[str, tuple[Kind, st.SearchStrategy[Any]]] = {
    "texts": (Texts(), st.text() | st.sampled_from(["", "\0", "\1", "a\0b", "null", "x" * 2_000, "é" * 70])),
    "moments": (
        Moments(),
        st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=ZONES),  # noqa: DTZ001
    ),
    "bools": (Plain(pa.bool_()), st.booleans()),
    "integers": (Plain(pa.int64()), st.integers(-(2**63), 2**63 - 1)),
    "doubles": (Plain(pa.float64()), st.floats(allow_nan=False)),
}


JSONS = ["1", '"\\u0000"', '""', '{"a" : null}', "true", f'["{"é" * 70}"]', f'"{"x" * 2_000}"']


def stored(kind: Kind, *pages: Sequence[Any]) -> list[Any]:
    array = array_of(kind, [kind.read(page) for page in pages])
    array.validate(full=True)
    assert array.type == kind.type
    values: list[Any] = array.to_pylist()
    return values


@pytest.mark.parametrize("name", VALUES)
@given(data=st.data())
def test_values_come_back(name: str, data: st.DataObject) -> None:
    """Any values and nulls come back in their order, however they are cut into pages."""
    kind, values = VALUES[name]
    pages = data.draw(st.lists(st.lists(st.none() | values, max_size=4), max_size=4))
    assert stored(kind, *pages) == [value for page in pages for value in page]


@given(pages=st.lists(st.lists(st.sampled_from([*JSONS, "null"]), min_size=1)))
def test_json_comes_back_as_it_was(pages: list[list[str]]) -> None:
    """JSON is the text that was sent, less null."""
    raws = [[msgspec.Raw(text.encode()) for text in page] for page in pages]
    assert stored(Jsons(), *raws) == [None if text == "null" else text for page in pages for text in page]


def test_json_that_is_not_there_is_null() -> None:
    """A page without a value takes no text."""
    assert Jsons().read([NO_JSON, msgspec.Raw(b"null")]) == 2


@pytest.mark.parametrize(("kind", "values"), [(Texts(), ["a", 1]), (Plain(pa.int64()), ["1"])])
def test_value_of_another_type_is_refused(kind: Kind, values: list[object]) -> None:
    """What is of another type than the column is refused when it is read."""
    with pytest.raises((TypeError, ValueError)):
        stored(kind, values)


def test_size_is_that_of_the_text() -> None:
    """What waits is counted; nulls and numbers by whoever counts rows."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    texts = Texts()
    assert size_of(texts.read(["ab", "c"])) == 4
    assert size_of(texts.read([None, None])) == 0
    assert size_of(texts.read(["x" * 2_000])) >= 2_000
    assert size_of(Moments().read([at])) == len('"2026-03-01T00:00:00Z"')
    assert Moments.type == MOMENT


@pytest.mark.parametrize(
    "texts",
    [["ab", "cd", "ef"], ["é", "ab"], ["", "", ""], ["a", None, "b"], [None, "\1", "b"], ["ab", "c\0d", "ef"],
     ["a", "bcd", "e"], ["ab", "c"] * 300],
)  # fmt: skip
def test_texts_of_one_width_come_back(texts: list[str | None]) -> None:
    """Texts as wide as each other are cut at once, those that only seem so are not."""
    assert stored(Texts(), texts, texts) == texts * 2
    array = array_of(Texts(), [Texts().read(texts)])
    assert array.slice(1).to_pylist() == texts[1:]


@pytest.mark.parametrize("kind", [Plain(pa.int64()), Plain(pa.float64()), Plain(pa.bool_())])
def test_numbers_come_back_whatever_pages_have_nulls(kind: Kind) -> None:
    """Pages with and without nulls are one array, and its nulls stand where they were."""
    pages: list[list[bool | None]] = [[True, False], [None, True, None], [None], [False]]
    assert stored(kind, *pages) == [value for page in pages for value in page]
    array = array_of(kind, [kind.read(pages[0])])
    assert array.null_count == 0


def test_number_that_is_too_large_is_refused_among_nulls() -> None:
    """What does not fit is refused when it is read, with nulls beside it and without."""
    for values in ([2**63], [None, 2**63]):
        with pytest.raises((ValueError, OverflowError)):
            Plain(pa.int64()).read(values)


def test_checked_texts_are_not_looked_at() -> None:
    """Texts that hold no mark need no look for one; nulls among them are nulls."""
    kind = Texts(is_checked=True)
    assert stored(kind, ["a", None, "bc"], [None], ["d"]) == ["a", None, "bc", None, "d"]


def test_long_json_keeps_its_nulls() -> None:
    """Long JSON is measured, and a null among it is no value."""
    long = '"' + "x" * 200 + '"'
    page = [msgspec.Raw(text.encode()) for text in (long, "null", "true", long)]
    assert stored(Jsons(), page, page) == [long, None, "true", long] * 2


def test_long_texts_are_refused_where_they_are_no_text() -> None:
    """Half a character in a long text is refused when it is read."""
    with pytest.raises(UnicodeEncodeError):
        Texts().read(["x" * 200, "\ud83d"])


def test_runs_of_one_value_come_back() -> None:
    """A value that stands for a page is in each row of it, beside pages of another and pages of nulls."""
    pieces = [Repeated("a", 2), Repeated("a", 1), Repeated("b", 1), 1, Texts().read(["c"])]
    assert array_of(Texts(), pieces).to_pylist() == ["a", "a", "a", "b", None, "c"]
    assert size_of(pieces[0]) == 0
