"""An answer read where it arrives is the same page, and the same rows, as one that is read where it is walked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from harvester.block import Block
from harvester.errors import MalformedError
from harvester.job.digests import digest_of
from harvester.job.shape import Page, Shaper
from harvester.journal import Digest, PackedDigest
from harvester.model import Lines, NativeRows, Request, Shape
from harvester.providers import PROVIDERS, get_provider
from harvester.providers.reading import open_reader, take
from harvester.record import Records
from harvester.sinks.ndjson import _lines, native_lines

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(number: int, provider: str, **others: Any) -> dict[str, Any]:
    at = f"2026-03-01T00:{number:02d}:00Z"
    agent = {"talkover": {"agent": {"id": "a1", "name": "Own"}}, "bimpe": {}}.get(
        provider, {"agent_id": "a1"}
    )
    created = "created_on" if provider == "bimpe" else "created_at"
    return {"id": f"c{number}", created: at, "status": "completed", "duration": number, **agent, **others}


def body_of(provider: str, *rows: dict[str, Any], **beside: Any) -> bytes:
    return msgspec.json.encode(
        {"success": True, "data": rows, "pagination": {"total": 9, "per_page": 3}, **beside}
    )


def shaper(provider: str, shape: Shape, *, lines: bool, keep_raw: bool = True) -> Shaper:
    return Shaper("sales", get_provider(provider), shape=shape, run_id="r", keep_raw=keep_raw, lines=lines)


def reading_of(one: Shaper, body: bytes, agent: tuple[str | None, str | None]) -> bytes:
    request = one.ahead(Request("list calls", "/"), *agent)
    assert request.read_by is not None
    assert request.read_by.function == "harvester.providers.reading:open_reader"
    return open_reader(request.read_by.options)(body, NOW, request.note)


def written(one: Shaper, page: Page, new: range | list[int], agent: tuple[str | None, str | None]) -> bytes:
    """The lines a sink would write."""
    made: list[bytes] = []
    for part in one.rows(page, new, agent_id=agent[0], agent_name=agent[1], fetched_at=NOW):
        if isinstance(part, Lines):
            made.append(part.text)
        else:
            made.append(bytes(native_lines(part)) if isinstance(part, NativeRows) else _lines(list(part)))
    return b"".join(made)


@pytest.mark.parametrize("agent", [("a9", "Named"), (None, None)])
@pytest.mark.parametrize(("shape", "lines"), [("native", True), ("unified", True), ("unified", False)])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_reading_is_the_same_page(
    provider: str,
    shape: Shape,
    lines: bool,
    agent: tuple[str | None, str | None],
) -> None:
    """Keys, what the answer says of itself, agents, and all or some of the rows, in every shape and provider."""
    body = body_of(provider, *[row(number, provider, note="é\\n") for number in range(3)])
    one = shaper(provider, shape, lines=lines)
    reading = reading_of(one, body, agent)
    assert reading
    here, there = one.read(body), one.read(body, reading=reading)
    for name in ("problems", "span", "is_distinct"):
        assert getattr(there, name) == getattr(here, name)
    for name in ("ids", "hours", "moments"):
        assert list(getattr(there, name)) == list(getattr(here, name))
    assert one.agents(there) == one.agents(here)
    assert list(map(bytes, there.listing.rows)) == list(map(bytes, here.listing.rows))
    for name in ("total", "size", "page", "has_more"):
        assert getattr(there.listing, name) == getattr(here.listing, name)
    for new in (range(3), [0, 2], [1], []):
        assert written(one, there, new, agent) == written(one, here, new, agent)
    assert list(there.calls) == list(here.calls)


@pytest.mark.parametrize("new", [range(3), [0, 2], []])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_reading_is_kept_as_the_page_is(provider: str, new: Sequence[int]) -> None:
    """What goes to the journal unread is, byte for byte, what would be made there of the page."""
    body = body_of(provider, *[row(number, provider, note="é\\n") for number in range(3)])
    one = shaper(provider, "native", lines=True)
    here, there = one.read(body), one.read(body, reading=reading_of(one, body, (None, None)))
    kept, packed = (digest_of(page, NOW, new, written=len(new)) for page in (here, there))
    assert isinstance(kept, Digest)
    assert isinstance(packed, PackedDigest)
    assert msgspec.msgpack.encode(packed) == msgspec.msgpack.encode(kept)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(packed), type=Digest) == kept


@pytest.mark.parametrize("keep_raw", [True, False])
def test_columns_are_the_records(keep_raw: bool) -> None:
    """Packed and unpacked, a page's records are those that were made of it here."""
    body = body_of("talkover", *[row(number, "talkover") for number in range(3)])
    one = shaper("talkover", "unified", lines=False, keep_raw=keep_raw)
    made = take(body, reading_of(one, body, (None, None))).made
    (records,) = one.rows(one.read(body), range(3), agent_id=None, agent_name=None, fetched_at=NOW)
    assert isinstance(made, Records)
    assert isinstance(records, Records)
    assert list(made) == list(records)
    assert [record.raw is not None for record in made] == [keep_raw] * 3


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", MalformedError),
        (b"<html>", MalformedError),
        (body_of("talkover"), None),
        (body_of("talkover", row(1, "talkover")), None),  # what it came in may be no page
        (body_of("talkover", row(1, "talkover"), row(2, "talkover", created_at=None)), None),
        (body_of("talkover", row(1, "talkover"), row(2, "talkover", duration="long")), None),
        (body_of("talkover", row(1, "talkover"), {"no": "id"}), None),
        (body_of("talkover", row(1, "talkover"), row(2, "talkover")).replace(b"},{", b"}, {"), None),
        (
            body_of("talkover", row(1, "talkover"), row(2, "talkover", x="?")).replace(b"?", b"\xed\xa0\x80"),
            None,
        ),
    ],
)
def test_what_is_not_quite_as_it_should_be_is_left(body: bytes, error: type[Exception] | None) -> None:
    """It is read where it can be said what is wrong with it: nothing is made of it."""
    one = shaper("talkover", "unified", lines=True)
    with pytest.raises(error) if error else nullcontext():
        assert reading_of(one, body, (None, None)) == b""


def test_reading_of_another_version_is_not_believed() -> None:
    """The page is read here then."""
    body = body_of("talkover", row(1, "talkover"), row(2, "talkover"))
    one = shaper("talkover", "native", lines=True)
    assert one.read(body, reading=b"\0\0\0\1\x93").ids == ["c1", "c2"]


def test_native_rows_are_a_list_of_raw_for_sinks_of_others() -> None:
    """Only our own sinks take rows as they stand side by side."""
    body = body_of("talkover", row(1, "talkover"), row(2, "talkover"))
    for blocks in (False, True):
        one = Shaper(
            "sales", get_provider("talkover"), shape="native", run_id="r", keep_raw=True, blocks=blocks
        )
        page = one.read(body, reading=reading_of(one, body, (None, None)))
        (rows,) = one.rows(page, range(2), agent_id=None, agent_name=None, fetched_at=NOW)
        assert isinstance(rows, NativeRows)
        assert isinstance(rows.rows, Block if blocks else list)
        assert blocks or all(isinstance(one, msgspec.Raw) for one in rows.rows)
