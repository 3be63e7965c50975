"""What options and defaults make of a config, and a config of options alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harvester.config import Config, Overrides, ad_hoc_config, load_config
from harvester.errors import UnsupportedError, UsageError
from harvester.model import Source

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FOUR = """
[[source]]
name = "to"
provider = "talkover"
token = "t"
[[source]]
name = "av"
provider = "agentvoice"
api_key = "k"
organization_id = "o"
[[source]]
name = "tp"
provider = "talkpilot"
api_key = "k"
[[source]]
name = "bi"
provider = "bimpe"
api_key = "k"
"""


def load(text: str, **said: Any) -> Config:
    overrides = Overrides(**said)
    return load_config(text, folder=Path("/cfg"), environ={}, now=NOW, overrides=overrides)


def by_name(config: Config) -> dict[str, Source]:
    return {source.name: source for source in config.sources}


def test_details_option_applies_where_it_can() -> None:
    """--details reaches those that have details, and the others are named."""
    config = load(FOUR, details=True)
    assert {name: source.details for name, source in by_name(config).items()} == {
        "to": (), "av": ("full",), "tp": ("full",), "bi": ("full",),
    }  # fmt: skip
    assert config.notices == ("--details: not for to: Talkover documents no details",)


def test_recordings_option_brings_the_details_it_needs() -> None:
    """Where the link stands in the detail, recordings ask for details; where it stands in the list, not."""
    config = load(FOUR, recordings=True)
    sources = by_name(config)
    assert (sources["tp"].details, sources["tp"].recordings) == (("full",), True)
    assert (sources["av"].details, sources["av"].recordings) == ((), True)
    assert (sources["to"].recordings, sources["bi"].recordings) == (False, False)
    assert [notice.split(":")[1].strip() for notice in config.notices] == ["not for to", "not for bi"]


def test_option_no_source_can_is_an_error() -> None:
    """An option that would do nothing at all is a mistake."""
    with pytest.raises(
        UnsupportedError, match="--details: no source can do this: Talkover documents no details"
    ):
        load(FOUR, sources=("to",), details=True)


def test_no_details_turns_off_what_the_file_asks() -> None:
    """--no-details holds against the file and its defaults."""
    text = "[defaults]\ndetails = true\n" + FOUR + "details = true\n"
    assert all(source.details == () for source in load(text, details=False).sources)


def test_defaults_apply_where_they_can() -> None:
    """A default reaches the sources that do not set it and can do it; the others in use are named."""
    text = '[defaults]\ndetails = true\nsince = "7d"\nrate = "5/s"\n' + FOUR + 'since = "today"\n'
    config = load(text)
    sources = by_name(config)
    assert (sources["to"].details, sources["tp"].details) == ((), ("full",))
    assert sources["to"].since == datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert sources["bi"].since == datetime(2026, 3, 10, tzinfo=UTC)
    assert config.notices == ("defaults.details: not for to: Talkover documents no details",)


def test_default_another_source_can_do_is_no_error_for_the_one_in_use() -> None:
    """--source does not turn a sound file into a wrong one."""
    config = load("[defaults]\ndetails = true\n" + FOUR, sources=("to",))
    assert config.sources[0].details == ()
    assert len(config.notices) == 1


def test_default_that_able_sources_set_themselves_is_no_error() -> None:
    """A default is wrong only where no source of the file could do it."""
    text = "[defaults]\ndetails = true\nfilters = { done = true }\n" + FOUR.replace(
        'name = "tp"', 'name = "tp"\ndetails = false\nfilters = { search = "x" }'
    )
    config = load(text, sources=("to", "tp"))
    assert by_name(config)["tp"].details == ()
    assert by_name(config)["tp"].filters == {"search": "x"}
    assert [notice.partition(":")[0] for notice in config.notices] == [
        "defaults.details",
        "defaults.filters.done",
    ]


def test_default_no_source_can_do_is_an_error() -> None:
    """A default that reaches nothing is a mistake in the file."""
    text = '[defaults]\nrecordings = true\n[[source]]\nname = "a"\nprovider = "bimpe"\napi_key = "k"\n'
    with pytest.raises(UnsupportedError, match=r"defaults\.recordings: no source can do this"):
        load(text)


def test_wrong_default_is_told_once() -> None:
    """A mistake in [defaults] is one mistake, whatever the number of sources."""
    with pytest.raises(UsageError) as caught:
        load('[defaults]\nrate = "fast"\n' + FOUR)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("defaults.rate: ")


def test_default_may_hold_credentials() -> None:
    """A credential in [defaults] is for the sources whose provider has one of that name."""
    text = '[defaults]\napi_key = "shared"\n[[source]]\nname = "a"\nprovider = "bimpe"\n'
    assert load(text).sources[0].credentials["api_key"].reveal() == "shared"


def test_default_filters_apply_one_by_one() -> None:
    """Each default filter reaches the providers that know it."""
    text = '[defaults]\nfilters = { search = "x", direction = "inbound" }\n' + FOUR
    config = load(text)
    sources = by_name(config)
    assert sources["to"].filters == {"search": "x", "direction": "inbound"}
    assert sources["tp"].filters == {"search": "x"}
    assert sources["av"].filters == {}
    assert any(notice.startswith("defaults.filters.search: not for av: ") for notice in config.notices)


def test_filter_option_is_added_and_replaces() -> None:
    """--filter adds to what a source has, key by key."""
    text = FOUR + 'filters = { search = "x", status = "ended" }\n'
    config = load(text, sources=("bi",), filters={"status": "busy"})
    assert config.sources[0].filters == {"search": "x", "status": "busy"}


def test_filter_option_nobody_knows_names_the_nearest() -> None:
    """A filter that no source in use knows is an error with the nearest."""
    with pytest.raises(UnsupportedError, match=r"--filter statu: .*did you mean .status"):
        load(FOUR, sources=("bi",), filters={"statu": "x"})


def test_options_replace_agents_and_range() -> None:
    """--agent, --since and --until hold for every source in use."""
    config = load(FOUR + 'agents = ["z"]\n', agents=("a", "b"), since="2026-03-01", until="now")
    assert {source.agents for source in config.sources} == {("a", "b")}
    assert {source.since for source in config.sources} == {datetime(2026, 3, 1, tzinfo=UTC)}
    assert {source.until for source in config.sources} == {NOW}


def test_wrong_options_are_told_together() -> None:
    """Each wrong option is named once, with those of the file."""
    with pytest.raises(UsageError) as caught:
        load(FOUR, sources=("tpp",), since="soon", until="later", agents=("a", "a"), concurrency=0)
    keys = {problem.split(":")[0] for problem in caught.value.problems}
    assert keys == {"--source", "--since", "--until", "--agent", "--concurrency"}
    assert '--source: no source "tpp"; did you mean "tp"?' in caught.value.problems


def test_empty_range_of_options_names_both() -> None:
    """An empty range of options names the options, once for all sources."""
    with pytest.raises(UsageError) as caught:
        load(FOUR, since="2026-03-02", until="2026-03-01")
    assert caught.value.problems == (
        "--since: 2026-03-02T00:00:00Z is not before --until, 2026-03-01T00:00:00Z",
    )


def test_many_left_out_are_counted() -> None:
    """A notice names ten sources and counts the rest."""
    many = "".join(f'[[source]]\nname = "s{n}"\nprovider = "talkover"\ntoken = "t"\n' for n in range(13))
    (notice,) = load(many + FOUR, details=True, sources=(*(f"s{n}" for n in range(13)), "bi")).notices
    assert "s9 and 3 more: " in notice


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        ("true", ("full",)),
        ("false", ()),
        ("[]", ()),
        ('["transcript"]', ("transcript",)),
        ('["full", "metrics"]', ("full",)),
        ('["transcript", "metrics", "transcript"]', ("metrics", "transcript")),
    ],
)
def test_details_by_groups(value: str, groups: tuple[str, ...]) -> None:
    """Groups come sorted, each once; all of them are `full`."""
    text = f'[[source]]\nname="a"\nprovider="agentvoice"\napi_key="k"\norganization_id="o"\ndetails={value}\n'
    assert load(text).sources[0].details == groups


@pytest.mark.parametrize("value", ['["transcrpt"]', '["x"]'])
def test_unknown_group_is_told(value: str) -> None:
    """A group that the provider does not have is told with those it has."""
    text = f'[[source]]\nname="a"\nprovider="agentvoice"\napi_key="k"\norganization_id="o"\ndetails={value}\n'
    with pytest.raises(UnsupportedError, match=r"details: no such group .*transcript"):
        load(text)


@pytest.mark.parametrize("value", ['"transcript"', "1", "[1]", '[""]'])
def test_details_of_another_kind_are_told(value: str) -> None:
    """Details are a flag or a list of names."""
    with pytest.raises(UsageError, match="details: "):
        load(
            f'[[source]]\nname="a"\nprovider="agentvoice"\napi_key="k"\norganization_id="o"\ndetails={value}\n'
        )


def test_groups_where_there_are_none() -> None:
    """A provider whose details come whole is not asked for parts."""
    with pytest.raises(UnsupportedError, match="details = true"):
        load('[[source]]\nname="a"\nprovider="bimpe"\napi_key="k"\ndetails=["transcript"]\n')


def ad_hoc(
    provider: str, credentials: Sequence[str] = (), base_url: str | None = None, **said: Any
) -> Config:
    return ad_hoc_config(
        provider=provider,
        base_url=base_url,
        credentials=credentials,
        folder=Path(),
        environ={"TOKEN": "t"},
        now=NOW,
        overrides=Overrides(**said),
    )


def test_options_alone_make_a_config() -> None:
    """The source is named after its provider; the output is in the current folder."""
    config = ad_hoc("talkover", ["token=env:TOKEN"], "http://127.0.0.1:1/x/", agents=("a",), since="7d")
    (source,) = config.sources
    assert (source.name, source.base_url, source.agents) == ("talkover", "http://127.0.0.1:1/x", ("a",))
    assert source.credentials["token"].reveal() == "t"
    assert config.output.path == Path("out")


def test_credential_of_a_file(tmp_path: Path) -> None:
    """A credential may be in a file."""
    (tmp_path / "secret").write_text("s\n")
    config = ad_hoc("talkover", [f"token=file:{tmp_path / 'secret'}"])
    assert config.sources[0].credentials["token"].reveal() == "s"


def test_wrong_options_alone_are_named_as_options() -> None:
    """Mistakes are told under the names of the options, and no credential is shown."""
    with pytest.raises(UsageError) as caught:
        ad_hoc("talkover", ["token=hunter2", "tokn=env:TOKEN"], "x", sources=("a",))
    text = str(caught.value)
    assert "--credential token: must be KEY=env:NAME or KEY=file:PATH" in text
    assert '--credential tokn: unknown key; did you mean "token"?' in text
    assert "--credential token: missing; Talkover needs it: --credential token=env:TALKOVER_TOKEN" in text
    assert "--base-url: must be an address" in text
    assert "--source: " in text
    assert "hunter2" not in text


def test_unknown_provider_of_options_alone() -> None:
    """An unknown provider is told with the nearest."""
    with pytest.raises(UsageError, match='--provider: no such provider "talkpilt"; did you mean "talkpilot"'):
        ad_hoc("talkpilt")
