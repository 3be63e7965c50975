"""The made-up accounts: what exists in them, in which order, and the very bytes that are served.

Tests compare an export with what is found here. Nothing of an account is held in memory but a few hundred
short strings; the same seed, provider and credential always give the same account.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from .config import PROVIDERS, Quirks, SandboxConfig
from .damage import Damage, prettify
from .ledger import Ledger, WithoutDeleted
from .rows import agentvoice, bimpe, talkover, talkpilot
from .seed import key_of
from .stamps import from_us

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


class Rows(Protocol):
    """Writes one account's calls as JSON."""

    @property
    def forms(self) -> tuple[str, str]:
        """Name the short and the long form."""
        ...

    def agent_name(self, agent: int) -> str:
        """Give an agent's name."""
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
        self.behaviour = config.of(provider)
        make, resolution = _MAKERS[provider]
        quirks = self.behaviour.quirks
        resolution = 1 if quirks.times == "micros" else resolution
        self.ledger = Ledger(key_of(config.seed, provider, credential), self.behaviour, resolution)
        media = f"{config.media_base or origin}/{provider}/media"
        self.writer: Rows = make(self.ledger, quirks, media)
        self.damage = Damage(quirks)

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
        """Give the calls of an agent or of the whole account, newest first, as they are served.

        Each comes once, whatever quirks of paging repeat or hide.

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

    def calls_of(self, agent: int | None, *, include_deleted: bool = True) -> Sequence[int]:
        """Give the numbers of an agent's calls, or the account's, oldest first."""
        calls = self.ledger.calls_of(agent)
        return calls if include_deleted else WithoutDeleted(calls)

    def raw(self, call: int, form: str) -> bytes:
        """Write a call as it is served in one of its writer's forms, less the line breaks of `pretty`."""
        raw = self.writer.write(call, form)
        if self.damage.is_idle:
            return raw
        return self.damage.apply(raw, call, detail=form in _DETAIL_FORMS)

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
        for place in range(len(calls) - 1, -1, -1):
            yield self._truth(calls[place], form)

    def _truth(self, call: int, form: str) -> TruthRow:
        wrong = self.damage.kinds_of(call, detail=form in _DETAIL_FORMS)
        nameless = "no_object" in wrong or "no_id" in wrong
        raw = self.raw(call, form)
        timeless = "no_object" in wrong or "null_created" in wrong or "absent_created" in wrong
        return TruthRow(
            None if nameless else self.ledger.call_id(call),
            None if timeless else from_us(self.ledger.created_us(call)),
            prettify(raw.decode()).encode() if self.behaviour.pretty else raw,
        )


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
