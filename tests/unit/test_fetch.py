"""One answer: what is an error, what the gate is told, and how long it takes to give up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from harvester.errors import (
    AccessError,
    MalformedError,
    ProviderError,
    RateLimitError,
    RejectedError,
    ServerError,
    TransportError,
)
from harvester.fetch import BROKEN_AFTER, Account, Fetcher
from harvester.model import Request, Response, Secret, Source
from harvester.providers import get_provider
from harvester.testing import FakeClock, FakeTransport, reply
from harvester.transport.base import Target
from harvester.transport.gate import Gate
from harvester.transport.retry import RetryPolicy

PAGE = reply({"data": []})
ASK = Request("list calls", "/calls", (("search", "+15550100"),))
Answers = list[Response | ProviderError]


class Bench:
    """A fetcher over scripted answers."""

    def __init__(self, answers: Answers | Callable[[Target, Request], Awaitable[Response]]) -> None:
        self.clock = FakeClock()
        self.transport = FakeTransport(answers, clock=self.clock)
        source = Source(
            name="sales",
            provider="talkover",
            base_url="https://x.test",
            credentials={"token": Secret("s3cret")},
        )
        self.gate = Gate(self.clock, ())
        self.account = Account(source, get_provider("talkover"), self.gate)
        self.fetcher = Fetcher(self.transport, self.clock, RetryPolicy(), lambda: 1.0)

    async def attempt(self) -> Response:
        await self.gate.spend()
        return await self.fetcher.attempt(self.account, ASK)

    async def fetch(self) -> str:
        return await self.fetcher.fetch(self.account, ASK, lambda body: body.decode())


def test_account_carries_the_credential_in_its_headers() -> None:
    """Whom to ask as is a matter of headers, made once."""
    assert Bench([]).account.headers == {"Authorization": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (TransportError("reset"), TransportError),
        (reply({}, status=429), RateLimitError),
        (reply({"code": "rate_limited"}, status=403), RateLimitError),
        (reply({}, status=500), ServerError),
        (reply({}, status=501), ServerError),
        (reply({}, status=408), ServerError),
        (reply({}, status=401), AccessError),
        (reply({}, status=403), AccessError),
        (reply({}, status=404), RejectedError),
        (reply({}, status=400), RejectedError),
        (reply({}, status=302), RejectedError),
        (MalformedError("too large"), MalformedError),
    ],
)
async def test_attempt_raises_what_an_answer_means(
    answer: Response | ProviderError, kind: type[ProviderError]
) -> None:
    """Each kind of failure is its own error, and the gate is told of every one that it is over."""
    b = Bench([answer])
    with pytest.raises(kind) as caught:
        await b.attempt()
    assert type(caught.value) is kind
    assert (b.account.requests, b.gate.in_flight) == (1, 0)


async def test_attempt_returns_a_success() -> None:
    """A good answer comes back as it is."""
    b = Bench([PAGE])
    assert (await b.attempt()).body == PAGE.body
    assert (b.account.requests, b.account.throttled, b.gate.in_flight) == (1, 0, 0)


async def test_cancelled_request_is_settled() -> None:
    """The gate is told of a request that is given up on its way too."""

    async def never(_target: Target, _request: Request) -> Response:
        await anyio.sleep_forever()
        return PAGE

    b = Bench(never)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(b.attempt)
        await anyio.wait_all_tasks_blocked()
        assert b.gate.in_flight == 1
        tasks.cancel_scope.cancel()
    assert b.gate.in_flight == 0


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (reply({}, status=429, headers={"Retry-After": "7"}), 7.0),
        (reply({}, status=429, headers={"Retry-After": "Wed, 01 Apr 2026 12:00:07 GMT"}), 7.0),
        (reply({"error": {"code": "x", "details": {"retry_after": 7}}}, status=429), 7.0),
        (
            reply({"error": {"details": {"retry_after": 7}}}, status=429, headers={"Retry-After": "99"}),
            7.0,
        ),
        (reply({}, status=429, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"}), 7.0),
        (reply({}, status=429, headers={"X-RateLimit-Reset": "7"}), 7.0),
        (reply({}, status=429, headers={"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "7"}), None),
        (reply({}, status=429), None),
        (reply({}, status=503, headers={"Retry-After": "7"}), 7.0),
    ],
)
async def test_wait_is_found_wherever_it_stands(answer: Response, wait_s: float | None) -> None:
    """In the body, in `Retry-After` in both its forms, in the reset of a window that is used up; or nowhere."""
    b = Bench([answer])
    with pytest.raises(ProviderError) as caught:
        await b.attempt()
    assert caught.value.retry_after_s == wait_s
    assert (b.gate.paused_s > 0) == (answer.status == 429)


async def test_fetch_waits_and_asks_again() -> None:
    """Failures are followed by longer and longer waits, a refusal by what it names; then the answer is read."""
    b = Bench(
        [
            TransportError("reset"),
            reply({}, status=502),
            reply({}, status=429, headers={"Retry-After": "60"}),
            PAGE,
        ]
    )
    assert await b.fetch() == '{"data":[]}'
    assert b.transport.sent_at == [0.0, 0.5, 1.5, 61.5]
    assert (b.account.requests, b.account.retries, b.account.throttled) == (4, 3, 1)
    assert b.account.bytes_in == len(PAGE.body)


async def test_fetch_asks_again_for_what_cannot_be_read() -> None:
    """An answer that the reader refuses was no good answer."""
    b = Bench([PAGE, PAGE])
    tries = iter([True, False])

    def read(_body: bytes) -> str:
        if next(tries):
            raise MalformedError("half a page")
        return "read"

    assert await b.fetcher.fetch(b.account, ASK, read) == "read"


async def test_fetch_raises_the_last_error_with_its_place() -> None:
    """Who, what and how often are in the message; address, query and credential are not."""
    b = Bench([TransportError("connection lost")] * 8)
    with pytest.raises(TransportError) as caught:
        await b.fetch()
    assert str(caught.value) == "sales: list calls: connection lost (after 8 attempts)"
    assert b.account.budget.left == 93


async def test_source_is_broken_before_its_first_answer_or_after_three() -> None:
    """A source that never answered is down at once; one that did is when three requests in a row were given up."""
    account = Bench([]).account
    assert account.given_up()
    account.answered(PAGE)
    assert [account.given_up() for _ in range(BROKEN_AFTER)] == [False, False, True]
    account.answered(PAGE)
    assert not account.given_up()
