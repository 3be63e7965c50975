"""How the contenders that know no provider ask for pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Api(NamedTuple):
    """A list of calls.

    Attributes:
        path: The list.
        headers: Any credential is good.
        query: Given the number of a page from 0, what asks for it.
        pages: Given an answer, how many pages there are.
    """

    path: str
    headers: Mapping[str, str]
    query: Callable[[int], dict[str, str]]
    pages: Callable[[Mapping[str, Any]], int]


_BEARER = {"Authorization": "Bearer sandbox"}

APIS = {
    "talkover": Api(
        "/api/v1/calls",
        _BEARER,
        lambda page: {"page": str(page + 1), "per_page": "100"},
        lambda answer: int(answer["pagination"]["last_page"]),
    ),
    "agentvoice": Api(
        "/api/calls",
        {"x-api-key": "sandbox", "x-organization-id": "sandbox"},
        lambda page: {"limit": "100", "offset": str(100 * page), "fields": "full"},
        lambda answer: -(-int(answer["pagination"]["total"]) // 100),
    ),
    "bimpe": Api(
        "/api/v1/console/agents/agt_5f0c2b1e7d4a/calls",
        _BEARER,
        lambda page: {"page": str(page + 1), "limit": "100", "sort": "created_on"},
        lambda answer: int(answer["meta"]["page_count"]),
    ),
}
"""Of BimpeAI the made-up account has one agent."""
