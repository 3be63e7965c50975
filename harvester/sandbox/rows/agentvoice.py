"""AgentVoice's calls as JSON, light or with any of the further fields.

Source: the provider's "Calls" page: the fields of both payloads and of each include group. The shape of a
transcript's elements and of the metrics is documented nowhere; two shapes of turns are made up here.
"""

from collections.abc import Callable, Iterable

from harvester.sandbox.ledger import Ledger
from harvester.sandbox.people import EMAILS, NUMBERS, OWN_NUMBERS
from harvester.sandbox.quirks import Quirks
from harvester.sandbox.seed import key_of, replaced
from harvester.sandbox.stamps import SECOND_US, make_stamp
from harvester.sandbox.text import (
    AGENT_NAMES,
    CAMPAIGNS,
    FIRST_NAMES,
    LAST_NAMES,
    LINES,
    NOTES,
    SUMMARIES,
    open_ended,
    quoted,
    quoted_all,
)

RESOLUTION_US = 1000
STATUSES = (
    ("completed",) * 44 + ("no-answer",) * 6 + ("failed",) * 4 + ("busy",) * 3 + ("voicemail",) * 3
    + ("in-progress", "queued", "scheduled", "handed-over")
)  # fmt: skip
_NEVER = frozenset({"queued", "scheduled", "busy", "failed"})
CALL_TYPES = ("inbound", "outbound")
_REASONS = quoted_all(
    (
        "customer-ended-call",
        "assistant-ended-call",
        "silence-timed-out",
        "voicemail",
        "转接失败",
        "max-duration",
    )
)

FULL = (
    "transcript", "transcript_formatted", "post_call_analysis", "call_description", "custom_analysis",
    "structured_data_results", "notes", "action_executions", "action_summary", "quality_metrics",
    "enhanced_context",
)  # fmt: skip
GROUPS: dict[str, tuple[str, ...]] = {
    "transcript": ("transcript", "transcript_formatted"),
    "metrics": ("quality_metrics", "latency_metrics", "audio_metrics"),
    "diagnostics": ("turn_events", "interruptions", "tool_usage"),
    "actions": ("action_executions", "action_summary"),
}
_ORDER = (*FULL, "latency_metrics", "audio_metrics", "turn_events", "interruptions", "tool_usage")

_AGENTS = open_ended(AGENT_NAMES)
_SUMMARIES = tuple(text.encode() for text in open_ended(SUMMARIES))
_NOTES = tuple(text.encode() for text in quoted_all(NOTES))
_CAMPAIGNS = tuple(
    f'{place:012x}","campaign_name":{name}' for place, name in enumerate(quoted_all(CAMPAIGNS))
)
_CONTACTS = tuple(
    f'{place:012x}","contact_first_name":{quoted(FIRST_NAMES[place % 32], place)},'
    f'"contact_last_name":{quoted(LAST_NAMES[place // 16], place) if place % 9 else "null"},'
    f'"contact_email":{quoted(EMAILS[place], 0) if place % 5 else "null"}'
    for place in range(512)
)
_NOBODY = '"contact_id":null,"contact_first_name":null,"contact_last_name":null,"contact_email":null'
_SPOKEN = tuple(
    f"{role.title()}: {quoted(text, place)[1:-1]}\\n".encode() for place, (role, text) in enumerate(LINES)
)
_TURNS = tuple(
    f'{{"speaker":"{role}","text":{quoted(text, place)},"timestamp":'.encode()
    for place, (role, text) in enumerate(LINES)
)
_OTHER_TURNS = tuple(
    f'{{"role":"{"assistant" if role == "agent" else role}","message":{quoted(text, place)},"time":'.encode()
    for place, (role, text) in enumerate(LINES)
)
_ENDS = tuple(f"{place * 4.25}}},".encode() for place in range(32))
_OTHER_ENDS = tuple(f'"00:{place:02}"}},'.encode() for place in range(32))


def fields_of(*, full: bool, include: Iterable[str]) -> tuple[str, ...]:
    """Give the fields beyond the light payload, in the order they are sent, none twice."""
    wanted = set[str](FULL if full else ())
    for group in include:
        wanted.update(GROUPS[group])
    return tuple(name for name in _ORDER if name in wanted)


class AgentVoiceRows:
    """Writes the calls of one account; a form is the further fields' names, joined by commas."""

    forms: tuple[str, str] = ("", ",".join(FULL))

    def __init__(self, ledger: Ledger, quirks: Quirks, media: str) -> None:
        self._ledger = ledger
        self._media = media
        self._stamp = make_stamp(3, quirks.times)
        self._contact = f"{key_of(ledger.key, 'contact') & 0xFFFFFFFF:08x}-5b1c-4c55-8d1e-"
        self._campaign = f"{key_of(ledger.key, 'campaign') & 0xFFFFFFFF:08x}-77aa-4d0e-9f3c-"

    def agent_name(self, agent: int) -> str:
        """Give an agent's name."""
        return f"{AGENT_NAMES[agent % len(AGENT_NAMES)]} {agent}"

    def contact_id(self, noise: int) -> str | None:
        """Give the id of the contact of a call."""
        return f"{self._contact}{noise >> 16 & 511:012x}" if noise >> 25 & 7 else None

    def campaign_id(self, noise: int) -> str | None:
        """Give the id of the campaign of a call."""
        return f"{self._campaign}{noise >> 28 & 7:012x}" if noise >> 31 & 1 else None

    def phone_number(self, noise: int) -> str:
        """Give the customer's number."""
        return NUMBERS[noise >> 16 & 1023]

    def recording_kind(self, call: int) -> str | None:
        """Give the kind of file a call's recording is, None if it has no link."""
        noise = self._ledger.noise(call)
        _, _, ended = self.times_us(call, noise)
        return "mp3" if ended is not None and noise >> 52 & 15 else None

    def going_on(self, noise: int) -> int:
        """Give the noise of the same call before its end."""
        return replaced(noise, STATUSES.index("in-progress") << 1, 63 << 1)

    def changed(self, noise: int, luck: int) -> int:
        """Give the noise of the same call, now over, with another duration, reason, analysis and recording."""
        slot = luck % STATUSES.index("failed")
        return replaced(noise, luck, 511 << 7 | 4095 << 51) & ~(63 << 1) | slot << 1

    def times_us(self, call: int, noise: int) -> tuple[int, int | None, int | None]:
        """Give creation, start and end of a call, in microseconds since 1970.

        Some start a day after they were created, some never; what never started or still goes on has no end.
        """
        created = self._ledger.created_us(call)
        status = STATUSES[noise >> 1 & 63]
        if status in _NEVER:
            return created, None, None
        delay_ms = (noise >> 32 & 8191) + 200
        if noise >> 45 & 63 == 5:
            delay_ms *= 10_800  # Scheduled: up to 25 hours later.
        started = created + delay_ms * 1000
        return created, started, None if status == "in-progress" else started + _seconds(noise) * SECOND_US

    def write(self, call: int, form: str) -> bytes:
        """Write a call: the light payload, then the fields named by `form`."""
        ledger = self._ledger
        noise = ledger.noise(call)
        created, started, ended = self.times_us(call, noise)
        agent = ledger.agent_of(call)
        call_id = ledger.call_id(call)
        who, campaign = _NOBODY, '"campaign_id":null,"campaign_name":null'
        if noise >> 25 & 7:
            who = f'"contact_id":"{self._contact}{_CONTACTS[noise >> 16 & 511]}'
        if noise >> 31 & 1:
            campaign = f'"campaign_id":"{self._campaign}{_CAMPAIGNS[noise >> 28 & 7]}'
        light = (
            f'{{"id":"{call_id}","agent_id":"{ledger.agent_id(agent)}",'
            f'"agent_name":{_AGENTS[agent % len(_AGENTS)]} {agent}",{who},'
            f'"phone_number":"{NUMBERS[noise >> 16 & 1023]}",'
            f'"phone_number_called_from":"{OWN_NUMBERS[agent & 15]}","call_type":"{CALL_TYPES[noise & 1]}",'
            f'"status":"{STATUSES[noise >> 1 & 63]}",{self._outcome(call, noise, started, ended, call_id)},'
            f'{campaign},"created_at":{self._stamp(created)}'
        ).encode()
        if not form:
            return light + b"}"
        # The further fields are joined as bytes: transcripts are long, and made of pieces known before.
        turns = 2 * (noise >> 40 & 15) if ended is not None else 0
        picks = [(noise >> turn & 15) * 2 + turn % 2 for turn in range(turns)]
        further = [
            b',"%b":%b' % (name.encode(), _FURTHER[name](call, noise, picks)) for name in form.split(",")
        ]
        return b"".join((light, *further, b"}"))

    def _outcome(self, call: int, noise: int, started: int | None, ended: int | None, call_id: str) -> str:
        if started is None:
            return (
                '"call_success":null,"went_to_voicemail":false,"call_duration":null,'
                '"started_at":null,"ended_at":null,"ended_reason":null,"recording_url":null'
            )
        if ended is None:
            return (
                '"call_success":null,"went_to_voicemail":null,"call_duration":null,'
                f'"started_at":{self._stamp(started)},"ended_at":null,"ended_reason":null,"recording_url":null'
            )
        url = "null"
        if noise >> 52 & 15:
            dies = ended // SECOND_US + 3600
            signature = self._ledger.birth(call, noise)
            url = f'"{self._media}/{call_id[-36:]}.mp3?expires={dies}&signature={signature:016x}"'
        return (
            f'"call_success":{"true" if noise >> 51 & 1 else "false"},'
            f'"went_to_voicemail":{"true" if STATUSES[noise >> 1 & 63] == "voicemail" else "false"},'
            f'"call_duration":{_seconds(noise)},"started_at":{self._stamp(started)},'
            f'"ended_at":{self._stamp(ended)},'
            f'"ended_reason":{_REASONS[noise >> 56 & 3]},"recording_url":{url}'
        )


def _seconds(noise: int) -> int:
    return (noise >> 7 & 511) + 1


def _transcript(call: int, noise: int, picks: list[int]) -> bytes:
    if not picks:
        return b"null" if noise >> 60 & 1 else b'""'
    return b'"Call %d\\n%b"' % (call, b"".join([_SPOKEN[pick] for pick in picks]))


def _formatted(_call: int, noise: int, picks: list[int]) -> bytes:
    if not picks:
        return b"null" if noise >> 61 & 1 else b"[]"
    turns, ends = (_OTHER_TURNS, _OTHER_ENDS) if noise >> 59 & 3 == 1 else (_TURNS, _ENDS)
    pieces = [piece for place, pick in enumerate(picks) for piece in (turns[pick], ends[place])]
    return b"[%b]" % b"".join(pieces)[:-1]


def _analysis(call: int, noise: int, _picks: list[int]) -> bytes:
    if noise >> 58 & 7 == 0:
        return b"null"
    return b'{"sentiment":"%b","score":%f,"summary":%b #%d"}' % (
        (b"positive", b"neutral", b"negative", b"gemischt")[noise >> 56 & 3],
        (noise >> 48 & 127) / 128,
        _SUMMARIES[noise >> 44 & 15],
        call,
    )


def _description(call: int, noise: int, _picks: list[int]) -> bytes:
    return b'%b #%d"' % (_SUMMARIES[noise >> 44 & 15], call) if noise >> 44 & 7 else b"null"


def _structured(call: int, noise: int, _picks: list[int]) -> bytes:
    # The first is beyond the whole numbers that a double can hold.
    return b'{"order_id":%d,"amount":%.2f,"tags":["a\\/b","\\u00fc"],"empty":{}}' % (
        9007199254740993 + call,
        (noise & 0xFFFF) / 100,
    )


def _notes(_call: int, noise: int, _picks: list[int]) -> bytes:
    return b"[%b]" % _NOTES[noise >> 50 & 7] if noise >> 53 & 1 else b"[]"


def _actions(call: int, noise: int, _picks: list[int]) -> bytes:
    return b'[{"action":"send_sms","ok":true,"ref":%d}]' % call if noise >> 54 & 3 == 0 else b"[]"


def _numbers(_call: int, noise: int, _picks: list[int]) -> bytes:
    return b'{"p50":%d,"p95":%.1f,"ratio":1e-%d}' % (
        noise >> 20 & 1023,
        (noise >> 30 & 4095) + 0.5,
        noise >> 50 & 7,
    )


def _turn_events(call: int, _noise: int, picks: list[int]) -> bytes:
    return b'[{"turn":0,"call":%d}]' % call if picks else b"[]"


_FURTHER: dict[str, Callable[[int, int, list[int]], bytes]] = {
    "transcript": _transcript,
    "transcript_formatted": _formatted,
    "post_call_analysis": _analysis,
    "call_description": _description,
    "custom_analysis": lambda _call, noise, _picks: b"null" if noise & 64 else b'{"upsell":false}',
    "structured_data_results": _structured,
    "notes": _notes,
    "action_executions": _actions,
    "action_summary": lambda _call, noise, _picks: b'"1 action"' if noise >> 54 & 3 == 0 else b"null",
    "quality_metrics": _numbers,
    "enhanced_context": lambda _call, _noise, _picks: b"null",
    "latency_metrics": _numbers,
    "audio_metrics": _numbers,
    "turn_events": _turn_events,
    "interruptions": lambda _call, noise, _picks: b"%d" % (noise >> 33 & 3),
    "tool_usage": lambda _call, _noise, _picks: b"{}",
}
