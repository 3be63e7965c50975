"""What `harvester verify` finds in an output that somebody touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harvester.errors import JournalError, OutputError
from harvester.sandbox import Quirks, SandboxConfig, open_sandbox
from harvester.verify import Verified, verify

from .exporting import SandboxProcess, document, export, harvest, source, write_config

SHAPES = [("ndjson", "none", "native"), ("ndjson", "gzip", "unified"), ("ndjson", "zstd", "unified"),
          ("parquet", "zstd", "native"), ("parquet", "zstd", "unified")]  # fmt: skip


@pytest.fixture
def exported(tmp_path: Path) -> Callable[[str, str, str], object]:
    async def make(file_format: str, compression: str, shape: str) -> Path:
        output = {"path": "out", "format": file_format, "compression": compression, "shape": shape}
        async with open_sandbox(SandboxConfig(calls=250)) as sandbox:
            await export(document([source("talkover", sandbox.url)], output=output), tmp_path)
        return tmp_path / "out"

    return make


def the_segment(out: Path) -> Path:
    (path,) = (out / "calls/talkover").iterdir()
    return path


def problems(found: Verified) -> list[str]:
    return [finding.problem for finding in found.findings]


@pytest.mark.parametrize(("file_format", "compression", "shape"), SHAPES)
async def test_untouched_output_has_no_finding(
    exported: Callable[..., object], file_format: str, compression: str, shape: str
) -> None:
    """Files, sizes, hashes, rows and ids of every format are as the journal has them."""
    out = await exported(file_format, compression, shape)  # type: ignore[misc]
    found = verify(out, ["talkover"])
    assert (found.segments, found.rows, problems(found)) == (1, 250, [])


@pytest.mark.parametrize(("file_format", "compression", "shape"), SHAPES)
async def test_changed_byte_is_found(
    exported: Callable[..., object], file_format: str, compression: str, shape: str
) -> None:
    """One byte in the middle of a file is enough."""
    out = await exported(file_format, compression, shape)  # type: ignore[misc]
    path = the_segment(out)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert problems(verify(out, ["talkover"])) == ["its hash is not the one in the journal"]


async def test_missing_shortened_and_strange_files_are_found(exported: Callable[..., object]) -> None:
    """Each is named with what is wrong with it."""
    out = await exported("ndjson", "none", "native")  # type: ignore[misc]
    path = the_segment(out)
    shutil.copy(path, path.with_name("copy.ndjson"))
    path.write_bytes(path.read_bytes()[:-1])
    short, strange = problems(verify(out, ["talkover"]))
    assert "bytes, the journal says" in short
    assert strange == "the journal does not know this file"
    path.unlink()
    assert problems(verify(out, ["talkover"]))[0] == "is missing"


async def test_output_without_a_journal_is_refused(tmp_path: Path) -> None:
    """Nothing can be checked against nothing."""
    with pytest.raises(JournalError, match="holds no journal"):
        verify(tmp_path, ["talkover"])


def test_command_tells_findings_by_its_code(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """0 and a line where all is well, 1 and a row each where it is not."""
    write_config(tmp_path, document([source("bimpe", sandbox.url)]))
    assert harvest(tmp_path, "export").code == 0
    well = harvest(tmp_path, "verify")
    assert (well.code, "all as the journal has them" in well.err) == (0, True)
    (path,) = (tmp_path / "out/calls/bimpe").iterdir()
    path.unlink()
    ill = harvest(tmp_path, "verify", "--json")
    assert (ill.code, '"is missing"' in ill.out) == (1, True)


@pytest.mark.parametrize("provider", ["talkover", "agentvoice", "talkpilot", "bimpe"])
@pytest.mark.parametrize("file_format", ["ndjson", "parquet"])
async def test_native_rows_with_half_a_character_are_well(
    tmp_path: Path, provider: str, file_format: str
) -> None:
    """What `export` wrote as the provider sent it is not called damaged, whatever its own columns are called."""
    output = {"path": "out", "format": file_format, "shape": "native"}
    async with open_sandbox(SandboxConfig(calls=200, quirks=Quirks(lone_surrogates=37))) as sandbox:
        await export(document([source(provider, sandbox.url)], output=output), tmp_path)
    assert problems(verify(tmp_path / "out", [provider])) == []


async def test_export_over_a_missing_segment_is_no_success(exported: Callable[..., object]) -> None:
    """Where a committed file is gone nothing is called complete, and the way out is named."""
    out = await exported("ndjson", "none", "native")  # type: ignore[misc]
    path = the_segment(out)
    path.unlink()
    async with open_sandbox(SandboxConfig(calls=250)) as sandbox:
        output = {"path": "out", "format": "ndjson", "compression": "none", "shape": "native"}
        text = document([source("talkover", sandbox.url)], output=output)
        with pytest.raises(OutputError, match=f"{path.name} is gone .* --source talkover --fresh"):
            await export(text, out.parent)
