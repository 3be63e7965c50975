"""The four APIs as far as an export asks them, answered in memory; faults by the test's own hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from harvester.app import Harvester
from harvester.config import Config, Output
from harvester.errors import ProviderError
from harvester.job.plan import ALWAYS
from harvester.job.report import Report
from harvester.job.run import Hook
from harvester.model import Rate, Request, Response, Secret, Source
from harvester.testing import FakeClock, FakeTransport, MemoryOutput, reply
from harvester.transport.base import Target

from .servers import Call, moment

CREDENTIALS = {
    "talkover": ("token",),
    "agentvoice": ("api_key", "organization_id"),
    "talkpilot": ("api_key",),
    "bimpe": ("api_key",),
}
UNTIL = moment(100_000)


def source(
    provider: str = "bimpe",
    name: str = "sales",
    *,
    agents: tuple[str, ...] | None = None,
    since: datetime | None = None,
    until: datetime | None = UNTIL,
    rates: tuple[Rate, ...] | None = (),
    key: str = "secret-key",
    concurrency: int | None = None,
    filters: dict[str, str] | None = None,
) -> Source:
    """A source that is asked as fast as it answers."""
    return Source(
        name=name,
        provider=provider,
        base_url=f"https://{name}.test",
        credentials={field: Secret(key) for field in CREDENTIALS[provider]},
        agents=agents,
        since=since,
        until=until,
        rates=rates,
        concurrency=concurrency,
        filters=filters or {},
    )


Fault = Callable[[Target, Request, int], Response | ProviderError | None]


class Api:
    """One account: its agents with their calls, the oldest first.

    Args:
        provider: Whose envelopes it speaks.
        agents: Calls by agent.
        fault: Says what to answer instead, from what is asked and the number of the request; None for the truth.
        total_off: Added to each total of calls.
    """

    def __init__(
        self, provider: str, agents: dict[str, list[Call]], *, fault: Fault | None = None, total_off: int = 0
    ) -> None:
        self.provider = provider
        self.agents = agents
        self.fault = fault
        self.total_off = total_off
        self.asked: list[Request] = []

    def __call__(self, target: Target, request: Request) -> Response | ProviderError:
        self.asked.append(request)
        if self.fault is not None and (answer := self.fault(target, request, len(self.asked))) is not None:
            return answer
        query = dict(request.query)
        if request.path.endswith("/agents"):
            return self._page([(agent, None) for agent in sorted(self.agents)], query, 0)
        agent = self._agent(request, query)
        if agent is not None and agent not in self.agents:
            return reply({"error": {"code": "NOT_FOUND", "message": "no such agent"}}, status=404)
        found = [
            (name, call)
            for name in sorted(self.agents)
            if agent in {None, name}
            for call in self.agents[name]
            if self._is_in(call, query)
        ]
        found.sort(key=lambda pair: pair[1].at or ALWAYS)
        return self._page(found, query, self.total_off)

    @property
    def pages(self) -> list[Request]:
        """The requests for calls."""
        return [request for request in self.asked if request.endpoint == "list calls"]

    def _agent(self, request: Request, query: dict[str, str]) -> str | None:
        if self.provider == "agentvoice":
            return query.get("agent_id")
        parts = request.path.split("/")
        return unquote(parts[parts.index("agents") + 1]) if "agents" in parts else None

    def _is_in(self, call: Call, query: dict[str, str]) -> bool:
        if call.at is None or not query.keys() & {"date_from", "date_to", "from", "to"}:
            return True
        day, stamp = call.at.date().isoformat(), call.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return query.get("date_from", "") <= day <= query.get("date_to", "9") and query.get(
            "from", ""
        ) <= stamp <= query.get("to", "9")

    def _row(self, agent: str, call: Call | None) -> dict[str, Any]:
        if call is None:
            return {"id": agent, "name": agent.title()}
        created_at = None if call.at is None else call.at.isoformat()
        if self.provider == "bimpe":
            return {"id": call.id, "created_on": created_at, "status": "ended"}
        if self.provider == "talkover":
            return {"id": call.id, "created_at": created_at, "agent": {"id": agent, "name": agent.title()}}
        return {"id": call.id, "created_at": created_at, "agent_id": agent}

    def _page(self, found: Sequence[tuple[str, Call | None]], query: dict[str, str], off: int) -> Response:
        size = int(query.get("per_page") or query["limit"])
        start = int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * size
        total = len(found) + off
        page, pages = start // size + 1, max(-(-total // size), 1)
        told: dict[str, dict[str, Any]] = {
            "talkover": {"current_page": page, "per_page": size, "total": total, "last_page": pages},
            "talkpilot": {"page": page, "limit": size, "total": total, "pages": pages},
            "agentvoice": {"total": total, "limit": size, "offset": start, "has_more": start + size < total},
            "bimpe": {"total_count": total, "page_count": pages, "current_page": page, "limit": size},
        }
        name = "meta" if self.provider == "bimpe" else "pagination"
        rows = [self._row(*one) for one in found[start : start + size]]
        return reply({"data": rows, name: told[self.provider]})


class Bench:
    """Exports of one output, one after another, against APIs in memory.

    Args:
        root: The output.
        apis: What answers, by the name of the source.
    """

    def __init__(self, root: Path, **apis: Api) -> None:
        self.root = root
        self.apis = apis
        self.output = MemoryOutput()
        self.clock = FakeClock(UNTIL + timedelta(days=30))
        self.transport = FakeTransport(self._answer, clock=self.clock)
        self.harvester: Harvester | None = None

    def _answer(self, target: Target, request: Request) -> Response | ProviderError:
        return self.apis[target.base_url.removeprefix("https://").removesuffix(".test")](target, request)

    def open(
        self, *sources: Source, concurrency: int = 8, hooks: Sequence[Hook] = (), **output: Any
    ) -> Harvester:
        config = Config(
            output=msgspec.structs.replace(Output(path=self.root), **output),
            sources=sources,
            concurrency=concurrency,
        )
        self.harvester = Harvester(config, transport=self.transport, clock=self.clock, hooks=hooks)
        return self.harvester

    async def export(
        self,
        *sources: Source,
        fresh: bool = False,
        concurrency: int = 8,
        on_files: bool = False,
        **output: Any,
    ) -> Report:
        """Export into memory, or into files."""
        async with self.open(*sources, concurrency=concurrency, **output) as harvester:
            return await harvester.export(fresh=fresh, sink=None if on_files else self.output)

    def ids(self, name: str = "sales") -> list[str]:
        """The ids in the output, in their order."""
        return [record.call_id for record in self.output.records(name)]
