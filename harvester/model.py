"""The nouns all rooms share. Plain data: no network, no files, no clock.

A `Window` is a value that can be sent to another machine: with a source's credentials it is all a worker needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from .block import Row

Shape = Literal["unified", "native"]
Format = Literal["parquet", "ndjson"]
GapKind = Literal["source", "agent", "page", "row", "detail", "recording"]
SegmentKind = Literal["calls", "quarantine"]


class Secret:
    """A credential; it cannot print itself, and only `reveal` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the credential as sent to the provider's own origin."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a credential is not serialised")


_PERIODS = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "day"}


class Rate(msgspec.Struct, frozen=True):
    """At most `limit` requests in any `period_s` seconds; as text it is what a config says, such as `100/min`."""

    limit: int
    period_s: float

    def __str__(self) -> str:
        return f"{self.limit}/{_PERIODS.get(self.period_s, f'{self.period_s:g}s')}"

    @property
    def per_second(self) -> float:
        """The rate in requests a second."""
        return self.limit / self.period_s


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One account on a provider, as the config names it.

    `since` is inclusive, `until` exclusive; both aware, UTC. `until` None: the moment the job first starts.
    `rates` None: announced, else documented, else found while running; empty: unlimited.
    `details` holds the groups asked for: empty for none, ("full",) for all of them.
    """

    name: str
    provider: str
    base_url: str
    credentials: Mapping[str, Secret]
    agents: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    rates: tuple[Rate, ...] | None = None
    concurrency: int | None = None
    details: tuple[str, ...] = ()
    recordings: bool = False
    filters: Mapping[str, str] = {}


class Agent(msgspec.Struct, frozen=True):
    """A voice agent in an account."""

    id: str
    name: str | None = None


class Window(msgspec.Struct, frozen=True):
    """A half-open range of `created_at` of one agent; `agent_id` None is the whole account, `since` None all before.

    The unit of order and of resuming.
    """

    agent_id: str | None
    since: datetime | None
    until: datetime


class Cursor(msgspec.Struct, frozen=True):
    """Where a page begins: the page's number from 0, and its size in rows.

    Every list of the four providers is pages of one size, whether the API counts pages or rows.
    """

    page: int
    size: int


class Part(msgspec.Struct, frozen=True, cache_hash=True):
    """A stretch of a window that the provider's filter is asked for; an end that is None is the window's own.

    The filter's calendar need not be ours, so its rows may lie beyond the stretch. `has_last_day`: a range of whole
    days holds the last one it names. `is_again`: it is read once more as one, because its parts did not make it up;
    `reading` tells the times apart that it is, for each has answers of its own.
    """

    since: datetime | None = None
    until: datetime | None = None
    has_last_day: bool = True
    is_again: bool = False
    reading: int = 1

    def __str__(self) -> str:
        if self.since is None and self.until is None and self.has_last_day and not self.is_again:
            return ""
        ends = ["" if at is None else f"{at:%Y%m%dT%H%M%S}" for at in (self.since, self.until)]
        marks = ("" if self.has_last_day else "x") + ("a" if self.is_again else "")
        marks += f"{self.reading}" if self.reading > 1 else ""
        return "/".join((*ends, marks)).rstrip("/")


class Query(msgspec.Struct, frozen=True):
    """What all pages of one walk ask: a window, the provider's own filters, the detail groups its list can give.

    `part`: the stretch of the window that is asked for.
    """

    window: Window
    filters: Mapping[str, str] = {}
    details: tuple[str, ...] = ()
    part: Part = Part()


class ReadBy(msgspec.Struct, frozen=True, cache_hash=True):
    """What may read answers where they arrive, in a process that has only their bytes.

    `function` is a function's name, `module:name`: it takes `options` and returns what makes bytes of a body, of when
    that was received and of the request's `note`; where it raises, or makes nothing, nothing was read. Whoever
    asked may read it instead, where that has less to do, and sooner what `is_light`.
    """

    function: str
    options: bytes
    is_light: bool = False


class Request(msgspec.Struct, frozen=True):
    """What to send; `path` is below the source's base address and starts with a slash, `query` is not yet encoded.

    `endpoint` is our name for it in messages and journal: neither path nor query is ever printed. `read_by` may read
    the answer where it arrives, and is told `note` of this request alone.
    """

    endpoint: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    agent_id: str | None = None
    read_by: ReadBy | None = None
    note: bytes = b""


class Response(msgspec.Struct):
    """A complete answer. Header names are matched without regard to case; `elapsed_s` from sending to the last byte.

    `reading` is what the request's `read_by` made of the body, empty where nothing did: whoever asked reads it then.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    elapsed_s: float = 0.0
    reading: bytes = b""


class Listing(msgspec.Struct):
    """One list answer cut into rows, in the provider's order and byte for byte.

    What the answer says of itself is None where it says nothing: `total` rows in the list, `size` of a page as the
    server sees it, `page` counted from 0, `has_more` after this page.
    """

    rows: Sequence[Row]
    total: int | None = None
    size: int | None = None
    page: int | None = None
    has_more: bool | None = None


class AgentListing(msgspec.Struct):
    """One page of an account's agents."""

    agents: list[Agent]
    has_more: bool = False
    total: int | None = None


class Problem(msgspec.Struct, frozen=True):
    """Why a row, or one of its values, does not fit: `index` in its page, `field` by its name on the wire.

    `field` None: the row as a whole is no JSON object or has no id.
    """

    index: int
    field: str | None
    reason: str


class Origin(msgspec.Struct, frozen=True):
    """What all rows of a page have in common."""

    source: str
    provider: str
    run_id: str
    fetched_at: datetime
    agent_id: str | None = None
    agent_name: str | None = None


class Quarantined(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of quarantine."""

    reason: str
    endpoint: str
    raw: str
    fetched_at: datetime
    agent_id: str | None = None
    call_id: str | None = None
    field: str | None = None


class NativeRows(msgspec.Struct):
    """Rows as the provider sent them; `agent_id` is added as `_agent_id` where they name none.

    A sink that was handed in gets a list of Raw; our own may get a `Block`, or bytes.
    `recording_paths`, one a row, are added as `_recording_path`; None where no row has a recording.
    """

    rows: Sequence[Row]
    agent_id: str | None = None
    recording_paths: list[str | None] | None = None


class Lines(msgspec.Struct, frozen=True):
    """So many rows in the shape of the output as its lines, each with its line break."""

    text: bytes
    count: int

    def some(self, indices: Sequence[int]) -> Lines:
        """Return some of them, in this order."""
        lines = self.text.split(b"\n")
        return Lines(b"".join([lines[index] + b"\n" for index in indices]), len(indices))


class Segment(msgspec.Struct, frozen=True):
    """One output file: whole and durable. `path` is relative to the output, `aside` where it lies until published."""

    source: str
    kind: SegmentKind
    path: str
    rows: int
    bytes: int
    sha256: str
    aside: str = ""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that should be in the output and is not; `final` where the provider no longer has it."""

    kind: GapKind
    message: str
    agent_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    call_id: str | None = None
    final: bool = False
