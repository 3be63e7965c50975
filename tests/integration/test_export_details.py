"""Details beside the lists: all of them, byte for byte, each asked for once; and what becomes of those that fail."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from harvester.app import Harvester
from harvester.config import load_config
from harvester.job.report import Report
from harvester.job.run import Answered
from harvester.sandbox import (
    Churn,
    FaultRule,
    Faults,
    Media,
    Overrides,
    Quirks,
    SandboxConfig,
    World,
    open_sandbox,
)
from harvester.transport.retry import RetryPolicy

from .enriching import (
    WITH_DETAILS,
    all_violations,
    asked,
    asked_media,
    assert_whole,
    detailed,
    sounds,
    three,
    turns,
    whole,
)
from .exporting import (
    PROMPT,
    Output,
    SandboxProcess,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    gaps_of,
    harvest,
    source,
    started,
    truth,
    wait_for,
    write_config,
)

SLOW = pytest.mark.slow
BY_REQUEST = ("talkpilot", "bimpe")


@pytest.mark.parametrize("calls", [120, pytest.param(2000, marks=SLOW)])
async def test_everything_is_there_and_asked_for_once(tmp_path: Path, calls: int) -> None:
    """Every detail and every recording, byte for byte, with links that die within a second and no rule broken."""
    config = SandboxConfig(calls=calls, providers={"talkpilot": Overrides(media=Media(link_life_s=1.0))})
    async with open_sandbox(config) as sandbox:
        report = await export(document(three(sandbox.url, recordings=True)), tmp_path)
        stats, world = sandbox.stats(), sandbox.world
        assert_whole(Output(tmp_path / "out"), world, recordings=True)
        assert all_violations(stats) == []
        assert sum(stats["agentvoice"]["keys"][0]["requests"].values()) <= -(-calls // 100) + 10
        for name in BY_REQUEST:
            # A link that died on the way to the storage may cost one request more: how many do is the machine's speed.
            assert 0 <= asked(stats, name) - len(detailed(world.account(name))) <= calls // 20
        assert asked(stats, "bimpe") == calls
        assert report.totals.recordings == sum(
            len(sounds(world.account(n))) for n in ("agentvoice", "talkpilot")
        )
    assert report.outcome == "complete"
    assert_adds_up(report)


@pytest.mark.parametrize(
    ("file_format", "shape"),
    [
        ("parquet", "unified"),
        ("ndjson", "native"),
        pytest.param("parquet", "native", marks=SLOW),
        pytest.param("ndjson", "unified", marks=SLOW),
    ],
)
async def test_all_formats_and_shapes_keep_details(tmp_path: Path, file_format: str, shape: str) -> None:
    """Unified rows have the detail in `raw` and the list's row in `raw_list`; native rows are the details."""
    async with open_sandbox(SandboxConfig(calls=40, agents=2)) as sandbox:
        output = {"format": file_format, "shape": shape}
        await export(document(three(sandbox.url), output=output), tmp_path)
        out = Output(tmp_path / "out")
        for name in WITH_DETAILS:
            account = sandbox.world.account(name)
            wanted, listed = whole(account), truth(account)
            if shape == "unified":
                assert out.raws(name) == wanted
                lists = {row["call_id"]: row["raw_list"] for row in out.rows(name)}
                for call_id in detailed(account):
                    assert lists[call_id] == (None if name == "agentvoice" else listed[call_id].decode())
            else:
                field = "conversation_logs" if name == "bimpe" else "transcript"
                found = {row["id"]: row.get(field) for row in out.rows(name)}
                if name == "bimpe" and file_format == "parquet":
                    found = {call_id: json.loads(text or "null") for call_id, text in found.items()}
                assert found == {call_id: json.loads(raw).get(field) for call_id, raw in wanted.items()}


async def test_transcripts_are_what_was_said(tmp_path: Path) -> None:
    """Turn by turn, of all providers, and DuckDB reads them as they are."""
    duckdb = pytest.importorskip("duckdb")
    async with open_sandbox(SandboxConfig(calls=80, agents=2)) as sandbox:
        await export(document(three(sandbox.url)), tmp_path)
        found: dict[tuple[str, str], Any] = {}
        for row in Output(tmp_path / "out").rows():
            told = row["transcript"]
            found[row["source"], row["call_id"]] = told and [(turn["role"], turn["text"]) for turn in told]
        for name in WITH_DETAILS:
            for call_id, raw in whole(sandbox.world.account(name)).items():
                assert (found[name, call_id] or None) == (turns(name, raw) or None), (name, call_id)
    files = f"{tmp_path}/out/calls/**/*.parquet"
    asked_for = f"SELECT count(*), sum(len(transcript)) FROM '{files}' WHERE transcript[1].role IS NOT NULL"
    (count, said), *_ = duckdb.sql(asked_for).fetchall()
    assert count == sum(bool(told) and told[0][0] is not None for told in found.values())
    assert said == sum(len(told) for told in found.values() if told)


async def test_purged_calls_are_not_asked_for(tmp_path: Path) -> None:
    """A row that says that all is gone is written as it is, and is no gap."""
    churn = Churn(purges_per_s=200.0, ends_after_s=0.3)
    async with open_sandbox(SandboxConfig(calls=100, agents=2, churn=churn)) as sandbox:
        text = document([source("talkpilot", sandbox.url, details=True)])
        await export(document([source("talkpilot", sandbox.url)]), tmp_path / "first")
        await anyio.sleep(0.5)
        sandbox.reset()
        report = await export(text, tmp_path)
        account = sandbox.world.account("talkpilot")
        rows = {row["call_id"]: row for row in Output(tmp_path / "out").rows()}
        purged = {call_id for call_id, row in rows.items() if row["is_purged"]}
        assert len(purged) > 10
        assert asked(sandbox.stats(), "talkpilot") == len(rows) - len(purged) == len(detailed(account))
    assert all(rows[call_id]["raw_list"] is None for call_id in purged)
    assert (report.outcome, report.sources[0].gaps) == ("complete", [])


async def test_second_run_asks_for_nothing(tmp_path: Path) -> None:
    """What is there is there: not one request."""
    async with open_sandbox(SandboxConfig(calls=20, agents=2)) as sandbox:
        text = document(three(sandbox.url, recordings=True))
        await export(text, tmp_path)
        report = await export(text, tmp_path)
    assert (report.outcome, report.totals.requests, report.totals.written) == ("complete", 0, 60)


@pytest.mark.parametrize("provider", BY_REQUEST)
async def test_further_passes_ask_for_no_detail_again(tmp_path: Path, provider: str) -> None:
    """A list that moves is walked again and again; a call that is known is not asked for again."""
    quirks = Quirks(order="random", duplicates=7, total="wobbles", total_off=3)
    async with open_sandbox(SandboxConfig(calls=250, agents=1, quirks=quirks)) as sandbox:
        report = await export(document([source(provider, sandbox.url, details=True)]), tmp_path)
        account = sandbox.world.account(provider)
        assert report.sources[0].agents[0].windows[0].passes > 1
        assert asked(sandbox.stats(), provider) == len(detailed(account))
        assert Output(tmp_path / "out").raws() == whole(account)


# Details that fail.


def _one_bad(provider: str, kind: str, *, times: int = 0, calls: int = 40) -> tuple[SandboxConfig, str]:
    """Return a sandbox in which the detail of one call fails, and which call it is."""
    config = SandboxConfig(calls=calls, agents=2)
    call_id = sorted(detailed(World(config).account(provider)))[3]
    rules = (FaultRule(kind, endpoint="call", call_id=call_id, times=times),)
    return SandboxConfig(calls=calls, agents=2, faults=Faults(rules=rules)), call_id


@pytest.mark.parametrize("provider", BY_REQUEST)
async def test_call_that_is_gone_is_a_final_gap(tmp_path: Path, provider: str) -> None:
    """Its row is that of the list; the gap counts in the run that finds it, and never again."""
    config, call_id = _one_bad(provider, "404")
    async with open_sandbox(config) as sandbox:
        text = document([source(provider, sandbox.url, details=True)])
        first = await export(text, tmp_path)
        (gap,) = first.sources[0].gaps
        assert (gap.kind, gap.call_id, gap.final, first.outcome) == ("detail", call_id, True, "gaps")
        account = sandbox.world.account(provider)
        wanted = whole(account) | {call_id: truth(account)[call_id]}
        assert Output(tmp_path / "out").raws() == wanted
        sandbox.reset()
        again = await export(text, tmp_path)
        assert asked(sandbox.stats(), provider) == 0
    assert_adds_up(first)
    assert (again.outcome, again.sources[0].gaps, again.totals.missing) == ("complete", [], 0)


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        ("talkpilot", "500"),
        ("bimpe", "html"),
        ("bimpe", "403"),
        *(
            pytest.param(provider, kind, marks=SLOW)
            for provider in BY_REQUEST
            for kind in ("half_json", "reset", "success_false", "truncated")
        ),
    ],
)
async def test_detail_that_fails_is_owed_and_asked_for_again(
    tmp_path: Path, provider: str, kind: str
) -> None:
    """Its row is held back, named and counted; the next run asks for it alone and writes it once."""
    config, call_id = _one_bad(provider, kind, times=1 if kind == "403" else PROMPT.max_attempts)
    async with open_sandbox(config) as sandbox:
        text = document([source(provider, sandbox.url, details=True)])
        first = await export(text, tmp_path)
        (gap,) = first.sources[0].gaps
        assert (gap.kind, gap.call_id, gap.final, first.outcome) == ("detail", call_id, False, "gaps")
        assert (first.totals.written, first.totals.missing) == (39, 1)
        assert_adds_up(first)
        assert call_id not in Output(tmp_path / "out").ids()
        sandbox.reset()
        again = await export(text, tmp_path)
        assert sum(sandbox.stats()[provider]["keys"][0]["requests"].values()) == 1
        assert Output(tmp_path / "out").raws() == whole(sandbox.world.account(provider))
        assert (await export(text, tmp_path)).totals.requests == 0
    assert_adds_up(again)
    assert (again.outcome, again.totals.written, again.totals.missing) == ("complete", 40, 0)


async def test_counts_stay_right_while_something_is_owed(tmp_path: Path) -> None:
    """Of two that are owed one comes in each further run; each is counted once, in whatever run it came."""
    ids = sorted(detailed(World(SandboxConfig(calls=40, agents=1)).account("bimpe")))
    tries = PROMPT.max_attempts
    rules = (
        FaultRule("500", endpoint="call", call_id=ids[1], times=tries),
        FaultRule("500", endpoint="call", call_id=ids[2], times=3 * tries),
    )
    config = SandboxConfig(calls=40, agents=1, faults=Faults(rules=rules))
    async with open_sandbox(config) as sandbox:
        text = document([source("bimpe", sandbox.url, details=True)])
        told = []
        for _ in range(5):
            report = await export(text, tmp_path)
            assert_adds_up(report)
            told.append((report.totals.written, report.totals.missing, report.outcome))
        assert_same_ids(Output(tmp_path / "out").ids(), ids)
    assert told == [
        (38, 2, "gaps"), (39, 1, "gaps"), (39, 1, "gaps"), (40, 0, "complete"), (40, 0, "complete"),
    ]  # fmt: skip


async def test_many_windows_that_are_owed_details_come_to_their_end(tmp_path: Path) -> None:
    """A window whose last detail comes before the window itself is looked at ends all the same."""
    account = World(SandboxConfig(calls=400, agents=20)).account("bimpe")
    lost = [min(truth(account, agents=[agent.id])) for agent in account.agents()]
    rules = tuple(FaultRule("half_json", endpoint="call", call_id=one, times=1) for one in lost)
    async with open_sandbox(SandboxConfig(calls=400, agents=20, faults=Faults(rules=rules))) as sandbox:
        text = document([source("bimpe", sandbox.url, details=True)])
        first = await export(text, tmp_path, policy=RetryPolicy(max_attempts=1))
        assert gaps_of(first) == ["detail"] * 20
        with anyio.fail_after(20):
            report = await export(text, tmp_path)
        assert Output(tmp_path / "out").raws() == whole(sandbox.world.account("bimpe"))
    assert (report.outcome, report.totals.requests) == ("complete", 20)


async def test_damaged_details_are_kept_and_named(tmp_path: Path) -> None:
    """`raw` is the detail byte for byte; what does not fit is null, and in quarantine as of "get call"."""
    quirks = Quirks(lone_surrogates=5, wrong_types=4, extra_fields=True)
    async with open_sandbox(SandboxConfig(calls=60, agents=2, quirks=quirks)) as sandbox:
        report = await export(document(three(sandbox.url)), tmp_path)
        out = Output(tmp_path / "out")
        assert_whole(out, sandbox.world)
        for name in BY_REQUEST:
            details = whole(sandbox.world.account(name))
            lines = [line for line in out.quarantine(name) if line["endpoint"] == "get call"]
            assert {line["field"] for line in lines} >= {
                "duration" if name == "talkpilot" else "duration_seconds"
            }
            assert all(line["raw"].encode() == details[line["call_id"]] for line in lines)
    assert (report.outcome, report.totals.missing) == ("complete", 0)
    assert report.totals.damaged > 0


@pytest.mark.parametrize(
    "rate",
    [{"500": 0.1, "html": 0.1, "half_json": 0.1}, pytest.param({"429": 0.1, "reset": 0.1}, marks=SLOW)],
)
async def test_details_survive_faults_by_chance(tmp_path: Path, rate: dict[str, float]) -> None:
    """Whatever goes wrong on the way, all come, and no request more than was answered wrongly."""
    async with open_sandbox(SandboxConfig(calls=60, agents=2, faults=Faults(rates=rate))) as sandbox:
        report = await export(document(three(sandbox.url)), tmp_path)
        assert_whole(Output(tmp_path / "out"), sandbox.world)
        tally = sandbox.stats()["bimpe"]["keys"][0]
        assert tally["requests"]["call"] <= 60 + sum(tally["faults"].values())
    assert report.outcome == "complete"


# Cut short.


def _kill(folder: Path, sandbox: SandboxProcess, *, after: int, number: signal.Signals) -> int:
    """Start an export, end it after so many details and recordings, and return its exit code."""
    with started(folder, "export", "-q") as running:
        wait_for(lambda: _enriched(sandbox) >= after or not running.is_running)
        running.send(number)
        return running.wait().code


def _enriched(sandbox: SandboxProcess) -> int:
    stats = sandbox.stats()
    media = sum(asked_media(stats, name) for name in ("agentvoice", "talkpilot"))
    return media + sum(asked(stats, name) for name in BY_REQUEST)


@pytest.mark.parametrize(
    ("kills", "calls"), [(1, 40), pytest.param(10, 2000, marks=SLOW)], ids=["once", "ten times"]
)
def test_kill_costs_no_more_than_the_last_second(
    tmp_path: Path, serve: Callable[..., SandboxProcess], kills: int, calls: int
) -> None:
    """Killed again and again: nothing lost, nothing doubled, and what was had before is not asked for again."""
    sandbox = serve(calls=calls, agents=3, latency_s=0.02)
    write_config(tmp_path, document(three(sandbox.url, recordings=True), run={"concurrency": 12}))
    dice = random.Random(kills)
    wanted = {name: len(detailed(sandbox.world.account(name))) for name in BY_REQUEST}
    files = {name: len(sounds(sandbox.world.account(name))) for name in ("agentvoice", "talkpilot")}
    whole_work = sum(wanted.values()) + sum(files.values())
    for kill in range(kills):
        share = (kill + dice.random()) / (kills + 1)
        code = _kill(tmp_path, sandbox, after=int(whole_work * share), number=signal.SIGKILL)
        assert code == -signal.SIGKILL
    done = harvest(tmp_path, "export", longest_s=300)
    assert done.code == 0, done.err
    stats = sandbox.stats()
    assert_whole(Output(tmp_path / "out"), sandbox.world, recordings=True)
    assert all_violations(stats) == []
    for name in BY_REQUEST:
        # In flight, and answered within the last second, at each kill.
        assert asked(stats, name) - wanted[name] <= kills * (12 + _per_second(stats, name)), name
    for name, count in files.items():
        # A recording is entered at once: only those in flight are lost.
        assert asked_media(stats, name) - count <= kills * 8, name


def _per_second(stats: dict[str, Any], provider: str) -> int:
    return max(int(tally["max_per_second"]) for tally in stats[provider]["keys"])


@SLOW
def test_signal_loses_no_detail(tmp_path: Path, serve: Callable[..., SandboxProcess]) -> None:
    """A clean end keeps every answer that came: only what was in flight is asked for again."""
    sandbox = serve(calls=60, agents=3, latency_s=0.02)
    write_config(tmp_path, document(three(sandbox.url, recordings=True), run={"concurrency": 6}))
    assert _kill(tmp_path, sandbox, after=60, number=signal.SIGINT) == 130
    done = harvest(tmp_path, "export")
    assert done.code == 0, done.err
    stats = sandbox.stats()
    assert_whole(Output(tmp_path / "out"), sandbox.world, recordings=True)
    for name in BY_REQUEST:
        assert asked(stats, name) - len(detailed(sandbox.world.account(name))) <= 6
    for name in ("agentvoice", "talkpilot"):
        assert asked_media(stats, name) - len(sounds(sandbox.world.account(name))) <= 8


async def test_stop_ends_an_export_that_fetches_details(tmp_path: Path) -> None:
    """`Harvester.stop` returns the report of what was done, and the next export ends it."""
    async with open_sandbox(SandboxConfig(calls=50, agents=2, latency_s=0.005)) as sandbox:
        text = document(three(sandbox.url, recordings=True), run={"concurrency": 4})
        opened: list[Harvester] = []

        def stop(event: Answered) -> None:
            if event.endpoint == "get call" and asked(sandbox.stats(), "bimpe") >= 20:
                opened[0].stop("enough")

        config = load_config(text, folder=tmp_path, environ={}, now=datetime.now(UTC))
        async with Harvester(config, policy=PROMPT, hooks=[stop]) as harvester:
            opened.append(harvester)
            report: Report = await harvester.export()
        assert report.outcome == "interrupted"
        assert (await export(text, tmp_path)).outcome == "complete"
        assert_whole(Output(tmp_path / "out"), sandbox.world, recordings=True)
        assert asked(sandbox.stats(), "bimpe") <= 50 + 4
