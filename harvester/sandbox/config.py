"""What a sandbox is told: data, limits, faults, quirks. Plain values that can be written as JSON."""

import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

PROVIDERS = ("talkover", "agentvoice", "talkpilot", "bimpe")

_RATE = re.compile(r"(\d+)/(\d*)(s|min|h|day)")
_UNIT_S = {"s": 1, "min": 60, "h": 3600, "day": 86400}
_STATUS_FAULTS = frozenset({"400", "401", "403", "404", "408", "429", "500", "502", "503", "504"})
_OTHER_FAULTS = frozenset({"reset", "truncated", "half_json", "html", "success_false", "hang", "drip"})


def parse_rate(text: str) -> tuple[int, float]:
    """Read a limit such as `20/s`, `60/min`, `5/10s` as (requests, seconds).

    Raises:
        ValueError: The text is no such limit, or it allows nothing.
    """
    found = _RATE.fullmatch(text)
    if found is None or int(found[1]) < 1 or found[2] == "0":
        raise ValueError(f"{text!r} is no limit such as '20/s', '60/min' or '5/10s'")
    return int(found[1]), float(int(found[2] or 1) * _UNIT_S[found[3]])


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """How much one credential may ask, and how a refusal says so.

    Attributes:
        rates: Limits such as `20/s`, all at once, each an exact sliding window judged at arrival.
        max_in_flight: Requests of one credential that may be open at once; 0 for any number.
        headers: `X-RateLimit-*` on every answer about the first of `rates`, with the reset in Unix
            seconds (`epoch`) or in seconds from now (`delta`).
        retry_after: How a 429 says it: true seconds, an HTTP date, always `constant_s`, or not at all.
        constant_s: The seconds of `retry_after="constant"`.
        in_body: Put the wait into the JSON of the 429 (`error.details.retry_after` at Talkover).
        random_refusals: Share of requests refused by chance, whatever the rate.
        count_refused: A refused request takes a place in the window too.
    """

    rates: tuple[str, ...] = ()
    max_in_flight: int = 0
    headers: Literal["none", "epoch", "delta"] = "none"
    retry_after: Literal["none", "seconds", "date", "constant"] = "none"
    constant_s: int = 60
    in_body: bool = False
    random_refusals: float = 0.0
    count_refused: bool = False

    def __post_init__(self) -> None:
        for rate in self.rates:
            parse_rate(rate)


def _check_fault(kind: str) -> None:
    if kind not in _STATUS_FAULTS | _OTHER_FAULTS:
        known = ", ".join(sorted(_STATUS_FAULTS | _OTHER_FAULTS))
        raise ValueError(f"unknown fault {kind!r}; known: {known}")


class FaultRule(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault on purpose: every condition that is set must hold.

    Attributes:
        kind: An HTTP status (answered in the provider's own shape) or one of `reset`, `truncated`,
            `half_json`, `html`, `success_false`, `hang`, `drip`.
        request: Only the n-th request of a credential at its provider, counted from 1.
        endpoint: Only `agents`, `calls`, `agent_calls` or `call`.
        agent: Only this agent, by id or, as a number in text, by its place in the list from 0.
        page: Only this page, counted from 1 (AgentVoice: `offset / limit + 1`).
        call_id: Only the detail of this call.
        times: Only so often in all; 0 for ever.
        deeper_than: Only pages that begin behind more than so many rows, as a server whose deep offsets
            time out (`504`, `hang`, `drip`).
    """

    kind: str
    request: int = 0
    endpoint: str = ""
    agent: str = ""
    page: int = 0
    call_id: str = ""
    times: int = 0
    deeper_than: int = 0

    def __post_init__(self) -> None:
        _check_fault(self.kind)


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, by chance (`rates`: kind to share of requests) or on purpose (`rules`).

    Chance is drawn from the seed, the credential and the number of the request, so it repeats.
    """

    rates: dict[str, float] = {}
    rules: tuple[FaultRule, ...] = ()
    retry_after_s: int = 0
    hang_s: float = 60.0
    drip_s: float = 1.0

    def __post_init__(self) -> None:
        for kind in self.rates:
            _check_fault(kind)


class Churn(Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to an account while it is served, from the first request of its credential on.

    Which call and when follow from the seed and the time since that request. Rates are events a second, kept
    in every second but for one event.

    Attributes:
        inserts_per_s: New calls, created at that moment.
        late_inserts_per_s: Calls that turn up with a creation anywhere between `since` and `until`.
        deletes_per_s: Calls that go; TalkPilot keeps the share `soft_deletes` of them, with `deleted_at`.
        changes_per_s: Calls whose status, duration, summary and `updated_at` change; id and creation never.
        purges_per_s: TalkPilot's calls that lose transcript, audio and number, and say `is_purged`.
        live_s: An inserted call goes on for so long, without transcript and recording; 0: it came complete.
        unfinished: So many of the last calls go on at the first request, and end one by one within `live_s`.
        ends_after_s: Nothing more happens after so long, but that calls come to their end; 0: no end.
    """

    inserts_per_s: float = 0.0
    late_inserts_per_s: float = 0.0
    deletes_per_s: float = 0.0
    soft_deletes: float = 0.5
    changes_per_s: float = 0.0
    purges_per_s: float = 0.0
    live_s: float = 0.0
    unfinished: int = 0
    ends_after_s: float = 0.0

    def __post_init__(self) -> None:
        if min(msgspec.structs.astuple(self)) < 0 or self.soft_deletes > 1:
            raise ValueError("churn needs rates and times from 0 on, and a share of soft deletes up to 1")
        if self.unfinished and not self.live_s:
            raise ValueError("unfinished calls need live_s, the seconds within which they end")

    @property
    def is_idle(self) -> bool:
        """Say whether nothing ever happens."""
        rates = (self.inserts_per_s, self.late_inserts_per_s, self.deletes_per_s, self.changes_per_s)
        return not (any(rates) or self.purges_per_s or self.unfinished)


class Quirks(Struct, frozen=True, forbid_unknown_fields=True):
    """How a server departs from its documents, or reads them another way. The default is by the book.

    Attributes that are an `int` called "one in n" hit one call in n; 0 is never.

    Attributes:
        agents_too: The quirks of paging hold for lists of agents as well.
        order: Order of calls whatever is asked; `random` is one permutation of a list as long as its length
            stays, `unstable` another one for each request.
        ties_move: Calls of one instant change places among themselves from request to request.
        misplaced: One in n stands far from where the order has it, the same one in every request.
        clamp: Largest page the server gives; 0 for the documented one.
        clamp_hidden: The answer repeats the size that was asked, not the one that was given.
        total: `null`, `absent` (with what is derived from it), `off` by `total_off`, or `wobbles` by up to
            `total_off` more or less from request to request.
        more_for_ever: There is always a next page, it says.
        bare_array: The rows without an envelope.
        short_pages: Pages, counted from 1, of which the second half is missing.
        empty_pages: Pages that come empty.
        repeated_pages: Pages that come with the rows of the page before.
        heals_after: Short, empty and repeated pages are whole after being asked so often; 0: never.
        empty_is_404: A page without rows is a 404.
        same_page: The page or offset is ignored: always the first rows.
        window: Rows after so many are not given; 0 for no such end.
        window_error: Asking beyond `window` is an error, else an empty page.
        window_total: The total, too, ends at `window`.
        ignore_times: Filters by time are accepted and do nothing.
        lossy_times: One in n; a list filtered by time lacks it, and does not count it, so that the parts of
            a range do not sum to the whole.
        inclusive_edges: `from` and `to` include their own instant.
        exclusive_date_to: Talkover's `date_to` leaves its own day out.
        date_zone_h: Talkover's days begin so many hours before UTC's.
        meta_for_calls: Talkover sends `meta` with four keys for calls as well.
        agent_denied_status: TalkPilot's status for an agent out of reach: 404 older, 403 newer.
        wrapped_detail: TalkPilot's detail comes as `{"data": …}`.
        lone_surrogates, wrong_types, no_object, no_id, null_created, absent_created: one in n;
            damage of the row in lists, of which only the first two reach a detail (AgentVoice's has all).
        duplicates: One in n; the row is in the list twice, and counted twice.
        unknown_words: One in n has a status no document knows.
        extra_fields: Every row has fields no document knows.
        odd_ids: One in n; an id that is no safe file name.
        times: How times are written: `z`, without a zone (`naive`), `offset` (+02:00), `micros`.
    """

    agents_too: bool = False
    order: Literal["documented", "newest", "oldest", "random", "unstable"] = "documented"
    ties_move: bool = False
    misplaced: int = 0
    clamp: int = 0
    clamp_hidden: bool = False
    total: Literal["right", "null", "absent", "off", "wobbles"] = "right"
    total_off: int = 0
    more_for_ever: bool = False
    bare_array: bool = False
    short_pages: tuple[int, ...] = ()
    empty_pages: tuple[int, ...] = ()
    repeated_pages: tuple[int, ...] = ()
    heals_after: int = 0
    empty_is_404: bool = False
    same_page: bool = False
    window: int = 0
    window_error: bool = False
    window_total: bool = False
    ignore_times: bool = False
    lossy_times: int = 0
    inclusive_edges: bool = False
    exclusive_date_to: bool = False
    date_zone_h: int = 0
    meta_for_calls: bool = False
    agent_denied_status: Literal[404, 403] = 404
    wrapped_detail: bool = False
    lone_surrogates: int = 0
    wrong_types: int = 0
    no_object: int = 0
    no_id: int = 0
    null_created: int = 0
    absent_created: int = 0
    duplicates: int = 0
    unknown_words: int = 0
    extra_fields: bool = False
    odd_ids: int = 0
    times: Literal["z", "naive", "offset", "micros"] = "z"


class Behaviour(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider's data and manners.

    Attributes:
        agents: Agents of each account.
        calls: Calls of each account, over all agents.
        half_in_first: The first agent has half of the calls, the others share the rest.
        idle_agents: The last so many agents have no call.
        since: Creation of the first call; inclusive.
        until: No call was created at or after this.
        tied_calls: So many neighbours share one instant, again and again; 0 for none on purpose.
        latency_s: Wait before each answer.
        latency_jitter_s: Up to so much more, drawn for each request.
        gzip: Compress the answer where the client accepts it.
        pretty: Line breaks between the tokens of the JSON.
        cache_mb: Keep so much of what was answered, to answer the same again faster.
        limits, faults, churn, quirks: See there.
    """

    agents: int = 4
    calls: int = 1000
    half_in_first: bool = False
    idle_agents: int = 0
    since: datetime = datetime(2026, 1, 30, tzinfo=UTC)
    until: datetime = datetime(2026, 3, 31, tzinfo=UTC)
    tied_calls: int = 150
    latency_s: float = 0.0
    latency_jitter_s: float = 0.0
    gzip: bool = False
    pretty: bool = False
    cache_mb: int = 0
    limits: Limits = Limits()
    faults: Faults = Faults()
    churn: Churn = Churn()
    quirks: Quirks = Quirks()

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("since and until need a zone")
        if self.since >= self.until or self.agents <= self.idle_agents or self.calls < 0:
            raise ValueError("a sandbox needs since < until, an agent with calls, and calls >= 0")


class Overrides(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one provider has otherwise than the rest; see `Behaviour`."""

    agents: int | UnsetType = UNSET
    calls: int | UnsetType = UNSET
    half_in_first: bool | UnsetType = UNSET
    idle_agents: int | UnsetType = UNSET
    since: datetime | UnsetType = UNSET
    until: datetime | UnsetType = UNSET
    tied_calls: int | UnsetType = UNSET
    latency_s: float | UnsetType = UNSET
    latency_jitter_s: float | UnsetType = UNSET
    gzip: bool | UnsetType = UNSET
    pretty: bool | UnsetType = UNSET
    cache_mb: int | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET
    faults: Faults | UnsetType = UNSET
    churn: Churn | UnsetType = UNSET
    quirks: Quirks | UnsetType = UNSET


class SandboxConfig(Behaviour, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to listen, and what all providers do, but for `providers`: name to what differs there.

    Attributes:
        host: An address of this machine only; anything else is refused when it is opened.
        port: 0 takes a free one.
        seed: Everything made up follows from it.
        media_base: Where links to recordings point; empty: to this server.
        providers: Provider to what it has otherwise.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    media_base: str = ""
    providers: dict[str, Overrides] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.providers:
            if name not in PROVIDERS:
                raise ValueError(f"unknown provider {name!r}; known: {', '.join(PROVIDERS)}")

    def of(self, provider: str) -> Behaviour:
        """Give what one provider does, its overrides applied."""
        mine: dict[str, Any] = {name: getattr(self, name) for name in Behaviour.__struct_fields__}
        if provider in self.providers:
            other = msgspec.structs.asdict(self.providers[provider])
            mine |= {name: value for name, value in other.items() if value is not UNSET}
        return Behaviour(**mine)
