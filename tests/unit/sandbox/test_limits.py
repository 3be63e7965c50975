"""Limits and the ways to tell of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox import PROVIDERS, Limits
from harvester.sandbox.limits import Limiter


@given(st.lists(st.floats(0, 0.3), max_size=60))
def test_windows_are_exact(gaps: list[float]) -> None:
    """No second and no three seconds ever hold more than their limit, and nothing less is refused."""
    limiter = Limiter(Limits(rates=("5/s", "9/3s")))
    now, passed = 0.0, list[float]()
    for gap in gaps:
        now += gap
        fits = sum(at > now - 1 for at in passed) < 5 and sum(at > now - 3 for at in passed) < 9
        wait = limiter.arrive(now, in_flight=1, luck=1.0)
        assert (wait is None) == fits
        if wait is None:
            passed.append(now)


def test_wait_is_just_long_enough() -> None:
    """After the wait a refused request fits, a moment before it does not."""
    limiter = Limiter(Limits(rates=("2/s",)))
    assert [limiter.arrive(at, in_flight=1, luck=1.0) for at in (0.0, 0.5)] == [None, None]
    assert limiter.arrive(0.75, in_flight=1, luck=1.0) == 0.25
    assert limiter.arrive(0.99, in_flight=1, luck=1.0) is not None
    assert limiter.arrive(1.0, in_flight=1, luck=1.0) is None


def test_refused_requests_may_count(counter: Any) -> None:
    """With `count_refused` knocking on keeps the door shut."""
    desk = counter("bimpe", limits=Limits(rates=("1/s",), count_refused=True))
    assert [desk.calls(at=at).status for at in (0.0, 0.9, 1.8, 2.9)] == [200, 429, 429, 200]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_bare_429(counter: Any, provider: str) -> None:
    """Without a dialect a refusal tells nothing but its status, in the provider's shape."""
    desk = counter(provider, limits=Limits(rates=("1/min",)))
    assert desk.calls().status == 200
    refused = desk.calls()
    assert (refused.status, refused.headers) == (429, {})
    assert b"retry" not in refused.body
    assert isinstance(refused.json, dict)
    tally = desk.desk.stats()["keys"][0]
    assert (tally["refused"], tally["max_per_second"], tally["windows"]) == (1, 2, {"1/min": 1})


@pytest.mark.parametrize(
    ("dialect", "said"),
    [("seconds", "7"), ("constant", "60"), ("date", "Tue, 14 Nov 2023 22:13:30 GMT")],
)
def test_retry_after_dialects(counter: Any, dialect: Any, said: str) -> None:
    """Retry-After as true seconds, as a constant, as a date."""
    desk = counter("bimpe", limits=Limits(rates=("1/10s",), retry_after=dialect))
    desk.calls()
    assert desk.calls(at=3.5).headers == {"Retry-After": said}


@pytest.mark.parametrize(("dialect", "reset"), [("delta", "10"), ("epoch", "1700000010")])
def test_ratelimit_headers(counter: Any, dialect: Any, reset: str) -> None:
    """Every answer tells of the first window, the reset as seconds from now or as Unix seconds."""
    desk = counter("talkpilot", limits=Limits(rates=("2/10s", "100/h"), headers=dialect))
    told = [desk.calls().headers for _ in range(3)]
    assert [headers["X-RateLimit-Remaining"] for headers in told] == ["1", "0", "0"]
    assert {headers["X-RateLimit-Limit"] for headers in told} == {"2"}
    assert {headers["X-RateLimit-Reset"] for headers in told} == {reset}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_wait_in_the_body(counter: Any, provider: str) -> None:
    """The wait can stand in the JSON, for Talkover in `error.details`."""
    desk = counter(provider, limits=Limits(rates=("1/10s",), in_body=True))
    desk.calls()
    body = desk.calls().json
    if provider in {"talkover", "talkpilot"}:
        body = body["error"]["details"]
    assert body["retry_after"] == 10


def test_accounts_have_budgets_of_their_own(counter: Any) -> None:
    """What one credential spends another does not miss."""
    desk = counter("bimpe", limits=Limits(rates=("1/h",)))
    other = {"X-Api-Key": "sandbox-other"}
    path = "api/v1/console/agents"
    statuses = [desk.ask(path).status, desk.ask(path).status, desk.ask(path, headers=other).status]
    assert statuses == [200, 429, 200]
    assert len(desk.desk.stats()["keys"]) == 2


def test_requests_in_flight_are_limited() -> None:
    """One more than allowed is refused, whatever the rate."""
    limiter = Limiter(Limits(max_in_flight=3))
    assert [limiter.arrive(0.0, in_flight=open_, luck=1.0) for open_ in (1, 3, 4)] == [None, None, 1.0]


def test_random_refusals_repeat(counter: Any) -> None:
    """A share of requests is refused by chance, the same ones each time."""
    runs = [
        [desk.calls(limit=1).status for _ in range(300)]
        for desk in (counter("bimpe", limits=Limits(random_refusals=0.1)) for _ in range(2))
    ]
    assert runs[0] == runs[1]
    assert 15 <= runs[0].count(429) <= 50


def test_reset_starts_counts_anew(counter: Any) -> None:
    """After a reset nothing was seen, but the limit still knows."""
    desk = counter("bimpe", limits=Limits(rates=("1/h",)))
    desk.calls()
    desk.desk.reset()
    tally = desk.desk.stats()["keys"][0]
    assert (tally["requests"], tally["max_per_second"], tally["windows"]) == ({}, 0, {"1/h": 0})
    assert desk.calls().status == 429
