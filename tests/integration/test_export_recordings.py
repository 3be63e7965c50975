"""Recordings beside the calls: every file byte for byte and in its place, and what becomes of those that fail."""

from __future__ import annotations

import json
import re
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
from harvester.sandbox import (
    FaultRule,
    Faults,
    Limits,
    Media,
    Overrides,
    Quirks,
    SandboxConfig,
    World,
    open_sandbox,
)
from harvester.transport.aiohttp import AiohttpTransport
from harvester.transport.progress import Progress

from .enriching import (
    WITH_RECORDINGS,
    all_violations,
    asked,
    asked_media,
    detailed,
    recorded,
    recording_files,
    sounds,
    whole,
)
from .exporting import (
    PROMPT,
    Output,
    SandboxProcess,
    Url,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    harvest,
    source,
    started,
    truth,
    wait_for,
    write_config,
)

SLOW = pytest.mark.slow
PLACE = re.compile(r"recordings/\w+/(\d{4}-\d\d-\d\d|undated)/[^/]+\.(mp3|wav)")


def two(url: Url, **keys: Any) -> list[dict[str, object]]:
    """Return the sources that have recordings, with them; TalkPilot's bring its details."""
    return [source(name, url, recordings=True, **keys) for name in WITH_RECORDINGS]


def assert_recorded(out: Output, world: World, *, lost: frozenset[str] = frozenset()) -> None:
    """Compare the recordings of both sources with those of the sandbox, and with their records."""
    for name in WITH_RECORDINGS:
        wanted = {
            call_id: data for call_id, data in sounds(world.account(name)).items() if call_id not in lost
        }
        assert recorded(out, name) == wanted, name
        assert len(recording_files(out, name)) == len(wanted)
        assert_same_ids(out.ids(name), truth(world.account(name)))
    assert out.aside() == []


async def patiently(text: str, folder: Path, **transport: Any) -> Report:
    """Export with a transport of the test's choice."""
    config = load_config(text, folder=folder, environ={}, now=datetime.now(UTC))
    moved = AiohttpTransport(**transport)
    try:
        async with Harvester(config, policy=PROMPT, transport=moved) as harvester:
            return await harvester.export()
    finally:
        await moved.aclose()


# Where they go.


@pytest.mark.parametrize(
    ("file_format", "shape"),
    [
        ("ndjson", "unified"),
        ("parquet", "native"),
        pytest.param("parquet", "unified", marks=SLOW),
        pytest.param("ndjson", "native", marks=SLOW),
    ],
)
async def test_recordings_are_where_the_rows_say(tmp_path: Path, file_format: str, shape: str) -> None:
    """By source and the UTC day of the call, `undated` without one; path, hash and size are in the unified row."""
    config = SandboxConfig(calls=40, agents=2, quirks=Quirks(null_created=5, times="offset"))
    async with open_sandbox(config) as sandbox:
        output = {"format": file_format, "shape": shape}
        await export(document(two(sandbox.url), output=output), tmp_path)
        out = Output(tmp_path / "out")
        for name in WITH_RECORDINGS:
            account = sandbox.world.account(name)
            column = "recording_path" if shape == "unified" else "_recording_path"
            key = "call_id" if shape == "unified" else "id"
            paths = {row[key]: row[column] for row in out.rows(name) if row.get(column)}
            moments = {row.call_id: row.created_at for row in account.rows()}
            assert {call: (out.root / path).read_bytes() for call, path in paths.items()} == sounds(account)
            for call_id, path in paths.items():
                found, moment = PLACE.fullmatch(path), moments[call_id]
                assert found is not None
                assert found[1] == (
                    "undated" if moment is None else moment.astimezone(UTC).date().isoformat()
                )
        if shape == "unified":
            assert_recorded(out, sandbox.world)


def _files_outside(folder: Path, root: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(root)]


async def test_ids_never_lead_out_of_the_output(tmp_path: Path) -> None:
    """Whatever is in an id, its file lies in the folder of its day, and nothing lies anywhere else."""
    folder = tmp_path / "a" / "b" / "inside"
    async with open_sandbox(SandboxConfig(calls=30, agents=2, quirks=Quirks(odd_ids=2))) as sandbox:
        await export(document(two(sandbox.url), output={"format": "ndjson"}), folder)
        out = Output(folder / "out")
        assert_recorded(out, sandbox.world)
    odd = [call_id for call_id in out.ids() if not re.fullmatch(r"[0-9a-f-]{36}", call_id)]
    assert len(odd) > 15
    for path in recording_files(out):
        assert PLACE.fullmatch(path.relative_to(out.root).as_posix())
    assert _files_outside(tmp_path, out.root) == []
    assert sorted(path.name for path in out.root.iterdir()) == ["_harvester", "calls", "recordings"]


# What storages do.


@pytest.mark.parametrize(
    "media",
    [
        Media(
            faults=Faults(
                rates={"500": 0.05, "truncated": 0.05, "reset": 0.05, "html": 0.05, "success_false": 0.05}
            )
        ),
        pytest.param(Media(faults=Faults(rates={"429": 0.1})), marks=SLOW),
        Media(link_life_s=1.0, errors_are_200=True),
        pytest.param(Media(limits=Limits(rates=("40/s",), retry_after="seconds")), marks=SLOW),
        pytest.param(Media(limits=Limits(max_in_flight=2)), marks=SLOW),
    ],
    ids=["faults", "429", "dying", "rate", "in flight"],
)
async def test_recordings_survive_their_storage(tmp_path: Path, media: Media) -> None:
    """All come, byte for byte; nothing of ours but the link is sent to the storage."""
    async with open_sandbox(SandboxConfig(calls=30, agents=2, media=media)) as sandbox:
        report = await export(document(two(sandbox.url)), tmp_path)
        assert_recorded(Output(tmp_path / "out"), sandbox.world)
        assert all_violations(sandbox.stats()) == []
    assert report.outcome == "complete"


@pytest.mark.parametrize("kind", ["hang", "drip"])
async def test_storage_that_stands_still_is_asked_again(tmp_path: Path, kind: str) -> None:
    """What does not come, or by the spoonful, is left and asked once more."""
    faults = Faults(rules=(FaultRule(kind, times=2),), hang_s=30.0, drip_s=30.0)
    async with open_sandbox(SandboxConfig(calls=20, agents=1, media=Media(faults=faults))) as sandbox:
        text = document(two(sandbox.url))
        with anyio.fail_after(20):
            progress = Progress(least_per_s=100_000, over_s=0.3)
            report = await patiently(text, tmp_path, read_s=0.3, progress=lambda: progress)
        assert_recorded(Output(tmp_path / "out"), sandbox.world)
    assert report.outcome == "complete"


async def test_link_that_is_dead_on_arrival_is_renewed_once(tmp_path: Path) -> None:
    """The detail is asked once more for its link, and the recording is had; no other call is asked twice."""
    async with open_sandbox(SandboxConfig(calls=30, agents=2, media=Media(dead_on_arrival=4))) as sandbox:
        await export(document(two(sandbox.url)), tmp_path)
        stats, world = sandbox.stats(), sandbox.world
        assert_recorded(Output(tmp_path / "out"), world)
        for name, there in (("agentvoice", 0), ("talkpilot", len(detailed(world.account("talkpilot"))))):
            renewed = asked(stats, name) - there
            assert renewed == asked_media(stats, name) - len(sounds(world.account(name)))
            assert 2 <= renewed <= 30 // 4 + 1


@pytest.mark.parametrize("is_careless", [False, True])
async def test_recording_that_is_gone_is_a_final_gap(tmp_path: Path, is_careless: bool) -> None:
    """It is named in the run that finds it, its row is written, and it is never asked for again."""
    media = Media(gone=6, errors_are_200=is_careless)
    async with open_sandbox(SandboxConfig(calls=30, agents=2, media=media)) as sandbox:
        text = document(two(sandbox.url))
        first = await export(text, tmp_path)
        linked = {
            call_id
            for name in WITH_RECORDINGS
            for call_id, raw in whole(sandbox.world.account(name)).items()
            if (row := json.loads(raw)).get("recording_url") or row.get("audio_file_url")
        }
        there = {call_id for name in WITH_RECORDINGS for call_id in sounds(sandbox.world.account(name))}
        gaps = [gap for one in first.sources for gap in one.gaps]
        assert {(gap.kind, gap.final) for gap in gaps} == {("recording", True)}
        assert sorted(gap.call_id or "" for gap in gaps) == sorted(linked - there)
        assert_recorded(Output(tmp_path / "out"), sandbox.world)
        again = await export(text, tmp_path)
    assert_adds_up(first)
    assert (first.outcome, again.outcome, again.totals.requests) == ("gaps", "complete", 0)


def _one_lost(provider: str, calls: int = 40, agents: int = 1) -> tuple[SandboxConfig, str]:
    """Return a sandbox whose storage fails for one call as long as a run asks, and which call it is."""
    call_id = sorted(sounds(World(SandboxConfig(calls=calls, agents=agents)).account(provider)))[2]
    rules = (FaultRule("500", endpoint="media", call_id=call_id, times=PROMPT.max_attempts),)
    media = Media(faults=Faults(rules=rules))
    return SandboxConfig(calls=calls, agents=agents, media=media), call_id


@pytest.mark.parametrize("provider", WITH_RECORDINGS)
@pytest.mark.parametrize("shape", ["unified", "native"])
async def test_recording_that_fails_is_asked_for_again(tmp_path: Path, provider: str, shape: str) -> None:
    """Its row is there without it, it is a named gap; the next run asks for it alone and writes no row."""
    config, call_id = _one_lost(provider)
    async with open_sandbox(config) as sandbox:
        text = document([source(provider, sandbox.url, recordings=True)], output={"shape": shape})
        first = await export(text, tmp_path)
        (gap,) = first.sources[0].gaps
        assert (gap.kind, gap.call_id, gap.final, first.outcome) == ("recording", call_id, False, "gaps")
        assert (first.totals.written, first.totals.missing) == (40, 0)
        out, account = Output(tmp_path / "out"), sandbox.world.account(provider)
        before, count = out.files(), len(recording_files(out))
        sandbox.reset()
        with anyio.fail_after(20):
            again = await export(text, tmp_path)
        assert (asked_media(sandbox.stats(), provider), again.totals.recordings) == (1, 1)
        assert again.totals.requests == asked(sandbox.stats(), provider) == (provider == "talkpilot")
        assert out.files() == before
        assert len(recording_files(out)) == count + 1 == len(sounds(account))
    assert (again.outcome, again.totals.written, again.totals.missing) == ("complete", 40, 0)
    assert_adds_up(again)


async def test_recordings_that_windows_are_owed_come_in_any_order(tmp_path: Path) -> None:
    """Windows of several agents that lack only recordings end, also where those of the first come last."""
    account = World(SandboxConfig(calls=16, agents=12)).account("agentvoice")
    agents, wanted = sorted(agent.id for agent in account.agents()), sounds(account)
    late = [call_id for call_id in truth(account, agents=agents[:6]) if call_id in wanted]
    assert len(wanted) > len(late) > 2
    broken = Media(faults=Faults(rates={"500": 1.0}))
    async with open_sandbox(SandboxConfig(calls=16, agents=12, media=broken)) as sandbox:
        text = document([source("agentvoice", sandbox.url, recordings=True, agents=agents)])
        port, first = sandbox.port, await export(text, tmp_path)
    assert {gap.kind for gap in first.sources[0].gaps} == {"recording"}
    rules = tuple(FaultRule("hang", call_id=call_id, times=1) for call_id in late)
    slow = Media(faults=Faults(rules=rules, hang_s=0.5))
    async with open_sandbox(SandboxConfig(calls=16, agents=12, port=port, media=slow)) as sandbox:
        with anyio.fail_after(15):
            again = await export(text, tmp_path)
    assert (again.outcome, len(recording_files(Output(tmp_path / "out")))) == ("complete", len(wanted))


async def test_storage_that_hangs_holds_up_no_other_source(tmp_path: Path) -> None:
    """While one source's recordings do not come the others end, and their segments are in place."""
    hanging = Overrides(media=Media(faults=Faults(rates={"hang": 1.0}, hang_s=60.0)))
    config = SandboxConfig(calls=60, agents=2, providers={"agentvoice": hanging})
    async with open_sandbox(config) as sandbox, anyio.create_task_group() as tasks:
        sources = [
            *two(sandbox.url),
            source("bimpe", sandbox.url, details=True),
            source("talkover", sandbox.url),
        ]
        read = load_config(document(sources), folder=tmp_path, environ={}, now=datetime.now(UTC))
        out, found = Output(tmp_path / "out"), list[Report]()

        async def run() -> None:
            async with Harvester(read, policy=PROMPT) as harvester:
                tasks.start_soon(stop_when_the_others_are_there, harvester)
                found.append(await harvester.export())

        async def stop_when_the_others_are_there(harvester: Harvester) -> None:
            with anyio.fail_after(20):
                while not all(out.segments(name) for name in ("talkpilot", "bimpe", "talkover")):  # noqa: ASYNC110 - files
                    await anyio.sleep(0.02)
            assert asked_media(sandbox.stats(), "agentvoice") > 0
            harvester.stop("seen enough")

        tasks.start_soon(run)
    outcomes = {one.name: one.outcome for one in found[0].sources}
    assert outcomes == {
        "agentvoice": "interrupted", "talkpilot": "complete", "bimpe": "complete", "talkover": "complete",
    }  # fmt: skip


# What is there already.


async def test_fresh_reuses_the_files_that_are_there(tmp_path: Path) -> None:
    """Recordings do not change: an export of all fetches only those whose files are gone or cut."""
    async with open_sandbox(SandboxConfig(calls=16, agents=2)) as sandbox:
        text, out = document(two(sandbox.url)), Output(tmp_path / "out")
        await export(text, tmp_path)
        sandbox.reset()
        await export(text, tmp_path, fresh=True)
        assert sum(asked_media(sandbox.stats(), name) for name in WITH_RECORDINGS) == 0
        gone, cut = recording_files(out, "agentvoice")[0], recording_files(out, "talkpilot")[0]
        gone.unlink()
        cut.write_bytes(cut.read_bytes()[:-1])
        await export(text, tmp_path, fresh=True)
        assert [asked_media(sandbox.stats(), name) for name in WITH_RECORDINGS] == [1, 1]
        assert_recorded(out, sandbox.world)


async def test_verify_names_recordings_that_are_not_as_they_were(tmp_path: Path) -> None:
    """One that is gone, cut or changed is named, and so is a file that nobody entered."""
    async with open_sandbox(SandboxConfig(calls=16, agents=2)) as sandbox:
        text, out = document(two(sandbox.url)), Output(tmp_path / "out")
        await export(text, tmp_path)
    config = load_config(text, folder=tmp_path, environ={}, now=datetime.now(UTC))
    async with Harvester(config) as harvester:
        sound = await harvester.verify()
        files = recording_files(out)
        assert (sound.findings, sound.recordings) == ([], len(files))
        gone, cut, changed = (path.relative_to(out.root).as_posix() for path in files[:3])
        (out.root / gone).unlink()
        (out.root / cut).write_bytes(files[1].read_bytes()[:-1])
        (out.root / changed).write_bytes(bytes([files[2].read_bytes()[0] ^ 1]) + files[2].read_bytes()[1:])
        (out.root / "recordings/talkpilot/stranger.mp3").touch()
        found = {finding.path: finding.problem for finding in (await harvester.verify()).findings}
    assert found.keys() == {gone, cut, changed, "recordings/talkpilot/stranger.mp3"}
    assert found[gone] == "is missing"
    assert "the journal says" in found[cut]
    assert found[changed] == "its hash is not the one in the journal"


def test_kill_leaves_nothing_aside(tmp_path: Path, serve: Callable[..., SandboxProcess]) -> None:
    """What a kill left of recordings is gone on with or removed by the next run, of calls not asked for again too."""
    sandbox = serve(calls=30, agents=1, latency_s=0.02)
    write_config(tmp_path, document([source("agentvoice", sandbox.url, recordings=True)]))
    with started(tmp_path, "export", "-q") as running:
        wait_for(lambda: asked_media(sandbox.stats(), "agentvoice") >= 5 or not running.is_running)
        running.send(signal.SIGKILL)
        running.wait()
    out = Output(tmp_path / "out")
    for name in ("recording-agentvoice.x-0123456789abcdef.sealed", "recording-agentvoice.y.part"):
        (out.root / "_harvester/aside" / name).write_bytes(b"ID3")
    done = harvest(tmp_path, "export")
    assert done.code == 0, done.err
    assert recorded(out, "agentvoice") == sounds(sandbox.world.account("agentvoice"))
    assert out.aside() == []


# On the command line.


def test_options_alone_fetch_details_and_recordings(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Without a config `--details` and `--recordings` do what the keys do; the report counts the recordings."""
    account = sandbox.world.account("agentvoice")
    done = harvest(
        tmp_path, "export", "--provider", "agentvoice", "--base-url", sandbox.url("agentvoice"),
        "--credential", "api_key=env:KEY", "--credential", "organization_id=env:KEY", "--details", "--recordings",
        "--agent", account.agents()[1].id, "--since", "2026-03-24", "--out", "out", "--report", "-", "-q",
        environ={"KEY": "sandbox"},
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    out, raws = Output(tmp_path / "out"), whole(account)
    assert out.raws() == {call_id: raws[call_id] for call_id in out.ids()}
    assert recorded(out, "agentvoice") == {
        one: data for one, data in sounds(account).items() if one in out.ids()
    }
    assert json.loads(done.out)["totals"]["recordings"] == len(recording_files(out)) > 0


@pytest.mark.parametrize(
    ("provider", "option"),
    [("talkover", "--details"), ("talkover", "--recordings"), ("bimpe", "--recordings")],
)
def test_option_that_no_source_can_do_is_refused(
    tmp_path: Path, sandbox: SandboxProcess, provider: str, option: str
) -> None:
    """It is an error before the first request, never a silent no-op."""
    key = {"talkover": "token", "bimpe": "api_key"}[provider]
    done = harvest(
        tmp_path, "export", "--provider", provider, "--base-url", sandbox.url(provider),
        "--credential", f"{key}=env:KEY", option, "--out", "out",
        environ={"KEY": "sandbox"},
    )  # fmt: skip
    assert done.code == 2
    assert option in done.err
    assert not (tmp_path / "out").exists()


# Memory.


@SLOW
def test_memory_does_not_grow_with_recordings(tmp_path: Path, serve: Callable[..., SandboxProcess]) -> None:
    """Recordings of 50 MB take about the memory that those of 16 kB take."""
    peaks: dict[int, float] = {}
    for size in (16_000, 50_000_000):
        media = {"size_bytes": size}
        sandbox = serve(calls=30, agents=1, providers={"agentvoice": {"media": media}})
        folder = tmp_path / str(size)
        write_config(folder, document([source("agentvoice", sandbox.url, recordings=True)]))
        done = harvest(folder, "export", "-q", longest_s=300)
        assert done.code == 0, done.err
        peaks[size] = done.peak_mb
        assert recorded(Output(folder / "out"), "agentvoice") == sounds(sandbox.world.account("agentvoice"))
    # 8 recordings at a time, a buffer of a megabyte each, and what sockets hold.
    assert peaks[50_000_000] < peaks[16_000] + 60, peaks
