"""From answers to rows: what walking needs, what the sink is given, what goes to quarantine."""

from __future__ import annotations

import msgspec
import pytest

from harvester.errors import MalformedError
from harvester.job.ids import hour_of
from harvester.job.shape import Extra, Page, Shaper
from harvester.journal import DATELESS, NAMELESS, KeptRecording
from harvester.model import Lines, NativeRows, Shape
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
    return [row for part in found for row in ([part] if isinstance(part, NativeRows | Lines) else part)]


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


@pytest.mark.parametrize(
    "moments",
    [
        ["2026-03-01T00:59:59Z", "2026-03-01T00:00:00Z"],
        ["2026-03-01T01:00:00Z", "2026-03-01T00:59:59.999999Z", "2026-03-01T23:00:00Z"],
        ["2026-03-01T00:00:00Z", "2026-02-28T23:59:59Z", "2026-03-01T01:00:00Z"],
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"],
    ],
    ids=["an hour", "hours of a day", "across midnight", "all there is"],
)
def test_hours_are_those_of_the_moments(moments: list[str]) -> None:
    """However far apart they are, and in whatever order."""
    rows = ", ".join(f'{{"id": "c{i}", "created_at": "{at}"}}' for i, at in enumerate(moments))
    page = shaper().read(f'{{"data": [{rows}]}}'.encode())
    found = [at for at in page.moments if at is not None]
    assert page.span == (min(found), max(found))
    assert list(page.hours) == list(map(hour_of, found))


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


# What was fetched beside the list.

PILOT = b"""{"data": [
 {"id": "c1", "created_at": "2026-03-01T00:30:00Z", "agent_id": "a1"},
 {"id": "c2", "created_at": "2026-03-01T00:40:00Z"},
 {"no": "id"}
]}"""
DETAIL = b"""{"id": "c1", "agent_id": "a1", "duration": "x",
 "transcript": "[{\\\"role\\\": \\\"user\\\", \\\"text\\\": \\\"Hi\\\"}]"}"""
SOUND = KeptRecording("recordings/sales/2026-03-01/c1.mp3", 7, "aa")


def enriched(shape: Shape, *, keep_raw: bool = True) -> tuple[Shaper, Page, dict[int, Extra]]:
    one = shaper(shape, "talkpilot", keep_raw=keep_raw)
    return one, one.read(PILOT), {0: Extra(one.read_detail(DETAIL, "c1", T0), SOUND), 1: Extra()}


def rows_with(one: Shaper, page: Page, new: range, extras: dict[int, Extra]) -> list[object]:
    found = one.rows(page, new, agent_id="a9", agent_name=None, fetched_at=T0, extras=extras)
    return [row for part in found for row in ([part] if isinstance(part, NativeRows | Lines) else part)]


@pytest.mark.parametrize("keep_raw", [True, False])
def test_detail_stands_for_the_row_of_the_list(keep_raw: bool) -> None:
    """`raw` is the detail, `raw_list` the row; a row without a detail has no `raw_list`; the recording is told."""
    one, page, extras = enriched("unified", keep_raw=keep_raw)
    first, second = rows_with(one, page, range(3), extras)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.raw == DETAIL.decode(), first.raw_list is not None) == (keep_raw, keep_raw)
    assert [(turn.role, turn.text) for turn in first.transcript or ()] == [("user", "Hi")]
    assert (first.recording_path, first.recording_bytes, first.recording_sha256) == (SOUND.path, 7, "aa")
    assert (second.raw is not None, second.raw_list, second.recording_path) == (keep_raw, None, None)


def test_native_detail_is_byte_for_byte_with_its_path() -> None:
    """Also where rows that name their agent stand beside rows that do not."""
    one, page, extras = enriched("native")
    bare, named = rows_with(one, page, range(3), extras)
    assert isinstance(bare, NativeRows)
    assert isinstance(named, NativeRows)
    assert [bytes(row) for row in named.rows] == [DETAIL]
    assert (bare.agent_id, bare.recording_paths, named.recording_paths) == ("a9", [None], [SOUND.path])


@pytest.mark.parametrize("shape", ["unified", "native"])
def test_nothing_new_with_something_fetched_is_nothing_to_write(shape: Shape) -> None:
    """As of a row that was written before its recording came."""
    one, page, extras = enriched(shape)
    for new in (range(0), range(2, 3)):
        assert rows_with(one, page, new, extras) == []


def test_detail_of_another_call_is_refused() -> None:
    """Whoever answers with another call has not answered."""
    for body in (DETAIL, b'{"id": null}', b"[]"):
        with pytest.raises(MalformedError):
            shaper(provider="talkpilot").read_detail(body, "c9", T0)


def test_row_that_is_no_call_cannot_be_read_again() -> None:
    """A single row of the journal is a page of its own, if it is a call."""
    page = shaper().read_row(b'{"id": "c1"}')
    assert (page.ids, page.hours, len(page.listing.rows)) == (["c1"], [DATELESS], 1)
    with pytest.raises(ValueError, match="no row of a list"):
        shaper().read_row(b'{"no": "id"}')


def test_misfits_of_details_are_named() -> None:
    """Each value of a detail that does not fit has its line, of rows that are written alone."""
    one, page, extras = enriched("unified")
    (line,) = one.misfits(page, range(3), extras, agent_id="a9")
    assert (line.endpoint, line.call_id, line.field, line.raw) == (
        "get call",
        "c1",
        "duration",
        DETAIL.decode(),
    )
    assert one.misfits(page, [1, 2], extras, agent_id="a9") == []
