"""The made-up accounts: what exists in them, in which order, and the very bytes that are served.

Tests compare an export with what is found here. Nothing of an account is held in memory but a few hundred
short strings; the same seed, provider and credential always give the same account.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from .churn import ChangingRows, History, Turmoil
from .config import PROVIDERS, Behaviour, Media, SandboxConfig
from .conversations import Conversations
from .damage import Damage, prettify
from .ledger import Ledger
from .living import LivingLedger
from .media import Links, is_chosen, size_of, sound
from .quirks import Quirks
from .rows import agentvoice, bimpe, talkover, talkpilot
from .seed import key_of
from .stamps import from_us, to_us

_LINK_LIFE_S = {"talkpilot": 3600.0}
_DETAIL_FORMS = frozenset({"detail"})


class Agent(NamedTuple):
    """A voice agent, and how many calls it has."""

    id: str
    name: str
    calls: int


class TruthRow(NamedTuple):
    """One call as served: None where the row itself does not say it (see the quirks)."""

    call_id: str | None
    created_at: datetime | None
    raw: bytes


class Rows(ChangingRows, Protocol):
    """Writes one account's calls as JSON, and knows what of them may change."""

    @property
    def forms(self) -> tuple[str, str]:
        """Name the short and the long form."""
        ...

    def agent_name(self, agent: int) -> str:
        """Give an agent's name."""
        ...

    def recording_kind(self, call: int) -> str | None:
        """Give the kind of file a call's recording is, None if it has no link."""
        ...

    def write(self, call: int, form: str) -> bytes:
        """Write a call."""
        ...


class _Maker(Protocol):
    def __call__(self, ledger: Ledger, quirks: Quirks, media: str) -> Rows: ...


_MAKERS: dict[str, tuple[_Maker, int]] = {
    "talkover": (talkover.TalkoverRows, talkover.RESOLUTION_US),
    "agentvoice": (agentvoice.AgentVoiceRows, agentvoice.RESOLUTION_US),
    "talkpilot": (talkpilot.TalkPilotRows, talkpilot.RESOLUTION_US),
    "bimpe": (bimpe.BimpeRows, bimpe.RESOLUTION_US),
}


class Account:
    """All calls of one credential at one provider."""

    def __init__(self, provider: str, credential: str, config: SandboxConfig, origin: str) -> None:
        self.provider = provider
        self.behaviour: Behaviour = config.of(provider)
        make, resolution = _MAKERS[provider]
        quirks = self.behaviour.quirks
        resolution = 1 if quirks.times == "micros" else resolution
        key, churn = key_of(config.seed, provider, credential), self.behaviour.churn
        living = None if churn.is_idle else LivingLedger(key, self.behaviour, resolution)
        self.ledger: Ledger = living or Ledger(key, self.behaviour, resolution)
        media = f"{config.media_base or origin}/{provider}/media"
        self.writer: Rows = make(self.ledger, quirks, media)
        self.damage: Damage = Damage(quirks)
        self._links = _links_of(provider, self.behaviour.media)
        self._now = 0.0
        self.conversations: Conversations = Conversations(
            self.ledger, self.behaviour.streams, to_us(self.behaviour.since)
        )
        self._living = living
        self._turmoil: Turmoil | None = None
        if living is not None:
            span = to_us(self.behaviour.since), to_us(self.behaviour.until) - 1
            purging = self.writer if isinstance(self.writer, talkpilot.TalkPilotRows) else None
            self._turmoil = Turmoil(churn, living, self.writer, purging=purging, span_us=span)

    def advance(self, now: float, wall: float) -> None:
        """Let the account live until now; nothing is ever undone.

        Args:
            now: Monotonic seconds; the first time ever is the beginning.
            wall: Unix seconds at the same moment.
        """
        self._now = now
        if self._turmoil is not None:
            self._turmoil.advance(now, wall)

    def history(self) -> History:
        """Give what has happened so far: to which calls, and when."""
        return History(None, None, {}) if self._turmoil is None else self._turmoil.history()

    def agents(self) -> list[Agent]:
        """Give all agents in the order they are listed."""
        ledger = self.ledger
        return [
            Agent(ledger.agent_id(agent), self.writer.agent_name(agent), len(ledger.calls_of(agent)))
            for agent in range(ledger.agents)
        ]

    def rows(
        self, agent_id: str | None = None, shape: str = "list", *, include_deleted: bool = False
    ) -> Iterator[TruthRow]:
        """Give the calls of an agent or of the whole account, newest first, as they are served at present.

        Each comes once, whatever quirks of paging repeat or hide. With churn the present is the last request.

        Args:
            agent_id: Whose; None is the account. TalkPilot and BimpeAI have no list of an account:
                there it is agent after agent.
            shape: `list`; `detail` (the same as `full`) is the get-one answer's object, at AgentVoice
                the row with `fields=full`. Talkover knows lists only.
            include_deleted: With TalkPilot's soft-deleted calls.

        Raises:
            KeyError: There is no such agent.
        """
        agent = None if agent_id is None else self._agent(agent_id)
        if agent is None and self.provider in {"talkpilot", "bimpe"}:
            for other in range(self.ledger.agents):
                yield from self._rows_of(other, shape, include_deleted=include_deleted)
        else:
            yield from self._rows_of(agent, shape, include_deleted=include_deleted)

    def rows_throughout(
        self,
        begin: float,
        end: float,
        agent_id: str | None = None,
        shape: str = "list",
        *,
        include_deleted: bool = False,
    ) -> Iterator[TruthRow]:
        """Give the calls that could be seen without a break, as they look now or looked last, newest first.

        Args:
            begin: From when on, in monotonic seconds of the server.
            end: Until when.
            agent_id: Whose; None is the account, in one list.
            shape: See `rows`.
            include_deleted: Soft-deleted calls could be seen, too.

        Raises:
            KeyError: There is no such agent.
        """
        agent = None if agent_id is None else self._agent(agent_id)
        form = self._form(agent, shape)
        hides = self.provider == "talkpilot" and not include_deleted
        for call in self._numbers_of(agent):
            if self._existed(call, begin, end, include_deleted=not hides):
                yield self._truth(call, form)

    def versions(self, call_id: str, shape: str = "list") -> list[TruthRow]:
        """Give a call in all the versions it ever had, the first first.

        Args:
            call_id: Which; it may be deleted.
            shape: See `rows`; Talkover's list is the account's.

        Raises:
            KeyError: There never was such a call.
        """
        living, turmoil, form = self._living, self._turmoil, self._form(None, shape)
        call = self.ledger.call_number(call_id) if living is None else living.ever_number(call_id)
        if call is None:
            raise KeyError(call_id)
        if living is None or turmoil is None:
            return [self._truth(call, form)]
        present = living.version(call)
        rows = []
        for version in turmoil.versions(call):
            living.show(call, version)
            rows.append(self._truth(call, form))
        living.show(call, present)
        return rows

    def calls_of(self, agent: int | None, *, include_deleted: bool = True) -> Sequence[int]:
        """Give the numbers of an agent's calls, or the account's, oldest first."""
        return self.ledger.calls_of(agent, include_deleted=include_deleted)

    def raw(self, call: int, form: str) -> bytes:
        """Serve a call in one of its writer's forms, less the line breaks of `pretty`; its link lives anew."""
        # TalkPilot's `list` has no link; all of AgentVoice's forms have one.
        if self._links is not None and form != "list":
            self._links.issue(call, self._now)
        return self._write(call, form)

    def conversations_of(self, agent_id: str) -> dict[str, list[bytes]]:
        """Give the conversations of one of BimpeAI's agents: id to all messages it will ever have, as sent.

        Raises:
            KeyError: There is no such agent.
        """
        found = {}
        for name in self.conversations.ids_of(self._agent(agent_id)):
            conversation = self.conversations.find(agent_id, name)
            assert conversation is not None
            found[name] = [conversation.message(place) for place in range(self.behaviour.streams.messages)]
        return found

    def recording(self, call_id: str) -> bytes | None:
        """Give the sound behind a call's link as it is now, None if there is no link or nothing behind it.

        Raises:
            KeyError: There is no such call.
        """
        call = self.ledger.call_number(call_id)
        if call is None:
            raise KeyError(call_id)
        kind = self.writer.recording_kind(call)
        size = None if kind is None else self.recording_size(call, kind)
        return None if kind is None or size is None else sound(call_id[-36:], kind, size)

    def recording_size(self, call: int, kind: str) -> int | None:
        """Give the bytes of a call's recording, None if there is none of this kind."""
        media = self.behaviour.media
        if self.writer.recording_kind(call) != kind or is_chosen(call, media.gone):
            return None
        return size_of(self.ledger.birth(call, self.ledger.noise(call)), media.size_bytes)

    @property
    def has_dying_links(self) -> bool:
        """Say whether its links are good for a time only."""
        return self._links is not None

    def is_signed(self, call: int, signature: str | None) -> bool:
        """Say whether a link has the signature of its call."""
        return signature == f"{self.ledger.birth(call, self.ledger.noise(call)):016x}"

    def is_link_good(self, call: int, now: float) -> bool:
        """Say whether the link of a call opens anything at this moment."""
        return self._links is None or self._links.is_good(call, now)

    def _write(self, call: int, form: str) -> bytes:
        raw = self.writer.write(call, form)
        if self.damage.is_idle:
            return raw
        return self.damage.apply(raw, call, detail=form in _DETAIL_FORMS)

    def _numbers_of(self, agent: int | None) -> Iterator[int]:
        calls = self.ledger.calls_of(agent) if self._living is None else self._living.numbers_of(agent)
        return (calls[place] for place in range(len(calls) - 1, -1, -1))

    def _existed(self, call: int, begin: float, end: float, *, include_deleted: bool) -> bool:
        if self._turmoil is not None:
            return self._turmoil.existed(call, begin, end, include_deleted=include_deleted)
        return include_deleted or self.ledger.deleted_us(call) is None

    def _agent(self, agent_id: str) -> int:
        agent = self.ledger.agent_number(agent_id)
        if agent is None:
            raise KeyError(agent_id)
        return agent

    def _form(self, agent: int | None, shape: str) -> str:
        if shape not in {"list", "detail", "full"}:
            raise ValueError(f"unknown shape {shape!r}")
        if self.provider == "talkover":
            if shape != "list":
                raise ValueError("Talkover has lists only")
            return "list" if agent is None else "agent"
        return self.writer.forms[shape != "list"]

    def _rows_of(self, agent: int | None, shape: str, *, include_deleted: bool) -> Iterator[TruthRow]:
        form = self._form(agent, shape)
        skip = self.provider == "talkpilot" and not include_deleted
        calls = self.calls_of(agent, include_deleted=not skip)
        if self._living is not None:
            # The account may go on living between two rows.
            calls = list(calls)
        for place in range(len(calls) - 1, -1, -1):
            yield self._truth(calls[place], form)

    def _truth(self, call: int, form: str) -> TruthRow:
        wrong = self.damage.kinds_of(call, detail=form in _DETAIL_FORMS)
        nameless = "no_object" in wrong or "no_id" in wrong
        raw = self._write(call, form)
        timeless = "no_object" in wrong or "null_created" in wrong or "absent_created" in wrong
        return TruthRow(
            None if nameless else self.ledger.call_id(call),
            None if timeless else from_us(self.ledger.created_us(call)),
            prettify(raw.decode()).encode() if self.behaviour.pretty else raw,
        )


def _links_of(provider: str, media: Media) -> Links | None:
    """Build what is kept of links; None where they are good for ever."""
    life_s = media.link_life_s
    if life_s is None:
        life_s = _LINK_LIFE_S.get(provider, 0.0)
    return Links(life_s, media.dead_on_arrival) if life_s or media.dead_on_arrival else None


class World:
    """All accounts of a sandbox, each made when it is first asked for.

    Args:
        config: Seed and shape of the data.
        origin: Scheme, host and port that links to recordings point to.
    """

    def __init__(self, config: SandboxConfig, origin: str = "http://127.0.0.1") -> None:
        self._config = config
        self._origin = origin
        self._accounts: dict[tuple[str, str], Account] = {}

    def account(self, provider: str, credential: str = "sandbox") -> Account:
        """Give the account of a credential (AgentVoice: of its API key)."""
        if provider not in PROVIDERS:
            raise ValueError(f"unknown provider {provider!r}")
        key = (provider, credential)
        if key not in self._accounts:
            self._accounts[key] = Account(provider, credential, self._config, self._origin)
        return self._accounts[key]

    def accounts(self, provider: str) -> list[Account]:
        """Give a provider's accounts that were asked for so far, that of `sandbox` among them."""
        self.account(provider)
        return [account for (name, _), account in self._accounts.items() if name == provider]
