"""Singer's SDK: a tap with one REST stream; its messages go to stdout, which is a file.

Its pages follow each other; the SDK has no other way. Tuned: the paginator ends by the number of pages in the answer,
which saves the empty page after the last; orjson parses answers; what does not conform to the schema is looked for at
the top of a call only and not in what is inside; no metrics, only warnings logged; one session, kept by the SDK.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.helpers._typing import TypeConformanceLevel
from singer_sdk.pagination import PageNumberPaginator

from .apis import APIS

_API = APIS["talkover"]
_TEXTS = ("id", "sid", "to", "to_formatted", "from", "from_formatted", "direction", "status")


class Pages(PageNumberPaginator):
    """Ends after the last page."""

    def has_more(self, response: Any) -> bool:
        """Say whether there is a page after this."""
        return bool(self.current_value < _API.pages(orjson.loads(response.content)))


class Calls(RESTStream[int]):
    """The calls of an account."""

    name = "calls"
    path = _API.path
    primary_keys = ("id",)
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.ROOT_ONLY
    schema = th.PropertiesList(
        *(th.Property(name, th.StringType) for name in (*_TEXTS, "created_at", "updated_at")),
        th.Property("is_testing", th.BooleanType),
        th.Property("duration", th.IntegerType),
        th.Property("agent", th.ObjectType(additional_properties=True)),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Return the base URL."""
        return str(self.config["url"])

    @property
    def http_headers(self) -> dict[str, str]:
        """Return the credential."""
        return dict(_API.headers)

    def get_new_paginator(self) -> Pages:
        """Begin at the first page."""
        return Pages(start_value=1)

    def get_url_params(self, _context: Any, next_page_token: int | None) -> dict[str, Any]:
        """Return what asks for a page."""
        return _API.query((next_page_token or 1) - 1)

    def parse_response(self, response: Any) -> Iterable[dict[str, Any]]:
        """Return the calls of an answer."""
        rows: list[dict[str, Any]] = orjson.loads(response.content)["data"]
        return rows


class CallsTap(Tap):
    """A tap with the one stream."""

    name = "tap-calls"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType, required=True)).to_dict()

    def discover_streams(self) -> list[Calls]:
        """Return the stream."""
        return [Calls(tap=self)]


def main(provider: str, url: str, out: str) -> None:
    """Read all calls of an account."""
    assert provider == "talkover"
    logging.disable(logging.INFO)
    config = Path(out, "config.json")
    config.write_text(json.dumps({"url": url}), encoding="utf-8")
    CallsTap.cli(["--config", str(config)], standalone_mode=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
