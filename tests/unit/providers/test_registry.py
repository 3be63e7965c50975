"""The registry and the check of filters."""

from __future__ import annotations

import pytest

from harvester.errors import UsageError
from harvester.providers import PROVIDERS, check_filters, get_provider


def test_registry_has_the_four_by_their_own_names() -> None:
    """A provider is found under the name it gives itself."""
    assert list(PROVIDERS) == ["talkover", "agentvoice", "talkpilot", "bimpe"]
    assert all(get_provider(name).capabilities.name == name for name in PROVIDERS)


def test_get_provider_names_the_nearest() -> None:
    """A name that is mistyped is answered with the one that was meant, and all there are."""
    with pytest.raises(
        UsageError, match=r"no provider is called 'talkpilto'; did you mean `talkpilot`\? known: talkover"
    ):
        get_provider("talkpilto")
    with pytest.raises(UsageError, match="'x'; known: talkover, agentvoice, talkpilot, bimpe"):
        get_provider("x")


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("talkover", {"status": "no-answer", "direction": "inbound", "search": "+15550100"}),
        ("talkover", {"status": "in-progress"}),
        ("talkover", {"status": "queued"}),
        ("agentvoice", {"status": "any word", "call_type": "outbound", "phone_number": "+15550100"}),
        ("agentvoice", {"contact_id": "c", "campaign_id": "d"}),
        (
            "talkpilot",
            {"done": "true", "include_deleted": "false", "search": "x", "phone_number": "+15550100"},
        ),
        ("bimpe", {"status": "cancelled", "is_test_call": "true", "search": "x"}),
        ("bimpe", {}),
    ],
)
def test_check_filters_takes_what_is_documented(name: str, filters: dict[str, str]) -> None:
    """The provider's own filters with their documented values are no problem."""
    assert check_filters(get_provider(name), filters) == []


@pytest.mark.parametrize(
    ("name", "filters", "said"),
    [
        (
            "talkover",
            {"staus": "x"},
            "filters.staus: Talkover has no such filter; did you mean `status`? known: status",
        ),
        (
            "talkover",
            {"status": "no_answer"},
            "filters.status: 'no_answer' is none of its values; did you mean `no-answer`?",
        ),
        ("talkover", {"date_from": "2026-03-01"}, "filters.date_from: no filter; use `since`"),
        ("agentvoice", {"to": "x"}, "filters.to: no filter; use `until`"),
        ("agentvoice", {"agent_id": "x"}, "filters.agent_id: no filter; use `agents`"),
        ("agentvoice", {"include": "x"}, "filters.include: no filter; use `details`"),
        ("agentvoice", {"phone-number": "x"}, "did you mean `phone_number`?"),
        ("talkpilot", {"done": "True"}, "filters.done: 'True' is none of its values; did you mean `true`?"),
        ("talkpilot", {"done": "yes"}, "filters.done: 'yes' is none of its values; known: true, false"),
        ("talkpilot", {"search": " "}, "filters.search: it is empty"),
        ("bimpe", {"status": "completed"}, "filters.status: 'completed' is none of its values"),
        (
            "bimpe",
            {"done": "true"},
            "filters.done: BimpeAI has no such filter; known: search, status, is_test_call",
        ),
    ],
)
def test_check_filters_names_the_key_and_what_was_meant(
    name: str, filters: dict[str, str], said: str
) -> None:
    """A filter or value that the provider does not have is named, with the nearest that it has."""
    [problem] = check_filters(get_provider(name), filters)
    assert said in problem


def test_check_filters_finds_all_problems() -> None:
    """Each bad filter is told at once, the good ones are not."""
    problems = check_filters(get_provider("talkover"), {"a": "1", "status": "busy", "direction": "up"})
    assert [problem.split(":")[0] for problem in problems] == ["filters.a", "filters.direction"]
