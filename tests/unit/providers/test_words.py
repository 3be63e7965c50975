"""Words of the providers in the record's terms."""

from __future__ import annotations

import pytest

from harvester.providers.words import DIRECTIONS, ROLES, statuses


@pytest.mark.parametrize("word", ["in-progress", "in_progress", "In Progress", "INPROGRESS", " in-progress "])
def test_statuses_look_past_case_hyphens_and_underscores(word: str) -> None:
    """A status is known however it is spelled."""
    assert statuses()[word] == "in_progress"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", "queued"), ("initiated", "initiated"), ("ringing", "ringing"), ("answered", "answered"),
        ("completed", "completed"), ("failed", "failed"), ("busy", "busy"), ("no-answer", "no_answer"),
        ("no_answer", "no_answer"), ("canceled", "canceled"), ("cancelled", "canceled"), ("ended", "unknown"),
        ("warm-transfer", "unknown"), ("", "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_statuses_know_the_common_words(word: str | None, status: str) -> None:
    """Another word, or none, is `unknown`."""
    assert statuses()[word] == status


def test_statuses_take_a_providers_own_words() -> None:
    """A word can mean something at one provider only."""
    assert statuses(ended="completed")["Ended"] == "completed"


def test_words_keep_no_word_they_were_asked_for() -> None:
    """A table does not grow with what answers hold."""
    table = statuses()
    size = len(table)
    assert [table[f"word-{number}"] for number in range(9)] == ["unknown"] * 9
    assert len(table) == size


@pytest.mark.parametrize(
    ("word", "direction"), [("Inbound", "inbound"), ("OUTBOUND", "outbound"), ("x", None), (None, None)]
)
def test_directions_are_two_or_none(word: str | None, direction: str | None) -> None:
    """Another direction is not known."""
    assert DIRECTIONS[word] == direction


def test_roles_are_four_or_none() -> None:
    """Each word for who speaks is one of four roles; another word is none."""
    assert set(ROLES.values()) == {"agent", "user", "system", "tool", None}
    assert (ROLES["Tool_Call"], ROLES["AI Assistant"], ROLES["narrator"]) == ("tool", "agent", None)
