"""Transcripts in all their shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.providers.transcripts import SpokenTranscript, Transcript, turns_of
from harvester.record import Turn

AT = datetime(2026, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC)
HELLO = [{"role": "agent", "text": "Hello"}, {"role": "user", "text": "Hi"}]
SPOKEN = [Turn(role="agent", text="Hello"), Turn(role="user", text="Hi")]


def read(value: Any) -> list[Turn] | None:
    transcript = Transcript.read(value)
    assert transcript.problem is None
    return turns_of(transcript)


def one(**element: Any) -> Turn:
    [turn] = read([element]) or []
    return turn


def spoken(text: str) -> list[tuple[str | None, str | None]]:
    return [(turn.role, turn.text) for turn in turns_of(SpokenTranscript.read(text)) or []]


# -- arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrappings", [0, 1, 2, 3])
def test_read_takes_an_array_in_strings(wrappings: int) -> None:
    """An array is the same bare, in a string, and in a string within a string."""
    value: Any = HELLO
    for _ in range(wrappings):
        value = json.dumps(value)
    assert read(value) == SPOKEN
    assert turns_of(SpokenTranscript.read(value)) == SPOKEN


@pytest.mark.parametrize("name", ["turns", "messages", "transcript", "utterances", "segments", "entries"])
def test_read_takes_an_array_in_an_object(name: str) -> None:
    """An object may hold the array by any of the usual names."""
    assert read({"id": 1, name: HELLO}) == SPOKEN


@pytest.mark.parametrize("value", [[], "", " \n", "[]", " [ ] ", '""', {"turns": []}])
def test_read_takes_nothing_for_nobody_spoke(value: Any) -> None:
    """An empty array, an empty string and an empty array in a string are no turns."""
    assert read(value) == []
    assert turns_of(SpokenTranscript.read(value)) == []


def test_read_takes_null_in_a_string_for_no_transcript() -> None:
    """A string that holds null is a transcript that is not there."""
    assert read("null") is None
    assert turns_of(None) is None


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("agent", "agent"), ("Assistant", "agent"), ("AI", "agent"), ("bot", "agent"), ("voice_agent", "agent"),
        ("user", "user"), ("CUSTOMER", "user"), ("Caller", "user"), ("human", "user"), ("end-user", "user"),
        ("system", "system"), ("developer", "system"), ("tool", "tool"), ("function_call", "tool"),
        ("tool_call_result", "tool"), ("moderator", None), ("", None), (None, None), (7, None), (["agent"], None),
    ],
)  # fmt: skip
def test_read_knows_who_speaks(word: Any, role: str | None) -> None:
    """A word is one of four roles, however it is spelled, or none."""
    assert one(role=word, text="x") == Turn(role=role, text="x")


@pytest.mark.parametrize("name", ["role", "speaker", "sender", "from", "author", "type"])
def test_read_knows_the_names_of_a_speaker(name: str) -> None:
    """Who speaks has several names; one whose word is no role leaves it to the next."""
    assert one(**{name: "Customer", "text": "x"}).role == "user"
    assert one(type="message", role="Anna", speaker="agent", text="x").role == "agent"


@pytest.mark.parametrize("name", ["text", "message", "content", "transcript", "utterance"])
def test_read_knows_the_names_of_a_text(name: str) -> None:
    """What is said has several names, of which the first that is not null counts."""
    assert one(**{name: "x"}).text == "x"
    assert one(text=None, message="y").text == "y"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (["Hello", "there"], "Hello\nthere"),
        ([{"type": "text", "text": "Hello"}, {"type": "image_url", "url": "x"}], "Hello"),
        ([{"type": "image_url"}, 5], None),
        ([], None),
        ({"type": "text", "text": "Hello"}, "Hello"),
        ({"result": ["é", 1]}, '{"result":["é",1]}'),
    ],
)
def test_read_takes_text_in_parts(content: Any, text: str | None) -> None:
    """Parts are lines, and what is not text has none; an object without a text is its JSON."""
    assert one(role="agent", content=content) == Turn(role="agent", text=text)


def test_read_keeps_a_turn_without_a_text() -> None:
    """A message of attachments alone is a turn."""
    assert one(id="m", role="user", message=None, attachments=[{"type": "image"}]) == Turn(role="user")
    assert one(id="m", role="user", attachments=[{"type": "image"}]) == Turn(role="user")


@pytest.mark.parametrize(
    ("name", "value", "turn"),
    [
        ("created_at", "2026-03-01T10:00:00.5Z", Turn(text="x", at=AT)),
        ("timestamp", "2026-03-01T12:00:00.5+02:00", Turn(text="x", at=AT)),
        ("time", "2026-03-01T10:00:00.5", Turn(text="x", at=AT)),
        ("time", 1_772_359_200.5, Turn(text="x", at=AT)),
        ("timestamp", 1_772_359_200_500, Turn(text="x", at=AT)),
        ("timestamp", "1772359200500", Turn(text="x", at=AT)),
        ("timestamp", 4.25, Turn(text="x", offset_s=4.25)),
        ("start", 4, Turn(text="x", offset_s=4.0)),
        ("offset", "4.25", Turn(text="x", offset_s=4.25)),
        ("offset", "4s", Turn(text="x", offset_s=4.0)),
        ("time", "01:05", Turn(text="x", offset_s=65.0)),
        ("time", "1:01:05.5", Turn(text="x", offset_s=3665.5)),
        ("start_ms", 4250, Turn(text="x", offset_s=4.25)),
        ("offset_ms", 125_000.0, Turn(text="x", offset_s=125.0)),
        ("secondsFromStart", 0, Turn(text="x", offset_s=0.0)),
        ("time_in_call_secs", 86_399, Turn(text="x", offset_s=86_399.0)),
        ("time", "", Turn(text="x")),
        ("time", None, Turn(text="x")),
    ],
)  # fmt: skip
def test_read_tells_moments_and_offsets(name: str, value: Any, turn: Turn) -> None:
    """A time is a moment in UTC or an offset in seconds, in any of the usual forms."""
    assert one(text="x", **{name: value}) == turn


def test_read_takes_a_moment_and_an_offset() -> None:
    """A turn may have both; of several the first counts."""
    turn = one(text="x", created_at="2026-03-01T10:00:00.5Z", time=1_772_359_300, start=1.5, offset=9)
    assert turn == Turn(text="x", at=AT, offset_s=1.5)


@pytest.mark.parametrize(
    ("element", "problem"),
    [
        ({"text": 5}, "element 1: text is no text"),
        ({"role": "user", "message": True}, "element 1: message is no text"),
        ({"text": "x", "time": "soon"}, "element 1: time is no time in a call"),
        ({"text": "x", "time": True}, "element 1: time is no time in a call"),
        ({"text": "x", "time": [1]}, "element 1: time is no time in a call"),
        ({"text": "x", "start": -1}, "element 1: start is no time in a call"),
        ({"text": "x", "start": 500_000}, "element 1: start is no time in a call"),
        ({"text": "x", "start": 10**400}, "element 1: start is no time in a call"),
        ({"text": "x", "start": float("nan")}, "element 1: start is no time in a call"),
        ({"text": "x", "at": "0001-01-01T00:00:00+14:00"}, "element 1: at is no time in a call"),
    ],
)  # fmt: skip
def test_read_keeps_a_bad_value_to_itself(element: dict[str, Any], problem: str) -> None:
    """A text or a time of another form is null in its turn and told; the other turns are whole."""
    transcript = Transcript.read([HELLO[0], element, {"text": 6}, HELLO[1]])
    turns = turns_of(transcript)
    assert turns is not None
    assert (len(turns), turns[0], turns[3]) == (4, *SPOKEN)
    assert (turns[1].at, turns[1].offset_s) == (None, None)
    assert transcript.problem == problem


def test_read_takes_a_number_that_is_too_large_for_no_time() -> None:
    """A number beyond a double, in a string, costs the time that it stands for."""
    transcript = Transcript.read('[{"text":"x","start":1e999}]')
    assert (turns_of(transcript), transcript.problem) == (
        [Turn(text="x")],
        "element 0: start is no time in a call",
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5, "no list of turns"),
        (True, "no list of turns"),
        ({}, "no list of turns"),
        ({"turns": "x"}, "no list of turns"),
        ('{"role":"agent"}', "no list of turns"),
        ("7", "no list of turns"),
        ('"\\"\\\\\\"[]\\\\\\"\\""', "no list of turns"),
        (["Agent: Hello"], "element 0 is no object"),
        ([HELLO[0], None], "element 1 is no object"),
        ([{"x": 1}], "element 0 has neither a speaker nor a text"),
        ("Agent: Hello", "not JSON: Expecting value"),
        ('[{"role":"agent"', "not JSON: Expecting ',' delimiter"),
        ("[NaN]", "not JSON: NaN is no JSON"),
        ("[" * 100_000, "not JSON: nested too deeply"),
    ],
)
def test_read_refuses_what_is_no_list_of_turns(value: Any, reason: str) -> None:
    """What is no list of turns is refused with a reason that holds nothing of it."""
    with pytest.raises(ValueError, match=r".") as caught:
        Transcript.read(value)
    assert str(caught.value) == reason


# -- text --------------------------------------------------------------------------------------------------------


def test_spoken_cuts_text_at_its_labels() -> None:
    """Each label begins a turn, lines without one go on with it, and what stands before the first is nobody's."""
    text = 'Call 7\nAgent: Hello.\nHow can I help?\n\nUser:  It says: "Error".\r\nAI: Ok \nSpeaker 2: Hm\nuser:\n'
    assert spoken(text) == [
        (None, "Call 7"), ("agent", "Hello.\nHow can I help?"), ("user", 'It says: "Error".'), ("agent", "Ok"),
        (None, "Hm"), ("user", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["Hello", "Note: bring an ID", "https://example.com", "12:30 is fine", "[see] {that}", '"Hi" he said', "{a", ":"],
)  # fmt: skip
def test_spoken_takes_text_without_labels_for_one_turn(text: str) -> None:
    """Text in which nobody is named is a turn of nobody."""
    assert spoken(f" {text}\n") == [(None, text)]


@pytest.mark.parametrize(
    "line", ["[01:05] Agent: Hi", "(0:01:05) agent : Hi", "Agent (01:05): Hi", " ASSISTANT [1:05]:Hi"]
)
def test_spoken_reads_the_clock_of_a_label(line: str) -> None:
    """A clock before or behind the name is the turn's offset."""
    assert turns_of(SpokenTranscript.read(line)) == [Turn(role="agent", text="Hi", offset_s=65.0)]


def test_spoken_takes_a_label_without_a_good_clock() -> None:
    """What stands in brackets and is no clock is no offset."""
    assert turns_of(SpokenTranscript.read("[..] User: Hi")) == [Turn(role="user", text="Hi")]


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ('"Agent: Hello\\nUser: Hi"', [("agent", "Hello"), ("user", "Hi")]),
        ("[1, 2]", [(None, "[1, 2]")]),
        ('{"a": 1}', [(None, '{"a": 1}')]),
        ("null", [(None, "null")]),
    ],
)
def test_spoken_takes_json_that_holds_no_turns_for_text(
    text: str, turns: list[tuple[str | None, str | None]]
) -> None:
    """A string in a string is text; JSON that holds no turns is text as it stands."""
    assert spoken(text) == turns


def test_spoken_refuses_what_is_neither_text_nor_turns() -> None:
    """A number is no transcript."""
    with pytest.raises(ValueError, match="no list of turns"):
        SpokenTranscript.read(5)
    assert SpokenTranscript.read([{"text": 5}]).problem == "element 0: text is no text"


# -- anything ----------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["agent", "2026-03-01T10:00:00Z", "01:05", "[]", "\ud83d"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_NAMES = st.sampled_from(
    ["role", "speaker", "text", "message", "content", "time", "created_at", "start_ms", "turns", "x"]
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # a busy machine is no failure
@given(_JSON | _JSON.map(json.dumps) | st.text(alphabet='[]{}":,\\ agentuser\n', max_size=40))
def test_any_value_is_turns_or_refused(value: Any) -> None:
    """Whatever JSON a transcript is, it is turns of the record's types, null, or refused with a reason."""
    for kind in (Transcript, SpokenTranscript):
        try:
            turns = turns_of(kind.read(value))
        except ValueError:
            continue
        assert msgspec.convert(msgspec.to_builtins(turns), list[Turn] | None) == turns
        assert all(turn.role in {"agent", "user", "system", "tool", None} for turn in turns or [])
        assert all(turn.offset_s is None or 0 <= turn.offset_s < 86_400 for turn in turns or [])


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_any_text_is_spoken(text: str) -> None:
    """No text is refused as long as it is not JSON, and none of its words get lost."""
    turns = turns_of(SpokenTranscript.read(f"Call\n{text}"))
    assert turns
    said = "".join(turn.text or "" for turn in turns)
    assert len("".join(said.split())) <= len("".join(f"Call{text}".split()))
    assert turns[0].role is None


@pytest.mark.parametrize(
    "unit", ["x", " ", "\n", "a:", "Agent: \n", "[", '"', "Agent" + " " * 30, "\U0001f600"]
)
def test_ten_megabytes_are_read(unit: str) -> None:
    """The length of a text costs time in proportion, and nothing else."""
    size = 10_000_000 if unit in {"x", " ", "["} else 100_000
    assert turns_of(SpokenTranscript.read(unit * (size // len(unit)))) is not None
    assert read([{"role": "agent", "text": unit * size}]) == [Turn(role="agent", text=unit * size)]
