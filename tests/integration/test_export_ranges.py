"""`since` and `until`: half-open, in UTC, to the second, acting on `created_at` alone, whatever the provider does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from harvester.config import Overrides as Options
from harvester.sandbox import PROVIDERS, Account, Overrides, Quirks, Sandbox, SandboxConfig, open_sandbox

from .exporting import Output, assert_adds_up, assert_same_ids, document, export, four, source, truth

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
WHOLE = (datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))

Range = tuple[datetime | None, datetime | None]


def _moments(account: Account) -> list[datetime]:
    return sorted({row.created_at for row in account.rows() if row.created_at is not None})


def _ranges(account: Account, seed: int) -> list[Range]:
    """Return ranges with edges on calls, a second beside them, at midnight, and open ones."""
    dice = random.Random(seed)
    on = [at.replace(microsecond=0) for at in dice.sample(_moments(account), 6)]
    a, b, c, d, e, f = on
    east = timezone(timedelta(hours=5, minutes=45))
    midnight = WHOLE[0] + DAY * dice.randrange(50)
    return [
        (min(a, b), max(a, b) + SECOND),
        (c, c + SECOND),
        (c + SECOND, max(c + 2 * SECOND, d)),
        (None, e),
        (f.astimezone(east), None),
        (midnight, midnight + DAY),
    ]


async def _assert_range(
    sandbox: Sandbox, folder: Path, asked: Range, providers: Sequence[str] = PROVIDERS, **keys: Any
) -> None:
    since, until = asked
    said: dict[str, Any] = {
        name: at.isoformat() for name, at in (("since", since), ("until", until)) if at is not None
    }
    text = document([source(provider, sandbox.url, **said, **keys) for provider in providers])
    report = await export(text, folder)
    assert_adds_up(report)
    assert report.outcome == "complete", report.sources
    out = Output(folder / "out")
    for provider in providers:
        wanted = truth(sandbox.world.account(provider), since=since, until=until)
        assert_same_ids(out.ids(provider), wanted)


def _quirky(**quirks: Any) -> SandboxConfig:
    return SandboxConfig(calls=500, tied_calls=40, quirks=Quirks(**quirks))


BENDS: dict[str, dict[str, Any]] = {
    "by the book": {},
    "naive": {"times": "naive"},
    "offset": {"times": "offset"},
    "micros": {"times": "micros"},
    "inclusive edges": {"inclusive_edges": True},
    "days end exclusive": {"exclusive_date_to": True},
    "days begin early": {"date_zone_h": 12, "exclusive_date_to": True},
    "days begin late": {"date_zone_h": -12},
    "times ignored": {"ignore_times": True},
    "random order": {"order": "random"},
    "newest first": {"order": "newest"},
}


@pytest.mark.parametrize("bend", BENDS)
async def test_range_holds_the_calls_created_in_it(tmp_path: Path, bend: str) -> None:
    """Of a range whose edges are calls' own seconds the ids are exactly those created in it, at all providers."""
    async with open_sandbox(_quirky(**BENDS[bend])) as sandbox:
        asked = _ranges(sandbox.world.account("talkpilot"), seed=len(bend))[0]
        await _assert_range(sandbox, tmp_path, asked)


@pytest.mark.slow
@pytest.mark.parametrize("bend", BENDS)
async def test_range_holds_the_calls_created_in_it_for_all_kinds_of_edges(tmp_path: Path, bend: str) -> None:
    """The same for edges on and beside calls' seconds, at midnight, with offsets, and for open ranges."""
    async with open_sandbox(_quirky(**BENDS[bend])) as sandbox:
        for seed, provider in enumerate(PROVIDERS):
            for number, asked in enumerate(_ranges(sandbox.world.account(provider), seed + len(bend))):
                await _assert_range(sandbox, tmp_path / f"{provider}-{number}", asked)


@pytest.mark.parametrize("kind", range(6))
async def test_range_holds_the_calls_created_in_it_by_the_book(tmp_path: Path, kind: int) -> None:
    """The same for each kind of edges, where the providers do as documented."""
    async with open_sandbox(_quirky()) as sandbox:
        await _assert_range(sandbox, tmp_path, _ranges(sandbox.world.account("agentvoice"), seed=kind)[kind])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_range_holds_the_calls_created_in_it_of_long_lists(tmp_path: Path, seed: int) -> None:
    """The same where lists are long enough to be searched, and to be split in time."""
    config = SandboxConfig(calls=24_000, agents=2, half_in_first=True, tied_calls=500, seed=seed)
    async with open_sandbox(config) as sandbox:
        for number, asked in enumerate(_ranges(sandbox.world.account("bimpe"), seed)):
            await _assert_range(sandbox, tmp_path / str(number), asked)


async def test_short_range_of_a_long_list_costs_few_requests(tmp_path: Path) -> None:
    """Where a list has an order and no filter, the range is searched for, not read up to; and is right."""
    async with open_sandbox(SandboxConfig(calls=9_000, agents=1)) as sandbox:
        middle = WHOLE[0] + 30 * DAY
        for provider in ("agentvoice", "bimpe"):
            said = {"since": middle.isoformat(), "until": (middle + DAY).isoformat()}
            report = await export(document([source(provider, sandbox.url, **said)]), tmp_path / provider)
            wanted = truth(sandbox.world.account(provider), since=middle, until=middle + DAY)
            assert_same_ids(Output(tmp_path / provider / "out").ids(), wanted)
            assert report.outcome == "complete"
            assert report.totals.requests < 45, provider


async def test_short_range_of_a_list_out_of_order_is_found_all_the_same(tmp_path: Path) -> None:
    """A long list that does not come in the order asked for is read whole."""
    config = SandboxConfig(calls=4_500, agents=1, quirks=Quirks(order="random"))
    async with open_sandbox(config) as sandbox:
        middle = WHOLE[0] + 30 * DAY
        await _assert_range(sandbox, tmp_path, (middle, middle + DAY), ("agentvoice", "bimpe"))


async def test_range_acts_on_creation_and_on_nothing_else(tmp_path: Path) -> None:
    """Calls that never started, or started after the range, are in the output if they were created in it."""
    async with open_sandbox(SandboxConfig(calls=2000, providers={})) as sandbox:
        account = sandbox.world.account("agentvoice")
        asked = (WHOLE[0] + 10 * DAY, WHOLE[0] + 20 * DAY)
        await _assert_range(sandbox, tmp_path, asked, ("agentvoice",))
        rows = Output(tmp_path / "out").rows()
    assert len(rows) == len(truth(account, since=asked[0], until=asked[1]))
    assert any(row["started_at"] is None for row in rows)


async def test_calls_of_one_instant_are_all_on_one_side(tmp_path: Path) -> None:
    """Hundreds of calls of one moment are all in the range that begins there, and none in the one that ends there."""
    async with open_sandbox(SandboxConfig(calls=1500, agents=1, tied_calls=250)) as sandbox:
        for provider in PROVIDERS:
            moments = [row.created_at for row in sandbox.world.account(provider).rows() if row.created_at]
            tied = max(set(moments), key=moments.count)
            # To the second: what lies between the second and the tie is on the tie's side.
            edge = tied.replace(microsecond=0)
            await _assert_range(sandbox, tmp_path / f"{provider}-from", (edge, edge + DAY), (provider,))
            await _assert_range(sandbox, tmp_path / f"{provider}-to", (edge - DAY, edge), (provider,))


@pytest.mark.parametrize("quirk", ["null_created", "absent_created"])
async def test_rows_without_a_moment_are_kept_in_any_range(tmp_path: Path, quirk: str) -> None:
    """A row without `created_at` that the provider lists is written, with a range and without."""
    async with open_sandbox(_quirky(**{quirk: 9}, ignore_times=True)) as sandbox:
        await _assert_range(sandbox, tmp_path / "all", (None, None))
        await _assert_range(sandbox, tmp_path / "some", (WHOLE[0] + 10 * DAY, WHOLE[0] + 20 * DAY))


@pytest.mark.parametrize("quirk", ["null_created", "absent_created"])
async def test_rows_without_a_moment_are_not_doubled_by_a_wider_range(tmp_path: Path, quirk: str) -> None:
    """What a first range kept, a later and wider one does not write again."""
    async with open_sandbox(_quirky(**{quirk: 9}, ignore_times=True)) as sandbox:
        first = (WHOLE[0] + 10 * DAY, WHOLE[0] + 20 * DAY)
        await _assert_range(sandbox, tmp_path, first)
        await _assert_range(sandbox, tmp_path, (WHOLE[0] + 5 * DAY, WHOLE[0] + 30 * DAY))
        await _assert_range(sandbox, tmp_path, WHOLE)


async def test_until_without_a_value_is_the_start_of_the_job(tmp_path: Path) -> None:
    """Calls created after that moment are not in, also not by a later start of the same job."""
    start = WHOLE[0] + 15 * DAY + timedelta(hours=7)
    async with open_sandbox(SandboxConfig(calls=400)) as sandbox:
        text = document(four(sandbox.url))
        await export(text, tmp_path, now=start)
        again = await export(text, tmp_path, now=start + 9 * DAY)
        assert again.totals.requests == 0
        for provider in PROVIDERS:
            wanted = truth(sandbox.world.account(provider), until=start)
            assert_same_ids(Output(tmp_path / "out").ids(provider), wanted)
    assert {one.until for one in again.sources} == {start}


async def test_range_of_the_command_line_replaces_the_files(tmp_path: Path) -> None:
    """`--since` and `--until` hold for every source."""
    async with open_sandbox(SandboxConfig(calls=400)) as sandbox:
        text = document(four(sandbox.url, since="2026-03-30"))
        await export(text, tmp_path, overrides=Options(since="2026-02-01", until="2026-02-03T12:00:00+02:00"))
        since, until = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 3, 10, tzinfo=UTC)
        for provider in PROVIDERS:
            wanted = truth(sandbox.world.account(provider), since=since, until=until)
            assert_same_ids(Output(tmp_path / "out").ids(provider), wanted)


async def test_range_without_a_call_is_complete_and_empty(tmp_path: Path) -> None:
    """It leaves an empty segment and no gap."""
    async with open_sandbox(SandboxConfig(calls=300, providers={"bimpe": Overrides(agents=1)})) as sandbox:
        await _assert_range(sandbox, tmp_path, (WHOLE[1] + DAY, WHOLE[1] + 2 * DAY))
        assert len(Output(tmp_path / "out").segments()) == 4
