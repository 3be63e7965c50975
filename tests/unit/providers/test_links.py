"""Links to recordings, as they may be kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.providers.links import unsigned


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://s.example/a/b.mp3", "https://s.example/a/b.mp3"),
        ("https://s.example/a.mp3?X-Signature=1&e=2", "https://s.example/a.mp3"),
        ("https://s.example/a.mp3#t=1?x", "https://s.example/a.mp3"),
        ("https://s.example/a.mp3?x#y", "https://s.example/a.mp3"),
        ("https://user:pass@s.example:8443/a.mp3?x", "https://s.example:8443/a.mp3"),
        ("https://a@b@s.example/me@home.mp3", "https://s.example/me@home.mp3"),
        ("https://s.example/me@home.mp3", "https://s.example/me@home.mp3"),
        ("//user@s.example/a", "//s.example/a"),
        ("user:pass@s.example/a", "s.example/a"),
        ("https://user:pass@s.example", "https://s.example"),
        ("?x", ""),
        ("", None),
        (None, None),
    ],
)
def test_unsigned_takes_off_what_opens_a_link(link: str | None, kept: str | None) -> None:
    """Query, fragment and login are gone; scheme, host and path stay."""
    assert unsigned(link) == kept


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(), st.text())
def test_unsigned_keeps_nothing_behind_a_question_mark(path: str, secret: str) -> None:
    """Whatever a link looks like, what stands in its query is not in what is kept."""
    kept = unsigned(f"https://s.example/{path}?{secret}")
    assert kept is not None
    assert (
        "https://s.example/".startswith(kept) or f"https://s.example/{path}".startswith(kept) or "@" in path
    )
    assert "?" not in kept
    assert "#" not in kept
