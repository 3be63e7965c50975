"""From an answer to what the walk needs of it, and from the rows that are new to what the sink writes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from harvester.journal import DATELESS, NAMELESS
from harvester.model import Listing, NativeRows, Origin, Problem, Quarantined, Shape
from harvester.providers.base import Provider
from harvester.record import Record, utc

from .ids import hour_of


class Page(msgspec.Struct):
    """A list answer, read: its rows in order, and what walking needs of each.

    `calls` are their structs, None where a row is no call; `ids` theirs, or a hash of the bytes of a row that is no
    call; `moments` in UTC; `hours` what their ids are kept by; `problems` what does not fit.
    """

    listing: Listing
    calls: list[Any]
    ids: list[str]
    moments: list[datetime | None]
    hours: list[int]
    problems: list[Problem]


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
        ids, moments, hours = _keys(listing.rows, calls)
        return Page(listing, calls, ids, moments, hours, problems)

    def agents(self, page: Page) -> list[str | None]:
        """Return the agents that the rows of a page name."""
        agent_of = self._provider.agent_of
        return [None if call is None else agent_of(call) for call in page.calls]

    def rows(
        self,
        page: Page,
        new: Sequence[int],
        *,
        agent_id: str | None,
        agent_name: str | None,
        fetched_at: datetime,
    ) -> list[Sequence[Record] | NativeRows]:
        """Return the new rows in the shape of the output; those that are no calls are left out.

        Args:
            page: The answer.
            new: Which of its rows.
            agent_id: The agent in the request's address.
            agent_name: Its name from the list of agents.
            fetched_at: When the answer came.
        """
        rows, calls = page.listing.rows, page.calls
        if len(new) < len(rows) or page.problems:
            new = [i for i in new if calls[i] is not None]
            rows, calls = [rows[i] for i in new], [calls[i] for i in new]
        if not rows:
            return []
        if self._is_native:
            return self._native(rows, calls, agent_id)
        origin = Origin(self._source, self._name, self._run_id, fetched_at, agent_id, agent_name)
        to_record = self._provider.to_record
        if not self._keep_raw:
            return [[to_record(call, None, origin) for call in calls]]
        return [[to_record(call, str(row, "utf-8"), origin) for call, row in zip(calls, rows, strict=True)]]

    def _native(
        self, rows: list[msgspec.Raw], calls: list[Any], agent_id: str | None
    ) -> list[Sequence[Record] | NativeRows]:
        """Rows that name no agent get the one of the address; rows of a walk of the account cannot."""
        if agent_id is None:
            return [NativeRows(rows)]
        agent_of = self._provider.agent_of
        named = [agent_of(call) is not None for call in calls]
        parts: list[Sequence[Record] | NativeRows] = []
        if not all(named):
            parts.append(NativeRows([row for row, has in zip(rows, named, strict=True) if not has], agent_id))
        if any(named):
            parts.append(NativeRows([row for row, has in zip(rows, named, strict=True) if has]))
        return parts

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
                call_id=page.ids[problem.index] if page.calls[problem.index] is not None else None,
                field=problem.field,
            )
            for problem in page.problems
            if problem.index in wanted
        ]


def _keys(
    rows: Sequence[msgspec.Raw], calls: Sequence[Any]
) -> tuple[list[str], list[datetime | None], list[int]]:
    """Return the ids, moments and hours of rows; the first lines are the way of all ordinary pages."""
    if None not in calls:
        moments = [call.created_at for call in calls]
        if all(at is not None and at.tzinfo is UTC for at in moments):
            return [call.id for call in calls], moments, [at.toordinal() * 24 + at.hour for at in moments]
    ids: list[str] = []
    some: list[datetime | None] = []
    hours: list[int] = []
    for row, call in zip(rows, calls, strict=True):
        at = None if call is None else utc(call.created_at)
        some.append(at)
        if call is None:
            ids.append(hashlib.blake2b(bytes(row), digest_size=16).hexdigest())
            hours.append(NAMELESS)
        else:
            ids.append(call.id)
            hours.append(DATELESS if at is None else hour_of(at))
    return ids, some, hours
