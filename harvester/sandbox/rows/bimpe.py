"""BimpeAI's calls and agents as JSON.

Source: the console's "Get call" and "List calls" pages; the fields of an agent and which of a call's may be
null: the vendor's own client, `bimpeai` 0.4.1.
"""

from harvester.sandbox.ledger import Ledger
from harvester.sandbox.people import NUMBERS, OWN_NUMBERS
from harvester.sandbox.quirks import Quirks
from harvester.sandbox.seed import replaced
from harvester.sandbox.stamps import SECOND_US, Stamp, make_stamp
from harvester.sandbox.text import AGENT_NAMES, LINES, SUMMARIES, open_ended, quoted, quoted_all

RESOLUTION_US = SECOND_US
DOCUMENTED = ("queued", "ringing", "answered", "ended", "busy", "failed", "cancelled")
STATUSES = (
    ("ended",) * 46 + ("busy",) * 5 + ("failed",) * 5 + ("cancelled",) * 4
    + ("queued", "ringing", "answered", "answered")
)  # fmt: skip
_ANSWERED = tuple(status in {"ended", "answered"} for status in STATUSES)
_OVER = tuple(status in {"ended", "busy", "failed", "cancelled"} for status in STATUSES)
DIRECTIONS = ("inbound", "outbound")
_ERRORS = quoted_all(("carrier rejected", 'SIP 486 "Busy Here"', "timeout", "numéro invalide"))
_ENDS = quoted_all(("customer_hangup", "agent_hangup", "silence", "transferred"))
_AGENTS = open_ended(AGENT_NAMES)
_ABOUT = quoted_all(SUMMARIES)
_MESSAGES = tuple(
    f'"role":"{"assistant" if role == "agent" else role}","message":{quoted(text, place) if text else "null"}'
    for place, (role, text) in enumerate(LINES)
)


class BimpeRows:
    """Writes the calls of one account; forms are `list` and `detail`."""

    forms: tuple[str, str] = ("list", "detail")

    def __init__(self, ledger: Ledger, quirks: Quirks, media: str) -> None:
        self._ledger = ledger
        self._media = media
        self._stamp: Stamp = make_stamp(0, quirks.times)

    def agent(self, agent: int) -> str:
        """Write an agent."""
        name = f'{_AGENTS[agent % len(_AGENTS)]} {agent}"'
        born = self._stamp((1_735_689_600 + agent) * SECOND_US)
        language = "null" if agent % 3 == 2 else '"en"'
        status = ('"live"', '"paused"', '"development"', "null")[agent % 4]
        return (
            f'{{"id":"{self._ledger.agent_id(agent)}","name":{name},'
            f'"description":{_ABOUT[agent % len(_ABOUT)]},'
            f'"language":{language},"status":{status},'
            f'"created_at":{born},"updated_at":{born}}}'
        )

    def agent_name(self, agent: int) -> str:
        """Give an agent's name."""
        return f"{AGENT_NAMES[agent % len(AGENT_NAMES)]} {agent}"

    def is_test(self, noise: int) -> bool:
        """Say whether a call is a test."""
        return noise >> 41 & 63 == 9

    def recording_kind(self, call: int) -> str | None:
        """Give None: no recordings are documented."""
        del call
        return None

    def going_on(self, noise: int) -> int:
        """Give the noise of the same call before its end."""
        return replaced(noise, STATUSES.index("ringing") << 1, 63 << 1)

    def changed(self, noise: int, luck: int) -> int:
        """Give the noise of the same call, now over, with other reasons, messages and duration."""
        slot = luck % STATUSES.index("queued")
        return replaced(noise, luck, 1023 << 8 | 255 << 50) & ~(63 << 1) | slot << 1

    def numbers(self, call: int, noise: int) -> tuple[str | None, str]:
        """Give source and destination."""
        own, customer = OWN_NUMBERS[self._ledger.agent_of(call) & 15], NUMBERS[noise >> 20 & 1023]
        if noise & 1:
            return own, customer
        return (customer if noise >> 30 & 15 != 4 else None), own

    def write(self, call: int, form: str) -> bytes:
        """Write a call."""
        noise = self._ledger.noise(call)
        created = self._ledger.created_us(call)
        slot = noise >> 1 & 63
        source, target = self.numbers(call, noise)
        origin = "null" if source is None else f'"{source}"'
        seconds = (noise >> 8 & 1023) + 1 if _ANSWERED[slot] and _OVER[slot] else 0
        ringing = created + (noise >> 34 & 7) * SECOND_US
        answered = ringing + (noise >> 37 & 15) * SECOND_US
        failed = STATUSES[slot] in {"failed", "busy"}
        text = (
            f'{{"id":"{self._ledger.call_id(call)}","source":{origin},'
            f'"destination":"{target}","status":"{STATUSES[slot]}","direction":"{DIRECTIONS[noise & 1]}",'
            f'"created_on":{self._stamp(created)},"duration_seconds":{seconds or "null"},'
            f'"is_test_call":{"true" if self.is_test(noise) else "false"},'
            f'"error_reason":{_ERRORS[noise >> 50 & 3] if failed else "null"},'
            f'"end_reason":{_ENDS[noise >> 52 & 3] if seconds else "null"},'
            f'"ringing_at":{"null" if STATUSES[slot] == "queued" else self._stamp(ringing)},'
            f'"ended_at":{self._stamp(answered + seconds * SECOND_US) if _OVER[slot] else "null"}'
        )
        if form == "detail":
            text += self._further(call, noise, ringing, answered if _ANSWERED[slot] else None)
        return f"{text}}}".encode()

    def _further(self, call: int, noise: int, ringing: int, answered: int | None) -> str:
        if answered is None:
            return ',"started_at":null,"answered_at":null,"conversation_logs":[]'
        name = f"{self._ledger.birth(call, noise):016x}"
        logs = [
            self._message(name, noise, turn, answered + turn * 5 * SECOND_US)
            for turn in range(2 * (noise >> 56 & 15))
        ]
        return (
            f',"started_at":{self._stamp(ringing)},"answered_at":{self._stamp(answered)},'
            f'"conversation_logs":[{",".join(logs)}]'
        )

    def _message(self, name: str, noise: int, turn: int, at_us: int) -> str:
        what = _MESSAGES[(noise >> turn & 15) * 2 + turn % 2]
        kind = ',"message_type":"text"' if turn % 3 else ""
        added = ""
        if turn == 5:
            added = f',"attachments":[{{"type":"image","url":"{self._media}/{name}.png"}}]'
        return f'{{"id":"msg_{name}_{turn}",{what}{kind},"created_at":{self._stamp(at_us)}{added}}}'
