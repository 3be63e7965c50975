"""Throughput: calls a second from the start of a process to its end, where no limit binds.

A million light calls for what is fast enough for it, fewer for the peers; then with transcripts, and with answers
packed by gzip. Pages are static files of nginx, which cost their server next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from .bench import Bench
from .report import Section, compared
from .roster import AIOHTTP, AIOHTTP_PARQUET, FASTEST, HARVESTERS, PARQUET_PEERS, REQUESTS, peers
from .wrk import WRK

_NDJSON, _UNIFIED, _PARQUET, _PARQUET_UNIFIED = (
    "harvester-ndjson-native",
    "harvester-ndjson-unified",
    "harvester-parquet-native",
    "harvester-parquet-unified",
)
_OURS = (
    (_NDJSON, "aiohttp"),
    (_UNIFIED, "aiohttp"),
    (_PARQUET, "aiohttp-parquet"),
    (_PARQUET_UNIFIED, _NDJSON),
)


def run(bench: Bench) -> Iterator[Section]:
    """Measure light calls."""
    with bench.nginx(bench.sizes.calls) as target:
        series = bench.measure(target, FASTEST)
    title = f"{target.calls:,} light calls (440 bytes, 100 a page) from static pages of nginx (one worker)"
    yield compared("throughput", title, series, against=_OURS)


def run_peers(bench: Bench) -> Iterator[Section]:
    """Measure the peers, and ourselves beside them."""
    all_peers = (*peers(), *PARQUET_PEERS)
    with bench.nginx(bench.sizes.peer_calls) as target:
        series = bench.measure(target, (*HARVESTERS, AIOHTTP, AIOHTTP_PARQUET, REQUESTS, *all_peers))
    against = [
        *((_NDJSON, peer.name) for peer in (REQUESTS, *peers())),
        *((_PARQUET, peer.name) for peer in PARQUET_PEERS),
        *((_PARQUET_UNIFIED, peer.name) for peer in PARQUET_PEERS),
    ]
    yield compared("peers", f"{target.calls:,} light calls, with the peers", series, against=against)


def run_transcripts(bench: Bench) -> Iterator[Section]:
    """Measure full calls."""
    with bench.nginx(bench.sizes.full_calls, "agentvoice") as target:
        series = bench.measure(target, (*HARVESTERS, AIOHTTP, AIOHTTP_PARQUET, WRK))
    title = f"{target.calls:,} calls with transcripts (3.7 kB, 100 a page) from static pages of nginx"
    yield compared("transcripts", title, series, against=_OURS)


def run_gzip(bench: Bench) -> Iterator[Section]:
    """Measure light calls that come packed; nginx has them packed already."""
    with bench.nginx(bench.sizes.calls, is_packed=True) as target:
        series = bench.measure(target, (HARVESTERS[0], AIOHTTP), rounds=bench.sizes.slow_rounds)
    title = f"{target.calls:,} light calls, packed by gzip, from static pages of nginx"
    yield compared("gzip", title, series, against=_OURS[:1])
