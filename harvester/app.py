"""Harvester: the one object that holds what is shared; its verbs are the commands."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio.to_thread

from harvester.clock import Clock, SystemClock
from harvester.config import Config
from harvester.config.table import nearest
from harvester.errors import HarvesterError, UsageError
from harvester.export import Export, Means
from harvester.fetch import Account, Fetcher
from harvester.job.memory import GateMemory
from harvester.job.report import (
    Report,
    SourceProgress,
)
from harvester.job.run import Hook
from harvester.job.write import Limits
from harvester.journal import Journal
from harvester.model import Source
from harvester.providers import get_provider
from harvester.sinks import SinkFactory
from harvester.transport.base import Transport
from harvester.transport.gate import Gate
from harvester.transport.retry import RetryPolicy

if TYPE_CHECKING:
    from harvester import lookup, single, verify

_log = logging.getLogger("harvester")


class Harvester:
    """Exports what a config asks for.

    Args:
        config: The sources and the output.
        transport: What moves bytes; None for aiohttp.
        clock: What tells the time; None for the machine's.
        hooks: Called after each request, whether its answer was taken or there was none.
        policy: How often and how long a request is tried.
        journal: What keeps answers and segments; a Journal of one's own, for measuring and for tests.
        limits: When a segment ends, and how much of the open ones waits in memory.
    """

    def __init__(
        self,
        config: Config,
        *,
        transport: Transport | None = None,
        clock: Clock | None = None,
        hooks: Sequence[Hook] = (),
        policy: RetryPolicy | None = None,
        journal: type[Journal] = Journal,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.config = config
        self._transport = transport
        self._owned: Transport | None = None
        self._clock = clock or SystemClock()
        self._hooks = hooks
        self._policy = policy or RetryPolicy()
        self._journal = journal
        self._limits = limits
        self._gates: dict[object, Gate] = {}
        self._memory = GateMemory(self._clock)
        self._export: Export | None = None
        self._is_stopped = False

    async def __aenter__(self) -> Self:
        if self._transport is None:
            from harvester.transport.aiohttp import AiohttpTransport  # noqa: PLC0415 - aiohttp takes 190 ms to import

            self._transport = self._owned = AiohttpTransport()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned is not None:
            await self._owned.aclose()
            self._transport = self._owned = None

    async def export(self, *, fresh: bool = False, sink: SinkFactory | None = None) -> Report:
        """Export every call of the query; what is there already is not fetched again.

        Args:
            fresh: Export again, and put the new segments in place of the old ones when a source has ended.
            sink: Opens the sinks of a source; None for files in the output folder.

        Returns:
            The report of the run, which is also kept in the output: its gaps are named, not raised.

        Raises:
            UsageError: The output holds another job of a source.
            HeldError: Another run holds the output.
            OutputError: A file cannot be written, or a committed one is gone; what was committed stays and the same
                call goes on.
            JournalError: The journal cannot be trusted.
        """
        journal = await self._journal.open(self.config.output.path, holder="export")
        try:
            self._export = self._begin()
            return await self._export.run(journal, sink=sink, is_fresh=fresh)
        finally:
            await journal.aclose()

    def stop(self, reason: str = "") -> None:
        """End a running export: what was fetched is written and committed, and `export` returns its report.

        Args:
            reason: Why, for the log.
        """
        _log.info("stopping", extra={"reason": reason})
        self._is_stopped = True
        if self._export is not None:
            self._export.stop()

    def progress(self) -> list[SourceProgress]:
        """Return how far each source of a running export is; empty before it has started."""
        return self._export.progress() if self._export is not None else []

    async def check(self) -> list[lookup.CheckRow]:
        """Ask each source one cheap question: credentials, reachability, clock, limits. Nothing is raised."""
        from harvester import lookup  # noqa: PLC0415 - as below: an export needs none of these

        return await lookup.check(self._accounts(), self._fetcher(), self._clock)

    async def agents(self) -> list[lookup.AgentRow]:
        """Return the agents each source can see.

        Raises:
            ProviderError: A source did not answer.
        """
        from harvester import lookup  # noqa: PLC0415

        return await lookup.agents(self._accounts(), self._fetcher())

    async def plan(self) -> list[lookup.PlanRow]:
        """Return what `export` would do, from one page of one row for each agent.

        Raises:
            ProviderError: A source did not answer.
        """
        from harvester import lookup  # noqa: PLC0415

        return await lookup.plan(self._accounts(), self._fetcher(), self._clock.now())

    async def get(self, source: str, call_id: str, *, agent_id: str | None = None) -> single.Call:
        """Fetch one call, in full.

        Args:
            source: The source's name.
            call_id: The provider's id of the call.
            agent_id: Its agent; None to find it where the provider has calls below their agents: those of the
                source's `agents`, else all that the account lists, are asked in their order.

        Returns:
            The call in the unified shape and as the provider sent it.

        Raises:
            UsageError: There is no such source, or an id cannot be sent; nothing was.
            UnsupportedError: The provider has no way to ask for one call; nothing was sent.
            RejectedError: `is_gone`: there is no such call.
            ProviderError: No usable answer.
        """
        from harvester import single  # noqa: PLC0415

        return await single.get(self._asker(source), call_id, agent_id=agent_id)

    async def latest(
        self, source: str, *, count: int = 1, agent_id: str | None = None, phone: str | None = None
    ) -> list[single.Call]:
        """Fetch the most recent calls by the time of their creation, in full.

        The source's filters and range, which are an export's, are not applied. Calls are held in memory: `count` of
        them, and the ids of a list that has to be read whole.

        Args:
            source: The source's name.
            count: How many.
            agent_id: Whose; None for those of the source's `agents`, else of the whole account.
            phone: With this number only.

        Returns:
            0 to `count` calls, the newest first; one without a time of creation is last.

        Raises:
            UsageError: There is no such source, or an argument is wrong; nothing was sent.
            UnsupportedError: The provider cannot look for a phone number; nothing was sent.
            ProviderError: An answer that is needed did not come.
        """
        from harvester import single  # noqa: PLC0415

        return await single.latest(self._asker(source), count=count, agent_id=agent_id, phone=phone)

    def tail(
        self, source: str, conversation_id: str, *, agent_id: str, after: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the messages of a conversation as they come: `async with` it, then `async for` over what that gives.

        Args:
            source: The source's name.
            conversation_id: Which conversation.
            agent_id: The agent that leads it.
            after: A message's id or a moment (RFC 3339); None for what comes from now on.

        Returns:
            The provider's own JSON objects, one line each without its end, each message once and in order; it goes on
            over broken connections and does not end by itself.

        Raises:
            UsageError: There is no such source, or its provider has no conversations.
            ProviderError: From the iterator: the conversation may not be followed.
        """
        from harvester.tail import open_tail  # noqa: PLC0415

        return open_tail(
            self._account(source),
            self._fetcher(),
            self._sender(),
            self._clock,
            conversation_id=conversation_id,
            agent_id=agent_id,
            after=after,
        )

    async def status(self) -> list[verify.StatusRow]:
        """Return what the last run of each source did and what is left; the output is only read.

        Raises:
            JournalError: There is a journal that cannot be read.
        """
        from harvester import verify  # noqa: PLC0415

        names = [(source.name, source.provider) for source in self.config.sources]
        return await anyio.to_thread.run_sync(verify.status, self.config.output.path, names)

    async def verify(self) -> verify.Verified:
        """Check the output against the journal: files, row counts, hashes, doubles. Nothing is written.

        Raises:
            JournalError: There is no journal, or one that cannot be read.
        """
        from harvester import verify  # noqa: PLC0415

        names = [source.name for source in self.config.sources]
        return await anyio.to_thread.run_sync(verify.verify, self.config.output.path, names)

    def _begin(self) -> Export:
        means = Means(
            transport=self._sender(),
            fetcher=self._fetcher(),
            policy=self._policy,
            clock=self._clock,
            memory=self._memory,
            limits=self._limits,
            hooks=self._hooks,
        )
        export = Export(self.config, self._accounts(), means)
        if self._is_stopped:
            export.stop()
        return export

    def _sender(self) -> Transport:
        if self._transport is None:
            raise HarvesterError("a Harvester is used inside `async with`")
        return self._transport

    def _fetcher(self) -> Fetcher:
        return Fetcher(self._sender(), self._clock, self._policy)

    def _accounts(self) -> list[Account]:
        """Return how each source is asked; counts start anew, gates are those of this object's life."""
        return [
            Account(source, get_provider(source.provider), self._gate(source))
            for source in self.config.sources
        ]

    def _account(self, name: str) -> Account:
        accounts = {account.source.name: account for account in self._accounts()}
        if name not in accounts:
            raise UsageError(f"no source is called {name!r} in the config; {nearest(name, accounts)}")
        return accounts[name]

    def _asker(self, name: str) -> single.Asker:
        from harvester import lookup, single  # noqa: PLC0415

        keep_raw, at_once = self.config.output.raw, min(self.config.concurrency, lookup.AT_ONCE)
        account = self._account(name)
        return single.Asker(account, self._fetcher(), self._clock, keep_raw=keep_raw, at_once=at_once)

    def _gate(self, source: Source) -> Gate:
        """Return the gate of a source's credentials; of several limits for them the strictest holds."""
        key = _key(source)
        if key not in self._gates:
            configured = [
                other.rates for other in self.config.sources if _key(other) == key and other.rates is not None
            ]
            documented = get_provider(source.provider).capabilities.rates
            gate = Gate(self._clock, configured[0] if configured else None, documented)
            for rates in configured[1:]:
                if rates:
                    gate.tighten(rates)
            self._gates[key] = gate
        return self._gates[key]


def _key(source: Source) -> object:
    return source.provider, frozenset(source.credentials.items())
