"""When a thread has time to spare."""

from __future__ import annotations

from harvester.transport.load import LOOK_EACH, SPARE_SHARE, Load


class Thread:
    """A thread of which we say what it did."""

    def __init__(self) -> None:
        self.passed_s = 100.0
        self.worked_s = 7.0
        self.load = Load(lambda: self.passed_s, lambda: self.worked_s)

    def works(self, share: float, pieces: int = LOOK_EACH) -> bool:
        """Count pieces that took such a share of the time."""
        for _ in range(pieces):
            self.passed_s += 0.5
            self.worked_s += 0.5 * share
            self.load.count()
        return self.load.has_time


def test_a_thread_has_time_until_it_is_seen_to_have_none() -> None:
    """What a start brings is not put off; the first look tells."""
    thread = Thread()
    assert thread.works(1.0, LOOK_EACH - 1)
    assert not thread.works(1.0, 1)


def test_each_look_judges_what_was_done_since_the_last() -> None:
    """A load that comes or goes is seen a look later, however long the other lasted."""
    thread = Thread()
    seen = [thread.works(share) for share in (1.0, 1.0, 1.0, 0.1, SPARE_SHARE + 0.01, SPARE_SHARE - 0.01)]
    assert seen == [False, False, False, True, False, True]
