"""AgentVoice's API: the calls of an organisation, one call.

Source: the provider's "Calls" page. The JSON around an error's text is documented nowhere.
"""

from collections.abc import Callable, Mapping, Sequence

from harvester.sandbox.rows.agentvoice import CALL_TYPES, GROUPS, STATUSES, AgentVoiceRows, fields_of
from harvester.sandbox.world import Account

from .base import Ask, Reply, Route
from .listing import Cut, Listing, Order, cut, members
from .query import Query
from .selection import Found, select, thin

_DETAIL_QUERY = frozenset({"fields", "include"})
_LIST_QUERY = _DETAIL_QUERY | {
    "limit", "offset", "order", "order_by", "phone_number", "contact_id", "agent_id", "campaign_id", "status",
    "call_type", "from", "to", "most_recent",
}  # fmt: skip
_ORDERS = ("started_at", "ended_at", "created_at")
_NEVER = 1 << 62


class AgentVoiceApi:
    """Answers as AgentVoice does."""

    def __init__(self) -> None:
        self._found = Found()

    def route(self, parts: list[str]) -> Route | None:
        """Read a path."""
        match parts:
            case ["api", "calls"]:
                return Route("calls")
            case ["api", "calls", call]:
                return Route("call", call=call)
        return None

    def credential(self, headers: Mapping[str, str]) -> str | None:
        """Take the API key, which counts only together with an organization."""
        return headers.get("x-api-key") if headers.get("x-organization-id") else None

    def page_number(self, query: Query) -> int:
        """Say which page is asked for: the offset in pages of the limit."""
        return query.guess("offset", 0) // max(1, query.guess("limit", 50)) + 1

    def rows_before(self, query: Query) -> int:
        """Say how many rows stand before the page that is asked for."""
        return query.guess("offset", 0)

    def answer(self, ask: Ask, account: Account) -> Reply:
        """Answer a list or one call."""
        if ask.route.endpoint == "call":
            return self._call(ask, account)
        ask.query.audit(_LIST_QUERY)
        return self._calls(ask, account)

    def problem(self, status: int, request_id: str, *, wait_s: int | None = None) -> Reply:
        """Answer with an error."""
        del request_id
        said = {
            401: "Authentication failed",
            403: "Forbidden",
            404: "Call not found",
            429: "Too many requests",
        }
        wait = "" if wait_s is None else f',"retry_after":{wait_s}'
        return Reply(status, f'{{"error":"{said.get(status, "Internal server error")}"{wait}}}'.encode())

    def _call(self, ask: Ask, account: Account) -> Reply:
        ask.query.audit(_DETAIL_QUERY)
        form = _form(ask.query)
        if ask.query.problems:
            return _invalid(ask.query)
        call = account.ledger.call_number(ask.route.call)
        return self.problem(404, "") if call is None else Reply(200, account.raw(call, form))

    def _calls(self, ask: Ask, account: Account) -> Reply:
        query, quirks = ask.query, account.behaviour.quirks
        limit = query.integer("limit", 50, most=100)
        offset = query.integer("offset", 0, least=0)
        order: Order = "oldest" if query.choice("order", ("asc", "desc")) == "asc" else "newest"
        order_by = query.choice("order_by", _ORDERS) or "started_at"
        form = _form(query)
        most_recent = query.flag("most_recent")
        calls = self._matching(query, account)
        if query.problems:
            return _invalid(query)
        calls = self._sorted(calls, account, order_by, query)
        if most_recent:
            return _newest(calls, account, form, _time_of(account, order_by))
        listing = Listing(
            calls, order, quirks, account.ledger.key, time_of=_time_of(account, order_by), turn=ask.number
        )
        chosen = cut(listing, offset, limit, quirks, asked_before=ask.asked_before)
        if chosen.is_beyond and quirks.window_error:
            return Reply(400, b'{"error":"Result window is too large"}')
        if not chosen.picks and quirks.empty_is_404:
            return Reply(404, b'{"error":"No calls found matching criteria"}')
        rows = [account.raw(call, form) for call in chosen.picks]
        return _page(rows, chosen, offset, is_bare=quirks.bare_array)

    def _matching(self, query: Query, account: Account) -> Sequence[int]:
        ledger, quirks = account.ledger, account.behaviour.quirks
        agent_id = query.text("agent_id")
        agent = ledger.agent_number(agent_id) if agent_id else None
        if agent_id and agent is None:
            return range(0)
        call_type = query.choice("call_type", CALL_TYPES)
        low, high = query.moment_us("from"), query.moment_us("to")
        if quirks.ignore_times:
            low = high = None
        wanted = tuple(query.text(name) for name in ("status", "phone_number", "contact_id", "campaign_id"))
        edge = int(quirks.inclusive_edges)
        writer = account.writer
        assert isinstance(writer, AgentVoiceRows)

        def matches(call: int) -> bool:
            noise = ledger.noise(call)
            if call_type is not None and CALL_TYPES[noise & 1] != call_type:
                return False
            if low is not None or high is not None:
                _, started, _ = writer.times_us(call, noise)
                if started is None or (low is not None and started + edge <= low):
                    return False
                if high is not None and started - edge >= high:
                    return False
            return _has(writer, noise, wanted)

        filters = (call_type, low, high, *wanted)
        is_filtered = any(value is not None for value in filters)
        found = select(account, self._found, agent, filters=filters, match=matches if is_filtered else None)
        return thin(found, quirks.lossy_times if (low, high) != (None, None) else 0)

    def _sorted(self, calls: Sequence[int], account: Account, order_by: str, query: Query) -> Sequence[int]:
        """Put calls into ascending order, those without the time last; creation is their order already."""
        if order_by == "created_at":
            return calls
        time_of = _time_of(account, order_by)
        filters = tuple(
            sorted((name, query.text(name)) for name in _LIST_QUERY - {"limit", "offset", "order"})
        )
        key = (account.ledger.key, account.ledger.state, order_by, filters)
        return self._found.get(key, lambda: sorted(calls, key=time_of))


def _time_of(account: Account, order_by: str) -> Callable[[int], int]:
    ledger, writer = account.ledger, account.writer
    assert isinstance(writer, AgentVoiceRows)
    if order_by == "created_at":
        return ledger.created_us
    which = 1 if order_by == "started_at" else 2

    def time_of(call: int) -> int:
        us = writer.times_us(call, ledger.noise(call))[which]
        return _NEVER if us is None else us

    return time_of


def _has(writer: AgentVoiceRows, noise: int, wanted: tuple[str | None, ...]) -> bool:
    status, number, contact, campaign = wanted
    return (
        (status is None or STATUSES[noise >> 1 & 63] == status)
        and (number is None or writer.phone_number(noise) == number)
        and (contact is None or writer.contact_id(noise) == contact)
        and (campaign is None or writer.campaign_id(noise) == campaign)
    )


def _newest(calls: Sequence[int], account: Account, form: str, time_of: Callable[[int], int]) -> Reply:
    """Answer with the last call that has the time at all."""
    for place in range(len(calls) - 1, -1, -1):
        if time_of(calls[place]) < _NEVER:
            return Reply(200, account.raw(calls[place], form))
    return Reply(404, b'{"error":"No calls found matching criteria"}')


def _form(query: Query) -> str:
    full = query.choice("fields", ("light", "full")) == "full"
    groups = [name for name in (query.text("include") or "").split(",") if name]
    if not set(groups) <= GROUPS.keys():
        query.problems["include"] = "choice"
        return ""
    return ",".join(fields_of(full=full, include=groups))


def _page(rows: list[bytes], chosen: Cut, offset: int, *, is_bare: bool) -> Reply:
    data = b"[" + b",".join(rows) + b"]"
    if is_bare:
        return Reply(200, data)
    known: list[tuple[str, object]] = [("total", chosen.total)] if chosen.has_total else []
    known += [("limit", chosen.size), ("offset", offset), ("has_more", chosen.has_more)]
    return Reply(200, b'{"data":' + data + f',"pagination":{{{members(*known)}}}}}'.encode())


def _invalid(query: Query) -> Reply:
    return Reply(400, f'{{"error":"Invalid {next(iter(query.problems))} parameter"}}'.encode())
