"""Talkover's calls, as its page "List Calls" has them: light rows, newest first, one every eight seconds or so.

Some come in the same second, as calls do: one in sixteen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

CALL_BYTES = 445

_NEWEST = datetime(2026, 3, 31, 12, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_STATUSES = ("completed",) * 11 + ("answered", "no-answer", "busy", "failed", "initiated")
_TALKED = frozenset({"completed", "answered"})
_AGENTS = tuple(
    f'{{"id":"5f0c2b1e-7d4a-4c1b-9b6e-00000000000{number}","name":"Desk {number}","label":"Desk {number}"}}'
    for number in range(4)
)
_NUMBERS = tuple(f'"+1415555{number:04d}"' for number in range(100, 200))
_FORMATTED = tuple(f'"(415) 555-{number:04d}"' for number in range(100, 200))


def page(rows: Sequence[str], number: int, size: int, calls: int) -> str:
    """Put rows together."""
    first = number * size + 1
    ends = f'"from":{first},"to":{first + len(rows) - 1}' if rows else '"from":null,"to":null'
    last = max(-(-calls // size), 1)
    return (
        f'{{"success":true,"data":[{",".join(rows)}],"pagination":{{"current_page":{number + 1},"last_page":{last},'
        f'"per_page":{size},"total":{calls},{ends}}}}}'
    )


def agents(size: int) -> str:
    """Return the answer to who the agents are."""
    count = len(_AGENTS)
    paging = f'"current_page":1,"last_page":1,"per_page":{size},"total":{count}'
    return f'{{"success":true,"data":[{",".join(_AGENTS)}],"meta":{{{paging}}}}}'


def rows(calls: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield id and JSON of each call."""
    chance, created_at = Random(seed), _NEWEST
    for number in range(calls):
        noise = chance.getrandbits(256)
        yield _row(noise, number, created_at)
        created_at -= (noise >> 36 & 15) * _SECOND


def _row(noise: int, number: int, created_at: datetime) -> tuple[str, str]:
    """Return one call; its id has its number in it, so that no two are the same."""
    status = _STATUSES[noise & 15]
    seconds = 3 + (noise >> 4 & 511) if status in _TALKED else 0
    source, target = (noise >> 13 & 1023) % len(_NUMBERS), (noise >> 23 & 1023) % len(_NUMBERS)
    text = f"{noise:064x}"
    call_id = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{number:012x}"
    return call_id, (
        f'{{"id":"{call_id}","sid":"CA{text[32:]}",'
        f'"to":{_NUMBERS[target]},"to_formatted":{_FORMATTED[target]},'
        f'"from":{_NUMBERS[source]},"from_formatted":{_FORMATTED[source]},"is_testing":false,'
        f'"direction":"{"outbound" if noise >> 33 & 1 else "inbound"}","status":"{status}","duration":{seconds},'
        f'"agent":{_AGENTS[noise >> 34 & 3]},'
        f'"created_at":"{created_at:%Y-%m-%dT%H:%M:%SZ}",'
        f'"updated_at":"{created_at + timedelta(seconds=seconds + 2):%Y-%m-%dT%H:%M:%SZ}"}}'
    )
