"""Who is measured; each runs as a process of its own. A new one is a module here and a line in `CONTENDERS`."""

from .base import Contender, Target, count_said, count_written, program
from .harvester import harvester
from .wrk import WRK

HARVESTERS = tuple(
    harvester(form, shape) for form in ("ndjson", "parquet") for shape in ("native", "unified")
)

REQUESTS = Contender(
    name="requests",
    title="`requests` session, the loop of the providers' documents, NDJSON",
    prepare=program("requests_loop"),
    count=count_written,
    is_slow=True,
)
AIOHTTP = Contender(
    name="aiohttp",
    title="plain aiohttp + orjson, 32 in flight, NDJSON",
    prepare=program("aiohttp_orjson"),
    count=count_written,
)
DISCARD = Contender(
    name="aiohttp-discard",
    title="ceiling: aiohttp, 32 in flight, reads and drops",
    prepare=program("aiohttp_discard"),
    count=count_said,
)

CONTENDERS = (*HARVESTERS, REQUESTS, AIOHTTP, DISCARD, WRK)

__all__ = ["AIOHTTP", "CONTENDERS", "DISCARD", "HARVESTERS", "REQUESTS", "WRK", "Contender", "Target"]
