"""The parts of the finder: what each says of a refusal, and when it takes that back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.transport.ceiling import CERTAIN, CUTS, Ceiling, Verdict, reaches
from harvester.transport.crowd import Crowd, Queue
from harvester.transport.finder import Finder
from harvester.transport.ledger import Ledger

RARE = 0.001


def ceiling(*, in_a_row: bool = False) -> Ceiling:
    return Ceiling(certain=CERTAIN, hold_s=15.0, cut_every_s=1.0, in_a_row=in_a_row)


def refuse(one: Ceiling, height: float, now: float = 0.0, chance: float = RARE) -> Verdict:
    return one.judge(height, now, chance=chance, pause_s=0.0)


@given(st.lists(st.floats(0, 1000), max_size=400), st.floats(0, 1000), st.floats(0, 1000))
def test_ledger_counts_what_was_entered(moments: list[float], after: float, until: float) -> None:
    """In whatever order moments come, it counts those in a stretch, and names any of the newest."""
    ledger = Ledger(2000.0)
    for at in moments:
        ledger.add(at)
    assert ledger.count(after, until) == sum(at <= until for at in moments) - sum(
        at <= after for at in moments
    )
    assert ledger.since(after) == sorted(at for at in moments if at > after)
    assert [ledger.newest(number + 1) for number in range(len(moments))] == sorted(moments)[::-1]
    assert ledger.newest(len(moments) + 1) is None
    assert ledger.newest(0) is None


def test_ledger_forgets_what_is_old() -> None:
    """It keeps what it was asked to keep, and little more."""
    ledger = Ledger(10.0)
    for number in range(10_000):
        ledger.add(number / 10)
    assert 100 <= len(ledger) <= 400
    assert ledger.count(989.9, 1000.0) == 100


def test_ledger_drops_only_what_is_there() -> None:
    """A moment that was never entered changes nothing."""
    ledger = Ledger(10.0)
    ledger.add(1.0)
    ledger.drop(0.5)
    ledger.drop(2.0)
    assert len(ledger) == 1
    ledger.drop(1.0)
    assert len(ledger) == 0


def test_ledger_names_the_newest_until_a_moment() -> None:
    """What came later does not count."""
    ledger = Ledger(10.0)
    for at in (1.0, 2.0, 3.0):
        ledger.add(at)
    assert ledger.newest(1, 2.5) == 2.0
    assert ledger.newest(3, 2.5) is None


def test_heights_are_compared_as_exactly_as_they_are_known() -> None:
    """Of many 2 % are nothing, of a dozen and more one is, of two nothing is."""
    assert reaches(98, 100)
    assert reaches(19, 20)
    assert not reaches(18, 20)
    assert not reaches(1, 2)
    assert not reaches(97, 100)


def test_height_that_worked_is_no_reason() -> None:
    """Only one that never worked can be."""
    one = ceiling()
    one.worked(20)
    assert refuse(one, 15) is Verdict.NOT_MINE
    assert refuse(one, 20) is Verdict.MINE
    assert one.limit == 20


def test_refusal_that_may_be_chance_has_to_be_repeated() -> None:
    """The likelier a refusal has no reason, the more of them it takes; one that gets through higher ends it."""
    one = ceiling()
    one.worked(5)
    assert refuse(one, 5, chance=0.15) is Verdict.MAYBE
    one.worked(6)
    assert refuse(one, 6, chance=0.15) is Verdict.MAYBE
    assert refuse(one, 6, chance=0.15) is Verdict.MINE


def test_long_window_is_suspected_only_in_a_row() -> None:
    """Whatever gets through between two refusals, a full window would have refused it."""
    one = ceiling(in_a_row=True)
    one.worked(5)
    assert refuse(one, 5, chance=0.15) is Verdict.MAYBE
    one.worked(1)
    assert refuse(one, 5, chance=0.15) is Verdict.MAYBE


def test_limit_is_probed_after_a_while_and_less_and_less() -> None:
    """It is held, then exceeded slowly; each failed probe doubles the time until the next."""
    one = ceiling()
    assert refuse(one, 20) is Verdict.MINE
    assert one.allowed(15.0) == 20
    assert 20 < (one.allowed(18.0) or 0) < 22
    assert refuse(one, 21, 18.0) is Verdict.MINE
    assert one.is_confirmed
    assert one.allowed(18.0 + 30.0) == 21
    assert one.is_probing(18.0 + 31.0)


def test_limit_that_is_exceeded_is_lifted() -> None:
    """What got through well above it was no error of counting."""
    one = ceiling()
    refuse(one, 20)
    assert not one.worked(21)
    assert one.worked(24)
    assert one.allowed(0.0) is None


def test_held_limit_is_cut_once_a_window_and_cleared_in_the_end() -> None:
    """Refusals that go on whatever is done have another reason."""
    one = ceiling()
    refuse(one, 100)
    assert refuse(one, 60, 0.5) is Verdict.MINE
    assert one.limit == 100
    for number, cut in enumerate(CUTS):
        before = one.limit
        assert before is not None
        assert refuse(one, 40, 2.0 + 2 * number) is Verdict.MINE
        assert one.limit == pytest.approx(before * cut)
    assert refuse(one, 40, 20.0) is Verdict.CLEARED
    assert one.limit is None


def test_refusal_just_below_the_limit_measures_it_better() -> None:
    """The height itself is taken, not a cut."""
    one = ceiling()
    refuse(one, 100)
    refuse(one, 93, 2.0)
    assert one.limit == 93


def test_cuts_are_taken_back_for_another_reason() -> None:
    """Where a longer window turns out to be it, the shorter one was cut for nothing."""
    one = ceiling()
    one.worked(100)
    refuse(one, 100)
    refuse(one, 50, 2.0)
    one.restore()
    assert one.limit == 100


def test_crowd_stays_at_what_worked_and_tries_one_more() -> None:
    """A refusal above that is the cap; after a while one more is let in, and ten of those raise it."""
    crowd = Crowd()
    for _ in range(20):
        crowd.answered(8, 0.05, 0.0)
    assert crowd.judge(9, 0.0, chance=RARE, pause_s=0.0, in_last_s=100) is Verdict.MINE
    assert (crowd.allowed(1.0), crowd.allowed(16.0)) == (8, 9)
    for _ in range(10):
        crowd.answered(9, 0.05, 16.0)
    assert crowd.cap == 9


def test_crowd_that_is_refused_again_goes_down_then_gives_up() -> None:
    """One at a time and once a second; after four it was never the reason."""
    crowd = Crowd()
    crowd.answered(10, 0.05, 0.0)
    crowd.judge(11, 0.0, chance=RARE, pause_s=0.0, in_last_s=100)
    caps = []
    for second in range(2, 6):
        crowd.judge(crowd.cap or 0, float(second), chance=RARE, pause_s=0.0, in_last_s=100 + 20 * second)
        caps.append(crowd.cap)
    assert caps == [9, 8, 7, None]


def test_crowd_refused_after_as_many_requests_is_a_rate() -> None:
    """The same count in a second, and fewer in flight: it is not the number in flight."""
    crowd = Crowd()
    crowd.answered(8, 0.05, 0.0)
    crowd.judge(9, 0.0, chance=RARE, pause_s=0.0, in_last_s=20)
    assert crowd.judge(8, 2.0, chance=RARE, pause_s=0.0, in_last_s=20) is Verdict.NOT_MINE
    crowd.forgive()
    assert crowd.allowed(3.0) is None


def test_probe_that_fails_confirms_the_crowd() -> None:
    """It waits twice as long from then on, and another reason does not lift it."""
    crowd = Crowd()
    crowd.answered(8, 0.05, 0.0)
    crowd.judge(9, 0.0, chance=RARE, pause_s=0.0, in_last_s=100)
    crowd.judge(9, 16.0, chance=RARE, pause_s=0.0, in_last_s=150)
    crowd.forgive()
    assert (crowd.allowed(40.0), crowd.allowed(47.0)) == (8, 9)


def answer(queue: Queue, in_flight: int, latency_s: float, since: float) -> float:
    for number in range(10):
        queue.answered(in_flight, latency_s, since + number * 0.1 + latency_s)
    return since + 1.0 + latency_s


def test_queue_is_taken_off() -> None:
    """Twice the latency it was and more: those in flight that only wait are taken off, and come back one by one."""
    queue = Queue()
    now = answer(queue, 4, 0.1, 0.0)
    now = answer(queue, 32, 0.8, now)
    assert queue.is_crowded
    assert queue.cap is not None
    assert 8 <= queue.cap <= 10
    held = queue.cap
    for _ in range(5):
        now = answer(queue, queue.cap, 0.2, now)
    assert not queue.is_crowded
    assert held < queue.cap <= held + 5


def test_slow_answers_are_no_queue() -> None:
    """Where fewer in flight does not help, latency is what it is, and nobody is held."""
    queue = Queue()
    now = answer(queue, 4, 0.1, 0.0)
    for _ in range(6):
        now = answer(queue, queue.cap or 32, 0.8, now)
    assert queue.cap is None


def test_finder_says_nothing_where_limits_are_known() -> None:
    """It only looks at what is refused."""
    finder = Finder(None)
    finder.sent(0.0)
    assert finder.per_s(0.0) is None
    assert finder.wait_s(0.0, 1) == 0


def test_finder_keeps_to_what_it_is_told() -> None:
    """A rate that was told does not grow."""
    finder = Finder()
    finder.told(5.0)
    now = 0.0
    for _ in range(100):
        now += finder.wait_s(now, 0)
        finder.sent(now)
    assert now >= 19.0
