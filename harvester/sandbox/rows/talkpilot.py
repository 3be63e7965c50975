"""TalkPilot's calls and agents as JSON.

Source: the provider's "Calls" page: fields of the list and of the detail, the transcript as JSON in a string.
Nearly everything is nullable, the score may be a float, and `disconnection_reason` is an open set.
"""

import json

from harvester.sandbox.ledger import Ledger
from harvester.sandbox.people import NUMBERS
from harvester.sandbox.quirks import Quirks
from harvester.sandbox.seed import replaced
from harvester.sandbox.stamps import SECOND_US, make_stamp
from harvester.sandbox.text import (
    AGENT_NAMES,
    FIRST_NAMES,
    LAST_NAMES,
    LINES,
    NOTES,
    REQUESTS,
    SUMMARIES,
    open_ended,
    quoted,
    quoted_all,
)

RESOLUTION_US = SECOND_US
REASONS = (
    ("user_hangup",) * 20 + ("agent_hangup",) * 20 + ("call_transfer",) * 8 + ("no_answer",) * 6
    + ("busy", "busy", "dial_error", "unknown", "line_dropped", None, None, None, None, None)
)  # fmt: skip
_REASONS = tuple(json.dumps(reason) for reason in REASONS)
# The bits of `general_success` and `disconnection_reason`; all of them set say null.
_UNSAID = 3 << 53 | 63 << 55
_PURGED = 21
_FULL_NAMES = tuple(f"{FIRST_NAMES[n % 32]} {LAST_NAMES[n // 8]}" for n in range(256))
_NAMES = quoted_all(_FULL_NAMES)
_REQUESTS = quoted_all(REQUESTS)
_SUMMARIES = open_ended(SUMMARIES)
_NOTES = quoted_all(NOTES)
_EMPLOYEES = quoted_all(("Max Mustermann", "Erika Musterfrau", "山田", "Dr. Ö. Åkesson"))
_AGENTS = open_ended(AGENT_NAMES)
# A turn within a JSON string within a JSON string, the outer quotes taken off.
_TURNS = tuple(
    quoted(f'{{"role":"{role}","text":{quoted(text, place)}}}', place)[1:-1]
    for place, (role, text) in enumerate(LINES)
)


def _json(text: str | None) -> str:
    """Write a text that needs no escapes, or null."""
    return "null" if text is None else f'"{text}"'


class TalkPilotRows:
    """Writes the calls of one account; forms are `list` and `detail`."""

    forms: tuple[str, str] = ("list", "detail")

    def __init__(self, ledger: Ledger, quirks: Quirks, media: str) -> None:
        self._ledger = ledger
        self._media = media
        self._stamp = make_stamp(0, quirks.times)

    def agent(self, agent: int) -> str:
        """Write an agent."""
        name = f'{_AGENTS[agent % len(_AGENTS)]} {agent}"'
        born = self._stamp(1_735_689_600 * SECOND_US)
        return f'{{"id":"{self._ledger.agent_id(agent)}","name":{name},"created_at":{born}}}'

    def agent_name(self, agent: int) -> str:
        """Give an agent's name."""
        return f"{AGENT_NAMES[agent % len(AGENT_NAMES)]} {agent}"

    def is_purged(self, noise: int) -> bool:
        """Say whether the sensitive data of a call are gone."""
        return noise & 63 == _PURGED

    def recording_kind(self, call: int) -> str | None:
        """Give the kind of file a call's recording is, None if it has no link."""
        noise = self._ledger.noise(call)
        has_none = self.is_purged(noise) or self._ledger.is_going_on(call) or not noise >> 28 & 15
        return None if has_none else "wav"

    def going_on(self, noise: int) -> int:
        """Give the noise of the same call before its end: no reason, success or duration."""
        return replaced(noise, _UNSAID, _UNSAID) & ~(15 << 43)

    def changed(self, noise: int, luck: int) -> int:
        """Give the noise of the same call after its summary, success, duration and reason were written anew."""
        return replaced(noise, luck, 15 << 35 | 15 << 43 | _UNSAID)

    def purged(self, noise: int) -> int:
        """Give the noise of the same call without its sensitive data."""
        return replaced(noise, _PURGED, 63)

    def is_done(self, noise: int) -> bool | None:
        """Say whether staff have dealt with a call."""
        return None if noise >> 6 & 31 == 3 else bool(noise >> 6 & 3)

    def phone_number(self, noise: int) -> str | None:
        """Give the caller's number."""
        if self.is_purged(noise) or noise >> 11 & 15 == 2:
            return None
        return NUMBERS[noise >> 15 & 1023]

    def searched(self, call: int, noise: int) -> str:
        """Give all that a search looks at, in one text."""
        name = _FULL_NAMES[noise >> 25 & 255] if noise >> 33 & 3 else ""
        summary = f"{SUMMARIES[noise >> 35 & 15]} #{call}" if noise >> 35 & 7 else ""
        return "\n".join((name, self.phone_number(noise) or "", summary))

    def write(self, call: int, form: str) -> bytes:
        """Write a call."""
        ledger, stamp = self._ledger, self._stamp
        noise = ledger.noise(call)
        created = ledger.created_us(call)
        number = _json(self.phone_number(noise))
        done = self.is_done(noise)
        summary = f'{_SUMMARIES[noise >> 35 & 15]} #{call}"' if noise >> 35 & 7 else "null"
        call_id = ledger.call_id(call)
        deleted, changed = ledger.deleted_us(call), ledger.changed_us(call)
        tail = ""
        if deleted is not None or changed is not None or noise >> 60 & 7:
            gone = "null" if deleted is None else stamp(deleted)
            updated = created + (noise >> 30 & 0xFFFFF) * SECOND_US if changed is None else changed
            tail = f',"deleted_at":{gone},"updated_at":{stamp(updated)}'
        score, further = ("", "") if form == "list" else self._detail(call, noise, call_id)
        return (
            f'{{"id":"{call_id}","call_id":"lk_call_{ledger.birth(call, noise):016x}",'
            f'"customer_name":{_NAMES[noise >> 25 & 255] if noise >> 33 & 3 else "null"},'
            f'"customer_request":{_REQUESTS[noise >> 39 & 15] if noise >> 39 & 7 else "null"},'
            f'"phone_number":{number},'
            f'"duration":{noise >> 43 & 1023 if noise >> 43 & 15 else "null"},'
            f'"done":{"null" if done is None else "true" if done else "false"},'
            f'"general_success":{("true", "true", "false", "null")[noise >> 53 & 3]},{score}'
            f'"disconnection_reason":{_REASONS[noise >> 55 & 63]},'
            f'"call_summary":{summary},'
            f'{further}"employee":{_EMPLOYEES[noise >> 50 & 3] if noise >> 52 & 1 else "null"},'
            f'"note":{_NOTES[noise >> 47 & 7] if noise >> 46 & 1 else "null"},'
            f'"is_purged":{"true" if self.is_purged(noise) else "false"},'
            f'"agent_id":"{ledger.agent_id(ledger.agent_of(call))}","created_at":{stamp(created)}{tail}}}'
        ).encode()

    def _detail(self, call: int, noise: int, call_id: str) -> tuple[str, str]:
        """Give the score, then transcript and recording: where the document's example has them."""
        whole = noise >> 20 & 15
        score = f"{whole % 10 + 1}" if whole < 10 else "null" if whole > 13 else f"{whole / 4}"
        transcript, audio = "null", "null"
        if not (self.is_purged(noise) or self._ledger.is_going_on(call)):
            turns = [_TURNS[(noise >> turn & 15) * 2 + turn % 2] for turn in range(2 * (noise >> 56 & 15))]
            if noise >> 24 & 15:
                transcript = f'"[{",".join(turns)}]"'
            if noise >> 28 & 15:
                when = self._ledger.created_us(call) // SECOND_US + 3600
                signature = self._ledger.birth(call, noise)
                audio = f'"{self._media}/{call_id[-36:]}.wav?expires={when}&signature={signature:016x}"'
        return f'"final_score":{score},', f'"transcript":{transcript},"audio_file_url":{audio},'
