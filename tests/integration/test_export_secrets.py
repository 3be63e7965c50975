"""What must not be written: no credential anywhere, no phone number or signed link beside the calls themselves."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .exporting import (
    Done,
    Output,
    SandboxProcess,
    document,
    four,
    harvest,
    requests_of,
    source,
    started,
    wait_for,
    write_config,
)

GOOD = "sandbox-Zq7xW9vKp2LmN4sT"
WRONG = "mistyped-S3cr3tHunter2zZ"
ORGANIZATION = "org-Qy5tR8uB1nC6"
SECRETS = (GOOD.encode(), WRONG.encode(), ORGANIZATION.encode())
PHONE = re.compile(rb"\+[1-9][0-9]{7,14}\b")
SIGNED = re.compile(rb"[?&](signature|expires)=")

DAMAGE = {"no_id": 40, "wrong_types": 9, "lone_surrogates": 17}
FAULTS = {"rates": {"500": 0.03, "html": 0.02, "half_json": 0.02, "reset": 0.02}}


def _sources(sandbox: SandboxProcess) -> list[dict[str, object]]:
    """Return sources of all kinds: with recordings in their rows, with a wrong key, with nobody at home."""
    found = four(sandbox.url, credential="${GOOD}")
    found[1] |= {"organization_id": "${ORGANIZATION}", "details": True}
    found.append(source("talkpilot", sandbox.url, name="wrong", credential="${WRONG}"))
    found.append(source("bimpe", sandbox.url, name="nobody", credential="${GOOD}", agents=["nobody"]))
    return found


ENVIRON = {"GOOD": GOOD, "WRONG": WRONG, "ORGANIZATION": ORGANIZATION}


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _assert_no_secret(folder: Path, *runs: Done) -> None:
    """Look at every byte below the output and at all that was said."""
    for name, content in _files(folder / "out"):
        for secret in SECRETS:
            assert secret not in content, name
            assert secret not in name.encode()
    for done in runs:
        for secret in SECRETS:
            assert secret not in (done.out + done.err).encode()


def _assert_nobody_is_named(folder: Path, *runs: Done) -> None:
    """No phone number and no signed link in what is said, in reports and in what the runs remember."""
    for name, content in _files(folder / "out" / "_harvester"):
        assert not PHONE.search(content), (name, PHONE.search(content))
        assert not SIGNED.search(content), name
    for done in runs:
        said = (done.out + done.err).encode()
        assert not PHONE.search(said)
        assert not SIGNED.search(said)


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("parquet", ("-vv",)),
        ("ndjson", ("-vv", "--log-format", "json")),
        pytest.param("ndjson", ("-q",), marks=pytest.mark.slow),
        pytest.param("ndjson", ("-v",), marks=pytest.mark.slow),
        pytest.param("parquet", ("--log-format", "json"), marks=pytest.mark.slow),
    ],
)
def test_no_secret_is_written_or_said(
    tmp_path: Path, serve: Callable[..., SandboxProcess], file_format: str, options: tuple[str, ...]
) -> None:
    """Not with damaged rows, faults, a refused key and an unknown agent, however much is said."""
    sandbox = serve(calls=300, agents=2, quirks=DAMAGE, faults=FAULTS)
    output = {"format": file_format, "compression": "none"}
    write_config(tmp_path, document(_sources(sandbox), output=output))
    done = harvest(tmp_path, "export", *options, "--report", "-", "--progress", "plain", environ=ENVIRON)
    assert done.code == 3, done.err
    assert json.loads(done.out)["outcome"] == "gaps"
    _assert_no_secret(tmp_path, done)
    _assert_nobody_is_named(tmp_path, done)
    # The calls themselves have both: the test would see them.
    calls = b"".join(path.read_bytes() for path in Output(tmp_path / "out").segments())
    assert PHONE.search(calls)
    assert SIGNED.search(calls)


def test_no_secret_is_written_by_a_run_that_is_killed(
    tmp_path: Path, serve: Callable[..., SandboxProcess]
) -> None:
    """Not in what lies aside or is remembered in the middle of a run either."""
    sandbox = serve(calls=1500, agents=2, latency_s=0.03, quirks=DAMAGE)
    write_config(tmp_path, document(_sources(sandbox), output={"format": "ndjson"}, run={"concurrency": 6}))
    with started(tmp_path, "export", "-vv", environ=ENVIRON) as running:
        wait_for(lambda: requests_of(sandbox.stats()) >= 30)
        running.send(signal.SIGKILL)
        done = running.wait()
    _assert_no_secret(tmp_path, done)


def test_unified_link_to_a_recording_has_no_signature(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """`recording_url` is there less its query, `raw` keeps it."""
    write_config(tmp_path, document([source("agentvoice", sandbox.url)]))
    assert harvest(tmp_path, "export").code == 0
    rows = Output(tmp_path / "out").rows()
    links = [row["recording_url"] for row in rows if row["recording_url"]]
    assert links
    assert not any("?" in link for link in links)
    assert any("signature=" in row["raw"] for row in rows)


def test_phone_number_in_a_filter_is_neither_said_nor_remembered(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    """Not in messages, reports or state, though the job is told from another by it."""
    number = "+491713920012"
    write_config(tmp_path, document([source("agentvoice", sandbox.url, filters={"phone_number": number})]))
    done = harvest(tmp_path, "export", "-vv")
    assert done.code == 0, done.err
    assert "491713920012" not in done.err
    _assert_nobody_is_named(tmp_path, done)


def test_credential_of_the_command_line_is_not_written(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Without a config neither."""
    done = harvest(
        tmp_path, "export", "--provider", "talkover", "--base-url", sandbox.url("talkover"),
        "--credential", "token=env:GOOD", "--out", "out", "-vv",
        environ=ENVIRON,
    )  # fmt: skip
    assert done.code == 0, done.err
    _assert_no_secret(tmp_path, done)
