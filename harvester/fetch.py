"""One answer: gate, send, classify, retry."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from harvester.clock import Clock
from harvester.errors import ProviderError, RateLimitError
from harvester.model import Request, Response, Source
from harvester.providers.base import Provider
from harvester.transport.base import Transport
from harvester.transport.finder import Sent
from harvester.transport.gate import Gate
from harvester.transport.hints import read_hint, retry_after_s
from harvester.transport.retry import Budget, RetryPolicy

T = TypeVar("T")

BROKEN_AFTER = 3
"""Requests in a row that were given up, with no good answer between, end a source: it is down."""


class Account:
    """A source as it is asked: where, as whom, through which gate, and what that came to so far."""

    def __init__(self, source: Source, provider: Provider, gate: Gate) -> None:
        self.source = source
        self.provider = provider
        self.gate = gate
        self.base_url: str = source.base_url
        self.headers: dict[str, str] = provider.headers(source.credentials)
        self.budget: Budget = Budget()
        self.requests: int = 0
        self.retries: int = 0
        self.throttled: int = 0
        self.bytes_in: int = 0
        self._given_up = 0
        self._has_answered = False

    def answered(self, response: Response) -> None:
        """Count a good answer."""
        self._has_answered = True
        self._given_up = 0
        self.bytes_in += len(response.body)
        self.budget.earn()

    def given_up(self, *, is_one_call: bool = False) -> bool:
        """Count a request that was given up; True where the source as a whole is to be.

        Args:
            is_one_call: It asked for a single call, which may be what is wrong.
        """
        self._given_up += 1
        return self._given_up >= BROKEN_AFTER or not (self._has_answered or is_one_call)


class Fetcher:
    """Fetches answers for any number of accounts.

    Args:
        transport: What moves the bytes.
        clock: The time that waits go by.
        policy: How often and how long to try.
        dice: Gives numbers from 0 to 1, for jitter.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        policy: RetryPolicy,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._policy = policy
        self._dice = dice

    async def admit(self, account: Account) -> None:
        """Wait for a place at the gate and take it."""
        while (wait_s := account.gate.wait_s()) > 0:
            await self._clock.sleep(wait_s)
        await account.gate.spend()

    async def exchange(
        self, account: Account, request: Request
    ) -> tuple[Response | None, ProviderError | None]:
        """Send a request once; return the answer if there was one, and what is wrong with it or its absence.

        Its place at the gate is taken already. The error has the wait that headers or body ask for.
        """
        account.requests += 1
        sent = account.gate.sent()
        error: ProviderError | None = None
        response: Response | None = None
        try:
            response = await self._transport.send(account, request)
            error = account.provider.classify(response)
        except ProviderError as raised:
            error = raised
        finally:
            self._settle(account, sent, response, error)
        return response, error

    async def attempt(self, account: Account, request: Request) -> Response:
        """Send a request once and return the answer if it is a success; its place at the gate is taken already.

        Raises:
            ProviderError: It is none.
        """
        response, error = await self.exchange(account, request)
        if error is not None:
            raise error
        assert response is not None
        return response

    def _settle(
        self, account: Account, sent: Sent, response: Response | None, error: ProviderError | None
    ) -> None:
        """Tell the gate what came back, also where the request was cancelled on its way."""
        if response is None:
            account.gate.settle(sent, is_lost=True)
            return
        now = response.received_at
        if error is not None and error.retry_after_s is None:
            error.retry_after_s = retry_after_s(response.headers, now)
        hint = read_hint(response.headers, now)
        if isinstance(error, RateLimitError):
            account.throttled += 1
            if error.retry_after_s is None and not hint.remaining:
                error.retry_after_s = hint.reset_s
        account.gate.settle(sent, hint=hint, error=error)

    def delay_s(self, account: Account, attempt: int, error: ProviderError) -> float | None:
        """Return how long to wait before a request is sent again, None to give it up."""
        delay = self._policy.delay_s(attempt, error, account.budget, self._dice)
        if delay is not None:
            account.retries += 1
        return delay

    async def fetch(self, account: Account, request: Request, read: Callable[[bytes], T]) -> T:
        """Fetch and read one answer, waiting wherever that is called for.

        Raises:
            ProviderError: The last error, once trying again is no use.
        """
        attempt = 1
        while True:
            await self.admit(account)
            try:
                response = await self.attempt(account, request)
                answer = read(response.body)
            except ProviderError as error:
                delay_s = self.delay_s(account, attempt, error)
                if delay_s is None:
                    raise described(error, account, request, attempt) from error.__cause__
                attempt += 1
                await self._clock.sleep(delay_s)
            else:
                account.answered(response)
                return answer


def described(error: ProviderError, account: Account, request: Request, attempt: int) -> ProviderError:
    """Say in an error whose it is, what was asked and how often."""
    error.source = account.source.name
    error.endpoint = error.endpoint or request.endpoint
    error.attempt = attempt
    return error
