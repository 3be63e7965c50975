"""BimpeAI's calls, as its page "List calls" has them: the light rows of one agent, oldest first, a minute apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

AGENT_ID = "agt_5f0c2b1e7d4a"
CALL_BYTES = 370

_OLDEST = datetime(2015, 1, 1, 12, tzinfo=UTC)
_APART = timedelta(minutes=1)
_STATUSES = ("ended",) * 13 + ("busy", "failed", "cancelled")
_NUMBERS = tuple(f'"+1415555{number:04d}"' for number in range(100, 200))


def page(rows: Sequence[str], number: int, size: int, calls: int) -> str:
    """Put rows together."""
    return _envelope(rows, number, size, calls)


def agents(size: int) -> str:
    """Return the answer to who the agents are."""
    born = '"created_at":"2015-01-01T00:00:00Z","updated_at":"2015-01-01T00:00:00Z"'
    agent = f'{{"id":"{AGENT_ID}","name":"Desk","description":"Desk","language":"en","status":"live",{born}}}'
    return _envelope([agent], 0, size, 1)


def rows(calls: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield id and JSON of each call."""
    chance = Random(seed)
    for number in range(calls):
        yield _row(chance.getrandbits(128), number, _OLDEST + number * _APART)


def _envelope(rows: Sequence[str], number: int, size: int, total: int) -> str:
    pages = max(-(-total // size), 1)
    return (
        f'{{"message":"Success","data":[{",".join(rows)}],"meta":{{"total_count":{total},"page_count":{pages},'
        f'"current_page":{number + 1},"limit":{size},"has_next_page":{_said(number + 1 < pages)},'
        f'"has_previous_page":{_said(number > 0)}}}}}'
    )


def _row(noise: int, number: int, created_at: datetime) -> tuple[str, str]:
    """Return one call; its id has its number in it, so that no two are the same."""
    status = _STATUSES[noise & 15]
    seconds = 3 + (noise >> 4 & 511) if status == "ended" else 0
    ringing_at = created_at + timedelta(seconds=noise >> 13 & 7)
    call_id = f"call_{noise >> 64:016x}{number:012x}"
    return call_id, (
        f'{{"id":"{call_id}","source":{_NUMBERS[(noise >> 16 & 1023) % len(_NUMBERS)]},'
        f'"destination":{_NUMBERS[(noise >> 26 & 1023) % len(_NUMBERS)]},"status":"{status}",'
        f'"direction":"{"outbound" if noise >> 36 & 1 else "inbound"}",'
        f'"created_on":"{created_at:%Y-%m-%dT%H:%M:%SZ}","duration_seconds":{seconds or "null"},'
        f'"is_test_call":false,"error_reason":null,"end_reason":{_ended(seconds)},'
        f'"ringing_at":"{ringing_at:%Y-%m-%dT%H:%M:%SZ}",'
        f'"ended_at":"{ringing_at + timedelta(seconds=seconds + 2):%Y-%m-%dT%H:%M:%SZ}"}}'
    )


def _ended(seconds: int) -> str:
    return '"customer_hangup"' if seconds else "null"


def _said(value: object) -> str:
    return "true" if value else "false"
