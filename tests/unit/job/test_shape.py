"""From answers to rows: what walking needs, what the sink is given, what goes to quarantine."""

from __future__ import annotations

import msgspec
import pytest

from harvester.errors import MalformedError
from harvester.job.ids import hour_of
from harvester.job.shape import Page, Shaper
from harvester.journal import DATELESS, NAMELESS
from harvester.model import NativeRows, Shape
from harvester.providers import get_provider
from harvester.record import Record

from .servers import T0

BODY = b"""{"data": [
 {"id": "c1", "created_at": "2026-03-01T00:30:00Z", "agent": {"id": "a1", "name": "Amaka"}},
 {"id": "c2", "created_at": "2026-03-01T02:30:00+01:00"},
 {"id": "c3"},
 {"no": "id"},
 {"id": "c5", "created_at": "2026-03-01T00:00:00Z", "duration": "long"}
]}"""
ALL = range(5)


def shaper(shape: Shape = "unified", provider: str = "talkover", *, keep_raw: bool = True) -> Shaper:
    return Shaper("sales", get_provider(provider), shape=shape, run_id="r", keep_raw=keep_raw)


def rows(one: Shaper, page: Page, agent_id: str | None = "a9") -> list[object]:
    found = one.rows(page, ALL, agent_id=agent_id, agent_name="Named", fetched_at=T0)
    return [row for part in found for row in ([part] if isinstance(part, NativeRows) else part)]


@pytest.mark.parametrize("shape", ["unified", "native"])
def test_read_returns_what_walking_needs(shape: Shape) -> None:
    """Ids, moments in UTC and hours, one a row; a row without an id is known by its bytes, for good."""
    page = shaper(shape).read(BODY)
    assert page.ids[:3] == ["c1", "c2", "c3"]
    assert [at and at.isoformat() for at in page.moments] == [
        "2026-03-01T00:30:00+00:00",
        "2026-03-01T01:30:00+00:00",
        None,
        None,
        "2026-03-01T00:00:00+00:00",
    ]
    assert page.hours == [hour_of(T0), hour_of(T0) + 1, DATELESS, NAMELESS, hour_of(T0)]
    assert page.ids[3] == shaper().read(b'[{"no": "id"}]').ids[0]
    assert page.calls[3] is None


def test_read_refuses_what_is_no_list() -> None:
    """An answer that is not the documented one is an error, not a page of nothing."""
    with pytest.raises(MalformedError):
        shaper().read(b"<html>")


def test_rows_become_records() -> None:
    """Each call is a record with its bytes; its agent is its own, else that of the address; no call, no record."""
    one = shaper()
    found = rows(one, one.read(BODY))
    assert all(isinstance(record, Record) for record in found)
    told = [(r.call_id, r.agent_id, r.agent_name, r.raw is not None) for r in found if isinstance(r, Record)]
    assert told[:2] == [("c1", "a1", "Amaka", True), ("c2", "a9", "Named", True)]
    assert [call_id for call_id, *_ in told] == ["c1", "c2", "c3", "c5"]


def test_records_may_leave_out_the_providers_json() -> None:
    """Without `raw` there is none."""
    one = shaper(keep_raw=False)
    assert all(isinstance(record, Record) and record.raw is None for record in rows(one, one.read(BODY)))


def test_native_rows_are_byte_for_byte_and_say_their_agent() -> None:
    """Rows that name no agent get that of the address, beside those that do; in a walk of the account nobody does."""
    one = shaper("native")
    page = one.read(BODY)
    bare, named = rows(one, page)
    assert isinstance(bare, NativeRows)
    assert isinstance(named, NativeRows)
    assert (bare.agent_id, named.agent_id, len(bare.rows), len(named.rows)) == ("a9", None, 3, 1)
    assert bytes(named.rows[0]) in BODY
    (account,) = rows(one, page, agent_id=None)
    assert isinstance(account, NativeRows)
    assert (account.agent_id, len(account.rows)) == (None, 4)


@pytest.mark.parametrize("shape", ["unified", "native"])
def test_no_new_row_is_nothing_to_write(shape: Shape) -> None:
    """A page of which nothing is new, or no row is a call, gives no empty part."""
    one = shaper(shape)
    page = one.read(BODY)
    for new in ([], [3]):
        assert one.rows(page, new, agent_id="a", agent_name=None, fetched_at=T0) == []


def test_quarantine_holds_what_does_not_fit() -> None:
    """Rows that are no calls and values that do not fit, each with its reason and bytes; of rows that are new only."""
    one = shaper()
    page = one.read(BODY)
    found = one.quarantined(page, ALL, endpoint="list calls", agent_id="a9", fetched_at=T0)
    assert [(line.call_id, line.field) for line in found] == [(None, None), ("c5", "duration")]
    assert msgspec.json.decode(found[0].raw) == {"no": "id"}
    assert one.quarantined(page, [0, 1], endpoint="list calls", agent_id="a9", fetched_at=T0) == []
    sound = one.read(b'{"data": []}')
    assert one.quarantined(sound, [], endpoint="list calls", agent_id="a9", fetched_at=T0) == []


def test_agents_of_rows_are_told() -> None:
    """Which agent each row names, none where it is no call or names none."""
    one = shaper()
    assert one.agents(one.read(BODY)) == ["a1", None, None, None, None]
