"""Single questions: what is asked for them, and what the answers come to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from msgspec.structs import replace

from harvester.errors import AccessError, ProviderError, TransportError
from harvester.fetch import Account, Fetcher
from harvester.lookup import AgentRow, agents, check, plan
from harvester.model import Rate, Request, Response, Secret, Source
from harvester.providers import get_provider
from harvester.testing import START, FakeClock, FakeTransport, reply
from harvester.transport.base import Target
from harvester.transport.gate import Gate
from harvester.transport.retry import RetryPolicy

UNTIL = datetime(2026, 4, 1, tzinfo=UTC)
Answer = Response | ProviderError


class Bench:
    """Accounts, and what answers them."""

    def __init__(self, answer: Callable[[Target, Request], Answer], *, latency_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.transport = FakeTransport(answer, clock=self.clock, latency_s=latency_s)
        self.fetcher = Fetcher(self.transport, self.clock, RetryPolicy(), lambda: 1.0)

    def account(
        self,
        name: str = "sales",
        provider: str = "talkover",
        *,
        agents: tuple[str, ...] | None = None,
        rates: tuple[Rate, ...] | None = (),
        details: tuple[str, ...] = (),
    ) -> Account:
        one = get_provider(provider)
        source = Source(
            name=name,
            provider=provider,
            base_url=f"https://{name}.test",
            credentials={key: Secret("secret") for key in one.capabilities.credentials},
            agents=agents,
            until=UNTIL,
            details=details,
        )
        return Account(source, one, Gate(self.clock, rates, one.capabilities.rates))


def page(rows: list[str], *, total: int | None = None, number: int = 1, pages: int = 1) -> Response:
    told = {
        "current_page": number,
        "page": number,
        "last_page": pages,
        "pages": pages,
        "total": total if total is not None else len(rows),
    }
    return reply({"data": [{"id": row, "name": row.title()} for row in rows], "pagination": told})


async def test_check_asks_each_source_once() -> None:
    """One request a source, side by side; what came is told with its time, the clock's skew and the limits."""
    date = (START + timedelta(seconds=2 + 30)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def answer(target: Target, _request: Request) -> Answer:
        if "bad" in target.base_url:
            return reply({"message": "no"}, status=401)
        if "dead" in target.base_url:
            return TransportError("no connection")
        return reply({"data": []}, headers={"Date": date, "X-RateLimit-Limit": "1000"})

    b = Bench(answer, latency_s=2)
    accounts = [b.account("good", rates=(Rate(100, 60.0), Rate(9, 7.0))), b.account("bad"), b.account("dead")]
    good, bad, dead = await check(accounts, b.fetcher, b.clock)
    assert (good.ok, good.message, good.elapsed_ms, good.clock_skew_s) == (True, "", 2000, 30)
    assert good.limits == "9/7s, 100/min; announced: 1000"
    assert (bad.ok, "token" in bad.message, bad.clock_skew_s, bad.limits) == (False, True, None, "none known")
    assert (dead.ok, dead.message, dead.clock_skew_s) == (False, "no connection", None)
    assert len(b.transport.sent) == 3
    assert b.clock.monotonic() == 2


async def test_check_takes_a_date_without_a_zone_for_none() -> None:
    """`-0000` says that the zone is not known (RFC 5322, 3.3): the clocks cannot be compared."""
    b = Bench(
        lambda _target, _request: reply({"data": []}, headers={"Date": "Wed, 01 Apr 2026 12:00:00 -0000"})
    )
    (row,) = await check([b.account()], b.fetcher, b.clock)
    assert (row.ok, row.clock_skew_s) == (True, None)


async def test_error_that_is_no_refusal_comes_out_alone() -> None:
    """Nothing a source does is wrapped in a group."""

    def answer(_target: Target, _request: Request) -> Answer:
        raise RuntimeError("mistake")

    b = Bench(answer)
    with pytest.raises(RuntimeError, match="mistake"):
        await agents([b.account("one"), b.account("two")], b.fetcher)


async def test_check_asks_many_sources_some_at_a_time() -> None:
    """The rows come in the order of the sources, whoever answers first."""
    b = Bench(lambda _target, _request: reply({"data": []}), latency_s=1)
    rows = await check([b.account(f"s{n}") for n in range(50)], b.fetcher, b.clock)
    assert [row.source for row in rows] == [f"s{n}" for n in range(50)]
    assert b.transport.most_in_flight == 16


async def test_agents_are_listed_page_by_page() -> None:
    """All pages are asked for, and an agent that comes again is told once; else the config is all there is."""
    pages = [
        page(["a", "b"], number=1, pages=3),
        page(["b", "c"], number=2, pages=3),
        page(["d"], number=3, pages=3),
    ]
    b = Bench(lambda _target, _request: pages.pop(0))
    rows = await agents([b.account(), b.account("voice", "agentvoice", agents=("x",))], b.fetcher)
    assert rows == [
        *(AgentRow(source="sales", agent_id=one, agent_name=one.title()) for one in "abcd"),
        AgentRow(source="voice", agent_id="x", agent_name=None),
    ]


async def test_list_of_agents_without_an_end_is_left() -> None:
    """A server that always has more is believed as long as it brings new agents."""
    b = Bench(lambda _target, _request: page(["a", "b"], number=1, pages=9))
    assert len(await agents([b.account()], b.fetcher)) == 2
    assert len(b.transport.sent) == 2


async def test_agents_of_a_source_that_fails_are_an_error() -> None:
    """The first failure comes out as it is, and the other sources are not waited for."""

    async def answer(target: Target, _request: Request) -> Answer:
        if "bad" in target.base_url:
            return reply({}, status=401)
        await anyio.sleep_forever()
        return page([])

    clock = FakeClock()
    b = Bench(lambda _target, _request: page([]))
    transport = FakeTransport(answer, clock=clock)
    fetcher = Fetcher(transport, clock, RetryPolicy())
    with pytest.raises(AccessError, match="bad: list agents"):
        await agents([b.account("good"), b.account("bad")], fetcher)


async def test_plan_reckons_from_one_row_of_each_list() -> None:
    """Calls, pages, requests and the time that limits take, for each agent; no more than one request each."""

    def answer(_target: Target, request: Request) -> Answer:
        if request.endpoint == "list agents":
            return page(["a", "b"])
        return page([], total=2_500 if request.agent_id == "a" else 0)

    b = Bench(answer)
    rates = (Rate(60_000, 60.0), Rate(1000, 3600.0))
    rows = await plan([b.account("pilot", "talkpilot", rates=rates, details=("full",))], b.fetcher, START)
    assert [(row.agent_id, row.agent_name, row.calls, row.pages, row.requests) for row in rows] == [
        ("a", "A", 2_500, 25, 2_525),
        ("b", "B", 0, 1, 1),
    ]
    assert rows[0].seconds == pytest.approx(1_525 * 3.6)
    assert rows[1].seconds == 0.001
    assert (rows[0].since, rows[0].until) == (None, UNTIL)
    assert len(b.transport.sent) == 3


async def test_plan_of_an_account_is_one_row() -> None:
    """Where one list has all calls it is asked once; without a known limit no time is told."""
    b = Bench(lambda _target, _request: page([], total=101))
    (row,) = await plan([b.account()], b.fetcher, START)
    assert (row.agent_id, row.pages, row.requests, row.seconds) == (None, 2, 2, None)


async def test_plan_of_a_list_without_a_total_does_not_guess() -> None:
    """What the provider does not tell is not known."""
    b = Bench(lambda _target, _request: reply([]))
    (row,) = await plan([b.account("s", "bimpe", agents=("a",), rates=(Rate(1, 1.0),))], b.fetcher, START)
    assert (row.calls, row.pages, row.requests, row.seconds) == (None, None, None, None)


async def test_plan_counts_recordings_beside_the_requests() -> None:
    """At most one a call, and the details they need with them; none where none are asked for."""
    b = Bench(lambda _target, _request: page([], total=250))
    pilot, voice = (b.account(name, name, agents=("a",)) for name in ("talkpilot", "agentvoice"))
    for account in (pilot, voice):
        account.source = replace(account.source, recordings=True)
    rows = await plan([pilot, voice, b.account("plain", "talkpilot", agents=("a",))], b.fetcher, START)
    assert [(row.requests, row.recordings) for row in rows] == [(253, 250), (3, 250), (3, 0)]
