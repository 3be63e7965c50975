"""From an answer to what the walk needs of it, and from the rows that are new to what the sink writes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec

from harvester.block import Row
from harvester.errors import MalformedError
from harvester.journal import DATELESS, NAMELESS, KeptRecording
from harvester.model import Lines, Listing, NativeRows, Origin, Problem, Quarantined, Request, Shape
from harvester.providers.base import Provider
from harvester.providers.reading import Form, Later, Options, PackedKeys, note, read_by, take
from harvester.providers.records import to_records
from harvester.providers.rows import Sound
from harvester.record import Record, Records, utc

from .ids import hour_of

NewRows = Sequence[Record] | NativeRows | Lines
"""New rows of a page in the shape of the output."""


class Page(msgspec.Struct):
    """A list answer, read: its rows in order, and what walking needs of each.

    `calls` are their structs, None where a row is no call; `ids` theirs, or a hash of the bytes of a row that is no
    call; `moments` in UTC; `hours` what their ids are kept by; `problems` what does not fit; `span` the first
    and the last moment where every row has one, None where that was not looked at; `is_distinct` that no two ids are
    the same, as far as that was. `agents` are those that the rows name, `made` the rows in the output's shape and
    `keys` their ids and moments packed, where they are at hand.
    """

    listing: Listing
    calls: Sequence[Any]
    ids: Sequence[str]
    moments: Sequence[datetime | None]
    hours: Sequence[int]
    problems: list[Problem]
    span: tuple[datetime, datetime] | None = None
    is_distinct: bool = False
    agents: list[str | None] | None = None
    made: Lines | Records | None = None
    keys: PackedKeys | None = None


class Detail(msgspec.Struct):
    """The answer to "get call", read: its JSON, its struct, and what of it does not fit."""

    raw: Row
    call: Any
    problems: list[Problem]
    fetched_at: datetime


class Extra(msgspec.Struct):
    """What was fetched for a row of a list beside it."""

    detail: Detail | None = None
    recording: KeptRecording | None = None


class Shaper:
    """Reads one source's answers for one shape of output.

    Args:
        source: The source's name.
        provider: What reads its answers.
        shape: What the rows become.
        run_id: The run they are fetched in.
        keep_raw: Whether unified rows carry the provider's JSON.
        lines: Rows may be given as lines of the output, already encoded.
        blocks: Native rows may be given as they stand side by side, not as a list of Raw.
    """

    def __init__(
        self,
        source: str,
        provider: Provider,
        *,
        shape: Shape,
        run_id: str,
        keep_raw: bool,
        lines: bool = False,
        blocks: bool = False,
    ) -> None:
        self._source = source
        self._provider = provider
        self._name = provider.capabilities.name
        self._is_native = shape == "native"
        self._wire = provider.key_type if self._is_native else provider.call_type
        self._detail_wire = provider.key_type if self._is_native else provider.detail_type
        self._run_id = run_id
        self._keep_raw = keep_raw
        self._blocks = blocks
        form: Form = "keys" if self._is_native else "lines" if lines else "columns"
        self._read_by = read_by(Options(self._name, source, form, keep_raw))

    def read(self, body: bytes, *, keys_only: bool = False, reading: bytes = b"") -> Page:
        """Read a list answer.

        Args:
            body: The answer.
            keys_only: Its rows are not to be written.
            reading: What was made of it where it arrived, if it was read there (`ahead`).

        Raises:
            MalformedError: It is not what the documents say.
        """
        if reading:
            # What cannot be taken was made by a process that was started from a newer harvester.
            with suppress(msgspec.MsgspecError):
                return self._taken(body, reading)
        provider = self._provider
        listing = provider.read_listing(body)
        calls, problems = provider.decode(body, listing, provider.key_type if keys_only else self._wire)
        return _read(listing, calls, problems)

    def ahead(self, request: Request, agent_id: str | None, agent_name: str | None) -> Request:
        """Return a list request whose answer may be read where it arrives.

        Args:
            request: The request.
            agent_id: The agent in its address.
            agent_name: Its name from the list of agents.
        """
        told = note(self._run_id, agent_id, agent_name)
        return msgspec.structs.replace(request, read_by=self._read_by, note=told)

    def _taken(self, body: bytes, reading: bytes) -> Page:
        """Return an answer as it was read where it arrived."""
        found = take(body, reading)

        def decode() -> Sequence[Any]:
            return self._provider.decode(body, self._provider.read_listing(body), self._wire)[0]

        calls = Later(decode, len(found.ids))
        page = _sound(found.listing, calls, found.ids, found.moments, found.span, is_distinct=True)
        page.agents, page.made, page.keys = found.agents, found.made, found.keys
        return page

    def read_detail(self, body: bytes, call_id: str, fetched_at: datetime) -> Detail:
        """Read the answer to "get call".

        Raises:
            MalformedError: It is not what the documents say, or another call.
            RejectedError: It says that there is no such call.
        """
        provider = self._provider
        listing = provider.read_detail(body)
        (call,), problems = provider.decode(body, listing, self._detail_wire)
        if call is None or call.id != call_id:
            raise MalformedError("the answer is not the call that was asked for")
        return Detail(listing.rows[0], call, problems, fetched_at)

    def read_row(self, row: bytes) -> Page:
        """Read a single row of a list as a page of its own.

        Raises:
            ValueError: It is none.
        """
        listing = Listing([msgspec.Raw(row)])
        calls, problems = self._provider.decode(row, listing, self._wire)
        if None in calls:
            raise ValueError("no row of a list")
        return _read(listing, calls, problems)

    def agents(self, page: Page) -> list[str | None]:
        """Return the agents that the rows of a page name."""
        if page.agents is not None:
            return page.agents
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
        extras: Mapping[int, Extra] | None = None,
    ) -> list[NewRows]:
        """Return the new rows in the shape of the output; those that are no calls are left out.

        Args:
            page: The answer.
            new: Which of its rows.
            agent_id: The agent in the request's address.
            agent_name: Its name from the list of agents.
            fetched_at: When the answer came.
            extras: What was fetched for rows beside the list, by their index.
        """
        if extras:
            return self._rows_with(
                page, new, extras, agent_id=agent_id, agent_name=agent_name, fetched_at=fetched_at
            )
        rows: Sequence[Row] = page.listing.rows
        is_whole = len(new) == len(rows) and not page.problems
        if page.problems:
            new = [i for i in new if page.calls[i] is not None]
        if not new:
            return []
        if page.made is not None:
            return [page.made if is_whole else page.made.some(new)]
        if not is_whole:
            every = list(rows)
            rows = [every[i] for i in new]
        if self._is_native:
            named = [] if agent_id is None else [agent is not None for agent in self.agents(page)]
            return self._native(rows, named if is_whole or not named else [named[i] for i in new], agent_id)
        calls = page.calls if is_whole else [page.calls[i] for i in new]
        origin = Origin(self._source, self._name, self._run_id, fetched_at, agent_id, agent_name)
        raw = self._texts(rows)
        return [to_records(self._provider, calls, origin, raw=raw)]

    def _rows_with(
        self,
        page: Page,
        new: Sequence[int],
        extras: Mapping[int, Extra],
        *,
        agent_id: str | None,
        agent_name: str | None,
        fetched_at: datetime,
    ) -> list[NewRows]:
        """Return rows of which some have a detail, which stands for the list's, or a recording."""
        found = [(page.listing.rows[i], page.calls[i], extras.get(i, _NONE)) for i in new]
        found = [one for one in found if one[1] is not None]
        if not found:
            return []
        if self._is_native:
            rows = [extra.detail.raw if extra.detail else row for row, _, extra in found]
            agent_of = self._provider.agent_of
            named = [
                agent_of(extra.detail.call if extra.detail else call) is not None for _, call, extra in found
            ]
            paths = [extra.recording.path if extra.recording else None for *_, extra in found]
            return self._native(rows, named, agent_id, paths if any(paths) else None)
        origin = Origin(self._source, self._name, self._run_id, fetched_at, agent_id, agent_name)
        runs = groupby(found, key=lambda one: one[2].detail is not None)
        return [self._records(list(run), origin) for _, run in runs]

    def _records(self, found: Sequence[tuple[Row, Any, Extra]], origin: Origin) -> Records:
        """Return rows of which all or none have a detail."""
        rows, recordings = [row for row, *_ in found], [extra.recording for *_, extra in found]
        columns: dict[str, Any] = {
            "raw": self._texts(rows),
            "recording_path": [one and one.path for one in recordings],
            "recording_sha256": [one and one.sha256 for one in recordings],
            "recording_bytes": [one and one.bytes for one in recordings],
        }
        details = [extra.detail for *_, extra in found if extra.detail is not None]
        calls = [call for _, call, _ in found]
        if details:
            wholes = [detail.raw for detail in details]
            calls = [detail.call for detail in details]
            columns["raw"], columns["raw_list"] = self._texts(wholes), columns["raw"]
            columns["fetched_at"] = [detail.fetched_at for detail in details]
        return to_records(self._provider, calls, origin, **columns)

    def _texts(self, rows: Sequence[Row]) -> list[str] | None:
        return [str(row, "utf-8") for row in rows] if self._keep_raw else None

    def _native(
        self,
        rows: Sequence[Row],
        named: Sequence[bool],
        agent_id: str | None,
        paths: list[str | None] | None = None,
    ) -> list[NewRows]:
        """Rows that name no agent get the one of the address; rows of a walk of the account cannot."""
        if not self._blocks:
            rows = [row if isinstance(row, msgspec.Raw) else msgspec.Raw(row) for row in rows]
        if agent_id is None:
            return [NativeRows(rows, None, paths)]
        if all(named) or not any(named):
            return [NativeRows(rows, None if named[0] else agent_id, paths)]
        parts: list[NewRows] = []
        for is_named in (False, True):
            some = [i for i, has in enumerate(named) if has == is_named]
            some_paths = None if paths is None else [paths[i] for i in some]
            parts.append(NativeRows([rows[i] for i in some], None if is_named else agent_id, some_paths))
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

    def misfits(
        self, page: Page, new: Iterable[int], extras: Mapping[int, Extra], *, agent_id: str | None
    ) -> list[Quarantined]:
        """Return a line for each value of a detail that does not fit."""
        return [
            Quarantined(
                reason=problem.reason,
                endpoint="get call",
                raw=bytes(extra.detail.raw).decode("utf-8", "backslashreplace"),
                fetched_at=extra.detail.fetched_at,
                agent_id=agent_id,
                call_id=page.ids[index],
                field=problem.field,
            )
            for index in new
            if (extra := extras.get(index)) is not None and extra.detail is not None
            for problem in extra.detail.problems
        ]


_NONE = Extra()


def _sound(
    listing: Listing,
    calls: Sequence[Any],
    ids: Sequence[str],
    moments: Sequence[datetime],
    span: tuple[datetime, datetime],
    *,
    is_distinct: bool,
) -> Page:
    """Return a page of which every row has an id and a moment in UTC."""
    hours = Later(lambda: _hours(moments, span), len(ids))
    return Page(listing, calls, ids, moments, hours, [], span, is_distinct)


def _hours(moments: Sequence[datetime], span: tuple[datetime, datetime]) -> list[int]:
    first, last = span
    if (hour := hour_of(first)) == hour_of(last):
        return [hour] * len(moments)
    if (midnight := hour - first.hour) == hour_of(last) - last.hour:
        return [midnight + at.hour for at in moments]  # half of what `hour_of` costs, a hundred times
    return list(map(hour_of, moments))


def _read(listing: Listing, calls: list[Any], problems: list[Problem]) -> Page:
    if isinstance(calls, Sound) and calls:  # the way of all ordinary pages
        is_distinct = len(set(calls.ids)) == len(calls)
        return _sound(listing, calls, calls.ids, calls.moments, calls.span, is_distinct=is_distinct)
    ids: list[str] = []
    some: list[datetime | None] = []
    hours = []
    for row, call in zip(listing.rows, calls, strict=True):
        at = None if call is None else utc(call.created_at)
        some.append(at)
        if call is None:
            ids.append(hashlib.blake2b(bytes(row), digest_size=16).hexdigest())
            hours.append(NAMELESS)
        else:
            ids.append(call.id)
            hours.append(DATELESS if at is None else hour_of(at))
    return Page(listing, calls, ids, some, hours, problems)
