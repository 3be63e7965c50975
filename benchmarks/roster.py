"""Who is measured; each runs as a process of its own. A new one is a module in `contenders` and a few lines here."""

from __future__ import annotations

from .contender import Contender, check_ids, count_messages, count_said, program
from .environments import AIRBYTE, BIMPEAI, DLT, SCRAPY, SINGER
from .ours import IN_FLIGHT, TITLES, harvester
from .wrk import WRK

HARVESTERS = tuple(
    harvester(form, shape) for form in ("ndjson", "parquet") for shape in ("native", "unified")
)

REQUESTS = Contender(
    name="requests",
    title="`requests` session, the loop of the providers' documents, NDJSON",
    prepare=program("requests_loop"),
    count=check_ids(),
)


def aiohttp(in_flight: int = IN_FLIGHT) -> Contender:
    """Return plain aiohttp to NDJSON."""
    return Contender(
        name="aiohttp" if in_flight == IN_FLIGHT else f"aiohttp-{in_flight}",
        title=f"plain aiohttp + orjson, {in_flight} in flight, NDJSON",
        prepare=program("aiohttp_orjson", str(in_flight)),
        count=check_ids(),
    )


AIOHTTP = aiohttp()
AIOHTTP_PARQUET = Contender(
    name="aiohttp-parquet",
    title=f"plain aiohttp + pyarrow from_pylist, {IN_FLIGHT} in flight, Parquet",
    prepare=program("aiohttp_parquet", str(IN_FLIGHT)),
    count=check_ids(),
)
DISCARD = Contender(
    name="aiohttp-discard",
    title=f"ceiling: aiohttp, {IN_FLIGHT} in flight, reads and drops",
    prepare=program("aiohttp_discard", str(IN_FLIGHT)),
    count=count_said,
)


def _form(file_format: str) -> str:
    return TITLES["parquet" if file_format == "parquet" else "ndjson"]


def dlt_rest(file_format: str, in_flight: int = IN_FLIGHT) -> Contender:
    """Return dlt's declarative source."""
    return Contender(
        name=f"dlt-{file_format}",
        title=f"dlt rest_api, {_form(file_format)}",
        prepare=program("dlt_rest", str(in_flight), file_format, environment=DLT),
        count=check_ids("data", "calls"),
        environment=DLT,
    )


def dlt_deferred(file_format: str, shape: str, in_flight: int = IN_FLIGHT) -> Contender:
    """Return dlt with deferred pages, as `dicts` or as `arrow` tables."""
    return Contender(
        name=f"dlt-deferred-{file_format}-{shape}",
        title=f"dlt, deferred pages of {shape}, {in_flight} threads, {_form(file_format)}",
        prepare=program("dlt_deferred", str(in_flight), file_format, shape, environment=DLT),
        count=check_ids("data", "calls"),
        environment=DLT,
    )


def airbyte(way: str, in_flight: int = IN_FLIGHT) -> Contender:
    """Return Airbyte's CDK, page after page or with each page a partition."""
    return Contender(
        name=f"airbyte-{way}",
        title="Airbyte CDK, declarative, messages"
        + (f", a partition a page, {in_flight} workers" if way == "partitions" else ""),
        prepare=program("airbyte_declarative", str(in_flight), way, environment=AIRBYTE),
        count=count_messages('{"type":"RECORD"', '{"type": "RECORD"'),
        environment=AIRBYTE,
    )


SINGER_TAP = Contender(
    name="singer",
    title="Singer SDK tap, messages",
    prepare=program("singer_tap", environment=SINGER),
    count=count_messages('{"type":"RECORD"', '{"type": "RECORD"'),
    environment=SINGER,
)


def scrapy(in_flight: int = IN_FLIGHT) -> Contender:
    """Return Scrapy."""
    return Contender(
        name="scrapy",
        title=f"Scrapy, {in_flight} in flight, NDJSON",
        prepare=program("scrapy_spider", str(in_flight), environment=SCRAPY),
        count=check_ids(),
        environment=SCRAPY,
    )


def bimpeai(in_flight: int) -> Contender:
    """Return the vendor's async client, which reads BimpeAI's pages only; 1 in flight is its iterator."""
    way = "its iterator over all pages" if in_flight == 1 else f"pages by number, {in_flight} in flight"
    return Contender(
        name=f"bimpeai-{in_flight}",
        title=f"bimpeai, the vendor's async client, {way}, NDJSON",
        prepare=program("bimpeai_client", str(in_flight), environment=BIMPEAI),
        count=check_ids(),
        environment=BIMPEAI,
    )


def peers(in_flight: int = IN_FLIGHT) -> tuple[Contender, ...]:
    """Return the peers that write lines or messages; they read Talkover's pages."""
    return (
        dlt_rest("jsonl", in_flight),
        dlt_deferred("jsonl", "dicts", in_flight),
        airbyte("pages", in_flight),
        airbyte("partitions", in_flight),
        SINGER_TAP,
        scrapy(in_flight),
    )


PARQUET_PEERS = (
    dlt_rest("parquet"),
    dlt_deferred("parquet", "dicts"),
    dlt_deferred("parquet", "arrow"),
)
FASTEST = (*HARVESTERS, AIOHTTP, AIOHTTP_PARQUET, DISCARD, WRK)
