"""What a sandbox is told: data, limits, faults, churn, media. Plain values that can be written as JSON."""

import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from .quirks import Quirks

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
        endpoint: Only `agents`, `calls`, `agent_calls`, `call`, `stream_ticket` or, in `Media.faults`, `media`.
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


class Media(Struct, frozen=True, forbid_unknown_fields=True):
    """The recordings behind the links of AgentVoice and TalkPilot, served by the sandbox itself.

    Attributes:
        size_bytes: The usual size; a recording has half of it to one and a half.
        link_life_s: How long a link is good after the row that has it was served (it is the same link each
            time); 0: for ever; None: an hour at TalkPilot, elsewhere for ever.
        dead_on_arrival: One link in n is good only when its row was served a second time.
        gone: One recording in n is not there, though there is a link.
        errors_are_200: The page that says 403 or 404 comes with the status 200.
        limits: What may be fetched of one account's; apart from the API's.
        faults: What goes wrong, likewise; requests for media are counted for themselves.
    """

    size_bytes: int = 16_000
    link_life_s: float | None = None
    dead_on_arrival: int = 0
    gone: int = 0
    errors_are_200: bool = False
    limits: Limits = Limits()
    faults: Faults = Faults()

    def __post_init__(self) -> None:
        if min(self.size_bytes, self.link_life_s or 0, self.dead_on_arrival, self.gone) < 0:
            raise ValueError("media need sizes, times and shares from 0 on")


class Streams(Struct, frozen=True, forbid_unknown_fields=True):
    """BimpeAI's conversations, whose messages come over a stream.

    Attributes:
        conversations: Conversations of each agent.
        messages: Messages of each conversation, in all.
        backlog: So many are there when the first ticket is asked for.
        per_s: The others come at this rate from then on.
        heartbeat_s: A heartbeat comes so often.
        ticket_s: How long a ticket is good.
        drop_after: A connection breaks after so many messages; 0: never.
        drops: Only the first so many connections of a conversation break; 0: all of them.
        resets: They break by a reset, else by an orderly end.
        replays: A stream that goes on begins with so many messages that were sent before.
    """

    conversations: int = 3
    messages: int = 40
    backlog: int = 10
    per_s: float = 20.0
    heartbeat_s: float = 15.0
    ticket_s: int = 60
    drop_after: int = 0
    drops: int = 0
    resets: bool = False
    replays: int = 0

    def __post_init__(self) -> None:
        if self.heartbeat_s <= 0 or min(self.per_s, self.conversations, self.messages, self.backlog) < 0:
            raise ValueError("streams need a heartbeat_s above 0, and numbers from 0 on")


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
        limits, faults, churn, media, streams, quirks: See there.
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
    media: Media = Media()
    streams: Streams = Streams()
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
    media: Media | UnsetType = UNSET
    streams: Streams | UnsetType = UNSET
    quirks: Quirks | UnsetType = UNSET


class SandboxConfig(Behaviour, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to listen, and what all providers do, but for `providers`: name to what differs there.

    Attributes:
        host: An address of this machine only; anything else is refused when it is opened.
        port: 0 takes a free one.
        seed: Everything made up follows from it.
        media_base: Where links to recordings point; empty: to this server, which serves them in any case.
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
