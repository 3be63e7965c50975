"""One provider's front desk: who asks, may they, what goes wrong, what is the answer. No sockets, no waiting.

The order is that of real servers: path, credential, limits, and only then the query.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .apis.agentvoice import AgentVoiceApi
from .apis.base import Api, Ask, Reply, Route, Verdict, is_good, with_headers
from .apis.bimpe import BimpeApi
from .apis.query import Query
from .apis.talkover import TalkoverApi
from .apis.talkpilot import TalkPilotApi
from .config import Behaviour, SandboxConfig
from .conversations import Opened
from .damage import prettify
from .faults import FaultPicker, chance
from .limits import Limiter
from .media import credentials_in
from .seed import mix
from .stats import Tally
from .world import Account, World

_APIS: dict[str, type[Api]] = {
    "talkover": TalkoverApi,
    "agentvoice": AgentVoiceApi,
    "talkpilot": TalkPilotApi,
    "bimpe": BimpeApi,
}


class Cache:
    """Answers that were given before, up to a size; the oldest go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: dict[tuple[int, str, str], tuple[Reply, list[str]]] = {}

    def get(self, key: tuple[int, str, str]) -> tuple[Reply, list[str]] | None:
        """Give an answer and what was wrong with its request."""
        return self._known.get(key)

    def put(self, key: tuple[int, str, str], reply: Reply, violations: list[str]) -> None:
        """Keep an answer."""
        self._known[key] = (reply, violations)
        self._bytes += len(reply.body)
        while self._bytes > self._max_bytes:
            oldest = next(iter(self._known))
            self._bytes -= len(self._known.pop(oldest)[0].body)


class Guest:
    """One credential: its account, its limits and its counts.

    Attributes:
        number: How many requests it has made.
        in_flight: How many of them are open.
    """

    def __init__(self, account: Account) -> None:
        behaviour = account.behaviour
        self.account = account
        self.limiter: Limiter = Limiter(behaviour.limits)
        self.faults: FaultPicker = FaultPicker(behaviour.faults, account)
        self.tally: Tally = Tally()
        self.luck: int = mix(account.ledger.key ^ 0x429)
        self.number = 0
        self.in_flight = 0


class Desk:
    """Judges the requests to one provider."""

    def __init__(self, provider: str, config: SandboxConfig, world: World) -> None:
        self.provider = provider
        self.behaviour: Behaviour = config.of(provider)
        self.strangers: Tally = Tally()
        self._world = world
        self._api: Api = _APIS[provider]()
        self._guests: dict[str, Guest] = {}
        quirks = self.behaviour.quirks
        self._heals = bool(quirks.heals_after)
        self._cache = Cache(self.behaviour.cache_mb << 20)
        self._caches = bool(self.behaviour.cache_mb) and not self._heals and self.behaviour.churn.is_idle
        self._pages_asked: Counter[tuple[str, str]] = Counter()

    def guest(self, headers: Mapping[str, str]) -> Guest | None:
        """Say who asks; None if the credential is not good."""
        credential = self._api.credential(headers)
        if credential is None or not is_good(credential):
            return None
        guest = self._guests.get(credential)
        if guest is None:
            guest = self._guests[credential] = Guest(self._world.account(self.provider, credential))
        return guest

    def judge(
        self, method: str, parts: list[str], raw_query: str, guest: Guest | None, *, now: float, wall: float
    ) -> Verdict:
        """Answer a request.

        Args:
            method: The HTTP method.
            parts: The path's segments, decoded, without the provider's prefix.
            raw_query: The query as sent.
            guest: Who asks, with this request counted in `in_flight`.
            now: Monotonic seconds at arrival.
            wall: Unix seconds at arrival.
        """
        route = self._api.route(parts)
        tally = self.strangers if guest is None else guest.tally
        name = "other" if route is None else route.endpoint
        tally.arrive(name, now, 0 if guest is None else guest.in_flight)
        if route is None or method != route.method:
            tally.blame(
                [f"{method} /{'/'.join(parts)} is not documented" if route is None else f"{method} {name}"]
            )
            return Verdict(self._api.problem(404 if route is None else 405, _request_id(0, 0)))
        query = Query(raw_query)
        if guest is None:
            return Verdict(self._stranger(route, query))
        guest.number += 1
        guest.account.advance(now, wall)
        return self._judge_guest(route, query, guest, now=now, wall=wall)

    def _stranger(self, route: Route, query: Query) -> Reply:
        if route.endpoint != "health":
            query.audit(())
            self.strangers.blame([text for text in query.violations if text.startswith("credential")])
            return self._api.problem(401, _request_id(0, self.strangers.requests.total()))
        return self._api.answer(Ask(route, query, 0, ""), self._world.account(self.provider))

    def _judge_guest(self, route: Route, query: Query, guest: Guest, *, now: float, wall: float) -> Verdict:
        request_id = _request_id(guest.account.ledger.key, guest.number)
        wait = guest.limiter.arrive(now, in_flight=guest.in_flight, luck=chance(guest.luck, guest.number))
        told = guest.limiter.headers(now, wall, wait)
        if wait is not None:
            guest.tally.refused += 1
            refusal = self._api.problem(429, request_id, wait_s=guest.limiter.wait_in_body(wait))
            return Verdict(with_headers(refusal, told))
        page, before = self._api.page_number(query), self._api.rows_before(query)
        fault = guest.faults.pick(guest.number, route, page, before) or ""
        if fault:
            guest.tally.faults[fault] += 1
        if fault.isdecimal() or fault == "success_false":
            return Verdict(with_headers(self._failure(fault, request_id), told))
        reply, violations = self._answer(route, query, guest, request_id, now)
        if violations:
            guest.tally.blame(violations)
        return Verdict(with_headers(reply, told), fault)

    def open_stream(
        self, route: Route, raw_query: str, headers: Mapping[str, str], *, now: float
    ) -> Opened | Reply:
        """Let a stream begin, or answer with an error. The ticket says who asks; a key has no business here."""
        query = Query(raw_query)
        query.audit({"ticket", "after"})
        blamed = query.violations + [f"{header} sent to a stream" for header in credentials_in(headers)]
        if "text/event-stream" not in headers.get("Accept", ""):
            blamed.append("a stream without Accept: text/event-stream")
        after = headers.get("Last-Event-ID") or query.text("after")
        for guest in self._guests.values():
            opened = guest.account.conversations.open(
                query.text("ticket") or "", route.agent, route.call, after=after, now=now
            )
            if opened is not None:
                guest.tally.arrive(route.endpoint, now, guest.in_flight)
                guest.tally.answers[200] += 1
                guest.tally.blame(blamed)
                return opened
        tally = self.strangers
        tally.arrive(route.endpoint, now, 0)
        tally.answers[401] += 1
        tally.blame(blamed)
        return self._api.problem(401, _request_id(1, tally.requests.total()))

    def route(self, parts: list[str]) -> Route | None:
        """Read a path, given in decoded segments without the provider's prefix."""
        return self._api.route(parts)

    def _answer(
        self, route: Route, query: Query, guest: Guest, request_id: str, now: float
    ) -> tuple[Reply, list[str]]:
        key = (guest.account.ledger.key, f"{route.endpoint} {route.agent} {route.call}", query.raw)
        known = self._cache.get(key)
        if known is not None:
            return known
        ask = Ask(route, query, self._asked_before(route, query), request_id, guest.number, now)
        reply = self._api.answer(ask, guest.account)
        if self.behaviour.pretty:
            reply = Reply(reply.status, prettify(reply.body.decode()).encode(), reply.headers)
        violations = query.violations + [f"{name}: {what}" for name, what in query.problems.items()]
        # A link must live anew whenever its row is served.
        is_lasting = not (guest.account.has_dying_links and route.endpoint in {"call", "calls"})
        if self._caches and is_lasting and reply.status == 200:
            self._cache.put(key, reply, violations)
        return reply, violations

    def _failure(self, fault: str, request_id: str) -> Reply:
        status = 200 if fault == "success_false" else int(fault)
        reply = self._api.problem(status, request_id)
        seconds = self.behaviour.faults.retry_after_s
        return (
            with_headers(reply, {"Retry-After": str(seconds)}) if seconds and status in {429, 503} else reply
        )

    def _asked_before(self, route: Route, query: Query) -> int:
        """Count how often a page was asked for, if pages heal at all."""
        if not self._heals:
            return 0
        page = (route.agent, query.raw)
        self._pages_asked[page] += 1
        return self._pages_asked[page] - 1

    def stats(self) -> dict[str, Any]:
        """Give the counts of all credentials in the order of their first request, never naming them."""
        return {
            "keys": [
                {"index": index}
                | guest.tally.report()
                | {"windows": dict(zip(self.behaviour.limits.rates, _most(guest), strict=True))}
                for index, guest in enumerate(self._guests.values())
            ],
            "strangers": self.strangers.report(),
        }

    def reset(self) -> None:
        """Start all counts anew; limits and one-shot faults stay as they are."""
        self.strangers.clear()
        for guest in self._guests.values():
            guest.tally.clear()
            for window in guest.limiter.windows:
                window.most = 0


def _most(guest: Guest) -> list[int]:
    return [window.most for window in guest.limiter.windows]


def _request_id(key: int, number: int) -> str:
    hexes = f"{mix(key + number):016x}{mix(key - number - 1):016x}"
    return f"{hexes[:8]}-{hexes[8:12]}-4{hexes[13:16]}-9{hexes[17:20]}-{hexes[20:]}"
