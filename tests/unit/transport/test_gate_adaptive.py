"""The second half of the gate: what headers announce, what is told to whom, and who goes first after a pause."""

from __future__ import annotations

import pytest

from harvester.errors import RateLimitError
from harvester.model import Rate
from harvester.testing import FakeClock
from harvester.transport.announced import Announced
from harvester.transport.gate import Gate
from harvester.transport.hints import Hint
from harvester.transport.ledger import Ledger

from .finder_simulation import Kind, Limit, Play, Server, play

REFUSED = RateLimitError("too many", status=429)


def spend(gate: Gate) -> None:
    """Take a place at the gate; an open one does not wait."""
    with pytest.raises(StopIteration):
        gate.spend().send(None)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("latency_s", [0.005, 0.05, 0.1])
@pytest.mark.parametrize("names_wait", [False, True])
def test_announced_limit_is_used_without_a_refusal(latency_s: float, names_wait: bool, seed: int) -> None:
    """Headers tell how many, the answers in how long: 1,000 requests at 20/s, none refused, 0.93 used."""
    server = Server(limits=[Limit(20, 1.0)], headers=True, latency_s=latency_s, names_wait=names_wait)
    played = play(server, 1000, seed=seed)
    assert played.refused == 0
    assert played.per_s >= 0.93 * 20
    assert played.gate.rates == (Rate(20, 1.0),)


@pytest.mark.parametrize(
    "limit", [Limit(2, 1.0), Limit(500, 1.0), Limit(100, 10.0), Limit(60, 60.0)], ids=str
)
@pytest.mark.parametrize("kind", ["sliding", "calendar"])
def test_any_announced_window_is_found(limit: Limit, kind: Kind) -> None:
    """Short or long, sliding or by the calendar: no refusals, and most of it used."""
    server = Server(
        limits=[Limit(limit.count, limit.period_s, kind)], headers=True, latency_s=0.01, begins_at=0.4
    )
    played = play(server, limit.count * 8)
    assert played.refused == 0
    assert played.per_s >= 0.65 * limit.per_s


def test_announced_limit_takes_the_place_of_a_documented_one() -> None:
    """For the same window, upwards too; other documented windows stay."""
    server = Server(limits=[Limit(1000, 60.0)], headers=True)
    played = play(server, 2000, documented=(Rate(100, 60.0), Rate(5000, 3600.0)))
    assert played.gate.rates == (Rate(1000, 60.0), Rate(5000, 3600.0))
    assert played.refused == 0
    assert played.per_s >= 0.93 * 1000 / 60


def test_announced_limit_only_tightens_what_the_user_configured() -> None:
    """More than was configured is never sent, whatever the server would allow; and not more than it allows."""
    generous = play(Server(limits=[Limit(50, 1.0)], headers=True), 300, configured=(Rate(10, 1.0),))
    assert generous.most_within(1.0) <= 10
    assert generous.gate.rates == (Rate(10, 1.0),)
    strict = play(Server(limits=[Limit(10, 1.0)], headers=True), 300, configured=(Rate(50, 1.0),))
    assert strict.gate.rates == (Rate(10, 1.0),)
    assert strict.refused <= 2


def test_unlimited_neither_heeds_headers_nor_looks_for_limits() -> None:
    """It keeps the pauses it is asked for, and nothing else."""
    gate = play(Server(limits=[Limit(20, 1.0)], headers=True, names_wait=True), 200, configured=()).gate
    assert gate.rates == ()
    assert gate.max_in_flight is None
    assert gate.throttled > 0


def test_documented_windows_that_headers_do_not_tell_are_kept() -> None:
    """Sixty a minute announced, a thousand an hour not: neither is ever exceeded."""
    server = Server(limits=[Limit(60, 60.0), Limit(1000, 3600.0)], headers=True, names_wait=True)
    played = play(server, 1500, documented=(Rate(60, 60.0), Rate(1000, 3600.0)))
    assert played.refused == 0


def test_two_configured_windows_meet_no_refusal() -> None:
    """Thirty a second and a hundred in ten seconds, as the server has them."""
    rates = (Rate(30, 1.0), Rate(100, 10.0))
    played = play(Server(limits=[Limit(30, 1.0), Limit(100, 10.0)]), 600, configured=rates)
    assert played.refused == 0
    assert played.per_s >= 0.97 * 10


@pytest.mark.parametrize("per_s", [1, 2, 20, 60, 400])
def test_configured_limit_meets_no_refusal(per_s: int) -> None:
    """Three hundred requests or more: none refused, 0.93 used."""
    played = play(Server(limits=[Limit(per_s, 1.0)]), max(300, per_s * 3), configured=(Rate(per_s, 1.0),))
    assert played.refused == 0
    assert played.per_s >= 0.93 * per_s


def test_configured_limit_that_is_too_high_is_lowered_by_what_is_refused() -> None:
    """The finder looks on where limits are known: a key that others use too is not asked in vain for long."""
    played = play(Server(limits=[Limit(10, 1.0)]), 600, configured=(Rate(40, 1.0),))
    assert played.refused_share <= 0.03
    assert played.per_s >= 0.9 * 10


def test_cap_on_requests_in_flight_is_found_beside_a_configured_rate() -> None:
    """Two limits of different kinds: the one that was configured, and one that nobody told."""
    server = Server(max_in_flight=4, latency_s=0.1)
    played = play(server, 1000, configured=(Rate(200, 1.0),))
    assert (
        played.refused_share <= 0.05
    )  # it starts at the rate that was configured: 20 are on their way by then
    assert played.per_s >= 0.8 * 4 / 0.1


def test_used_up_window_closes_the_gate() -> None:
    """Nothing remains, by somebody else's doing: nobody sends before the reset."""
    clock = FakeClock()
    gate = Gate(clock, None)
    spend(gate)
    gate.settle(gate.sent(), hint=Hint(60, 0, 30.0))
    assert gate.paused_s == 30.0


def test_first_after_a_pause_goes_alone() -> None:
    """The others wait for its answer; where none comes another one goes."""
    clock = FakeClock()
    gate = Gate(clock, ())
    spend(gate)
    gate.settle(gate.sent(), error=RateLimitError("slow", retry_after_s=3600.0))
    clock.advance(3600.0)
    assert gate.wait_s() == 0
    spend(gate)
    trial = gate.sent()
    assert 0 < gate.wait_s() < 1
    gate.settle(trial, is_lost=True)
    assert gate.wait_s() == 0
    spend(gate)
    gate.settle(gate.sent())
    spend(gate)
    assert gate.wait_s() == 0


def test_trial_that_takes_for_ever_holds_up_nobody_for_long() -> None:
    """After a few seconds the others go, for such a request says nothing of limits."""
    clock = FakeClock()
    gate = Gate(clock, ())
    spend(gate)
    gate.settle(gate.sent(), error=REFUSED)
    clock.advance(1.0)
    spend(gate)
    assert gate.wait_s() > 0
    clock.advance(6.0)
    assert gate.wait_s() == 0


def test_full_house_is_told_as_a_short_wait() -> None:
    """Only an answer makes room, so the wait is one to look again after."""
    game = Play(Server(max_in_flight=3, latency_s=0.2), 400)
    gate = game.run().gate
    while gate.in_flight < (gate.max_in_flight or 0):
        game.clock.advance(gate.wait_s())
        spend(gate)
    game.clock.advance(1.0)
    assert gate.wait_s() == 0.05
    gate.settle(gate.sent())
    assert gate.wait_s() == 0


def test_what_was_sent_can_be_asked_and_remembered() -> None:
    """What a run has spent since a moment, for the journal; and the next run counts it."""
    clock, hour = FakeClock(), (Rate(1000, 1.0), Rate(3, 3600.0))
    gate = Gate(clock, hour)
    assert gate.memory_s == 3600.0
    for _ in range(2):
        gate._counts[0].spend()
        gate._moments.add(clock.monotonic())
        clock.advance(10.0)
    assert gate.spent(-1.0) == [0.0, 10.0]
    assert gate.spent(0.0) == [10.0]
    later = Gate(clock, hour)
    later.remember([20.0, 10.0, 0.0])
    assert later.wait_s() == pytest.approx(3580.0)


def test_announced_window_outlives_one_answer_that_was_late() -> None:
    """A single request that was held up on the way does not make another window of it."""
    announced, ledger = Announced(), Ledger(60.0)
    for number in range(40):
        at = number * 0.1
        ledger.add(at)
        announced.learn(Hint(20, 20 - min(number + 1, 10), 1.5), at, ledger)
    assert announced.rate == Rate(20, 1.0)
    announced.learn(Hint(20, 3, 1.5), 3.9, ledger)
    assert announced.rate == Rate(20, 1.0)


def test_announced_limit_that_changes_is_taken() -> None:
    """A key that was raised while the job runs is used as it is now."""
    announced, ledger = Announced(), Ledger(60.0)
    for limit in (60, 600):
        for number in range(3):
            ledger.add(float(number))
            announced.learn(Hint(limit, limit - number - 1, 60.5), float(number), ledger)
        assert announced.rate == Rate(limit, 60.0)


def test_half_of_an_announced_limit_is_used_until_its_window_is_known() -> None:
    """Of twenty it may be a second, but nobody knows."""
    announced, ledger = Announced(), Ledger(60.0)
    assert announced.per_s is None
    announced.learn(Hint(), 0.0, ledger)
    assert announced.limit is None
    announced.learn(Hint(20, 19, 1.5), 0.0, ledger)
    assert announced.rate is None
    assert announced.per_s == 10.0


def test_headers_without_a_limit_say_only_that_nothing_remains() -> None:
    """A reset closes the gate; of a rate nothing is learnt."""
    clock = FakeClock()
    gate = Gate(clock, None)
    spend(gate)
    gate.settle(gate.sent(), hint=Hint(None, 0, 12.0))
    assert gate.paused_s == 12.0
    assert gate.rates == ()


def test_limit_without_what_remains_is_told_by_its_reset() -> None:
    """Where headers leave out the count, a reset of a minute is a window of a minute."""
    announced, ledger = Announced(), Ledger(60.0)
    announced.learn(Hint(60, None, 60.5), 0.0, ledger)
    for _ in range(2):
        announced.learn(Hint(60, None, 60.5), 1.0, ledger)
    assert announced.rate == Rate(60, 60.0)


async def test_source_without_a_limit_shares_the_limit_of_another() -> None:
    """One says unlimited, another with the same key ten a second: the stricter holds for both."""
    gate = Gate(FakeClock(), ())
    gate.tighten((Rate(10, 1.0),))
    assert gate.rates == (Rate(10, 1.0),)
    await gate.spend()
    assert gate.wait_s() > 0


def test_refusals_by_chance_beside_a_configured_limit_do_not_slow_down() -> None:
    """The finder looks on there as well, and lets go again what holding does not help."""
    played = play(Server(chance=0.1), 2000, configured=(Rate(100, 1.0),))
    assert played.per_s >= 25
