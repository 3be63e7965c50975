"""Unknown limits, found: a gate against servers that count, a minute of requests in milliseconds.

What is asked of each: how much is refused, and how much of what the server allows is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.model import Rate

from .finder_simulation import Kind, Limit, Played, Server, play

TWENTY = Limit(20, 1.0)


def shares(played: Played, per_s: float) -> tuple[float, float]:
    """Return what was refused of all requests, and what was used of a rate."""
    return played.refused_share, played.per_s / per_s


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("latency_s", [0.001, 0.02, 0.05, 0.08])
@pytest.mark.parametrize("names_wait", [False, True])
def test_limit_of_a_second_is_found(latency_s: float, names_wait: bool, seed: int) -> None:
    """Of 1,000 requests at 20/s at most 1.5 % are refused, and 0.85 of it is used, pauses and all."""
    played = play(Server(limits=[TWENTY], latency_s=latency_s, names_wait=names_wait), 1000, seed=seed)
    refused, used = shares(played, 20)
    assert refused <= 0.015
    assert used >= (0.88 if names_wait else 0.93)


def test_limit_is_known_by_its_number() -> None:
    """What was found is told like any other limit, so that a forecast can use it."""
    gate = play(Server(limits=[TWENTY]), 300).gate
    assert gate.rates in {(Rate(20, 1.0),), (Rate(19, 1.0),)}


@pytest.mark.parametrize(
    "limit", [Limit(60, 60.0), Limit(100, 10.0), Limit(1000, 60.0), Limit(5, 1.0)], ids=str
)
@pytest.mark.parametrize("names_wait", [False, True])
def test_longer_and_smaller_limits_are_found(limit: Limit, names_wait: bool) -> None:
    """A window of ten seconds or a minute is told from a second, though at first all three explain a refusal."""
    played = play(Server(limits=[limit], names_wait=names_wait), max(1000, limit.count * 4))
    refused, used = shares(played, limit.per_s)
    assert refused <= 0.13
    assert used >= 0.93
    assert played.gate.rates[-1].period_s == limit.period_s


def test_two_unknown_windows_are_both_found() -> None:
    """A limit a second and another for ten seconds, both unknown."""
    played = play(Server(limits=[Limit(30, 1.0), Limit(100, 10.0)]), 1000)
    refused, used = shares(played, 10)
    assert refused <= 0.02
    assert used >= 0.95


@pytest.mark.parametrize("kind", ["calendar", "bucket"])
@pytest.mark.parametrize("limit", [(20, 1.0), (100, 10.0), (60, 60.0)])
@pytest.mark.parametrize("names_wait", [False, True])
def test_servers_that_count_otherwise_are_used_too(
    kind: Kind, limit: tuple[int, float], names_wait: bool
) -> None:
    """Windows by the calendar and buckets let more pass at first: they cost refusals, and no collapse."""
    count, period_s = limit
    server = Server(limits=[Limit(count, period_s, kind)], names_wait=names_wait, begins_at=0.37 * period_s)
    refused, used = shares(play(server, 1000), count / period_s)
    assert refused <= 0.35
    assert used >= 0.85


def test_refusals_that_count_cost_no_more() -> None:
    """Where a refused request takes a place in the window too, slowing down at once is all the more right."""
    refused, used = shares(play(Server(limits=[TWENTY], counts_refused=True), 1000), 20)
    assert refused <= 0.015
    assert used >= 0.93


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("latency_s", "least"), [(0.02, 0.8), (0.05, 0.8), (0.1, 0.88)])
def test_limit_on_requests_in_flight_is_found(latency_s: float, least: float, seed: int) -> None:
    """Refused above eight at once: eight are in flight from then on, and the rate is left alone."""
    played = play(Server(max_in_flight=8, latency_s=latency_s), 5000, seed=seed)
    refused, used = shares(played, 8 / latency_s)
    assert refused <= 0.01
    assert used >= least
    assert played.gate.max_in_flight in {7, 8, 9}


def test_limit_on_requests_in_flight_is_found_where_a_wait_is_named() -> None:
    """The same where each refusal closes the gate for a second."""
    refused, used = shares(play(Server(max_in_flight=8, latency_s=0.05, names_wait=True), 5000), 8 / 0.05)
    assert refused <= 0.01
    assert used >= 0.78


def test_busy_server_is_not_crowded() -> None:
    """Latency that grows with the number in flight holds it down, without a refusal and without loss."""
    played = play(Server(serves=4, latency_s=0.05), 3000)
    assert played.gate.max_in_flight is not None
    assert played.gate.max_in_flight <= 12
    assert played.per_s >= 0.95 * 4 / 0.05


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("latency_s", [0.02, 0.05, 0.2])
def test_refusals_by_chance_do_not_slow_down(latency_s: float, seed: int) -> None:
    """A tenth refused at random: 1,000 requests get through within a minute, for the rate is not the reason."""
    played = play(Server(chance=0.1, latency_s=latency_s), 1000, seed=seed)
    assert played.accepted == 1000
    assert played.elapsed_s <= 60


@pytest.mark.parametrize("configured", [None, ()])
def test_nobody_comes_back_as_a_herd(configured: Sequence[Rate] | None) -> None:
    """After a refusal one request goes first; the others follow when it got through."""
    played = play(Server(chance=0.1, names_wait=True), 300, configured=configured)
    refusals = [at for at, is_refused in played.arrivals if is_refused]
    for at in refusals:
        after = [one for one, _ in played.arrivals if at + 0.06 < one < at + 1.09]
        assert len(after) <= 1


def test_without_a_limit_the_rate_grows_out_of_the_way() -> None:
    """A server that refuses nothing is asked as fast as the sender can, after two seconds."""
    played = play(Server(latency_s=0.02), 6000)
    assert played.refused == 0
    assert played.most_within(1.0) >= 0.9 * 32 / 0.022


def test_hour_that_is_used_up_is_waited_for() -> None:
    """A window longer than any that is looked for costs one request a wait, where the wait is named."""
    played = play(Server(limits=[Limit(1000, 3600.0)], names_wait=True, latency_s=0.02), 3000)
    assert played.elapsed_s <= 2.05 * 3600
    assert played.refused_share <= 0.09


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    per_s=st.floats(math.log(2), math.log(500)).map(math.exp),
    period_s=st.sampled_from([1.0, 10.0, 60.0]),
    latency_s=st.floats(math.log(0.001), math.log(2)).map(math.exp),
    names_wait=st.booleans(),
)
def test_any_limit_is_lived_with(per_s: float, period_s: float, latency_s: float, names_wait: bool) -> None:
    """Whatever the limit, the window and the latency: all gets through, without storm or collapse."""
    limit = Limit(max(int(per_s * period_s), 2), period_s)
    requests = min(max(limit.count * 3, 200), 2000)
    played = play(Server(limits=[limit], latency_s=latency_s, names_wait=names_wait), requests)
    assert played.accepted == requests
    possible_per_s = min(limit.per_s, 32 / (latency_s + 0.002))
    assert played.elapsed_s <= 4 * requests / possible_per_s + 10 + 10 * latency_s
    assert played.refused <= 3 * requests


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([0.005, 0.02, 0.05, 0.2]))
def test_chance_is_never_taken_for_a_limit_for_long(seed: int, latency_s: float) -> None:
    """However unlucky the first requests are, the rate does not stay down."""
    assert play(Server(chance=0.1, latency_s=latency_s), 1000, seed=seed).elapsed_s <= 150
