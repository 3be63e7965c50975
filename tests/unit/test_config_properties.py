"""Whatever a file holds, reading it ends in a Config or in a UsageError whose every line names a key."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harvester.config import Config, load_config, read_document
from harvester.config.source import SOURCE_KEYS
from harvester.errors import UsageError

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
KEY = re.compile(r'(output|run|defaults|source)(\.|:)|source\[\d+\]( ".*")?: |[A-Za-z0-9_.-]+: |".*": ')

WORDS = st.sampled_from(
    [
        "talkover",
        "agentvoice",
        "bimpe",
        "${A}",
        "${B}",
        "${",
        "7d",
        "now",
        "10/s",
        "unlimited",
        "",
        "x",
        "https://h/p",
    ]
)
SCALARS = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | WORDS
    | st.dates()
    | st.datetimes()
    | st.times()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3)
)
KEYS = st.sampled_from([*SOURCE_KEYS, "token", "api_key", "organization_id"]) | st.text(max_size=6)
TABLES = st.dictionaries(KEYS, VALUES, max_size=6)
OUTPUTS = st.dictionaries(
    st.sampled_from(["path", "format", "shape", "compression", "raw"]), VALUES, max_size=5
)
DOCUMENTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=2) | st.fixed_dictionaries(
    {"source": st.lists(TABLES, max_size=3) | VALUES},
    optional={"output": OUTPUTS | VALUES, "run": TABLES, "defaults": TABLES | VALUES},
)


def problems_of(read: Callable[[], Config]) -> tuple[str, ...]:
    """Return what is wrong, nothing where all is well; any other exception is a failure of the test."""
    try:
        assert read().sources
    except UsageError as error:
        return error.problems or ("",)
    return ()


@given(DOCUMENTS)
def test_any_document_is_a_config_or_a_usage_error(document: dict[str, object]) -> None:
    """Nothing but a UsageError comes out of a wrong document, and each of its lines begins with a key."""
    told = problems_of(lambda: read_document(document, folder=Path("/cfg"), environ={"A": "a"}, now=NOW))
    for problem in told:
        assert KEY.match(problem), problem
        assert "\n" not in problem


@given(st.text())
def test_any_text_is_a_config_or_a_usage_error(text: str) -> None:
    """Text that is no config is a UsageError, whatever is wrong with it."""
    assert all(problems_of(lambda: load_config(text, folder=Path("/cfg"), environ={}, now=NOW)))
