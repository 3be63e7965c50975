"""A whole config: what is read, and how mistakes are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harvester.config import COMPRESSIONS, Config, Overrides, load_config
from harvester.errors import UnsupportedError, UsageError
from harvester.model import Format, Rate

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FOLDER = Path("/cfg")
SALES = '[[source]]\nname = "sales"\nprovider = "talkover"\ntoken = "secret-token"\n'


def load(text: str, environ: Mapping[str, str] | None = None, folder: Path = FOLDER, **said: Any) -> Config:
    overrides = Overrides(**said)
    return load_config(text, folder=folder, environ=environ or {}, now=NOW, overrides=overrides)


def problems(text: str, environ: Mapping[str, str] | None = None, **said: Any) -> tuple[str, ...]:
    with pytest.raises(UsageError) as caught:
        load(text, environ, **said)
    return caught.value.problems


def test_smallest_config_has_the_defaults() -> None:
    """A source alone gets the documented defaults."""
    config = load(SALES)
    assert (config.output.path, config.output.format, config.output.shape) == (
        FOLDER / "out",
        "parquet",
        "unified",
    )
    assert (config.output.compression, config.output.raw, config.concurrency) == ("zstd", True, 32)
    (source,) = config.sources
    assert source.base_url == "https://app.talkover.ai"
    assert (source.agents, source.since, source.until, source.rates, source.concurrency) == (None,) * 5
    assert (source.details, source.recordings, source.filters) == ((), False, {})
    assert source.credentials["token"].reveal() == "secret-token"


def test_whole_source_is_read() -> None:
    """Every key of a source arrives in its struct."""
    (source,) = load(
        SALES
        + 'base_url = "http://127.0.0.1:8800/talkover/"\nagents = ["a", "b"]\nsince = 2026-03-01\nuntil = "today"\n'
        + 'rate = ["60/min", "1000/h"]\nconcurrency = 8\nfilters = { status = "completed" }\n'
    ).sources
    assert source.base_url == "http://127.0.0.1:8800/talkover"
    assert source.agents == ("a", "b")
    assert source.since == datetime(2026, 3, 1, tzinfo=UTC)
    assert source.until == datetime(2026, 3, 10, tzinfo=UTC)
    assert source.rates == (Rate(60, 60.0), Rate(1000, 3600.0))
    assert (source.concurrency, source.filters) == (8, {"status": "completed"})


def test_all_mistakes_are_told_at_once() -> None:
    """One error names every mistake of a file, each with its key."""
    text = (
        'outputs = 1\n[output]\nformt = "x"\nraw = "yes"\n[run]\nconcurrency = 0\n[defaults]\ndetials = true\n'
        + SALES
        + 'since = 2026-04-01\nuntil = 2026-03-01\nrate = "0/s"\nsinc = 1\nfilters = { statu = "x" }\n'
    )
    found = problems(text)
    keys = [problem.split(": ")[0] if not problem.startswith("source[") else problem for problem in found]
    assert keys[:5] == ["outputs", "output.formt", "output.raw", "run.concurrency", "defaults.detials"]
    assert 'output.formt: unknown key; did you mean "format"?' in found
    assert 'source[1] "sales": sinc: unknown key; did you mean "since"?' in found
    assert any(
        "since: 2026-04-01T00:00:00Z is not before until, 2026-03-01T00:00:00Z" in one for one in found
    )
    assert any(one.startswith('source[1] "sales": rate: ') for one in found)
    assert any(one.startswith('source[1] "sales": filters.statu: ') and "status" in one for one in found)
    assert len(found) == 9


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = \n", "line 1, column 5"),
        ('[output]\npath = "x', "line 2, column 10"),
        ("a = 1\na = 2\n", "line 2, column 6"),
        ("a = " + "[" * 10_000, "nested too deep"),
    ],
)
def test_syntax_error_names_line_and_column(text: str, place: str) -> None:
    """What is no TOML is told with its place, or why it has none."""
    (problem,) = problems(text)
    assert place in problem


@pytest.mark.parametrize("text", ["", "source = 1", "[source]\nname = 'a'", "source = []", "source = [1]"])
def test_sources_are_needed(text: str) -> None:
    """A config without a [[source]] says that it needs one."""
    assert "source: a config needs at least one [[source]]" in problems(text)


def test_sections_are_tables() -> None:
    """A section that is no table is told as such."""
    assert "output: must be a table: [output]" in problems("output = 1\n" + SALES)


def test_names_are_there_and_unique_whatever_their_case() -> None:
    """Two names that one folder could hold, and a missing one, are mistakes."""
    found = problems(SALES + SALES.replace("sales", "SALES") + SALES.replace('name = "sales"\n', ""))
    assert 'source[2] "SALES": name: is that of source[1] too' in found
    assert "source[3]: name: missing; every source needs one" in found


def test_provider_is_needed_and_known() -> None:
    """A source without a provider, or with an unknown one, is told what there is."""
    found = problems('[[source]]\nname = "a"\n[[source]]\nname = "b"\nprovider = "talkovr"\n')
    assert 'source[1] "a": provider: missing; one of agentvoice, bimpe, talkover, talkpilot' in found
    assert 'source[2] "b": provider: no such provider "talkovr"; did you mean "talkover"?' in found


def test_missing_credential_is_named() -> None:
    """Each credential a provider needs is asked for by name, with the line to write."""
    found = problems('[[source]]\nname = "a"\nprovider = "agentvoice"\napi_key = "k"\n')
    assert len(found) == 1
    assert "organization_id: missing" in found[0]
    assert 'organization_id = "${AGENTVOICE_ORGANIZATION_ID}"' in found[0]


def test_references_are_filled_in() -> None:
    """Variables and files stand for their text, also within a string and in the defaults."""
    text = '[defaults]\nbase_url = "${SCHEME}://h/${PREFIX}"\n' + SALES.replace("secret-token", "${TOKEN}")
    (source,) = load(text, {"SCHEME": "http", "PREFIX": "p", "TOKEN": "t"}).sources
    assert source.base_url == "http://h/p"
    assert source.credentials["token"].reveal() == "t"


@pytest.mark.parametrize(("content", "token"), [(b"t\n", "t"), (b"t\r\n", "t"), (b"t", "t")])
def test_file_reference_loses_its_last_newline(tmp_path: Path, content: bytes, token: str) -> None:
    """A file's text comes less its last newline; its path starts at the config's folder."""
    (tmp_path / "secret").write_bytes(content)
    (source,) = load(SALES.replace("secret-token", "${file:secret}"), folder=tmp_path).sources
    assert source.credentials["token"].reveal() == token


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"t\n\n", "line break"),
        (b"\xff", "no UTF-8"),
        (b"x" * (1 << 20) + b"x", "larger than 1 MB"),
        (None, "No such file"),
    ],
)
def test_file_reference_says_what_is_wrong(tmp_path: Path, content: bytes | None, why: str) -> None:
    """A file that cannot be a credential is told with the key, its content is not."""
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(UsageError, match=why) as caught:
        load(SALES.replace("secret-token", "${file:secret}"), folder=tmp_path)
    assert str(caught.value).startswith('source[1] "sales": token: ')


@pytest.mark.parametrize("value", ["${", "${}", "${A-B}", "${A", "x${file:", "${1A}"])
def test_broken_reference_is_told(value: str) -> None:
    """A reference that is none is a mistake, not a literal."""
    (problem,) = problems(SALES.replace("secret-token", value))
    assert "neither ${NAME} nor ${file:/path}" in problem


def test_missing_variable_counts_for_sources_in_use_only() -> None:
    """What another source refers to is not looked up, what it says plainly is still judged."""
    other = '[[source]]\nname = "other"\nprovider = "bimpe"\napi_key = "${BIMPE}"\n'
    assert problems(SALES + other) == (
        'source[2] "other": api_key: the environment variable BIMPE is not set',
    )
    config = load(SALES + other, sources=("sales",))
    assert [source.name for source in config.sources] == ["sales"]
    assert problems(SALES + other + "rate = 1\n", sources=("sales",))[0].startswith(
        'source[2] "other": rate: '
    )


def test_no_message_shows_a_credential() -> None:
    """Wrong credentials are told by key alone."""
    for bad in ('"hunter2\\n"', '"hunter2${"', "['hunter2']"):
        (problem,) = problems(SALES.replace('"secret-token"', bad))
        assert problem.startswith('source[1] "sales": token: ')
        assert "hunter2" not in problem
    assert "secret" not in repr(load(SALES))


def test_range_needs_an_order() -> None:
    """A range that is empty, or begins in the future without an end, names both its edges."""
    (both,) = problems(SALES + "since = 2026-03-01\nuntil = 2026-03-01\n")
    assert both.endswith("since: 2026-03-01T00:00:00Z is not before until, 2026-03-01T00:00:00Z")
    (future,) = problems(SALES + "since = 2027-01-01\n")
    assert "2027-01-01T00:00:00Z is not before now" in future


@pytest.mark.parametrize(("kind", "compression"), [("parquet", "gzip"), ("ndjson", "snappy")])
def test_compression_fits_the_format(kind: Format, compression: str) -> None:
    """A compression that a format does not have is told with those it has."""
    (problem,) = problems(f'[output]\nformat = "{kind}"\ncompression = "{compression}"\n' + SALES)
    assert problem.startswith("output.compression: ")
    assert ", ".join(COMPRESSIONS[kind]) in problem


def test_compression_default_follows_the_format() -> None:
    """Parquet is compressed unless told otherwise, NDJSON is not."""
    assert load(SALES, format="ndjson").output.compression == "none"
    assert load('[output]\ncompression = "zstd"\n' + SALES, format="ndjson").output.compression == "zstd"
    changed = load('[output]\ncompression = "snappy"\n' + SALES, format="ndjson")
    assert changed.output.compression == "none"
    assert changed.notices == ("--format ndjson: snappy is not for ndjson; compression is none",)


def test_all_wishes_a_provider_cannot_fulfil_are_unsupported() -> None:
    """An error that holds nothing but such wishes is an UnsupportedError."""
    with pytest.raises(UnsupportedError) as caught:
        load(SALES + "details = true\nrecordings = true\n")
    assert caught.value.problems == (
        'source[1] "sales": details: Talkover documents no details',
        'source[1] "sales": recordings: Talkover documents no recordings',
    )


@pytest.mark.parametrize("text", ["a = " + "1" * 5000, "a = 0x" + "f" * 10 + "g"])
def test_what_toml_refuses_is_told(text: str) -> None:
    """A value beyond what TOML can hold is a mistake like any other."""
    assert len(problems(text)) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('path = ""', "output.path: is empty"),
        ('path = "a\\u0000b"', "output.path: is no path"),
        ('format = "csv"', 'output.format: "csv" is none of parquet, ndjson'),
        ("shape = 1", "output.shape: must be a string"),
    ],
)
def test_output_is_judged(line: str, told: str) -> None:
    """Each key of [output] is told by name."""
    (problem,) = problems(f"[output]\n{line}\n" + SALES)
    assert problem.startswith(told)


def test_output_path_starts_at_the_folder_and_out_does_not() -> None:
    """The file's path starts at its folder, the option's at the current one."""
    assert load('[output]\npath = "x/y"\n' + SALES).output.path == Path("/cfg/x/y")
    assert load('[output]\npath = "/abs"\n' + SALES).output.path == Path("/abs")
    assert load(SALES, out=Path("here")).output.path == Path("here")
