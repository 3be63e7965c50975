"""Jobs over several runs: what is there is not fetched again, ranges and agents add up, `--fresh` puts in place."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harvester.errors import UsageError
from harvester.sandbox import PROVIDERS, Account, Quirks, SandboxConfig, open_sandbox

from .exporting import (
    Output,
    Running,
    SandboxProcess,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    four,
    harvest,
    of,
    requests_of,
    source,
    started,
    truth,
    wait_for,
    write_config,
)

DAY = timedelta(days=1)
START = datetime(2026, 1, 30, tzinfo=UTC)

Wanted = dict[str, bytes]


@pytest.mark.parametrize(("file_format", "shape"), [("parquet", "unified"), ("ndjson", "native")])
async def test_finished_job_does_nothing(tmp_path: Path, file_format: str, shape: str) -> None:
    """The same export again asks nobody anything and changes no file."""
    async with open_sandbox(SandboxConfig(calls=300)) as sandbox:
        text = document(four(sandbox.url), output={"format": file_format, "shape": shape})
        await export(text, tmp_path)
        out = Output(tmp_path / "out")
        before = out.files()
        sandbox.reset()
        report = await export(text, tmp_path)
        assert requests_of(sandbox.stats()) == 0
    assert (report.outcome, report.totals.requests) == ("complete", 0)
    assert report.totals.written == sum(one.rows for one in report.segments) == len(out.ids())
    assert_adds_up(report)
    assert out.files() == before


def test_finished_job_is_told_as_such(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """The command ends with 0 and says up to when everything is there."""
    write_config(tmp_path, document(four(sandbox.url, until="2026-03-05")))
    assert harvest(tmp_path, "export").code == 0
    sandbox.reset()
    done = harvest(tmp_path, "export")
    assert done.code == 0, done.err
    assert "2026-03-05" in done.err
    assert requests_of(sandbox.stats()) == 0


def _piece(account: Account, dice: random.Random) -> tuple[dict[str, Any], Wanted]:
    """Return what one export asks for, and what belongs into the output by it."""
    keys: dict[str, Any] = {}
    agents = [agent.id for agent in account.agents()]
    named = dice.sample(agents, dice.randrange(1, len(agents))) if dice.random() < 0.6 else None
    if named is not None:
        keys["agents"] = named
    since = START + timedelta(hours=dice.randrange(24 * 50)) if dice.random() < 0.8 else None
    until = (since or START) + timedelta(hours=dice.randrange(1, 24 * 20))
    if since is not None:
        keys["since"] = since
    if dice.random() < 0.9:
        keys["until"] = until
        return keys, truth(account, agents=named, since=since, until=until)
    return keys, truth(account, agents=named, since=since)


async def _assert_adds_up_over(folder: Path, seed: int, *, pieces: int, quirks: Quirks) -> None:
    dice = random.Random(seed)
    config = SandboxConfig(calls=240, agents=4, tied_calls=20, seed=seed, quirks=quirks)
    async with open_sandbox(config) as sandbox:
        out = Output(folder / "out")
        wanted: dict[str, Wanted] = {provider: {} for provider in PROVIDERS}
        for _ in range(pieces):
            sources = []
            for provider in PROVIDERS:
                keys, more = _piece(sandbox.world.account(provider), dice)
                sources.append(source(provider, sandbox.url, **keys))
                wanted[provider] |= more
            report = await export(document(sources, output={"format": "ndjson"}), folder)
            assert report.outcome == "complete"
            assert_adds_up(report)
            for provider in PROVIDERS:
                assert_same_ids(out.ids(provider), wanted[provider])
                assert of(report, provider).written == len(wanted[provider])


@pytest.mark.parametrize("seed", range(3))
async def test_ranges_and_agents_add_up(tmp_path: Path, seed: int) -> None:
    """Whatever ranges and agents are asked for in turn, the output is their union, each call once."""
    await _assert_adds_up_over(tmp_path, seed, pieces=4, quirks=Quirks())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 23))
async def test_many_ranges_and_agents_add_up(tmp_path: Path, seed: int) -> None:
    """The same for more of them, with providers that do it their own way."""
    bends = (
        Quirks(),
        Quirks(ignore_times=True, null_created=13),
        Quirks(order="random"),
        Quirks(inclusive_edges=True, exclusive_date_to=True, date_zone_h=-5),
    )
    await _assert_adds_up_over(tmp_path, seed, pieces=8, quirks=bends[seed % 4])


async def test_nightly_range_goes_on_from_where_it_was(tmp_path: Path) -> None:
    """With `since = "7d"` and `until = "now"` each night adds its day, and what is there is not asked for again."""
    first = START + 20 * DAY + timedelta(hours=2)
    async with open_sandbox(SandboxConfig(calls=1500, agents=2)) as sandbox:
        out = Output(tmp_path / "out")
        text = document(four(sandbox.url, since="7d", until="now"))
        reports = []
        for night in range(5):
            now = first + night * DAY
            reports.append(await export(text, tmp_path, now=now))
            for provider in PROVIDERS:
                wanted = truth(sandbox.world.account(provider), since=first - 7 * DAY, until=now)
                assert_same_ids(out.ids(provider), wanted)
    assert {report.outcome for report in reports} == {"complete"}
    # A list of agents and one page for each of them.
    assert of(reports[-1], "talkpilot").requests <= 3
    assert {one.until for one in reports[-1].sources} == {first + 4 * DAY}


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "format": ({"format": "ndjson"}, {}, ("format", '"parquet"', '"ndjson"')),
    "shape": ({"shape": "native"}, {}, ("shape", '"unified"', '"native"')),
    "raw": ({"raw": False}, {}, ("raw", "true", "false")),
    "filters": ({}, {"filters": {"status": "completed"}}, ("filters", "was", "is now", "status")),
    "details": ({}, {"details": True}, ("details", "[]", "full")),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_another_job_is_refused_with_both_named(tmp_path: Path, change: str) -> None:
    """A change of anything but ranges and agents is a UsageError with both, and the ways out; nothing is asked."""
    output, keys, words = CHANGES[change]
    async with open_sandbox(SandboxConfig(calls=150)) as sandbox:
        url = sandbox.url
        await export(document([source("agentvoice", url)], output={"path": "out"}), tmp_path)
        before = Output(tmp_path / "out").files()
        sandbox.reset()
        changed = document([source("agentvoice", url, **keys)], output={"path": "out", **output})
        with pytest.raises(UsageError) as refused:
            await export(changed, tmp_path)
        assert requests_of(sandbox.stats()) == 0
    for word in (*words, '"agentvoice"', "--out", "--fresh"):
        assert word in str(refused.value)
    assert Output(tmp_path / "out").files() == before


async def test_changed_value_of_a_filter_is_told_from_the_old(tmp_path: Path) -> None:
    """A message that shows both has to show what differs."""
    async with open_sandbox(SandboxConfig(calls=150)) as sandbox:
        for status, is_first in (("completed", True), ("failed", False)):
            text = document([source("agentvoice", sandbox.url, filters={"status": status})])
            if is_first:
                await export(text, tmp_path)
            else:
                with pytest.raises(UsageError, match=r"completed.*failed"):
                    await export(text, tmp_path)


def test_another_job_is_exit_code_2(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """For every source that differs a message; a phone number in a filter is not shown."""
    one = source("agentvoice", sandbox.url, filters={"phone_number": "+491713920012"})
    write_config(tmp_path, document([one, source("bimpe", sandbox.url)]))
    assert harvest(tmp_path, "export").code == 0
    one = source("agentvoice", sandbox.url, filters={"phone_number": "+491713920034"})
    write_config(tmp_path, document([one, source("bimpe", sandbox.url)]))
    done = harvest(tmp_path, "export", "--format", "ndjson")
    assert done.code == 2
    assert done.err.count("error: ") == 2
    assert "filters" in done.err
    assert "4915" not in done.err


async def test_what_is_no_part_of_a_job_may_change(tmp_path: Path) -> None:
    """Compression, rate, concurrency and a renewed key go on with the job."""
    async with open_sandbox(SandboxConfig(calls=150)) as sandbox:
        await export(document(four(sandbox.url)), tmp_path)
        sandbox.reset()
        changed = four(sandbox.url, credential="sandbox-renewed", rate="5/s", concurrency=2)
        report = await export(document(changed, output={"compression": "snappy"}), tmp_path)
        assert requests_of(sandbox.stats()) == 0
    assert report.outcome == "complete"


@pytest.mark.parametrize("changed", [{}, {"format": "parquet"}, {"shape": "native"}, {"raw": False}])
async def test_fresh_replaces_what_is_there(tmp_path: Path, changed: dict[str, object]) -> None:
    """All files are new, of the new shape and format, and hold every call once; the job is the new one."""
    async with open_sandbox(SandboxConfig(calls=300, quirks=Quirks(no_id=90))) as sandbox:
        out = Output(tmp_path / "out")
        await export(document(four(sandbox.url), output={"format": "ndjson"}), tmp_path)
        before = out.files()
        text = document(four(sandbox.url), output={"format": "ndjson", **changed})
        report = await export(text, tmp_path, fresh=True)
        assert not before.keys() & out.files().keys()
        assert {one.path for one in report.segments} == out.files().keys()
        for provider in PROVIDERS:
            account = sandbox.world.account(provider)
            assert_same_ids(out.ids(provider), truth(account))
            nameless = [row for row in account.rows() if row.call_id is None]
            assert len(out.quarantine(provider)) == len(nameless)
    assert out.aside() == []


async def test_fresh_of_a_source_that_fails_keeps_the_old(tmp_path: Path) -> None:
    """Its files stay byte for byte, the others are replaced, and once it can the same command replaces it too."""
    async with open_sandbox(SandboxConfig(calls=300)) as sandbox:
        out = Output(tmp_path / "out")
        await export(document(four(sandbox.url)), tmp_path)
        before = out.files()
        sources = four(sandbox.url)
        sources[2] = source("talkpilot", sandbox.url, credential="wrong")
        report = await export(document(sources), tmp_path, fresh=True)
        kept = before.keys() & out.files().keys()
        assert [path.split("/")[1] for path in kept] == ["talkpilot"]
        assert all(out.files()[path] == before[path] for path in kept)
        assert (report.outcome, of(report, "talkpilot").outcome) == ("gaps", "failed")
        assert {one.path for one in report.segments} == out.files().keys()
        only = document([source("talkpilot", sandbox.url)])
        assert (await export(only, tmp_path, fresh=True)).outcome == "complete"
        assert not before.keys() & out.files().keys()
        assert_same_ids(out.ids("talkpilot"), truth(sandbox.world.account("talkpilot")))


async def test_fresh_replaces_the_chosen_sources_only(tmp_path: Path) -> None:
    """What is not chosen stays as it is."""
    async with open_sandbox(SandboxConfig(calls=150)) as sandbox:
        out = Output(tmp_path / "out")
        await export(document(four(sandbox.url)), tmp_path)
        before = out.files()
        await export(document([source("bimpe", sandbox.url)]), tmp_path, fresh=True)
        changed = before.keys() ^ out.files().keys()
    assert {path.split("/")[1] for path in changed} == {"bimpe"}
    assert len(out.files()) == len(PROVIDERS)


async def test_fresh_narrows_a_job(tmp_path: Path) -> None:
    """After `--fresh` with a smaller range and fewer agents only these are there."""
    until = START + 10 * DAY
    async with open_sandbox(SandboxConfig(calls=300, agents=3)) as sandbox:
        await export(document(four(sandbox.url)), tmp_path)
        sources, wanted = [], {}
        for provider in PROVIDERS:
            account = sandbox.world.account(provider)
            agents = [account.agents()[1].id]
            sources.append(source(provider, sandbox.url, agents=agents, until=until))
            wanted[provider] = truth(account, agents=agents, until=until)
        await export(document(sources), tmp_path, fresh=True)
    for provider in PROVIDERS:
        assert_same_ids(Output(tmp_path / "out").ids(provider), wanted[provider])


def _assert_old_or_new(out: Output, sandbox: SandboxProcess) -> None:
    """Each source's visible files are those of one run, whole."""
    for provider in PROVIDERS:
        assert_same_ids(out.ids(provider), truth(sandbox.world.account(provider)))


def _wait_for_exchange(running: Running, out: Output) -> None:
    """Wait until a file that is there now has been replaced, or the end."""
    before = _names(out)
    wait_for(lambda: not before <= _names(out) or not running.is_running)


def _wait_for_requests(running: Running, sandbox: SandboxProcess, count: int) -> None:
    wait_for(lambda: requests_of(sandbox.stats()) >= count or not running.is_running)


def _assert_fresh_survives(
    folder: Path, sandbox: SandboxProcess, dice: random.Random, *, kills: int, number: signal.Signals
) -> None:
    out = Output(folder / "out")
    assert harvest(folder, "export").code == 0
    before = out.files()
    for kill in range(kills):
        sandbox.reset()
        with started(folder, "export", "--fresh") as running:
            if kill % 3 == 1:
                _wait_for_exchange(running, out)
            else:
                _wait_for_requests(running, sandbox, dice.randrange(2, 70))
            running.send(number)
            done = running.wait()
        if done.code in {0, 130, 143}:
            _assert_old_or_new(out, sandbox)
    done = harvest(folder, "export", "--fresh")
    assert done.code == 0, done.err
    _assert_old_or_new(out, sandbox)
    assert not before.keys() & out.files().keys()
    assert {one["path"] for one in out.report()["segments"]} == out.files().keys()
    assert out.aside() == []


def _names(out: Output) -> set[str]:
    return {path.relative_to(out.root).as_posix() for path in out.segments()}


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_fresh_cut_short_goes_on_with_the_same_command(
    tmp_path: Path, serve: Callable[..., SandboxProcess], number: signal.Signals
) -> None:
    """Until a source has ended its old files are there, then the new ones; in the end all are new and exact."""
    sandbox = serve(calls=1000, latency_s=0.02)
    output = {"format": "ndjson"}
    write_config(tmp_path, document(four(sandbox.url), output=output, run={"concurrency": 4}))
    _assert_fresh_survives(tmp_path, sandbox, random.Random(1), kills=2, number=number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
def test_fresh_cut_short_again_and_again_goes_on(
    tmp_path: Path, serve: Callable[..., SandboxProcess], file_format: str, seed: int
) -> None:
    """The same for many kills at random moments."""
    sandbox = serve(calls=1500, latency_s=0.02, agents=3, seed=seed)
    output = {"format": file_format}
    write_config(tmp_path, document(four(sandbox.url), output=output, run={"concurrency": 4}))
    _assert_fresh_survives(tmp_path, sandbox, random.Random(seed), kills=9, number=signal.SIGKILL)


@pytest.mark.slow
def test_killed_fresh_is_put_right_by_a_plain_export(
    tmp_path: Path, serve: Callable[..., SandboxProcess]
) -> None:
    """After a kill the same export without `--fresh` ends with every call once as well."""
    sandbox = serve(calls=800, latency_s=0.02)
    write_config(tmp_path, document(four(sandbox.url), run={"concurrency": 4}))
    assert harvest(tmp_path, "export").code == 0
    sandbox.reset()
    with started(tmp_path, "export", "--fresh") as running:
        wait_for(lambda: requests_of(sandbox.stats()) >= 25)
        running.send(signal.SIGKILL)
        running.wait()
    done = harvest(tmp_path, "export")
    assert done.code == 0, done.err
    _assert_old_or_new(Output(tmp_path / "out"), sandbox)


def test_fresh_cut_short_does_not_ask_again_for_sources_that_had_ended(
    tmp_path: Path, serve: Callable[..., SandboxProcess]
) -> None:
    """The same command goes on with what is left; what it had put in place it leaves there."""
    sandbox = serve(calls=1200, latency_s=0.05, providers={"talkover": {"calls": 20}})
    write_config(tmp_path, document(four(sandbox.url), run={"concurrency": 4}))
    assert harvest(tmp_path, "export").code == 0
    out = Output(tmp_path / "out")
    before = _names(out)
    with started(tmp_path, "export", "--fresh") as running:
        wait_for(lambda: not before <= _names(out))
        replaced = _names(out) - before
        running.send(signal.SIGINT)
        assert running.wait().code == 130
    assert {path.split("/")[1] for path in replaced} == {"talkover"}
    sandbox.reset()
    done = harvest(tmp_path, "export", "--fresh")
    assert done.code == 0, done.err
    assert requests_of(sandbox.stats(), "talkover") == 0
    _assert_old_or_new(out, sandbox)


async def test_agent_named_by_mistake_is_forgotten_once_it_is_not_asked_for(tmp_path: Path) -> None:
    """Its gap is named in the run that asks; the next one without it is complete."""
    async with open_sandbox(SandboxConfig(calls=200, agents=2)) as sandbox:
        whole = document([source("bimpe", sandbox.url)])
        assert (await export(whole, tmp_path)).outcome == "complete"
        wrong = document([source("bimpe", sandbox.url, agents=["nobody"])])
        for _ in range(2):
            report = await export(wrong, tmp_path)
            assert [gap.kind for gap in of(report, "bimpe").gaps] == ["agent"]
        assert (await export(whole, tmp_path)).outcome == "complete"


@pytest.mark.parametrize("provider", ["talkpilot", "bimpe"])
async def test_list_of_agents_that_comes_short_is_a_gap(tmp_path: Path, provider: str) -> None:
    """Agents that the provider counts and does not list have calls that are missing; the next run asks again."""
    quirks = Quirks(agents_too=True, short_pages=(1,))
    async with open_sandbox(SandboxConfig(calls=300, quirks=quirks)) as sandbox:
        port, text = sandbox.port, document([source(provider, sandbox.url)])
        report = await export(text, tmp_path)
    assert (report.outcome, of(report, provider).gaps[0].kind) == ("gaps", "source")
    assert "the provider counts 4 agents and lists 2" in of(report, provider).gaps[0].message
    async with open_sandbox(SandboxConfig(calls=300, port=port)) as sandbox:
        assert (await export(text, tmp_path)).outcome == "complete"
        assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))
