"""Whether a body that drips is worth waiting for."""

from __future__ import annotations

from harvester.transport.base import Link
from harvester.transport.progress import LEAST_BYTES_PER_S, LONGEST_S, OVER_S, Progress


def test_progress_is_judged_over_a_minute() -> None:
    """A standstill is forgiven, a minute of too little is not; each minute counts for itself."""
    progress = Progress()
    assert not progress.is_too_slow(OVER_S - 1, 0)
    assert not progress.is_too_slow(1, int(LEAST_BYTES_PER_S * OVER_S))
    assert not progress.is_too_slow(OVER_S - 1, 10)
    assert progress.is_too_slow(1, int(LEAST_BYTES_PER_S * OVER_S) - 11)


def test_progress_ends_some_time() -> None:
    """However steadily it comes, one body is not waited for all day."""
    progress = Progress()
    hours = [progress.is_too_slow(3600, 10**9) for _ in range(7)]
    assert hours == [False] * int(LONGEST_S / 3600) + [True]


def test_link_shows_its_host_only() -> None:
    """What is printed of a link is its host, whatever it is."""
    assert repr(Link("https://me:pw@Cdn.test:8443/a?signature=s3cret")) == "Link(cdn.test:8443, ***)"
    assert repr(Link("http://[bad?signature=s3cret")) == "Link(, ***)"
