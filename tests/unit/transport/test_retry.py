"""When a request is sent again, and when it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import (
    AccessError,
    MalformedError,
    ProviderError,
    RateLimitError,
    RejectedError,
    ServerError,
    TransportError,
)
from harvester.transport.retry import Budget, RetryPolicy

POLICY = RetryPolicy()


def most() -> float:
    return 1.0


@pytest.mark.parametrize(
    "error",
    [
        TransportError("reset"),
        ServerError("down", status=502),
        MalformedError("half"),
        RateLimitError("slow"),
    ],
)
def test_what_may_succeed_later_is_sent_again(error: ProviderError) -> None:
    """The error itself says whether it is worth another try."""
    assert POLICY.delay_s(1, error, Budget(), most) is not None


@pytest.mark.parametrize(
    "error",
    [AccessError("no", status=401), RejectedError("bad", status=400), ServerError("never", status=501)],
)
def test_what_cannot_succeed_is_given_up(error: ProviderError) -> None:
    """A refusal stays one, however often it is asked."""
    budget = Budget()
    assert POLICY.delay_s(1, error, budget, most) is None
    assert budget.left == 100


def test_request_is_given_up_after_its_attempts() -> None:
    """The last attempt is followed by none, and takes nothing from the budget."""
    budget = Budget()
    delays = [POLICY.delay_s(attempt, TransportError("reset"), budget, most) for attempt in range(1, 9)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, None]
    assert budget.left == 93


def test_source_is_given_up_when_its_budget_is_spent() -> None:
    """However many requests fail, together they are sent again only so often; good answers give some back."""
    budget = Budget(retries=3, per_success=0.5)
    error = TransportError("reset")
    assert [POLICY.delay_s(1, error, budget, most) is None for _ in range(4)] == [False, False, False, True]
    budget.earn()
    assert POLICY.delay_s(1, error, budget, most) is None
    budget.earn()
    assert POLICY.delay_s(1, error, budget, most) is not None


def test_budget_never_holds_more_than_it_began_with() -> None:
    """A long time of good answers is no reason for a long time of bad ones."""
    budget = Budget(retries=2)
    for _ in range(10):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


@given(st.integers(1, 100), st.floats(0, 1))
def test_jitter_is_full_and_bounded(attempt: int, dice: float) -> None:
    """A delay is anything from none to twice the last one's most, and never longer than the longest."""
    policy = RetryPolicy(max_attempts=200)
    delay = policy.delay_s(attempt, TransportError("reset"), Budget(), lambda: dice)
    assert delay == pytest.approx(min(30.0, 0.25 * 2**attempt) * dice)


@given(st.integers(1, 7), st.floats(0, 3600), st.floats(0, 1))
def test_wait_that_was_asked_for_is_kept_in_full(attempt: int, wait_s: float, dice: float) -> None:
    """What the server names is the least, with a 503 as with a 429."""
    for error in (
        ServerError("busy", status=503, retry_after_s=wait_s),
        RateLimitError("slow", retry_after_s=wait_s),
    ):
        delay = POLICY.delay_s(attempt, error, Budget(), lambda: dice)
        assert delay is not None
        assert delay >= wait_s


def test_slowing_down_takes_nothing_from_the_budget() -> None:
    """To be told to come later is no failure: only a great many of them end a request."""
    budget, error = Budget(retries=1), RateLimitError("slow")
    delays = [POLICY.delay_s(attempt, error, budget, most) for attempt in range(1, 65)]
    assert budget.left == 1
    assert all(delay is not None and delay <= 4.0 for delay in delays[:63])
    assert delays[63] is None
