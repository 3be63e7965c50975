"""Talkover's calls and agents as JSON.

Source: the provider's "List Calls" and "Get Agent Calls" pages; the words `in-progress` and `queued` and the
field `ended_at` were seen elsewhere.
"""

from harvester.sandbox.ledger import Ledger
from harvester.sandbox.people import FORMATTED, NUMBERS, OWN_FORMATTED, OWN_NUMBERS
from harvester.sandbox.quirks import Quirks
from harvester.sandbox.seed import GOLDEN, replaced
from harvester.sandbox.stamps import SECOND_US, make_stamp
from harvester.sandbox.text import AGENT_NAMES, open_ended

RESOLUTION_US = SECOND_US
DOCUMENTED = ("initiated", "ringing", "answered", "completed", "failed", "busy", "no-answer")
# 64 slots, so that six bits of noise choose one.
STATUSES = (
    ("completed",) * 40 + ("answered",) * 8 + ("no-answer",) * 5 + ("busy",) * 3 + ("failed",) * 3
    + ("initiated", "ringing", "in-progress", "queued", "warm-transfer")
)  # fmt: skip
# The first so many slots are of calls that are over.
_OVER = STATUSES.index("initiated")
_TALKED = frozenset({"completed", "answered", "in-progress", "warm-transfer"})
_HAS_TALKED = tuple(status in _TALKED for status in STATUSES)
DIRECTIONS = ("inbound", "outbound")
_NAMES = open_ended(AGENT_NAMES)
_ENDS = tuple(
    (f'{{0}}":"{number}","{{0}}_formatted":"{shown}"')
    for number, shown in zip(NUMBERS + OWN_NUMBERS, FORMATTED + OWN_FORMATTED, strict=True)
)
_TO = tuple(end.format("to") for end in _ENDS)
_FROM = tuple(end.format("from") for end in _ENDS)
_ALL_NUMBERS = NUMBERS + OWN_NUMBERS


class TalkoverRows:
    """Writes the calls of one account; forms are `list` (with the agent) and `agent` (without)."""

    forms: tuple[str, str] = ("list", "agent")

    def __init__(self, ledger: Ledger, quirks: Quirks, media: str) -> None:
        del media  # No recordings are documented.
        self._ledger = ledger
        self._stamp = make_stamp(0, quirks.times)
        self._agents: dict[int, str] = {}

    def agent(self, agent: int) -> str:
        """Write an agent."""
        known = self._agents.get(agent)
        if known is None:
            name = f"{_NAMES[agent % len(_NAMES)]} {agent}"
            known = f'{{"id":"{self._ledger.agent_id(agent)}","name":{name}","label":{name} Label"}}'
            self._agents[agent] = known
        return known

    def agent_name(self, agent: int) -> str:
        """Give an agent's name."""
        return f"{AGENT_NAMES[agent % len(AGENT_NAMES)]} {agent}"

    def sid(self, call: int, noise: int) -> str:
        """Give the telephony id of a call."""
        return f"CA{self._ledger.birth(call, noise) * GOLDEN:032x}"

    def recording_kind(self, call: int) -> str | None:
        """Give None: no recordings are documented."""
        del call
        return None

    def going_on(self, noise: int) -> int:
        """Give the noise of the same call before its end."""
        return replaced(noise, STATUSES.index("in-progress") << 1, 63 << 1)

    def changed(self, noise: int, luck: int) -> int:
        """Give the noise of the same call, now over, with another duration and perhaps another status."""
        slot = luck % _OVER
        return replaced(noise, luck, 1023 << 8) & ~(63 << 1) | slot << 1

    def numbers(self, call: int, noise: int) -> tuple[str, str]:
        """Give both numbers of a call."""
        own, customer = self._ends(call, noise)
        return _ALL_NUMBERS[own], _ALL_NUMBERS[customer]

    def _ends(self, call: int, noise: int) -> tuple[int, int]:
        return 1024 + self._ledger.agent_of(call) % len(OWN_NUMBERS), noise >> 20 & 1023

    def write(self, call: int, form: str) -> bytes:
        """Write a call."""
        ledger, stamp = self._ledger, self._stamp
        noise = ledger.noise(call)
        created = ledger.created_us(call)
        slot = noise >> 1 & 63
        seconds = (noise >> 8 & 1023) + 3 if _HAS_TALKED[slot] else 0
        own, customer = self._ends(call, noise)
        source, target = (own, customer) if noise & 1 else (customer, own)
        agent = f'"agent":{self.agent(ledger.agent_of(call))},' if form == "list" else ""
        changed = ledger.changed_us(call)
        ended = stamp(created + (seconds + (noise >> 38 & 7)) * SECOND_US if changed is None else changed)
        last = "ended_at" if changed is None and noise >> 32 & 31 == 7 else "updated_at"
        return (
            f'{{"id":"{ledger.call_id(call)}","sid":"{self.sid(call, noise)}","{_TO[target]},"{_FROM[source]},'
            f'"is_testing":{"true" if noise >> 41 & 63 == 9 else "false"},'
            f'"direction":"{DIRECTIONS[noise & 1]}","status":"{STATUSES[slot]}","duration":{seconds},{agent}'
            f'"created_at":{stamp(created)},"{last}":{ended}}}'
        ).encode()
