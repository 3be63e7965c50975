"""Whole exports against APIs in memory: what is fetched, what is not fetched again, and what the report says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harvester.errors import HeldError, OutputError, ProviderError, TransportError, UsageError
from harvester.job.report import Report, Tally
from harvester.journal import Journal
from harvester.model import Rate, Request, Response, Segment, SegmentKind
from harvester.testing import MemoryOutput, MemorySink, reply
from harvester.transport.base import Target

from .apis import UNTIL, Api, Bench, source
from .servers import Call, calls, moment

Answer = Response | ProviderError | None


def ids(rows: list[Call]) -> set[str]:
    return {row.id for row in rows}


def named(prefix: str, count: int, *, start: float = 0.0, every: float = 1.0) -> list[Call]:
    return [Call(f"{prefix}{n}", moment(start + n * every)) for n in range(count)]


def assert_adds_up(report: Report) -> None:
    """Expected is written, quarantined and missing, at each level, and each level is the sum of the next."""
    tallies: list[Tally] = [report.totals, *report.sources]
    tallies += [agent for one in report.sources for agent in one.agents]
    tallies += [window for one in report.sources for agent in one.agents for window in agent.windows]
    for tally in tallies:
        if tally.expected is not None:
            assert tally.expected == tally.written + tally.quarantined + tally.missing
    for one in report.sources:
        for field in ("written", "duplicates", "quarantined", "missing"):
            assert getattr(one, field) == sum(getattr(agent, field) for agent in one.agents)
    rows = sum(segment.rows for segment in report.segments if segment.path.startswith("calls/"))
    assert rows == report.totals.written


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **apis: Bench(tmp_path / "out", **apis)


# What is fetched.


@pytest.mark.parametrize("provider", ["talkover", "agentvoice", "talkpilot", "bimpe"])
async def test_export_brings_every_call_once(bench: Callable[..., Bench], provider: str) -> None:
    """All calls of all agents, each page asked for once, and a report that adds up."""
    b = bench(sales=Api(provider, {"a": named("a", 250), "b": named("b", 99), "c": []}))
    agents = ("a", "b", "c") if provider == "agentvoice" else None
    report = await b.export(source(provider, agents=agents))
    assert sorted(b.ids()) == sorted(ids(named("a", 250)) | ids(named("b", 99)))
    assert report.outcome == "complete"
    assert (report.totals.expected, report.totals.written, report.totals.missing) == (349, 349, 0)
    assert len(b.apis["sales"].pages) == (4 if provider == "talkover" else 5)
    assert_adds_up(report)


async def test_export_asks_only_for_the_agents_named(bench: Callable[..., Bench]) -> None:
    """Of named agents come their calls and no others, with their names from the list of agents."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5), "b": named("b", 5)}))
    await b.export(source(agents=("b",)))
    records = b.output.records("sales")
    assert {(record.call_id[0], record.agent_id, record.agent_name) for record in records} == {
        ("b", "b", "B")
    }


async def test_export_cuts_the_range(bench: Callable[..., Bench]) -> None:
    """`since` is inclusive, `until` exclusive; what is listed beyond is counted as outside."""
    b = bench(sales=Api("bimpe", {"a": named("a", 10)}))
    report = await b.export(source(since=moment(3), until=moment(7)))
    assert b.ids() == ["a3", "a4", "a5", "a6"]
    (window,) = report.sources[0].agents[0].windows
    assert (window.listed, window.outside, window.expected, window.written) == (10, 6, 4, 4)


async def test_export_keeps_calls_without_a_moment(bench: Callable[..., Bench]) -> None:
    """A call without `created_at` is in every range, and in the output once."""
    b = bench(sales=Api("bimpe", {"a": [Call("x", None), *named("a", 5)]}))
    await b.export(source(until=moment(3)))
    await b.export(source(until=moment(10)))
    assert sorted(b.ids()) == ["a0", "a1", "a2", "a3", "a4", "x"]


async def test_export_walks_a_whole_account(bench: Callable[..., Bench]) -> None:
    """Where one list has all calls no agents are listed, and each call has the agent its row names."""
    b = bench(sales=Api("talkover", {"a": named("a", 3), "b": named("b", 3)}))
    report = await b.export(source("talkover"))
    assert [request.endpoint for request in b.apis["sales"].asked] == ["list calls"]
    assert {record.agent_name for record in b.output.records("sales")} == {"A", "B"}
    assert [agent.agent_id for agent in report.sources[0].agents] == [None]


async def test_export_of_nothing_leaves_an_empty_segment(bench: Callable[..., Bench]) -> None:
    """A source without calls is complete, with one segment of no rows."""
    b = bench(sales=Api("bimpe", {"a": []}))
    report = await b.export(source())
    assert (report.outcome, [segment.rows for segment in report.segments]) == ("complete", [0])
    assert_adds_up(report)


async def test_export_serves_many_sources(bench: Callable[..., Bench]) -> None:
    """Sources are asked side by side, within the number in flight, and each has its own part of the report."""
    apis = {f"s{n}": Api("bimpe", {"a": named("a", 20)}) for n in range(20)}
    b = bench(**apis)
    report = await b.export(*(source(name=name) for name in apis), concurrency=4)
    assert report.totals.written == 400
    assert b.transport.most_in_flight <= 4
    assert_adds_up(report)


async def test_export_reports_rows_that_are_no_calls(bench: Callable[..., Bench]) -> None:
    """A row without an id goes to quarantine whole, is counted and named as a gap, and the others are written."""
    body = {
        "data": [{"id": "a0", "created_on": "2026-03-01T00:00:00Z"}, {"no": "id"}],
        "meta": {"total_count": 2},
    }
    b = bench(
        sales=Api(
            "bimpe", {"a": []}, fault=lambda _t, r, _n: reply(body) if r.endpoint == "list calls" else None
        )
    )
    report = await b.export(source(agents=("a",)))
    assert b.ids() == ["a0"]
    assert [(line.raw, line.agent_id) for line in b.output.quarantined("sales")] == [('{"no":"id"}', "a")]
    assert (report.outcome, report.totals.quarantined, report.sources[0].gaps[0].kind) == ("gaps", 1, "row")
    assert_adds_up(report)


async def test_export_counts_values_that_do_not_fit(bench: Callable[..., Bench]) -> None:
    """A damaged value is null in its column, whole in quarantine, and no gap."""
    body = {"data": [{"id": "a0", "status": 7}], "meta": {"total_count": 1}}
    b = bench(
        sales=Api(
            "bimpe", {"a": []}, fault=lambda _t, r, _n: reply(body) if r.endpoint == "list calls" else None
        )
    )
    report = await b.export(source(agents=("a",)))
    assert (report.outcome, report.totals.damaged, report.totals.written) == ("complete", 1, 1)
    assert [line.field for line in b.output.quarantined("sales")] == ["status"]


# What is not fetched again.


async def test_second_export_does_nothing(bench: Callable[..., Bench]) -> None:
    """Where all is there no request is sent, and the report still holds the whole job."""
    b = bench(sales=Api("bimpe", {"a": named("a", 250)}))
    first = await b.export(source())
    asked = len(b.transport.sent)
    second = await b.export(source())
    assert len(b.transport.sent) == asked
    assert (second.outcome, second.totals.written, second.totals.requests) == ("complete", 250, 0)
    assert second.segments == first.segments
    assert second.sources[0].agents == first.sources[0].agents


@pytest.mark.parametrize("provider", ["talkover", "agentvoice", "talkpilot", "bimpe"])
async def test_ranges_add_up(bench: Callable[..., Bench], provider: str) -> None:
    """What a wider range has beyond the old is fetched, what is there is not, whichever end it grows at."""
    b = bench(sales=Api(provider, {"a": named("a", 100, every=1_440.0)}))
    for since, until in ((40, 60), (40, 80), (10, 80), (None, 100), (20, 30)):
        start = None if since is None else moment(since * 1_440.0)
        report = await b.export(source(provider, agents=("a",), since=start, until=moment(until * 1_440.0)))
        assert_adds_up(report)
    assert sorted(b.ids()) == sorted(ids(named("a", 100)))


async def test_agents_add_up(bench: Callable[..., Bench]) -> None:
    """An agent that is new in the list is fetched, one that is no longer in it stays."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5), "b": named("b", 5)}))
    await b.export(source(agents=("a",)))
    await b.export(source(agents=("a", "b")))
    report = await b.export(source(agents=("b",)))
    assert len(b.ids()) == len(set(b.ids())) == 10
    assert report.totals.written == 10


@pytest.mark.parametrize("provider", ["talkover", "agentvoice"])
@pytest.mark.parametrize("is_account_first", [True, False])
async def test_account_and_agent_add_up(
    bench: Callable[..., Bench], provider: str, is_account_first: bool
) -> None:
    """A whole account after one of its agents, or before: no call is doubled and none is missing."""
    b = bench(sales=Api(provider, {"a": named("a", 30), "b": named("b", 30)}))
    steps = [source(provider), source(provider, agents=("a",))]
    first, second = steps if is_account_first else reversed(steps)
    await b.export(first)
    report = await b.export(second)
    assert sorted(b.ids()) == sorted(ids(named("a", 30)) | ids(named("b", 30)))
    assert (report.outcome, report.totals.written) == ("complete", 60)
    assert_adds_up(report)


async def test_export_without_an_end_keeps_the_moment_of_its_first_start(bench: Callable[..., Bench]) -> None:
    """Calls that come after the first start are not looked for by the same command later."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5)}))
    await b.export(source(until=None))
    b.clock.advance(86_400)
    b.apis["sales"].agents["a"].append(Call("late", b.clock.now()))
    await b.export(source(until=None))
    assert "late" not in b.ids()


async def test_changed_job_is_refused(bench: Callable[..., Bench]) -> None:
    """Another filter is another job: it is refused before any request, and what changed is shown, not its value."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5)}))
    await b.export(source(filters={"status": "ended"}))
    asked = len(b.transport.sent)
    with pytest.raises(
        UsageError, match=r"filters was \(status = ended\), is now \(search = \(not shown\), status"
    ) as caught:
        await b.export(source(filters={"status": "ended", "search": "+15550100"}))
    assert "--out" in str(caught.value)
    assert "--fresh" in str(caught.value)
    assert "15550100" not in str(caught.value)
    assert len(b.transport.sent) == asked


async def test_all_changed_jobs_are_refused_at_once(bench: Callable[..., Bench]) -> None:
    """Every source that asks for another job is named, and none of them is begun."""
    b = bench(one=Api("bimpe", {}), two=Api("bimpe", {}))
    await b.export(source(name="one"), source(name="two"))
    with pytest.raises(UsageError) as caught:
        await b.export(source(name="one"), source(name="two"), raw=False)
    assert [problem.split('"')[1] for problem in caught.value.problems] == ["one", "two"]


async def test_new_credential_goes_on_with_the_job(bench: Callable[..., Bench]) -> None:
    """Keys, rates and concurrency are no part of a job."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5)}))
    await b.export(source())
    report = await b.export(source(key="renewed", rates=(Rate(5, 1.0),), concurrency=2))
    assert report.totals.requests == 0


async def test_held_output_is_refused(bench: Callable[..., Bench]) -> None:
    """While another run holds the output nothing is asked, and the message says who holds it."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5)}))
    held = await Journal.open(b.root, holder="sync of another")
    try:
        with pytest.raises(HeldError, match="sync of another"):
            await b.export(source())
    finally:
        await held.aclose()
    assert b.transport.sent == []
    assert (await b.export(source())).outcome == "complete"


# Gaps.


def failing(agent: str, status: int, *, code: str = "", times: int = 10_000) -> Callable[..., Answer]:
    left = [times]

    def fault(_target: Target, request: Request, _number: int) -> Answer:
        if request.agent_id != agent or left[0] <= 0:
            return None
        left[0] -= 1
        return reply({"error": {"code": code, "message": "no"}}, status=status)

    return fault


async def test_unknown_agent_is_a_gap_of_its_own(bench: Callable[..., Bench]) -> None:
    """A 404 about one agent ends that agent and no other; it is asked again by the next export."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5), "b": named("b", 5)}))
    report = await b.export(source(agents=("gone", "a", "b")))
    assert (report.outcome, report.totals.written) == ("gaps", 10)
    assert [(gap.kind, gap.agent_id) for gap in report.sources[0].gaps] == [("agent", "gone")]
    b.apis["sales"].agents["gone"] = named("g", 3)
    report = await b.export(source(agents=("gone", "a", "b")))
    assert (report.outcome, report.totals.written, len(b.ids())) == ("complete", 13, 13)
    assert_adds_up(report)


async def test_agent_named_but_not_listable_is_walked(bench: Callable[..., Bench]) -> None:
    """Where agents are named, a list of agents that is refused, gone or down costs their names and nothing else."""
    for status in (403, 404, 500):
        fault = lambda _t, r, _n, s=status: reply({}, status=s) if r.endpoint == "list agents" else None  # noqa: E731
        b = bench(**{f"s{status}": Api("bimpe", {"a": named("a", 5)}, fault=fault)})
        report = await b.export(source(name=f"s{status}", agents=("a",)))
        assert (report.outcome, len(b.ids(f"s{status}"))) == ("complete", 5), status


async def test_all_agents_unknown_is_a_failed_source(bench: Callable[..., Bench]) -> None:
    """A source of which no agent is to be had has failed, and each agent is named."""
    b = bench(sales=Api("bimpe", {"a": []}))
    report = await b.export(source(agents=("x", "y")))
    assert report.outcome == "failed"
    assert sorted(gap.agent_id or "" for gap in report.sources[0].gaps) == ["x", "y"]


async def test_refused_credential_ends_its_source_alone(bench: Callable[..., Bench]) -> None:
    """A 401 fails one source with one gap, after the requests in flight; the others are complete."""
    bad = Api("bimpe", {}, fault=lambda *_: reply({"code": "unauthorized"}, status=401))
    b = bench(bad=bad, good=Api("bimpe", {"a": named("a", 300)}))
    report = await b.export(source(name="bad", agents=tuple("abcdefgh")), source(name="good"))
    assert [one.outcome for one in report.sources] == ["failed", "complete"]
    assert [gap.kind for gap in report.sources[0].gaps] == ["source"]
    assert "api_key" in report.sources[0].gaps[0].message
    assert (report.outcome, len(bad.asked) <= 8) == ("gaps", True)


async def test_dead_host_is_given_up(bench: Callable[..., Bench]) -> None:
    """A source that never answers fails after a bounded number of requests; all failed is a failed run."""
    b = bench(sales=Api("bimpe", {}, fault=lambda *_: TransportError("no connection")))
    report = await b.export(source(agents=tuple(f"a{n}" for n in range(50))))
    assert report.outcome == "failed"
    assert "no connection" in report.sources[0].gaps[0].message
    assert len(b.transport.sent) <= 130
    assert b.clock.monotonic() < 600


async def test_malformed_page_is_asked_again(bench: Callable[..., Bench]) -> None:
    """Half a page, or a captive portal's, is asked again, and nothing of it is written."""
    bad = [reply(b'{"data":[{"id":"x'), reply(b"<html>login</html>"), reply({"success": False, "data": []})]
    api = Api("talkover", {"a": named("a", 250)}, fault=lambda *_: bad.pop() if bad else None)
    b = bench(sales=api)
    report = await b.export(source("talkover"))
    assert (report.outcome, len(b.ids()), report.totals.retries) == ("complete", 250, 3)


async def test_page_that_stays_broken_is_a_gap(bench: Callable[..., Bench]) -> None:
    """A page given up is named, what it held is missing, and the next export asks for it again."""

    def fault(_target: Target, request: Request, _number: int) -> Answer:
        return reply({}, status=500) if dict(request.query).get("page") == "2" else None

    b = bench(sales=Api("talkover", {"a": named("a", 250)}, fault=fault))
    report = await b.export(source("talkover"))
    assert (report.outcome, report.totals.written, report.totals.missing) == ("gaps", 150, 100)
    assert [gap.kind for gap in report.sources[0].gaps] == ["page"]
    assert_adds_up(report)
    b.apis["sales"].fault = None
    report = await b.export(source("talkover"))
    assert (report.outcome, report.totals.written, sorted(b.ids())) == (
        "complete",
        250,
        sorted(ids(named("a", 250))),
    )
    assert_adds_up(report)


async def test_gap_that_stays_counts_the_same_each_time(bench: Callable[..., Bench]) -> None:
    """A provider that counts more calls than it lists is named by every export, with the same counts."""
    b = bench(sales=Api("talkover", {"a": named("a", 150)}, total_off=2))
    for _ in range(4):
        report = await b.export(source("talkover"))
        assert (report.outcome, report.totals.written, report.totals.missing) == ("gaps", 150, 2)
        assert_adds_up(report)
    assert len(b.ids()) == 150


async def test_list_of_agents_that_fails_fails_the_source(bench: Callable[..., Bench]) -> None:
    """Without named agents the list of agents is what everything hangs on."""
    api = Api("bimpe", {"a": named("a", 5)}, fault=lambda *_: reply({}, status=404))
    report = await bench(sales=api).export(source())
    assert (report.outcome, [gap.kind for gap in report.sources[0].gaps]) == ("failed", ["source"])


async def test_throttled_source_waits_and_stops_no_other(bench: Callable[..., Bench]) -> None:
    """A 429 holds one source for as long as it says, without a request; another is complete meanwhile."""
    slow, fast = Api("bimpe", {"a": named("a", 5)}), Api("bimpe", {"a": named("a", 2_000)})
    slow.fault = lambda _t, _r, n: reply({}, status=429, headers={"Retry-After": "1800"}) if n == 1 else None
    b = bench(slow=slow, fast=fast)
    asked_at: list[float] = []
    fast.fault = lambda *_: asked_at.append(b.clock.monotonic())
    report = await b.export(source(name="slow"), source(name="fast", key="other"))
    assert report.outcome == "complete"
    assert (report.totals.throttled, len(slow.asked)) == (1, 3)
    assert b.clock.monotonic() == pytest.approx(1_800, abs=1)
    assert (len(asked_at), max(asked_at) < 10) == (21, True)


async def test_sources_with_one_key_wait_together(bench: Callable[..., Bench]) -> None:
    """A 429 for one source holds the other with the same credential too."""
    one, two = Api("bimpe", {"a": named("a", 5)}), Api("bimpe", {"a": named("a", 5)})
    b = bench(one=one, two=two)
    asked_at: list[float] = []
    one.fault = lambda _t, _r, n: reply({}, status=429, headers={"Retry-After": "60"}) if n == 1 else None
    two.fault = lambda *_: asked_at.append(b.clock.monotonic())
    await b.export(source(name="one"), source(name="two"), concurrency=1)
    assert min(asked_at) >= 60


# Interrupted.


def stop_at(b: Bench, number: int) -> Callable[..., None]:
    """Stop the export as the n-th request of a source is answered."""

    def fault(_target: Target, _request: Request, asked: int) -> None:
        if asked == number:
            assert b.harvester is not None
            b.harvester.stop()

    return fault


@pytest.mark.parametrize("number", [1, 2, 5, 12, 20, 24])
@pytest.mark.parametrize("concurrency", [1, 6])
async def test_interrupted_export_goes_on(bench: Callable[..., Bench], number: int, concurrency: int) -> None:
    """Stopped at any request, the same command brings the rest; no call is lost or doubled, no page asked twice."""
    api = Api("bimpe", {f"a{n}": named(f"a{n}-", 240) for n in range(8)})
    b = bench(sales=api)
    api.fault = stop_at(b, number)
    report = await b.export(source(), concurrency=concurrency)
    assert report.outcome == "interrupted"
    assert_adds_up(report)
    api.fault = None
    report = await b.export(source(), concurrency=concurrency)
    assert (report.outcome, report.totals.written) == ("complete", 8 * 240)
    assert len(b.ids()) == len(set(b.ids())) == 8 * 240
    assert len(api.pages) <= 24 + concurrency
    assert_adds_up(report)


async def test_export_stopped_while_agents_are_listed_is_not_complete(bench: Callable[..., Bench]) -> None:
    """A source whose agents are not known yet is cut short, and leaves no empty segment."""
    api = Api("bimpe", {"a": named("a", 5)})
    b = bench(sales=api)
    api.fault = stop_at(b, 1)
    report = await b.export(source())
    assert (report.outcome, report.segments) == ("interrupted", [])


async def test_export_stopped_before_it_starts_sends_nothing(bench: Callable[..., Bench]) -> None:
    """`stop` holds for an export that has not begun."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5)}))
    async with b.open(source()) as harvester:
        harvester.stop("told to")
        report = await harvester.export(sink=b.output)
    assert (report.outcome, b.transport.sent) == ("interrupted", [])


# Afresh.


async def test_fresh_export_takes_the_place_of_the_old(bench: Callable[..., Bench]) -> None:
    """All is asked again, and only then the old segments go and the new come."""
    api = Api("bimpe", {"a": named("a", 150)})
    b = bench(sales=api)
    old = await b.export(source(), on_files=True)
    api.agents["a"] = named("n", 120)
    new = await b.export(source(filters={"status": "ended"}), fresh=True, on_files=True)
    files = [path.relative_to(b.root).as_posix() for path in sorted(b.root.glob("calls/*/*"))]
    assert (new.outcome, new.totals.written) == ("complete", 120)
    assert files == [segment.path for segment in new.segments]
    assert not set(files) & {segment.path for segment in old.segments}
    assert_adds_up(new)


@pytest.mark.parametrize("number", [1, 2])
async def test_fresh_export_cut_short_leaves_the_old_and_goes_on(
    bench: Callable[..., Bench], number: int
) -> None:
    """Stopped at any request a fresh export shows nothing; the same command goes on with it."""
    api = Api("bimpe", {"a": named("a", 150)})
    b = bench(sales=api)
    old = await b.export(source(), on_files=True)
    asked = len(api.asked)
    api.fault = stop_at(b, asked + number)
    report = await b.export(source(), fresh=True, on_files=True, concurrency=1)
    assert report.outcome == "interrupted"
    assert all((b.root / segment.path).is_file() for segment in old.segments)
    api.fault = None
    report = await b.export(source(), fresh=True, on_files=True)
    assert (report.outcome, report.totals.written, len(api.asked)) == ("complete", 150, asked + 3)
    assert not any((b.root / segment.path).exists() for segment in old.segments)


async def test_fresh_export_that_fails_keeps_the_old(bench: Callable[..., Bench]) -> None:
    """A source that fails keeps its old segments."""
    api = Api("bimpe", {"a": named("a", 5)})
    b = bench(sales=api)
    old = await b.export(source(), on_files=True)
    api.fault = lambda *_: reply({}, status=401)
    report = await b.export(source(), fresh=True, on_files=True)
    assert report.outcome == "failed"
    assert all((b.root / segment.path).is_file() for segment in old.segments)


async def test_first_export_that_is_fresh_goes_on_where_it_was_cut_short(bench: Callable[..., Bench]) -> None:
    """With nothing to replace, `fresh` twice is the same command: what was fetched is not fetched again."""
    api = Api("bimpe", {"a": named("a", 950)})
    b = bench(sales=api)
    api.fault = stop_at(b, 6)
    await b.export(source(), fresh=True, concurrency=1)
    api.fault = None
    report = await b.export(source(), fresh=True, concurrency=1)
    assert (report.outcome, len(b.ids())) == ("complete", 950)
    assert len(api.pages) <= 10 + 1


# How far it is.


async def test_progress_tells_how_far_each_source_is(bench: Callable[..., Bench]) -> None:
    """While it runs each source has its state and counts; before and after there is no surprise."""
    api = Api("bimpe", {"a": named("a", 450)})
    b = bench(sales=api)
    seen = []
    api.fault = lambda *_: seen.append(b.harvester.progress()[0]) if b.harvester else None
    async with b.open(source(), concurrency=1) as harvester:
        assert harvester.progress() == []
        await harvester.export(sink=b.output)
        assert [(row.state, row.written) for row in harvester.progress()] == [("done", 450)]
    assert [row.state for row in seen] == ["listing agents", *["running"] * 5]
    assert [row.written for row in seen] == [0, 0, 100, 200, 300, 400]
    assert seen[-1].expected == 450


async def test_report_is_kept_and_holds_no_secret(bench: Callable[..., Bench]) -> None:
    """The report is kept with the run as JSON, and has neither credential nor query in it."""
    b = bench(sales=Api("bimpe", {"a": named("a", 5)}))
    report = await b.export(source(filters={"search": "+15550100"}))
    kept = (b.root / "_harvester" / "runs" / report.run_id / "report.json").read_bytes()
    assert kept == report.to_json()
    assert b"secret-key" not in kept
    assert b"15550100" not in kept


def test_until_is_beyond_all_calls() -> None:
    """The calls these tests make are older than the end of the range they ask for."""
    assert all(call.at is not None and call.at < UNTIL for call in calls(1_000))


@pytest.mark.parametrize("number", [1, 3, 8, 17, 25])
async def test_part_of_a_long_list_is_whole_though_cut_short_while_it_moves(
    bench: Callable[..., Bench], number: int
) -> None:
    """A range found by bisection, stopped anywhere, and a list that moved until the next run: nothing is lost."""
    api = Api("bimpe", {"a": named("a", 2_800)})
    b = bench(sales=api)
    one = source(agents=("a",), since=moment(1_000), until=moment(1_450))
    api.fault = stop_at(b, number)
    first = await b.export(one, concurrency=2)
    api.fault = None
    rows = api.agents["a"]
    del rows[0]
    rows.append(Call("late", moment(2_800)))
    report = await b.export(one, concurrency=2)
    assert {first.outcome, report.outcome} <= {"interrupted", "complete"}
    assert sorted(b.ids()) == sorted(ids(named("a", 2_800)[1_000:1_450]))
    assert_adds_up(report)


class _ReadTwice(Api):
    """A long list, newest first, whose filter does nothing, so that it is read as one; it moves then, and once more."""

    def __init__(self) -> None:
        super().__init__("talkpilot", {"a": calls(25_000, every=4.0)})
        self.moves = 0
        self._found = self._newest_first()

    def __call__(self, target: Target, request: Request) -> Response | ProviderError:
        query, rows = dict(request.query), self.agents["a"]
        if request.endpoint != "list calls":
            return super().__call__(target, request)
        if not query.keys() & {"from", "to"}:
            if self.moves == 0 and query["page"] == "1" and query["limit"] != "1":
                del rows[:60]
                self.moves, self._found = 1, self._newest_first()
            elif self.moves == 1 and query["limit"] == "1":
                rows += [Call(f"late{n}", moment(100_000 + n)) for n in range(60)]
                self.moves, self._found = 2, self._newest_first()
        return self._page(self._found, query, 0)

    def _newest_first(self) -> list[tuple[str, Call | None]]:
        return [("a", call) for call in self.agents["a"][::-1]]


async def test_list_that_is_read_twice_as_one_has_no_call_twice(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading has answers of its own in the journal: what was known of the first is not taken from the second."""
    monkeypatch.setattr(Journal, "pack_bytes", 1)  # each answer is durable at once, as where they come slowly
    monkeypatch.setattr(Journal, "flush_bytes", 1)
    api = _ReadTwice()
    b = bench(sales=api)
    report = await b.export(source("talkpilot", agents=("a",), until=moment(200_000)), concurrency=1)
    found = b.ids()
    assert (report.outcome, api.moves, len(found)) == ("complete", 2, len(set(found)))
    assert {call.id for call in api.agents["a"]} <= set(found)


async def test_look_at_the_end_of_a_part_is_made_anew_after_a_stop(bench: Callable[..., Bench]) -> None:
    """What shows at the end of a pass that the list moved is not taken for what was seen at its beginning."""
    api = Api("bimpe", {"a": named("a", 2_800)})
    b = bench(sales=api)
    rows, looked = api.agents["a"], [0]

    def fault(_target: Target, request: Request, _number: int) -> None:
        query = dict(request.query)
        if (
            query.get("page") == "13"
            and query["limit"] == "100"
            and len(rows) == 2_800
            and rows[0].id == "a0"
        ):
            del rows[0]
            rows.append(Call("late", moment(2_800)))
        if (query.get("page"), query["limit"]) == ("2800", "1"):
            looked[0] += 1
            if looked[0] == 2 and b.harvester is not None:
                b.harvester.stop()

    api.fault = fault
    one = source(agents=("a",), since=moment(1_000), until=moment(1_450))
    assert (await b.export(one, concurrency=1)).outcome == "interrupted"
    api.fault = None
    report = await b.export(one, concurrency=1)
    assert report.outcome == "complete"
    assert sorted(b.ids()) == sorted(ids(named("a", 2_800)[1_000:1_450]))


# What stands between runs.


class Unsealable(MemoryOutput):
    """An output that takes rows and cannot make a segment of them."""

    def __call__(self, source: str, kind: SegmentKind) -> MemorySink:
        class Sink(MemorySink):
            async def seal(self, name: str) -> Segment:
                raise OutputError(f"{name} cannot be made durable")

        return Sink(self, source, kind)


async def test_answers_are_not_asked_for_again_where_no_segment_could_be_made(
    bench: Callable[..., Bench],
) -> None:
    """What came before the output failed is in the journal: the next run writes it without a request."""
    api = Api("talkover", {"a": named("a", 950)})
    b = bench(sales=api)
    memory, b.output = b.output, Unsealable()
    with pytest.raises(OutputError):
        await b.export(source("talkover"))
    b.output, asked = memory, len(api.asked)
    report = await b.export(source("talkover"))
    assert (report.outcome, report.totals.written, len(set(b.ids()))) == ("complete", 950, 950)
    assert len(api.asked) == asked == 10


async def test_agents_are_listed_to_the_end(bench: Callable[..., Bench]) -> None:
    """More agents than fit a page are all asked, by their names."""
    b = bench(sales=Api("bimpe", {f"a{n:03}": named(f"a{n:03}-", 1) for n in range(230)}))
    report = await b.export(source())
    assert (report.outcome, len(set(b.ids()))) == ("complete", 230)
    assert len(report.sources[0].agents) == 230


async def test_damaged_answer_is_asked_for_again(bench: Callable[..., Bench]) -> None:
    """What cannot be read in the journal any more is fetched anew, and nothing is lost or doubled."""
    api = Api("talkover", {"a": named("a", 950)})
    b = bench(sales=api)
    memory, b.output = b.output, Unsealable()
    with pytest.raises(OutputError):
        await b.export(source("talkover"), concurrency=1)
    for path in (b.root / "_harvester" / "answers").glob("*"):
        path.write_bytes(path.read_bytes()[:-10])
    b.output, asked = memory, len(api.pages)
    report = await b.export(source("talkover"))
    assert (report.outcome, report.totals.written) == ("complete", 950)
    assert len(b.ids()) == len(set(b.ids())) == 950
    assert len(api.pages) > asked


async def test_rows_without_an_id_are_counted_once_over_runs(bench: Callable[..., Bench]) -> None:
    """A bad row that an earlier run quarantined is known, and its gap is named again with the same counts."""
    rows: list[dict[str, object]] = [
        {"id": f"c{n}", "created_at": "2026-03-01T00:00:00Z"} for n in range(149)
    ]
    rows.insert(50, {"no": "id"})

    def fault(_target: Target, request: Request, _number: int) -> Answer:
        page = int(dict(request.query)["page"])
        told = {"total": 150, "current_page": page, "per_page": 100, "last_page": 2}
        return reply({"data": rows[(page - 1) * 100 : page * 100], "pagination": told})

    b = bench(sales=Api("talkover", {}, fault=fault))
    for _ in range(3):
        report = await b.export(source("talkover"))
        assert (report.outcome, report.totals.written, report.totals.quarantined) == ("gaps", 149, 1)
        assert_adds_up(report)
    assert (len(b.ids()), len(b.output.quarantined("sales"))) == (149, 1)


async def test_agent_that_goes_while_it_is_walked_is_a_gap(bench: Callable[..., Bench]) -> None:
    """What came of an agent before it was gone is kept; the agent is one gap."""
    api = Api("bimpe", {"a": named("a", 900), "b": named("b", 50)})
    b = bench(sales=api)

    def fault(_target: Target, request: Request, _number: int) -> Answer:
        is_late = request.agent_id == "a" and int(dict(request.query)["page"]) > 3
        return reply({"message": "gone"}, status=404) if is_late else None

    api.fault = fault
    report = await b.export(source(), concurrency=6)
    assert (report.outcome, [gap.kind for gap in report.sources[0].gaps]) == ("gaps", ["agent"])
    assert report.totals.written == len(b.ids()) == len(set(b.ids()))
    assert 50 + 100 <= len(b.ids()) <= 50 + 300
