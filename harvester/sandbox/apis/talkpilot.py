"""TalkPilot's API: agents, the calls of one agent, one call, health.

Source: the provider's "Calls" page; agents, envelope, error codes: the project's own notes on the provider.
"""

from collections.abc import Mapping, Sequence

from harvester.sandbox.quirks import Quirks
from harvester.sandbox.rows.talkpilot import TalkPilotRows
from harvester.sandbox.world import Account

from .base import Ask, Reply, Route
from .listing import Cut, Listing, cut, members, page_offset
from .query import Query
from .selection import Found, select

_PAGING = frozenset({"page", "limit"})
_QUERIES = {
    "agents": _PAGING,
    "agent_calls": _PAGING | {"done", "from", "to", "phone_number", "search", "include_deleted"},
    "call": frozenset[str](),
    "health": frozenset[str](),
}
_CODES = {
    400: ("BAD_REQUEST", "Bad request"),
    401: ("UNAUTHORIZED", "Invalid API key"),
    403: ("AGENT_NOT_ACCESSIBLE", "Agent not accessible with this key"),
    404: ("NOT_FOUND", "Not found"),
    409: ("CONFLICT", "Conflict"),
    429: ("RATE_LIMITED", "Rate limit exceeded"),
}


class TalkPilotApi:
    """Answers as TalkPilot does."""

    def __init__(self) -> None:
        self._found = Found()

    def route(self, parts: list[str]) -> Route | None:
        """Read a path."""
        match parts:
            case ["v1", "health"]:
                return Route("health")
            case ["v1", "agents"]:
                return Route("agents")
            case ["v1", "agents", agent, "calls"]:
                return Route("agent_calls", agent=agent)
            case ["v1", "agents", agent, "calls", call]:
                return Route("call", agent=agent, call=call)
        return None

    def credential(self, headers: Mapping[str, str]) -> str | None:
        """Take the API key."""
        return headers.get("X-API-Key")

    def page_number(self, query: Query) -> int:
        """Say which page is asked for."""
        return query.guess("page", 1)

    def rows_before(self, query: Query) -> int:
        """Say how many rows stand before the page that is asked for."""
        return (query.guess("page", 1) - 1) * query.guess("limit", 20)

    def answer(self, ask: Ask, account: Account) -> Reply:
        """Answer a list or one call."""
        ask.query.audit(_QUERIES[ask.route.endpoint])
        if ask.route.endpoint == "health":
            return Reply(200, b'{"status":"ok"}')
        if ask.route.endpoint == "agents":
            return self._agents(ask, account)
        agent = account.ledger.agent_number(ask.route.agent)
        if agent is None:
            return self.problem(account.behaviour.quirks.agent_denied_status, ask.request_id)
        return (
            self._calls(ask, account, agent)
            if ask.route.endpoint == "agent_calls"
            else self._call(ask, account)
        )

    def problem(self, status: int, request_id: str, *, wait_s: int | None = None) -> Reply:
        """Answer with an error."""
        code, said = _CODES.get(status, ("INTERNAL_ERROR", "Internal server error"))
        details = "" if wait_s is None else f',"details":{{"retry_after":{wait_s}}}'
        body = f'{{"error":{{"code":"{code}","message":"{said}"{details},"request_id":"{request_id}"}}}}'
        return Reply(status, body.encode())

    def _agents(self, ask: Ask, account: Account) -> Reply:
        quirks = account.behaviour.quirks
        paging = quirks if quirks.agents_too else Quirks()
        listing = Listing(range(account.ledger.agents), "oldest", paging)
        page, chosen = _cut(ask, listing, paging)
        if ask.query.problems:
            return _invalid(ask)
        writer = account.writer
        assert isinstance(writer, TalkPilotRows)
        return _page(
            [writer.agent(agent).encode() for agent in chosen.picks], chosen, page, is_bare=paging.bare_array
        )

    def _calls(self, ask: Ask, account: Account, agent: int) -> Reply:
        quirks, ledger = account.behaviour.quirks, account.ledger
        calls = self._matching(ask.query, account, agent)
        listing = Listing(calls, "newest", quirks, ledger.key, time_of=ledger.created_us, turn=ask.number)
        page, chosen = _cut(ask, listing, quirks)
        if ask.query.problems or (chosen.is_beyond and quirks.window_error):
            return _invalid(ask)
        if not chosen.picks and quirks.empty_is_404:
            return self.problem(404, ask.request_id)
        rows = [account.raw(call, "list") for call in chosen.picks]
        return _page(rows, chosen, page, is_bare=quirks.bare_array)

    def _call(self, ask: Ask, account: Account) -> Reply:
        ledger = account.ledger
        call = ledger.call_number(ask.route.call)
        if call is None or ledger.agent_id(ledger.agent_of(call)) != ask.route.agent:
            return self.problem(404, ask.request_id)
        raw = account.raw(call, "detail")
        return Reply(200, b'{"data":' + raw + b"}" if account.behaviour.quirks.wrapped_detail else raw)

    def _matching(self, query: Query, account: Account, agent: int) -> Sequence[int]:
        ledger, quirks = account.ledger, account.behaviour.quirks
        done, number = query.flag("done"), query.text("phone_number")
        search = query.text("search")
        low, high = query.moment_us("from"), query.moment_us("to")
        if quirks.ignore_times:
            low = high = None
        # "After" and "before": an edge belongs to the range only if the quirk says so.
        edge = int(quirks.inclusive_edges)
        writer = account.writer
        assert isinstance(writer, TalkPilotRows)
        words = search.casefold() if search else None

        def matches(call: int) -> bool:
            noise = ledger.noise(call)
            return (
                (done is None or writer.is_done(noise) is done)
                and (number is None or writer.phone_number(noise) == number)
                and (words is None or words in writer.searched(call, noise).casefold())
            )

        filters = (done, number, words)
        return select(
            account,
            self._found,
            agent,
            low_us=None if low is None else low + 1 - edge,
            high_us=None if high is None else high + edge,
            include_deleted=bool(query.flag("include_deleted")),
            filters=filters,
            match=None if filters == (None, None, None) else matches,
        )


def _cut(ask: Ask, listing: Listing, quirks: Quirks) -> tuple[int, Cut]:
    page = ask.query.integer("page", 1)
    limit = ask.query.integer("limit", 20, most=100)
    return page, cut(listing, page_offset(page, limit, quirks), limit, quirks, asked_before=ask.asked_before)


def _page(rows: list[bytes], chosen: Cut, page: int, *, is_bare: bool) -> Reply:
    data = b"[" + b",".join(rows) + b"]"
    if is_bare:
        return Reply(200, data)
    known: list[tuple[str, object]] = [("page", page), ("limit", chosen.size)]
    if chosen.has_total:
        known += [("total", chosen.total), ("pages", chosen.pages)]
    return Reply(200, b'{"data":' + data + f',"pagination":{{{members(*known)}}}}}'.encode())


def _invalid(ask: Ask) -> Reply:
    details = ",".join(f'"{name}":"{what}"' for name, what in ask.query.problems.items())
    body = (
        '{"error":{"code":"VALIDATION_ERROR","message":"Invalid query parameters",'
        f'"details":{{{details}}},"request_id":"{ask.request_id}"}}}}'
    )
    return Reply(400, body.encode())
