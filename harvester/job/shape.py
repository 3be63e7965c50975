"""From an answer to what the walk needs of it, and from the rows that are new to what the sink writes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from harvester.journal import DATELESS, NAMELESS
from harvester.model import Listing, NativeRows, Origin, Problem, Quarantined, Shape
from harvester.providers.base import Provider
from harvester.record import Record, utc

from .ids import hour_of

Key = tuple[str, datetime | None, int]
"""A row's id, its moment in UTC, and the hour its id is kept by."""


class Page(msgspec.Struct):
    """A list answer, read: its rows, their structs (None where a row is no call), their keys and what does not fit."""

    listing: Listing
    calls: list[Any]
    keys: list[Key]
    problems: list[Problem]

    def agents(self, provider: Provider) -> list[str | None]:
        """Return the agents that the rows name."""
        return [None if call is None else provider.agent_of(call) for call in self.calls]


class Shaper:
    """Reads one source's answers for one shape of output.

    Args:
        source: The source's name.
        provider: What reads its answers.
        shape: What the rows become.
        run_id: The run they are fetched in.
        keep_raw: Whether unified rows carry the provider's JSON.
    """

    def __init__(self, source: str, provider: Provider, *, shape: Shape, run_id: str, keep_raw: bool) -> None:
        self._source = source
        self._provider = provider
        self._name = provider.capabilities.name
        self._is_native = shape == "native"
        self._wire = provider.key_type if self._is_native else provider.call_type
        self._run_id = run_id
        self._keep_raw = keep_raw

    def read(self, body: bytes, *, keys_only: bool = False) -> Page:
        """Read a list answer.

        Raises:
            MalformedError: It is not what the documents say.
        """
        provider = self._provider
        listing = provider.read_listing(body)
        calls, problems = provider.decode(body, listing, provider.key_type if keys_only else self._wire)
        return Page(listing, calls, _keys(listing.rows, calls), problems)

    def rows(
        self, page: Page, new: Sequence[int], *, agent_id: str | None, agent_name: str | None, fetched_at: datetime
    ) -> list[Sequence[Record] | NativeRows]:
        """Return the new rows in the shape of the output; those that are no calls are left out.

        Args:
            page: The answer.
            new: Which of its rows.
            agent_id: The agent in the request's address.
            agent_name: Its name from the list of agents.
            fetched_at: When the answer came.
        """
        if self._is_native:
            return self._native(page, new, agent_id)
        origin = Origin(self._source, self._name, self._run_id, fetched_at, agent_id, agent_name)
        to_record, rows, calls = self._provider.to_record, page.listing.rows, page.calls
        records = [
            to_record(calls[i], str(rows[i], "utf-8") if self._keep_raw else None, origin)
            for i in new
            if calls[i] is not None
        ]
        return [records] if records else []

    def _native(self, page: Page, new: Sequence[int], agent_id: str | None) -> list[Sequence[Record] | NativeRows]:
        """Rows that name no agent get the one of the address; rows of a walk of the account cannot."""
        rows, calls = page.listing.rows, page.calls
        kept = [i for i in new if calls[i] is not None]
        if agent_id is None:
            return [NativeRows([rows[i] for i in kept])] if kept else []
        agent_of = self._provider.agent_of
        bare = [i for i in kept if agent_of(calls[i]) is None]
        if not bare:
            return [NativeRows([rows[i] for i in kept])] if kept else []
        without = set(bare)
        named = [i for i in kept if i not in without]
        parts: list[Sequence[Record] | NativeRows] = [NativeRows([rows[i] for i in bare], agent_id)]
        return [*parts, NativeRows([rows[i] for i in named])] if named else parts

    def quarantined(
        self, page: Page, new: Iterable[int], *, endpoint: str, agent_id: str | None, fetched_at: datetime
    ) -> list[Quarantined]:
        """Return a line for each new row, or value of one, that does not fit."""
        if not page.problems:
            return []
        wanted = set(new)
        return [
            Quarantined(
                reason=problem.reason,
                endpoint=endpoint,
                raw=bytes(page.listing.rows[problem.index]).decode("utf-8", "backslashreplace"),
                fetched_at=fetched_at,
                agent_id=agent_id,
                call_id=page.keys[problem.index][0] if page.calls[problem.index] is not None else None,
                field=problem.field,
            )
            for problem in page.problems
            if problem.index in wanted
        ]


def _keys(rows: Sequence[msgspec.Raw], calls: Sequence[Any]) -> list[Key]:
    """Return the keys of rows; one that is no call is known by a hash of its bytes."""
    keys: list[Key] = []
    for row, call in zip(rows, calls, strict=True):
        if call is None:
            keys.append((hashlib.blake2b(bytes(row), digest_size=16).hexdigest(), None, NAMELESS))
            continue
        at = utc(call.created_at)
        keys.append((call.id, at, DATELESS if at is None else hour_of(at)))
    return keys
