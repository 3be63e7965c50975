"""Lists as servers give them: other page sizes and envelopes, totals that say nothing, lists without an end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from harvester.sandbox import PROVIDERS, Quirks, SandboxConfig, open_sandbox

from .exporting import (
    Output,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    four,
    of,
    truth,
    violations_of,
)


async def _assert_exact(folder: Path, config: SandboxConfig, *, outcome: str = "complete") -> None:
    async with open_sandbox(config) as sandbox:
        with anyio.fail_after(30):
            report = await export(document(four(sandbox.url)), folder)
        for provider in PROVIDERS:
            wanted = truth(sandbox.world.account(provider))
            assert_same_ids(Output(folder / "out").ids(provider), wanted)
            assert of(report, provider).outcome == outcome, (provider, of(report, provider))
        assert violations_of(sandbox.stats()) == []
    assert_adds_up(report)


EXACT: dict[str, dict[str, Any]] = {
    "pages of 1": {"clamp": 1},
    "pages of 7": {"clamp": 7},
    "pages of 20": {"clamp": 20},
    "meta for calls": {"meta_for_calls": True},
    "bare array": {"bare_array": True},
    "bare array of pages of 20": {"bare_array": True, "clamp": 20},
    "more for ever": {"more_for_ever": True},
    "more for ever, no total": {"more_for_ever": True, "total": "absent"},
    "total null": {"total": "null"},
    "total absent": {"total": "absent"},
    "total absent, pages of 7": {"total": "absent", "clamp": 7},
    "duplicates": {"duplicates": 5},
    "random order": {"order": "random"},
    "short page that heals": {"short_pages": (1,), "heals_after": 1},
    "empty page that heals": {"empty_pages": (2,), "heals_after": 2},
}


@pytest.mark.parametrize("calls", [0, 230])
@pytest.mark.parametrize("quirk", EXACT)
async def test_list_is_read_to_its_end(tmp_path: Path, quirk: str, calls: int) -> None:
    """However its pages come, every call is there once and the source is complete; an empty list as well."""
    quirks = Quirks(**EXACT[quirk])
    await _assert_exact(tmp_path, SandboxConfig(calls=calls, agents=2, tied_calls=10, quirks=quirks))


@pytest.mark.parametrize("calls", [0, 200, 230])
async def test_list_whose_end_is_a_404_is_read_to_it(tmp_path: Path, calls: int) -> None:
    """A 404 that says that there are no calls is an empty list; TalkPilot's says only that something is not there."""
    config = SandboxConfig(
        calls=calls, agents=2, tied_calls=10, quirks=Quirks(empty_is_404=True, total="absent")
    )
    async with open_sandbox(config) as sandbox:
        report = await export(document(four(sandbox.url)), tmp_path)
        for provider in PROVIDERS:
            assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))
            if provider != "talkpilot":
                assert of(report, provider).outcome == "complete", provider


HIDDEN = [(size, provider) for size in (1, 7, 20) for provider in PROVIDERS]


@pytest.mark.parametrize(("size", "provider"), HIDDEN)
async def test_list_is_read_to_its_end_where_the_answer_hides_its_page_size(
    tmp_path: Path, size: int, provider: str
) -> None:
    """A server that gives less than it says is not believed: every call is there."""
    quirks = Quirks(clamp=size, clamp_hidden=True)
    async with open_sandbox(SandboxConfig(calls=110, agents=2, tied_calls=10, quirks=quirks)) as sandbox:
        with anyio.fail_after(30):
            sources = [one for one in four(sandbox.url) if one["name"] == provider]
            report = await export(document(sources), tmp_path)
        assert_same_ids(Output(tmp_path / "out").ids(), truth(sandbox.world.account(provider)))
    assert report.outcome == "complete"
    assert_adds_up(report)


AGENTS: dict[str, dict[str, Any]] = {
    "pages of 1": {"clamp": 1},
    "hidden pages of 2": {"clamp": 2, "clamp_hidden": True},
    "bare array": {"bare_array": True},
    "more for ever": {"more_for_ever": True},
    "total null": {"total": "null"},
    "total absent": {"total": "absent"},
    "total absent, pages of 2": {"total": "absent", "clamp": 2},
    "total too small": {"total": "off", "total_off": -3},
    "duplicates": {"duplicates": 2},
}


@pytest.mark.parametrize("quirk", AGENTS)
async def test_list_of_agents_is_read_to_its_end(tmp_path: Path, quirk: str) -> None:
    """The same holds for the agents, without which their calls would be missing."""
    quirks = Quirks(agents_too=True, **AGENTS[quirk])
    config = SandboxConfig(calls=60, agents=5, tied_calls=0, quirks=quirks)
    async with open_sandbox(config) as sandbox:
        with anyio.fail_after(30):
            sources = [one for one in four(sandbox.url) if one["name"] in {"talkpilot", "bimpe"}]
            await export(document(sources), tmp_path)
        for provider in ("talkpilot", "bimpe"):
            wanted = truth(sandbox.world.account(provider))
            assert_same_ids(Output(tmp_path / "out").ids(provider), wanted)


async def test_long_list_of_agents_is_read_to_its_end(tmp_path: Path) -> None:
    """More agents than a page has, some of them without calls."""
    await _assert_exact(tmp_path, SandboxConfig(calls=300, agents=150, idle_agents=20, tied_calls=0))


LACKING: dict[str, dict[str, Any]] = {
    "always the first page": {"same_page": True},
    "always the first page, no total": {"same_page": True, "total": "absent"},
    "no more than 150 rows": {"window": 150},
    "an error beyond 150 rows": {"window": 150, "window_error": True},
    "short page": {"short_pages": (1,)},
    "empty page": {"empty_pages": (2,)},
    "total too large": {"total": "off", "total_off": 7},
}


@pytest.mark.parametrize("quirk", LACKING)
async def test_what_a_list_does_not_give_is_a_gap(tmp_path: Path, quirk: str) -> None:
    """Calls that cannot be had are counted missing and named; the run ends, and keeps what it has."""
    quirks = Quirks(**LACKING[quirk])
    config = SandboxConfig(calls=460, agents=2, tied_calls=10, quirks=quirks)
    async with open_sandbox(config) as sandbox:
        with anyio.fail_after(30):
            report = await export(document(four(sandbox.url)), tmp_path)
        for provider in PROVIDERS:
            wanted = truth(sandbox.world.account(provider))
            ids = Output(tmp_path / "out").ids(provider)
            assert len(ids) == len(set(ids))
            assert set(ids) <= wanted.keys()
            one = of(report, provider)
            if set(ids) != wanted.keys() or quirk == "total too large":
                lost = len(wanted) - len(ids)
                assert one.outcome == "gaps", f"{provider} is {one.outcome}, {lost} calls are not there"
                assert {gap.kind for gap in one.gaps} == {"page"}
                if one.expected is not None:
                    assert one.missing > 0, provider
    assert_adds_up(report)


async def test_total_too_small_is_not_believed(tmp_path: Path) -> None:
    """More rows than a server counts are a sign that it counts wrong: none is lost in silence."""
    quirks = Quirks(total="off", total_off=-120)
    config = SandboxConfig(calls=460, agents=2, tied_calls=10, quirks=quirks)
    async with open_sandbox(config) as sandbox:
        with anyio.fail_after(30):
            report = await export(document(four(sandbox.url)), tmp_path)
        for provider in PROVIDERS:
            wanted = truth(sandbox.world.account(provider))
            found = set(Output(tmp_path / "out").ids(provider))
            lost = len(wanted) - len(found)
            assert not lost or of(report, provider).outcome == "gaps", f"{provider}: {lost} lost in silence"
