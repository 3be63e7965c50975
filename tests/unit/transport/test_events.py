"""Server-sent events, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import MalformedError
from harvester.transport.events import LONGEST_RETRY_S, Event, EventReader


def read(*chunks: bytes) -> list[Event]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b"data: a\n\n", [Event(b"a")]),
        (b"data:a\r\n\r\n", [Event(b"a")]),
        (b"data:  a\r\r", [Event(b" a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b"data\n\n", [Event(b"")]),
        (b"data\ndata\n\n", [Event(b"\n")]),
        (b'data: {"a":\ndata: 1}\n\n', [Event(b'{"a":\n1}')]),
        (b"event: heartbeat\ndata: {}\n\ndata: a\n\n", [Event(b"{}", "heartbeat"), Event(b"a")]),
        (b"id: 7\ndata: a\n\ndata: b\n\n", [Event(b"a", id="7"), Event(b"b")]),
        (b"id: \xc3\xa9\ndata: a\n\n", [Event(b"a", id="é")]),
        (b"id: 7\0\ndata: a\n\n", [Event(b"a")]),
        (b": a comment\n:\n\ndata: a\nstrange: b\nDATA: c\n\n", [Event(b"a")]),
        (b"event: x\n\ndata: a\n\n", [Event(b"a")]),
        (b"data: a: b\n\n", [Event(b"a: b")]),
        (b"data: \xff\xfe\n\n", [Event(b"\xff\xfe")]),
        (b"data: half", []),
        (b"data: a\n", []),
        (b"\n\n\n", []),
    ],
)
def test_events_are_read(text: bytes, events: list[Event]) -> None:
    """Each rule of the standard, the whole at once and byte by byte."""
    assert read(text) == events
    assert read(*(bytes([one]) for one in text)) == events


def test_reader_knows_the_last_id_and_the_wait() -> None:
    """An id stays the last one until another comes, also from an event without data; a wait is in milliseconds."""
    reader = EventReader()
    reader.feed(b"retry: 1500\nretry: 1.5\nretry: -1\nretry: soon\n\nid: 7\n\ndata: a\n\n")
    assert (reader.last_id, reader.retry_s) == ("7", 1.5)
    reader.feed(b"id\nretry: 99999999999999999999\n\n")
    assert (reader.last_id, reader.retry_s) == ("", LONGEST_RETRY_S)


def test_event_has_a_largest_size() -> None:
    """One event, in one line or many, may not fill the memory; any number of events and comments may come."""
    reader = EventReader(max_bytes=100)
    for _ in range(10):
        assert reader.feed(b": " + b"c" * 90 + b"\ndata: " + b"x" * 80 + b"\n\n")
    with pytest.raises(MalformedError, match="larger than 100 bytes"):
        reader.feed(b"data: " + b"x" * 60 + b"\n" + b"data: " + b"y" * 60)
    with pytest.raises(MalformedError):
        EventReader(max_bytes=100).feed(b"x" * 101)


PIECES = st.lists(
    st.sampled_from(
        [
            b"data: a",
            b"data:b\r",
            b"\n",
            b"\r",
            b"\r\n",
            b"id: 1",
            b"event: e",
            b":c",
            b"retry: 5",
            b"\xef\xbb\xbf",
        ]
    ),
    max_size=30,
)


@given(PIECES, st.data())
def test_where_chunks_end_makes_no_difference(pieces: list[bytes], data: st.DataObject) -> None:
    """However a stream is cut, its events are those of the whole."""
    text = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(*chunks) == read(text)


LINES = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))


@given(
    st.lists(st.tuples(st.lists(LINES, min_size=1, max_size=4), LINES), max_size=6),
    st.sampled_from(["\n", "\r", "\r\n"]),
)
def test_what_is_written_is_read(events: list[tuple[list[str], str]], end: str) -> None:
    """Data of several lines and ids come out as they went in, with each of the three line ends."""
    text = "".join(
        "".join(f"data: {line}{end}" for line in lines) + f"id: {event_id}{end}{end}"
        for lines, event_id in events
    )
    wanted = [
        Event("\n".join(lines).encode(), id="" if "\0" in event_id else event_id)
        for lines, event_id in events
    ]
    assert read(text.encode()) == wanted
