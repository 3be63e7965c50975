"""Airbyte's CDK: a declarative source, run by its own entrypoint; its messages go to stdout, which is a file.

As documented, pages follow each other (`pages`). With `partitions` each page is a partition of its own, so that the CDK
reads many at once; the number of pages has to be known for that, and is asked for here before. Tuned: a schema that is
written down and not inferred, a full refresh, no logs beyond what its entrypoint prints, as many workers as the others
have requests in flight. A message for each call is the CDK's way; there is no larger unit.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from .apis import APIS, Api

_TEXTS = ("id", "sid", "to", "to_formatted", "from", "from_formatted", "direction", "status")
_SCHEMA = {
    "type": "object",
    "properties": {
        **{name: {"type": ["null", "string"]} for name in (*_TEXTS, "created_at", "updated_at")},
        "is_testing": {"type": ["null", "boolean"]},
        "duration": {"type": ["null", "integer"]},
        "agent": {"type": ["null", "object"]},
    },
}


def main(provider: str, url: str, out: str, in_flight: str, way: str) -> None:
    """Read all calls of an account."""
    assert provider == "talkover"
    further = _partitions(_pages(provider, url)) if way == "partitions" else _one_after_another()
    manifest = _manifest({**_retriever(APIS[provider], url), **further}, int(in_flight))
    config, catalog = _write(out, "config", {}), _write(out, "catalog", _catalog())
    source = ConcurrentDeclarativeSource(catalog=None, config={}, state=None, source_config=manifest)
    launch(source, ["read", "--config", config, "--catalog", catalog])


def _manifest(retriever: dict[str, Any], workers: int) -> dict[str, Any]:
    level = {"type": "ConcurrencyLevel", "default_concurrency": workers, "max_concurrency": workers}
    stream = {
        "type": "DeclarativeStream",
        "name": "calls",
        "primary_key": ["id"],
        "schema_loader": {"type": "InlineSchemaLoader", "schema": _SCHEMA},
        "retriever": retriever,
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["calls"]},
        "concurrency_level": level,
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }


def _retriever(api: Api, url: str) -> dict[str, Any]:
    return {
        "type": "SimpleRetriever",
        "requester": {
            "type": "HttpRequester",
            "url_base": url,
            "path": api.path,
            "http_method": "GET",
            "request_headers": dict(api.headers),
            "request_parameters": {"per_page": "100"},
        },
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
        },
    }


def _one_after_another() -> dict[str, Any]:
    size = 100
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"}
    strategy = {
        "type": "PageIncrement",
        "page_size": size,
        "start_from_page": 1,
        "inject_on_first_request": True,
    }
    return {
        "paginator": {
            "type": "DefaultPaginator",
            "page_token_option": option,
            "pagination_strategy": strategy,
        }
    }


def _partitions(pages: int) -> dict[str, Any]:
    return {
        "partition_router": {
            "type": "ListPartitionRouter",
            "cursor_field": "page",
            "values": [str(page + 1) for page in range(pages)],
            "request_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "page",
            },
        }
    }


def _pages(provider: str, url: str) -> int:
    query = "page=1&per_page=100"
    asked = urllib.request.Request(
        f"{url}{APIS[provider].path}?{query}", headers=dict(APIS[provider].headers)
    )
    with urllib.request.urlopen(asked) as answer:
        return APIS[provider].pages(json.load(answer))


def _catalog() -> dict[str, Any]:
    stream = {"name": "calls", "json_schema": _SCHEMA, "supported_sync_modes": ["full_refresh"]}
    return {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}


def _write(out: str, name: str, value: Any) -> str:
    path = Path(out, f"{name}.json")
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
