"""Rows as a careless server sends them: what can be kept is written, what cannot is in quarantine, all is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harvester.sandbox import PROVIDERS, Account, Quirks, SandboxConfig, open_sandbox

from .exporting import (
    Output,
    SandboxProcess,
    as_line,
    assert_adds_up,
    assert_same_ids,
    document,
    export,
    four,
    harvest,
    of,
    source,
    truth,
    write_config,
)

EVERYTHING: dict[str, Any] = {
    "lone_surrogates": 13,
    "wrong_types": 11,
    "no_object": 37,
    "no_id": 41,
    "null_created": 29,
    "absent_created": 31,
    "odd_ids": 17,
    "extra_fields": True,
}


def _kinds(account: Account) -> dict[str, set[str]]:
    """Return the ids of the calls with each kind of damage."""
    found: dict[str, set[str]] = {}
    for call in account.calls_of(None, include_deleted=False) if account.provider != "talkpilot" else ():
        for kind in account.damage.kinds_of(call):
            found.setdefault(kind, set()).add(account.ledger.call_id(call))
    return found


def _nameless(account: Account) -> list[bytes]:
    return [row.raw for row in account.rows() if row.call_id is None]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("file_format", "shape", "pretty"),
    [
        ("parquet", "unified", False),
        ("parquet", "native", False),
        ("ndjson", "unified", True),
        ("ndjson", "native", False),
        pytest.param("parquet", "unified", True, marks=pytest.mark.slow),
        pytest.param("parquet", "native", True, marks=pytest.mark.slow),
        pytest.param("ndjson", "unified", False, marks=pytest.mark.slow),
        pytest.param("ndjson", "native", True, marks=pytest.mark.slow),
    ],
)
async def test_every_row_is_written_or_in_quarantine(
    tmp_path: Path, file_format: str, shape: str, pretty: bool
) -> None:
    """With all kinds of damage at once no row is lost, and the counts of every window add up."""
    config = SandboxConfig(calls=400, tied_calls=30, pretty=pretty, quirks=Quirks(**EVERYTHING))
    async with open_sandbox(config) as sandbox:
        text = document(four(sandbox.url), output={"format": file_format, "shape": shape})
        report = await export(text, tmp_path)
        out = Output(tmp_path / "out")
        for provider in PROVIDERS:
            account, one = sandbox.world.account(provider), of(report, provider)
            wanted, nameless = truth(account), _nameless(account)
            assert_same_ids(out.ids(provider), wanted)
            whole = [line for line in out.quarantine(provider) if "field" not in line]
            # Also rows without an id that are the same to the byte, such as `[]`, each have their line.
            assert sorted(line["raw"].encode() for line in whole) == sorted(nameless)
            assert len(whole) == one.quarantined == len(nameless)
            assert (one.written, one.missing) == (len(wanted), 0)
            assert "row" in {gap.kind for gap in one.gaps}
    assert report.outcome == "gaps"
    assert_adds_up(report)


@pytest.mark.parametrize("file_format", ["parquet", "ndjson"])
async def test_raw_of_damaged_rows_is_as_sent(tmp_path: Path, file_format: str) -> None:
    """`raw` is byte for byte also where half a character made the decoder refuse the whole page."""
    quirks = Quirks(lone_surrogates=13, wrong_types=11, extra_fields=True, odd_ids=17)
    async with open_sandbox(SandboxConfig(calls=400, quirks=quirks)) as sandbox:
        report = await export(document(four(sandbox.url), output={"format": file_format}), tmp_path)
        for provider in PROVIDERS:
            assert Output(tmp_path / "out").raws(provider) == truth(sandbox.world.account(provider))
    assert report.outcome == "complete"


async def test_native_lines_of_damaged_rows_are_as_sent(tmp_path: Path) -> None:
    """Also as lines of NDJSON every row that has an id is there, its bytes untouched."""
    quirks = Quirks(lone_surrogates=13, wrong_types=11, no_object=37, no_id=41, extra_fields=True)
    async with open_sandbox(SandboxConfig(calls=400, quirks=quirks)) as sandbox:
        output = {"format": "ndjson", "shape": "native"}
        await export(document(four(sandbox.url), output=output), tmp_path)
        for provider in ("talkover", "agentvoice", "talkpilot"):
            wanted = map(as_line, truth(sandbox.world.account(provider)).values())
            assert sorted(Output(tmp_path / "out").lines(provider)) == sorted(wanted)


@pytest.mark.parametrize("provider", ["talkover", "agentvoice", "bimpe"])
async def test_value_that_does_not_fit_is_null_and_named(tmp_path: Path, provider: str) -> None:
    """Each such value has its line of quarantine with field and call, its row counts as damaged, and is no gap."""
    quirks = Quirks(lone_surrogates=13, wrong_types=11)
    async with open_sandbox(SandboxConfig(calls=400, quirks=quirks)) as sandbox:
        report = await export(document([source(provider, sandbox.url)]), tmp_path)
        account = sandbox.world.account(provider)
    out, kinds = Output(tmp_path / "out"), _kinds(account)
    lines, rows = out.quarantine(), {row["call_id"]: row for row in out.rows()}
    raws = truth(account)
    for line in lines:
        sent = json.loads(raws[line["call_id"]])
        assert line["field"] in sent
        assert line["raw"] == raws[line["call_id"]].decode()
    damaged = kinds["wrong_types"] | kinds["lone_surrogates"]
    assert {line["call_id"] for line in lines} == damaged
    assert report.totals.damaged == len(damaged)
    assert all(rows[call]["duration_s"] is None for call in kinds["wrong_types"])
    sound = [row for call, row in rows.items() if call not in damaged]
    assert sum(row["duration_s"] is not None for row in sound) > len(sound) / 2
    assert (report.outcome, report.totals.quarantined, report.totals.missing) == ("complete", 0, 0)


async def test_line_of_quarantine_says_what_where_and_when(tmp_path: Path) -> None:
    """It has reason, endpoint, raw and `fetched_at`; the agent where a list of one was asked; nothing else."""
    async with open_sandbox(SandboxConfig(calls=300, quirks=Quirks(**EVERYTHING))) as sandbox:
        await export(document(four(sandbox.url)), tmp_path)
        out = Output(tmp_path / "out")
        for provider in PROVIDERS:
            agents = {agent.id for agent in sandbox.world.account(provider).agents()}
            for line in out.quarantine(provider):
                assert {"reason", "endpoint", "raw", "fetched_at"} <= line.keys()
                assert line.keys() <= {
                    "reason",
                    "endpoint",
                    "raw",
                    "fetched_at",
                    "agent_id",
                    "call_id",
                    "field",
                }
                assert line["endpoint"] == "list calls"
                assert datetime.fromisoformat(line["fetched_at"]).tzinfo == UTC
                assert ("field" in line) == ("call_id" in line)
                if provider in {"talkpilot", "bimpe"}:
                    assert line["agent_id"] in agents
    assert {path.suffix for path in out.segments(kind="quarantine")} == {".ndjson"}


async def test_unknown_words_are_unknown_and_kept(tmp_path: Path) -> None:
    """A status no document knows is `unknown`, with the word beside it, and is no damage."""
    async with open_sandbox(SandboxConfig(calls=200, quirks=Quirks(unknown_words=3))) as sandbox:
        report = await export(document(four(sandbox.url)), tmp_path)
        rows = Output(tmp_path / "out").rows()
    strange = [row for row in rows if (row["status_raw"] or "").startswith("vor")]
    assert len(strange) > len(rows) / 4
    assert {row["status"] for row in strange} == {"unknown"}
    assert (report.outcome, report.totals.damaged) == ("complete", 0)


@pytest.mark.parametrize("shape", ["unified", "native"])
async def test_ids_never_become_paths(tmp_path: Path, shape: str) -> None:
    """Ids that climb out of folders are values like others."""
    folder = tmp_path / "inside"
    async with open_sandbox(SandboxConfig(calls=200, quirks=Quirks(odd_ids=2))) as sandbox:
        await export(document(four(sandbox.url), output={"shape": shape}), folder)
        for provider in PROVIDERS:
            assert_same_ids(Output(folder / "out").ids(provider), truth(sandbox.world.account(provider)))
    assert _names(tmp_path) == ["inside"]
    assert _names(folder) == ["out"]
    assert _names(folder / "out") == ["_harvester", "calls"]


async def test_rows_in_quarantine_are_asked_for_again_and_not_doubled(tmp_path: Path) -> None:
    """They are a gap, so the next run asks; as long as they come the same, nothing is added and counts stay."""
    async with open_sandbox(SandboxConfig(calls=300, quirks=Quirks(no_id=40, no_object=50))) as sandbox:
        text = document(four(sandbox.url))
        first = await export(text, tmp_path)
        out = Output(tmp_path / "out")
        before = sorted(line["raw"] for line in out.quarantine())
        again = await export(text, tmp_path)
        assert again.totals.requests > 0
        assert sorted(line["raw"] for line in out.quarantine()) == before
        for provider in PROVIDERS:
            assert_same_ids(out.ids(provider), truth(sandbox.world.account(provider)))
    assert_adds_up(again)
    for name in ("expected", "written", "quarantined", "missing"):
        assert getattr(again.totals, name) == getattr(first.totals, name), name
    assert (first.outcome, again.outcome) == ("gaps", "gaps")


async def test_rows_without_an_id_are_not_doubled_by_a_wider_range(tmp_path: Path) -> None:
    """What one range put into quarantine, a later and wider one does not put there again, nor count again."""
    first = datetime(2026, 2, 19, tzinfo=UTC)
    async with open_sandbox(SandboxConfig(calls=300, agents=2, quirks=Quirks(no_id=40))) as sandbox:
        for until in (first, first + timedelta(days=10), first + timedelta(days=20)):
            report = await export(document(four(sandbox.url, until=until)), tmp_path)
            assert_adds_up(report)
            for provider in PROVIDERS:
                raws = [line["raw"] for line in Output(tmp_path / "out").quarantine(provider)]
                assert sorted(raws) == sorted(set(raws)), (
                    f"{provider}: {len(raws)} lines, {len(set(raws))} rows"
                )
                assert of(report, provider).quarantined == len(raws)


async def test_rows_that_have_come_right_close_the_gap(tmp_path: Path) -> None:
    """Once the provider sends them whole they are written, the counts add up and the source is complete."""
    async with open_sandbox(SandboxConfig(calls=300, quirks=Quirks(no_id=40))) as sandbox:
        port = sandbox.port
        text = document(four(sandbox.url))
        assert (await export(text, tmp_path)).outcome == "gaps"
    async with open_sandbox(SandboxConfig(calls=300, port=port)) as sandbox:
        report = await export(text, tmp_path)
        for provider in PROVIDERS:
            assert_same_ids(Output(tmp_path / "out").ids(provider), truth(sandbox.world.account(provider)))
    assert_adds_up(report)
    assert report.outcome == "complete"
    assert report.totals.written == report.totals.expected


async def test_rows_listed_twice_are_written_once_and_counted(tmp_path: Path) -> None:
    """A row that the list repeats is in the output once, is counted as a duplicate, and is nothing missing."""
    async with open_sandbox(SandboxConfig(calls=300, quirks=Quirks(duplicates=10))) as sandbox:
        report = await export(document(four(sandbox.url)), tmp_path)
        for provider in PROVIDERS:
            wanted = truth(sandbox.world.account(provider))
            assert_same_ids(Output(tmp_path / "out").ids(provider), wanted)
            one = of(report, provider)
            assert one.duplicates >= len(wanted) // 10 - 4
            assert one.missing == 0, (
                f"{provider}: {one.missing} missing of {one.expected}, {one.written} written"
            )
    assert_adds_up(report)
    assert report.outcome == "complete"


@pytest.mark.parametrize(
    ("quirks", "code"), [({"no_id": 30}, 3), ({"wrong_types": 5, "lone_surrogates": 7}, 0)]
)
def test_exit_code_tells_gaps_from_damage(
    tmp_path: Path, serve: Any, quirks: dict[str, int], code: int
) -> None:
    """Rows in quarantine are exit code 3 and named; rows with damaged values alone are 0."""
    sandbox: SandboxProcess = serve(calls=200, quirks=quirks)
    write_config(tmp_path, document(four(sandbox.url)))
    done = harvest(tmp_path, "export")
    assert done.code == code, done.err
    assert ("quarantine" in done.err) == (code == 3)
    report = Output(tmp_path / "out").report()
    assert report["outcome"] == {0: "complete", 3: "gaps"}[code]
    assert bool(report["totals"]["damaged"]) == (code == 0)
