"""Scrapy: a spider whose items go to a feed of JSON lines.

Tuned: as many requests in flight as the others and as many for the one domain, every page asked for as soon as the
first says how many there are (the address of a page does not depend on the one before), no logs, no statistics dumped,
no cookies, no robots.txt, no throttling, no telnet console, no filter of doubles, items as plain dicts, the body parsed
by orjson; the reactor on uvloop. Its feed exporter writes call by call; that is Scrapy's own way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import scrapy
from scrapy.crawler import CrawlerProcess

from .apis import APIS


class CallsSpider(scrapy.Spider):
    """Reads all pages of an account."""

    name = "calls"

    def __init__(self, provider: str, url: str) -> None:
        super().__init__()
        self.api = APIS[provider]
        self.url = url

    def ask(self, page: int, callback: Any) -> Any:
        """Return the request for a page."""
        address = f"{self.url}{self.api.path}?{urlencode(self.api.query(page))}"
        return scrapy.Request(address, headers=dict(self.api.headers), callback=callback, dont_filter=True)

    async def start(self) -> Any:
        """Ask for the first page."""
        yield self.ask(0, self.first)

    def first(self, answer: Any) -> Iterator[Any]:
        """Take the first page and ask for all others."""
        listing = orjson.loads(answer.body)
        for page in range(1, self.api.pages(listing)):
            yield self.ask(page, self.parse)
        yield from listing["data"]

    def parse(self, answer: Any) -> Iterator[Any]:
        """Take a page."""
        yield from orjson.loads(answer.body)["data"]


def main(provider: str, url: str, out: str, in_flight: str) -> None:
    """Crawl, and write the calls."""
    settings = {
        "CONCURRENT_REQUESTS": int(in_flight),
        "CONCURRENT_REQUESTS_PER_DOMAIN": int(in_flight),
        "DOWNLOAD_DELAY": 0,
        "LOG_ENABLED": False,
        "STATS_DUMP": False,
        "COOKIES_ENABLED": False,
        "ROBOTSTXT_OBEY": False,
        "RETRY_ENABLED": False,
        "REDIRECT_ENABLED": False,
        "AUTOTHROTTLE_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
        "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
        "FEEDS": {str(Path(out, "calls.ndjson")): {"format": "jsonlines"}},
    }
    process = CrawlerProcess(settings)
    process.crawl(CallsSpider, provider=provider, url=url)
    process.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
