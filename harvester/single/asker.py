"""What one source is asked for single calls, and what its answers become; which calls those are is not known here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from harvester.clock import Clock
from harvester.errors import MalformedError, ProviderError, UsageError
from harvester.fetch import Account, Fetcher
from harvester.model import Agent, Listing, Origin, Problem, Request
from harvester.providers.base import Provider
from harvester.providers.records import to_record
from harvester.record import Record, utc

NO_RUN = ""
"""The `run_id` of a call that is asked for alone: it belongs to no run and is kept nowhere."""

_log = logging.getLogger("harvester")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call, in full.

    `record`: in the unified shape; its `run_id` is empty, for it belongs to no run, and no recording is fetched.
    `raw`: the provider's JSON, byte for byte; the detail where the provider has one, else the row of its list.
    `agent_id`: the agent it was asked of where that JSON names none, else None; `_agent_id` in native output.
    """

    record: Record
    raw: bytes
    agent_id: str | None = None


class Row(msgspec.Struct, frozen=True):
    """A call as it came: its JSON, its struct, whose it is if that is known, and what of it does not fit."""

    raw: bytes
    call: Any
    agent: Agent | None
    fetched_at: datetime
    problems: tuple[Problem, ...] = ()

    @property
    def at(self) -> datetime | None:
        """When it was created, in UTC."""
        return utc(self.call.created_at)


class Answer(msgspec.Struct, frozen=True):
    """A list answer, read: `rows` are those of its rows that are calls, `keys` tell all of them apart."""

    listing: Listing
    rows: list[Row]
    keys: list[str | bytes]


_Read = tuple[Listing, list[Any], list[Problem]]


class Asker:
    """Asks one source.

    Args:
        account: Whose calls.
        fetcher: What fetches answers.
        clock: What tells when they came.
        keep_raw: Whether records carry the provider's JSON.
        at_once: Requests in flight at most.
    """

    def __init__(
        self, account: Account, fetcher: Fetcher, clock: Clock, *, keep_raw: bool = True, at_once: int = 16
    ) -> None:
        self.account: Account = account
        self.provider: Provider = account.provider
        self.fetcher: Fetcher = fetcher
        self.clock: Clock = clock
        self.at_once: int = min(at_once, account.source.concurrency or at_once)
        self._keep_raw = keep_raw

    async def ask(
        self, request: Request, read: Callable[[bytes], Listing], wire: type[Any], agent: Agent | None
    ) -> Answer:
        """Fetch an answer and decode its rows; what is no call is named in the log and left out.

        Raises:
            ProviderError: It did not come.
        """

        def decoded(body: bytes) -> _Read:
            listing = read(body)
            return listing, *self.provider.decode(body, listing, wire)

        listing, calls, problems = await self.fetcher.fetch(self.account, request, decoded)
        at, rows, keys = self.clock.now(), list[Row](), list[str | bytes]()
        found: dict[int, tuple[Problem, ...]] = {}
        for one in problems:
            found[one.index] = (*found.get(one.index, ()), one)
        for index, (raw, call) in enumerate(zip(listing.rows, calls, strict=True)):
            keys.append(bytes(raw) if call is None else call.id)
            if call is not None:
                rows.append(Row(bytes(raw), call, agent, at, found.get(index, ())))
            else:
                reason = found[index][0].reason
                _log.warning("%s: a row of the answer is no call and left out: %s", self._name, reason)
        return Answer(listing, rows, keys)

    async def detail(self, agent: Agent | None, call_id: str) -> Row:
        """Fetch one call.

        Raises:
            RejectedError: `is_gone`: there is no such call.
            ProviderError: It did not come, or another one did.
        """
        request = self.provider.detail_request(agent.id if agent else None, call_id)
        answer = await self.ask(request, self.provider.read_detail, self.provider.detail_type, agent)
        # An id may come in other letters than it was typed in, as those of UUIDs do.
        if not answer.rows or answer.rows[0].call.id.casefold() != call_id.casefold():
            raise self.named(
                MalformedError("the answer is not the call that was asked for", endpoint="get call")
            )
        return answer.rows[0]

    def call_of(self, row: Row, listed: Row | None = None) -> Call:
        """Return a row as a Call; `listed` is the row of the list where this is a detail that was found by one."""
        for one in row.problems:
            _log.warning(
                "%s: %s of call %s does not fit and is null, `raw` has it: %s",
                self._name, one.field, row.call.id, one.reason,
            )  # fmt: skip
        raw = str(row.raw, "utf-8") if self._keep_raw else None
        raw_list = None if listed is None or raw is None else str(listed.raw, "utf-8")
        record = to_record(self.provider, row.call, raw, self._origin(row), raw_list)
        is_named = row.agent is None or self.provider.agent_of(row.call) is not None
        return Call(record=record, raw=row.raw, agent_id=None if is_named or not row.agent else row.agent.id)

    def numbers_of(self, row: Row) -> list[str]:
        """Return the phone numbers of a row that are known."""
        record = to_record(self.provider, row.call, None, self._origin(row))
        return [one for one in (record.from_number, record.to_number, record.customer_number) if one]

    def named(self, error: ProviderError) -> ProviderError:
        """Say in an error whose it is."""
        error.source = self._name
        return error

    def _origin(self, row: Row) -> Origin:
        agent = row.agent or _NOBODY
        name = self.provider.capabilities.name
        return Origin(self._name, name, NO_RUN, row.fetched_at, agent.id or None, agent.name)

    @property
    def _name(self) -> str:
        return self.account.source.name


_NOBODY = Agent("")


def text_problem(name: str, text: str | None) -> list[str]:
    """Return what is wrong with an id that was typed; a command line may hold bytes that are no text."""
    if text is None:
        return []
    if not text:
        return [f"{name}: is empty"]
    try:
        text.encode()
    except UnicodeEncodeError:
        return [f"{name}: is no text"]
    return []


def refuse(problems: list[str]) -> None:
    """Raise what was found wrong, if anything was.

    Raises:
        UsageError: Every problem.
    """
    if problems:
        raise UsageError(*problems)
