"""Records by columns are Records."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.record import COLUMNS, Record, Records

AT = datetime(2026, 4, 1, 12, 30, 15, 250_000, tzinfo=UTC)
NEEDED = {
    "provider": "talkover",
    "source": "sales",
    "call_id": ["a", "b", "c"],
    "fetched_at": AT,
    "run_id": "r",
}
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
VALUES = {
    **dict.fromkeys(("agent_id", "agent_name", "summary", "raw", "raw_list", "end_reason"), TEXTS),
    **dict.fromkeys(("duration_s", "score"), st.none() | st.integers(0, 3) | st.floats(0, 3)),
    **dict.fromkeys(("is_test", "success", "voicemail"), st.none() | st.booleans()),
    **dict.fromkeys(("created_at", "ended_at"), st.none() | st.just(AT)),
}


@given(st.data())
def test_rows_are_encoded_as_records_are(data: st.DataObject) -> None:
    """Whichever columns hold one value for all, what is written is what the Records would be."""
    names = data.draw(st.sets(st.sampled_from(sorted(VALUES))))
    columns = {
        name: data.draw(VALUES[name] | st.lists(VALUES[name], min_size=3, max_size=3)) for name in names
    }
    records = Records(3, {**NEEDED, **columns})
    assert msgspec.json.encode(records.rows()) == msgspec.json.encode(list(records))


def test_records_are_a_sequence() -> None:
    """They have a length, are looked up from both ends and in slices, and hold what their columns do."""
    records = Records(3, {**NEEDED, "agent_id": "x", "duration_s": [1.0, None, 3]})
    assert len(records) == 3
    assert records[-1] == Record(
        provider="talkover",
        source="sales",
        call_id="c",
        agent_id="x",
        duration_s=3,
        fetched_at=AT,
        run_id="r",
    )
    assert [record.call_id for record in records[1:]] == ["b", "c"]
    assert [record.duration_s for record in records] == [1.0, None, 3]
    with pytest.raises(IndexError):
        records[3]


def test_records_have_the_defaults_of_a_record() -> None:
    """A column that is not named is what a Record has without it."""
    (record, *_) = Records(3, NEEDED)
    assert (record.status, record.version, record.raw) == ("unknown", 1, None)
    assert set(Records(3, NEEDED).columns) == set(COLUMNS)


def test_equal_values_of_two_types_are_told_apart() -> None:
    """1 and 1.0 are equal, and are written as what they are."""
    texts = [
        msgspec.json.encode(Records(3, {**NEEDED, "score": score}).rows()[0]) for score in (1, 1.0, True)
    ]
    assert [text.count(b'"score":1.0') for text in texts] == [0, 1, 0]
    assert [text.count(b'"score":true') for text in texts] == [0, 0, 1]
