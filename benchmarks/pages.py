"""Seeded pages of made-up calls, each a file, as Talkover's "List Calls" page documents them.

A page costs its server nothing but reading a file. Calls are newest first, one every eight seconds, about 440 bytes
each; the first calls of a long account are those of a short one, whatever its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random

PAGE_SIZE = 100
CALL_BYTES = 445
"""About; for the space that pages take before there are any."""

_NEWEST = datetime(2026, 3, 31, 12, tzinfo=UTC)
_APART = timedelta(seconds=8)
_STATUSES = ("completed",) * 11 + ("answered", "no-answer", "busy", "failed", "initiated")
_TALKED = frozenset({"completed", "answered"})
_AGENTS = tuple(
    f'{{"id":"5f0c2b1e-7d4a-4c1b-9b6e-00000000000{number}","name":"Desk {number}","label":"Desk {number}"}}'
    for number in range(4)
)
_NUMBERS = tuple(f'"+1415555{number:04d}"' for number in range(100, 1124))
_FORMATTED = tuple(f'"(415) 555-{number:04d}"' for number in range(100, 1124))


def write_pages(folder: Path, calls: int, *, seed: int = 0) -> None:
    """Write the pages `1.json` to the last into a folder, the empty one after it too, and `agents.json`."""
    folder.mkdir(parents=True)
    rows = _rows(calls, seed)
    last = last_page(calls)
    for page in range(1, last + 2):
        held = list(islice(rows, PAGE_SIZE))
        (folder / f"{page}.json").write_text(_envelope(held, page, last, calls), encoding="ascii")
    (folder / "agents.json").write_text(_agents(), encoding="ascii")


def last_page(calls: int) -> int:
    """Return the number of the last page; an empty list has one."""
    return max(-(-calls // PAGE_SIZE), 1)


def _envelope(rows: list[str], page: int, last: int, calls: int) -> str:
    first = (page - 1) * PAGE_SIZE + 1
    ends = f'"from":{first},"to":{first + len(rows) - 1}' if rows else '"from":null,"to":null'
    return (
        f'{{"success":true,"data":[{",".join(rows)}],"pagination":{{"current_page":{page},"last_page":{last},'
        f'"per_page":{PAGE_SIZE},"total":{calls},{ends}}}}}'
    )


def _agents() -> str:
    count = len(_AGENTS)
    paging = f'"current_page":1,"last_page":1,"per_page":{PAGE_SIZE},"total":{count}'
    return f'{{"success":true,"data":[{",".join(_AGENTS)}],"meta":{{{paging}}}}}'


def _rows(calls: int, seed: int) -> Iterator[str]:
    """Yield the calls of an account as JSON, newest first."""
    chance = Random(seed)
    for number in range(calls):
        yield _row(chance.getrandbits(256), number, _NEWEST - number * _APART)


def _row(noise: int, number: int, created_at: datetime) -> str:
    """Return one call; its id has its number in it, so that no two are the same."""
    status = _STATUSES[noise & 15]
    seconds = 3 + (noise >> 4 & 511) if status in _TALKED else 0
    source, target = noise >> 13 & 1023, noise >> 23 & 1023
    text = f"{noise:064x}"
    return (
        f'{{"id":"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{number:012x}","sid":"CA{text[32:]}",'
        f'"to":{_NUMBERS[target]},"to_formatted":{_FORMATTED[target]},'
        f'"from":{_NUMBERS[source]},"from_formatted":{_FORMATTED[source]},"is_testing":false,'
        f'"direction":"{"outbound" if noise >> 33 & 1 else "inbound"}","status":"{status}","duration":{seconds},'
        f'"agent":{_AGENTS[noise >> 34 & 3]},'
        f'"created_at":"{created_at:%Y-%m-%dT%H:%M:%SZ}",'
        f'"updated_at":"{created_at + timedelta(seconds=seconds + 2):%Y-%m-%dT%H:%M:%SZ}"}}'
    )
