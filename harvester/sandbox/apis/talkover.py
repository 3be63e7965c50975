"""Talkover's API: agents, all calls, the calls of one agent.

Source: the provider's "List Calls" and "Get Agent Calls" pages; agents, limits and past-the-end answers: the
project's own notes on the provider. Which envelope an error has varies there, so it does here.
"""

from collections.abc import Mapping, Sequence

from harvester.sandbox.rows.talkover import DIRECTIONS, DOCUMENTED, STATUSES, TalkoverRows
from harvester.sandbox.stamps import DAY_US
from harvester.sandbox.world import Account

from .base import Ask, Reply, Route, bearer
from .listing import Cut, Listing, cut, members, page_offset
from .query import Query
from .selection import Found, select

_CALL_QUERY = frozenset({"status", "direction", "date_from", "date_to", "search", "per_page", "page"})
_QUERIES = {
    "agents": frozenset({"page", "per_page"}),
    "calls": _CALL_QUERY | {"agent_id"},
    "agent_calls": _CALL_QUERY,
}
_HOUR_US = DAY_US // 24
_SAYS = {
    "integer": "must be an integer.",
    "least": "must be at least 1.",
    "choice": "is invalid.",
    "date": "must be a valid date.",
}


class TalkoverApi:
    """Answers as Talkover does."""

    def __init__(self) -> None:
        self._found = Found()

    def route(self, parts: list[str]) -> Route | None:
        """Read a path."""
        match parts:
            case ["api", "v1", "calls"]:
                return Route("calls")
            case ["api", "v1", "agents"]:
                return Route("agents")
            case ["api", "v1", "agents", agent, "calls"]:
                return Route("agent_calls", agent=agent)
        return None

    def credential(self, headers: Mapping[str, str]) -> str | None:
        """Take the token."""
        return bearer(headers)

    def page_number(self, query: Query) -> int:
        """Say which page is asked for."""
        return query.guess("page", 1)

    def rows_before(self, query: Query) -> int:
        """Say how many rows stand before the page that is asked for."""
        return (query.guess("page", 1) - 1) * query.guess("per_page", 20)

    def answer(self, ask: Ask, account: Account) -> Reply:
        """Answer a list."""
        ask.query.audit(_QUERIES[ask.route.endpoint])
        if ask.route.endpoint == "agents":
            return self._agents(ask, account)
        return self._calls(ask, account)

    def problem(self, status: int, request_id: str, *, wait_s: int | None = None) -> Reply:
        """Answer with an error; which of the three envelopes depends on the status."""
        del request_id
        if status == 429 and wait_s is not None:
            body = (
                '{"success":false,"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests",'
                f'"details":{{"retry_after":{wait_s}}}}}}}'
            )
        elif status == 429:
            body = '{"message":"Too Many Attempts."}'
        elif status in {200, 500}:
            body = '{"success":false,"message":"Internal server error."}'
        elif status in {401, 403, 404}:
            said = {401: "Unauthorized", 403: "Forbidden", 404: "Agent not found"}[status]
            body = f'{{"success":false,"message":"{said}"}}'
        else:
            body = f'{{"error":{{"code":"SERVER_ERROR","message":"Error {status}","details":null}}}}'
        return Reply(status, body.encode())

    def _agents(self, ask: Ask, account: Account) -> Reply:
        page = ask.query.integer("page", 1)
        asked = ask.query.integer("per_page", 20, most=100)
        if ask.query.problems:
            return _invalid(ask.query.problems)
        quirks = account.behaviour.quirks
        paging = quirks if quirks.agents_too else type(quirks)()
        listing = Listing(range(account.ledger.agents), "oldest", paging)
        chosen = cut(listing, page_offset(page, asked, paging), asked, paging, asked_before=ask.asked_before)
        writer = account.writer
        assert isinstance(writer, TalkoverRows)
        rows = [writer.agent(agent).encode() for agent in chosen.picks]
        return _page(rows, chosen, page, is_meta=True, is_bare=paging.bare_array)

    def _calls(self, ask: Ask, account: Account) -> Reply:
        query, quirks = ask.query, account.behaviour.quirks
        page = query.integer("page", 1)
        asked = query.integer("per_page", 20, most=100)
        calls = self._matching(ask, account)
        if query.problems:
            return _invalid(query.problems)
        if calls is None:
            return self.problem(404, ask.request_id)
        ledger = account.ledger
        listing = Listing(calls, "newest", quirks, ledger.key, time_of=ledger.created_us, turn=ask.number)
        chosen = cut(listing, page_offset(page, asked, quirks), asked, quirks, asked_before=ask.asked_before)
        if chosen.is_beyond and quirks.window_error:
            return _invalid({"page": "least"})
        if not chosen.picks and quirks.empty_is_404:
            return Reply(404, b'{"success":false,"message":"No calls found"}')
        form = "list" if ask.route.endpoint == "calls" else "agent"
        rows = [account.raw(call, form) for call in chosen.picks]
        return _page(rows, chosen, page, is_meta=quirks.meta_for_calls, is_bare=quirks.bare_array)

    def _matching(self, ask: Ask, account: Account) -> Sequence[int] | None:
        """Give the calls asked for; None if the agent is not there."""
        query, quirks, ledger = ask.query, account.behaviour.quirks, account.ledger
        status = query.choice("status", DOCUMENTED)
        direction = query.choice("direction", DIRECTIONS)
        search = query.text("search")
        low, high = query.day_us("date_from"), query.day_us("date_to")
        if high is not None and not quirks.exclusive_date_to:
            high += DAY_US
        if quirks.ignore_times:
            low = high = None
        agent_id = ask.route.agent or query.text("agent_id")
        agent = ledger.agent_number(agent_id) if agent_id else None
        if agent_id and agent is None:
            return None if ask.route.agent else range(0)
        zone = quirks.date_zone_h * _HOUR_US
        writer = account.writer
        assert isinstance(writer, TalkoverRows)

        def matches(call: int) -> bool:
            noise = ledger.noise(call)
            if status is not None and STATUSES[noise >> 1 & 63] != status:
                return False
            if direction is not None and DIRECTIONS[noise & 1] != direction:
                return False
            return search is None or any(
                search in text for text in (*writer.numbers(call, noise), writer.sid(call, noise))
            )

        filters = (status, direction, search)
        return select(
            account,
            self._found,
            agent,
            low_us=None if low is None else low - zone,
            high_us=None if high is None else high - zone,
            filters=filters,
            match=matches if any(filters) else None,
        )


def _page(rows: list[bytes], chosen: Cut, page: int, *, is_meta: bool, is_bare: bool) -> Reply:
    data = b"[" + b",".join(rows) + b"]"
    if is_bare:
        return Reply(200, data)
    known: list[tuple[str, object]] = [("current_page", page)]
    if chosen.has_total:
        last = None if chosen.pages is None else max(1, chosen.pages)
        known += [("last_page", last), ("total", chosen.total)]
    known.append(("per_page", chosen.size))
    if not is_meta:
        first = (page - 1) * chosen.size + 1
        known += [("from", first if rows else None), ("to", first + len(rows) - 1 if rows else None)]
    name = "meta" if is_meta else "pagination"
    tail = f',"{name}":{{{members(*known)}}}}}'
    return Reply(200, b'{"success":true,"data":' + data + tail.encode())


def _invalid(problems: dict[str, str]) -> Reply:
    errors = ",".join(
        f'"{name}":["The {"selected " if what == "choice" else ""}{name.replace("_", " ")} {_SAYS[what]}"]'
        for name, what in problems.items()
    )
    body = f'{{"success":false,"message":"The given data was invalid.","errors":{{{errors}}}}}'
    return Reply(422, body.encode())
