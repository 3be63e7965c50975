"""AgentVoice's calls with `fields=full`, as its page "Calls" has them: transcripts, oldest first, a minute apart.

The shape of a transcript's turns is documented nowhere; this one is made up. The texts are drawn word by word, so that
they compress as speech does and not as one sentence repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

CALL_BYTES = 3_700

_OLDEST = datetime(2015, 1, 1, 12, tzinfo=UTC)
_APART = timedelta(minutes=1)
_TURNS = 14
_WORDS = (
    "yes", "no", "the", "a", "my", "your", "order", "call", "back", "please", "thank", "you", "number", "could",
    "tomorrow", "morning", "account", "address", "delivery", "late", "change", "cancel", "confirm", "street", "city",
    "help", "need", "today", "again", "really", "because", "about", "price", "offer", "email", "send", "invoice",
    "closed", "hours", "speak", "manager", "wait", "moment",
)  # fmt: skip


def page(rows: Sequence[str], number: int, size: int, calls: int) -> str:
    """Put rows together."""
    offset = number * size
    more = "true" if offset + size < calls else "false"
    return (
        f'{{"data":[{",".join(rows)}],"pagination":{{"total":{calls},"limit":{size},"offset":{offset},'
        f'"has_more":{more}}}}}'
    )


def rows(calls: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield id and JSON of each call."""
    chance = Random(seed)
    for number in range(calls):
        yield _row(chance, number, _OLDEST + number * _APART)


def _row(chance: Random, number: int, created_at: datetime) -> tuple[str, str]:
    """Return one call; its id has its number in it, so that no two are the same."""
    noise = chance.getrandbits(128)
    text = f"{noise:032x}"
    call_id = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{number:012x}"
    started_at = created_at + timedelta(milliseconds=200 + (noise & 4095))
    seconds = 30 + (noise >> 12 & 511)
    return call_id, (
        f'{{"id":"{call_id}","agent_id":"9b2f3c10-aa11-4e4e-8d1e-00000000000{noise >> 21 & 3}",'
        f'"agent_name":"Desk {noise >> 21 & 3}","contact_id":null,"contact_first_name":"Ada","contact_last_name":null,'
        f'"contact_email":null,"phone_number":"+14155550{100 + (noise >> 23) % 100}",'
        f'"phone_number_called_from":"+14155550{100 + (noise >> 33) % 100}",'
        f'"call_type":"{"outbound" if noise >> 43 & 1 else "inbound"}","status":"completed","call_success":true,'
        f'"went_to_voicemail":false,"call_duration":{seconds},"started_at":"{_stamp(started_at)}",'
        f'"ended_at":"{_stamp(started_at + timedelta(seconds=seconds))}","ended_reason":"customer-ended-call",'
        f'"recording_url":null,"campaign_id":null,"campaign_name":null,"created_at":"{_stamp(created_at)}",'
        f"{_further(chance)}}}"
    )


def _further(chance: Random) -> str:
    """Return the fields that `fields=full` adds."""
    spoken = [(turn % 2, " ".join(chance.choices(_WORDS, k=12))) for turn in range(_TURNS)]
    transcript = "".join(f"{('Agent', 'User')[who]}: {text}\\n" for who, text in spoken)
    turns = ",".join(
        f'{{"speaker":"{("agent", "user")[who]}","text":"{text}","timestamp":{place * 4.25}}}'
        for place, (who, text) in enumerate(spoken)
    )
    return (
        f'"transcript":"{transcript}","transcript_formatted":[{turns}],'
        f'"post_call_analysis":{{"sentiment":"neutral","score":{chance.randrange(128) / 128}}},'
        f'"call_description":"{" ".join(chance.choices(_WORDS, k=12))}","custom_analysis":null,'
        f'"structured_data_results":{{"order_id":{chance.randrange(1 << 40)},"tags":["a","b"]}},"notes":[],'
        f'"action_executions":[],"action_summary":null,"quality_metrics":{{"p50":{chance.randrange(1024)}}},'
        f'"enhanced_context":null'
    )


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
