"""BimpeAI's console API: agents, the calls of one agent, one call.

Source: the console's "Get call" and "List calls" pages; parameters and envelope: the vendor's own client,
`bimpeai` 0.4.1.
"""

from collections.abc import Mapping, Sequence

from harvester.sandbox.quirks import Quirks
from harvester.sandbox.rows.bimpe import DOCUMENTED, STATUSES, BimpeRows
from harvester.sandbox.world import Account

from .base import Ask, Reply, Route, bearer
from .listing import Cut, Listing, Order, cut, members, page_offset
from .query import Query
from .selection import Found, select

_PAGING = frozenset({"page", "limit", "search", "sort"})
_QUERIES = {
    "agents": _PAGING,
    "agent_calls": _PAGING | {"is_test_call", "status"},
    "call": frozenset[str](),
    "stream_ticket": frozenset[str](),
}
_SORTS = ("created_on", "-created_on", "created_at", "-created_at")
_CODES = {
    400: ("Bad Request", "bad_request", "Bad request"),
    401: ("Unauthorized", "api_key_invalid", "Invalid API key."),
    403: (
        "Forbidden",
        "insufficient_scope",
        "This API key is missing the required scope: conversations:read.",
    ),
    404: ("Not Found", "not_found", "Call not found"),
    429: ("Too Many Requests", "rate_limited", "Rate limit exceeded"),
}


class BimpeApi:
    """Answers as BimpeAI does."""

    def __init__(self) -> None:
        self._found = Found()

    def route(self, parts: list[str]) -> Route | None:
        """Read a path."""
        match parts:
            case ["api", "v1", "console", "agents"]:
                return Route("agents")
            case ["api", "v1", "console", "agents", agent, "calls"]:
                return Route("agent_calls", agent=agent)
            case ["api", "v1", "console", "agents", agent, "calls", call]:
                return Route("call", agent=agent, call=call)
            case ["api", "v1", "console", "agents", agent, "conversations", talk, "stream-ticket"]:
                return Route("stream_ticket", agent=agent, call=talk, method="POST")
            case ["api", "v1", "console", "agents", agent, "conversations", talk, "stream"]:
                return Route("stream", agent=agent, call=talk)
        return None

    def credential(self, headers: Mapping[str, str]) -> str | None:
        """Take the API key, from either header."""
        return bearer(headers) or headers.get("X-Api-Key")

    def page_number(self, query: Query) -> int:
        """Say which page is asked for."""
        return query.guess("page", 1)

    def rows_before(self, query: Query) -> int:
        """Say how many rows stand before the page that is asked for."""
        return (query.guess("page", 1) - 1) * query.guess("limit", 20)

    def answer(self, ask: Ask, account: Account) -> Reply:
        """Answer a list or one call."""
        ask.query.audit(_QUERIES[ask.route.endpoint])
        if ask.route.endpoint == "agents":
            return self._agents(ask, account)
        agent = account.ledger.agent_number(ask.route.agent)
        if agent is None:
            return _error(404, ask.request_id, said="Agent not found")
        if ask.route.endpoint == "stream_ticket":
            return self._ticket(ask, account)
        return (
            self._calls(ask, account, agent)
            if ask.route.endpoint == "agent_calls"
            else self._call(ask, account)
        )

    def problem(self, status: int, request_id: str, *, wait_s: int | None = None) -> Reply:
        """Answer with an error."""
        return _error(status, request_id, wait_s=wait_s)

    def _agents(self, ask: Ask, account: Account) -> Reply:
        query, quirks = ask.query, account.behaviour.quirks
        paging = quirks if quirks.agents_too else Quirks()
        writer = account.writer
        assert isinstance(writer, BimpeRows)
        search = (query.text("search") or "").casefold()
        agents: Sequence[int] = range(account.ledger.agents)
        if search:
            agents = [agent for agent in agents if search in writer.agent_name(agent).casefold()]
        order = _order(query, default="created_at")
        page, chosen = _cut(ask, Listing(agents, order, paging), paging)
        if query.problems:
            return _invalid(ask)
        rows = [writer.agent(agent).encode() for agent in chosen.picks]
        return _page(rows, chosen, page, is_bare=paging.bare_array)

    def _calls(self, ask: Ask, account: Account, agent: int) -> Reply:
        quirks, ledger = account.behaviour.quirks, account.ledger
        order = _order(ask.query, default="-created_on")
        calls = self._matching(ask.query, account, agent)
        listing = Listing(calls, order, quirks, ledger.key, time_of=ledger.created_us, turn=ask.number)
        page, chosen = _cut(ask, listing, quirks)
        if ask.query.problems or (chosen.is_beyond and quirks.window_error):
            return _invalid(ask)
        if not chosen.picks and quirks.empty_is_404:
            return _error(404, ask.request_id, said="No calls found")
        rows = [account.raw(call, "list") for call in chosen.picks]
        return _page(rows, chosen, page, is_bare=quirks.bare_array)

    def _call(self, ask: Ask, account: Account) -> Reply:
        ledger = account.ledger
        call = ledger.call_number(ask.route.call)
        if call is None or ledger.agent_id(ledger.agent_of(call)) != ask.route.agent:
            return _error(404, ask.request_id)
        return Reply(200, b'{"message":"Success","data":' + account.raw(call, "detail") + b"}")

    def _ticket(self, ask: Ask, account: Account) -> Reply:
        conversation = account.conversations.find(ask.route.agent, ask.route.call)
        if conversation is None:
            return _error(404, ask.request_id, said="Conversation not found")
        ticket = account.conversations.ticket(conversation, ask.route.agent, ask.now)
        seconds = account.behaviour.streams.ticket_s
        data = f'{{"ticket":"{ticket}","expires_in":{seconds}}}'
        return Reply(201, f'{{"message":"Success","data":{data}}}'.encode())

    def _matching(self, query: Query, account: Account, agent: int) -> Sequence[int]:
        ledger = account.ledger
        status, is_test = query.choice("status", DOCUMENTED), query.flag("is_test_call")
        search = query.text("search")
        writer = account.writer
        assert isinstance(writer, BimpeRows)

        def matches(call: int) -> bool:
            noise = ledger.noise(call)
            if status is not None and STATUSES[noise >> 1 & 63] != status:
                return False
            if is_test is not None and writer.is_test(noise) is not is_test:
                return False
            return search is None or any(search in (number or "") for number in writer.numbers(call, noise))

        filters = (status, is_test, search)
        return select(
            account,
            self._found,
            agent,
            filters=filters,
            match=None if filters == (None, None, None) else matches,
        )


def _order(query: Query, *, default: str) -> Order:
    sort = query.choice("sort", _SORTS) or default
    return "newest" if sort.startswith("-") else "oldest"


def _cut(ask: Ask, listing: Listing, quirks: Quirks) -> tuple[int, Cut]:
    page = ask.query.integer("page", 1)
    limit = ask.query.integer("limit", 20, most=100)
    return page, cut(listing, page_offset(page, limit, quirks), limit, quirks, asked_before=ask.asked_before)


def _page(rows: list[bytes], chosen: Cut, page: int, *, is_bare: bool) -> Reply:
    data = b"[" + b",".join(rows) + b"]"
    if is_bare:
        return Reply(200, data)
    known: list[tuple[str, object]] = []
    if chosen.has_total:
        known = [("total_count", chosen.total), ("page_count", chosen.pages)]
    known += [
        ("current_page", page),
        ("limit", chosen.size),
        ("has_next_page", chosen.has_more),
        ("has_previous_page", page > 1),
    ]
    return Reply(200, b'{"message":"Success","data":' + data + f',"meta":{{{members(*known)}}}}}'.encode())


def _error(status: int, request_id: str, *, said: str = "", wait_s: int | None = None) -> Reply:
    unknown = ("Internal Server Error", "internal_error", "Internal server error")
    error, code, usual = _CODES.get(status, unknown)
    wait = "" if wait_s is None else f',"retry_after":{wait_s}'
    body = (
        f'{{"message":"{said or usual}","error":"{error}","code":"{code}","statusCode":{status}{wait},'
        f'"request_id":"{request_id}"}}'
    )
    return Reply(status, body.encode())


def _invalid(ask: Ask) -> Reply:
    said = ",".join(f'"{name}: {what}"' for name, what in ask.query.problems.items())
    body = (
        f'{{"message":[{said}],"error":"Bad Request","code":"validation_error","statusCode":400,'
        f'"request_id":"{ask.request_id}"}}'
    )
    return Reply(400, body.encode())
