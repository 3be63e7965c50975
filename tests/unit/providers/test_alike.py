"""Transcripts on the fast way: whatever came before, they are what the slow way makes of them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec
import pytest

from harvester.providers import alike
from harvester.providers.rows import decode_rows, fit_row
from harvester.providers.transcripts import SpokenTranscript, Transcript, turns_of
from harvester.record import Turn

PLAIN = [
    {"speaker": "agent", "text": "Hi", "timestamp": 0.5},
    {"speaker": "user", "text": "a\nb", "timestamp": 2},
]
VALUES: list[Any] = [
    PLAIN,
    [],
    None,
    [{"speaker": "agent", "text": None, "timestamp": None}],
    [{"speaker": None, "text": "of nobody", "timestamp": 86399.5}],
    [{"speaker": "Assistant", "text": "another word", "timestamp": 1}],
    [{"speaker": "Frank", "text": "no known word", "timestamp": 1}],
    [{"speaker": "agent", "text": "Unix time", "timestamp": 1_700_000_000}],
    [{"speaker": "agent", "text": "a clock", "timestamp": "01:05"}],
    [{"speaker": "agent", "text": "", "timestamp": ""}],
    [{"speaker": "agent", "text": "in UTC", "timestamp": "2026-03-31T12:00:00Z"}],
    [{"speaker": "agent", "text": "elsewhere", "timestamp": "2026-03-31T12:00:00.5+05:30"}],
    [{"speaker": "agent", "text": "nowhere", "timestamp": "2026-03-31T12:00:00"}],
    [{"speaker": "agent", "text": "at the end", "timestamp": "0001-01-01T00:00:00+01:00"}],
    [{"speaker": "agent", "text": "no time", "timestamp": -1}],
    [{"speaker": "agent", "text": ["of", {"text": "parts"}], "timestamp": 1}],
    [{"speaker": ["agent"], "text": "no word", "timestamp": 1}],
    [{"speaker": "agent", "text": "half \ud83d a character", "timestamp": 1}],
    [*PLAIN, {"speaker": "agent", "text": "another name", "role": "user", "timestamp": 1}],
    [*PLAIN, {"speaker": "agent"}],
    [*PLAIN, {"neither": "nor"}],
    [*PLAIN, "no object"],
    [{"role": "user", "content": "timeless"}],
    [{"role": "user", "message": "milliseconds", "offset_ms": 1500}],
    [{"role": "user", "text": "its own names", "at": "2026-03-31T12:00:00Z"}],
    [{"role": "user", "text": "its own names", "offset_s": 4}],
    [{"role": "user", "text": "others", "time": 1, "confidence": 0.5, "words": [{"text": "others"}]}],
    {"turns": PLAIN},
    "Agent: Hi\nUser: Hello",
    "Agent: caf\xe9 \U0001f600\nUser: a \\ and a /",
    "Agent: half \ud83d a character",
    "\n\tAgent: Hi",
    "\n",
    "",
    '"Agent: Hi"',
    "[no JSON",
    json.dumps(PLAIN),
    " ",
    7,
]


class Call(msgspec.Struct, frozen=True):
    """A row with both kinds of transcript."""

    id: str
    created_at: datetime | None = None
    told: Transcript | None = None
    spoken: SpokenTranscript | None = msgspec.field(name="heard", default=None)


def rows_of(*values: Any) -> list[msgspec.Raw]:
    """Return a row for each value, with it as either kind."""
    calls = [{"id": str(at), "told": value, "heard": value} for at, value in enumerate(values)]
    return [msgspec.Raw(json.dumps(call).encode()) for call in calls]


def read(rows: list[msgspec.Raw]) -> tuple[list[Any], list[tuple[int, str | None, str]]]:
    """Read rows as a page: their turns of either kind, and the problems."""
    calls, problems = decode_rows(b'{"data":[' + b",".join(rows) + b"]}", rows, Call)
    assert {type(call) for call in calls} == {Call}
    turns = [(turns_of(call.told), turns_of(call.spoken)) for call in calls]
    return turns, [(one.index, one.field, one.reason) for one in problems]


def read_slowly(rows: list[msgspec.Raw]) -> tuple[list[Any], list[tuple[int, str | None, str]]]:
    """Read rows value by value."""
    found = [fit_row(bytes(row), Call) for row in rows]
    turns = [(turns_of(call.told), turns_of(call.spoken)) for call, _ in found]
    return turns, [(at, *one) for at, (_, some) in enumerate(found) for one in some]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize("before", [PLAIN, *VALUES[5:12:5], "Agent: Hi", VALUES[24]], ids=str)
def test_decode_rows_reads_transcripts_as_the_slow_way_does(before: Any, value: Any) -> None:
    """Any value is read as if it were alone, beside and after pages of another form and of its own."""
    alike._readers.cache_clear()
    for _ in range(3):
        assert read(rows_of(before, before)) == read_slowly(rows_of(before, before))
    for values in ((value, before), (value, value), (value, value), (before, value)):
        assert read(rows_of(*values)) == read_slowly(rows_of(*values))


def test_turns_are_turns() -> None:
    """Turns decoded under other names are encoded under their own, and equal to others."""
    alike._readers.cache_clear()
    pages = [read(rows_of(PLAIN, PLAIN)) for _ in range(3)]
    ((turns, _), _), problems = pages[-1]
    assert not problems
    assert turns == [
        Turn(role="agent", text="Hi", offset_s=0.5),
        Turn(role="user", text="a\nb", offset_s=2.0),
    ]
    assert {type(turn) for turn in turns} == {Turn}
    assert msgspec.json.encode(turns[1]) == b'{"role":"user","text":"a\\nb","at":null,"offset_s":2.0}'


def test_pages_of_one_form_are_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two pages alike no transcript is read alone."""
    alike._readers.cache_clear()
    rows = rows_of(PLAIN, PLAIN, None)
    read(rows)
    read(rows)
    monkeypatch.setattr(alike.Reader, "read", None)
    turns, problems = read(rows)
    assert (turns, problems) == read_slowly(rows)


@pytest.mark.parametrize(
    "text",
    [r"\ud83d", r"a\ud83d", r"\ude00a", r"\ud83d\ud83d", r"\ud83d\n", r"\q", r"\u12g4", "a\x01", "a\\"],
)
def test_no_text_is_put_off_that_cannot_be_decoded(text: str) -> None:
    """What a decoder skips it could decode as well, or it refuses both: a text is decoded only when it is asked for."""
    row = b'{"id":"1","heard":"Agent: Hi"}'
    for _ in range(3):
        alike.decode(Call, lambda kind: [msgspec.json.decode(row, type=kind)])
    with pytest.raises(msgspec.DecodeError):
        alike.decode(
            Call, lambda kind: [msgspec.json.decode(f'{{"id":"1","heard":"a{text}"}}'.encode(), type=kind)]
        )


@pytest.mark.parametrize(
    "turn",
    [
        b'{"type":"agent","message":"hi","offset_s":"2026-03-01T10:00:00Z"}',
        b'{"type":"agent","message":"hi","at":1.5}',
        b'{"type":"agent","message":"hi","q\\"x":1}',
    ],
)
def test_turns_whose_names_no_struct_can_have_are_read_one_by_one(turn: bytes) -> None:
    """They are read as well as others, and no form is learned from them."""
    reader = alike.Reader(Transcript)
    for _ in range(2):
        transcript = reader.read(msgspec.Raw(b"[" + turn + b"]"))
        assert transcript is not None
        assert [one.text for one in turns_of(transcript) or ()] == ["hi"]
    assert reader.form is None
