"""Accounts with agents and calls, answered in memory as each API does, and what asks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from harvester.errors import ProviderError
from harvester.fetch import Account, Fetcher
from harvester.model import Request, Response, Secret, Source
from harvester.providers import get_provider
from harvester.single import Asker
from harvester.testing import START, FakeClock, FakeTransport, reply
from harvester.transport.base import Target
from harvester.transport.gate import Gate
from harvester.transport.retry import RetryPolicy

Call = dict[str, Any]
Fault = Callable[[Request, int], Response | ProviderError | None]
_CREATED = {"bimpe": "created_on"}


def call(provider: str, number: int, *, days: float | None = 0.0, **more: Any) -> Call:
    """Return a row of a list: created `number` minutes before the clock begins, and `days`; None: nobody knows when."""
    at = None if days is None else START - timedelta(days=days, minutes=number)
    created = None if at is None else at.isoformat().replace("+00:00", "Z")
    return {"id": f"c{number}", _CREATED.get(provider, "created_at"): created, **more}


class Desk:
    """One account and what asks it.

    Args:
        provider: Whose API it is.
        agents: Calls by agent, in the order that they are listed in.
        fault: Says what to answer instead, from the request and its number from 0; None for the truth.
        clamp: The most rows of a page, whatever is asked.
        total: What each list of calls says it holds; None for the truth.
        source: Keys of the source.
    """

    def __init__(
        self,
        provider: str,
        agents: Mapping[str, Sequence[Call]],
        /,
        *,
        fault: Fault | None = None,
        clamp: int = 100,
        total: int | None = None,
        keep_raw: bool = True,
        **source: Any,
    ) -> None:
        self.provider = provider
        self.agents = agents
        self.clamp = clamp
        self.total = total
        self._fault = fault
        one = get_provider(provider)
        account = Source(
            name="sales",
            provider=provider,
            base_url="https://sales.test",
            credentials={key: Secret("secret") for key in one.capabilities.credentials},
            **source,
        )
        clock = FakeClock()
        self.transport = FakeTransport(self._answer, clock=clock)
        fetcher = Fetcher(self.transport, clock, RetryPolicy(), lambda: 1.0)
        gate = Gate(clock, (), one.capabilities.rates)
        self.asker = Asker(Account(account, one, gate), fetcher, clock, keep_raw=keep_raw)

    @property
    def asked(self) -> list[str]:
        """What was asked, in order: the endpoint, and the agent where one is named."""
        return [f"{one.endpoint} {one.agent_id or ''}".strip() for one in self.transport.requests]

    def _answer(self, _target: Target, request: Request) -> Response:
        instead = self._fault(request, len(self.transport.sent) - 1) if self._fault else None
        if isinstance(instead, ProviderError):
            raise instead
        if instead is not None:
            return instead
        if request.endpoint == "get call":
            return self._detail(request)
        if request.endpoint == "list agents":
            return self._page([{"id": one, "name": one.title()} for one in self.agents], request)
        if self.provider != "agentvoice" and request.agent_id not in {None, *self.agents}:
            return reply({}, status=404)
        mine = [rows for agent, rows in self.agents.items() if request.agent_id in {None, agent}]
        return self._calls([row for rows in mine for row in rows], request)

    def _detail(self, request: Request) -> Response:
        call_id = unquote(request.path.rpartition("/")[2])
        for agent, rows in self.agents.items():
            for row in rows:
                if row["id"] == call_id and (self.provider == "agentvoice" or request.agent_id == agent):
                    return reply({"data": {**row, "whole": True}})
        return reply({"message": "no"}, status=404)

    def _calls(self, rows: list[Call], request: Request) -> Response:
        asked = dict(request.query)
        if number := asked.get("phone_number"):
            rows = [row for row in rows if row.get("phone_number") == number]
        if text := asked.get("search"):
            rows = [row for row in rows if any(text in str(value) for value in row.values())]
        low, high = asked.get("date_from", "0"), asked.get("date_to", "9")
        rows = [row for row in rows if low <= (row.get("created_at") or "5")[:10] <= high]
        if asked.get("most_recent"):
            return reply(rows[0]) if rows else reply({"error": "No calls found"}, status=404)
        return self._page(rows, request)

    def _page(self, rows: list[Any], request: Request) -> Response:
        asked = {key: int(value) for key, value in request.query if value.isdigit()}
        size = min(asked.get("limit") or asked["per_page"], self.clamp)
        page = asked["page"] - 1 if "page" in asked else asked["offset"] // size
        first = asked.get("offset", page * size)
        total = len(rows) if self.total is None or request.endpoint == "list agents" else self.total
        pages = max(-(-total // size), 1)
        told = {
            "total": total, "total_count": total, "limit": size, "per_page": size,
            "offset": first, "has_more": first + size < total,
            "page": page + 1, "current_page": page + 1,
            "pages": pages, "last_page": pages, "page_count": pages,
        }  # fmt: skip
        return reply({"data": rows[first : first + size], "pagination": told, "meta": told})
