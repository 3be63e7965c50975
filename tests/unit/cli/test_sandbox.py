"""What the sandbox is told, and the config it prints."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harvester.cli.sandbox import config_text, read_sandbox
from harvester.config import load_config
from harvester.errors import UsageError

NOW = datetime(2026, 3, 10, tzinfo=UTC)
URLS = {name: f"http://127.0.0.1:1/{name}" for name in ("talkover", "agentvoice", "talkpilot", "bimpe")}


def test_options_add_to_the_document() -> None:
    """Limits, faults and quirks become parts of the SandboxConfig, over what a file says."""
    config = read_sandbox(
        {"calls": 7, "faults": {"rates": {"502": 0.5}, "retry_after_s": 9}},
        limits=["60/min", "1000/h"],
        faults=["500=0.02"],
        quirks=["order=random", "extra_fields", "clamp=10"],
    )
    assert (config.calls, config.limits.rates, config.limits.headers) == (7, ("60/min", "1000/h"), "epoch")
    assert config.faults.rates == {"502": 0.5, "500": 0.02}
    assert config.faults.retry_after_s == 9
    assert (config.quirks.order, config.quirks.extra_fields, config.quirks.clamp) == ("random", True, 10)


@pytest.mark.parametrize("document", [{"calls": "x"}, {"port": "x"}, {"nothing": 1}, {"agents": 0}])
def test_wrong_document_is_a_usage_error(document: dict[str, object]) -> None:
    """What the sandbox cannot be told is wrong usage."""
    with pytest.raises(UsageError, match="sandbox: "):
        read_sandbox(document, limits=(), faults=(), quirks=())


def test_printed_config_is_one_without_variables() -> None:
    """What is printed can be used as it is: all four providers, without limit, details where there are any."""
    config = load_config(config_text(URLS, Path('/a "b"/out')), folder=Path("/x"), environ={}, now=NOW)
    assert [source.base_url for source in config.sources] == list(URLS.values())
    assert all(source.rates == () for source in config.sources)
    assert [bool(source.details) for source in config.sources] == [False, True, True, True]
    assert config.output.path == Path('/a "b"/out')
    assert config.notices == ()
