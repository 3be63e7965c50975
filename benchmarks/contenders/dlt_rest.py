"""dlt as its documents have it for such an API: a declarative `rest_api` source, one page after another.

What was tuned: `dlt_settings`. The number of pages comes from the answer, which saves the empty page after the last.
"""

from __future__ import annotations

import sys

from . import dlt_settings
from .apis import APIS


def main(provider: str, url: str, out: str, in_flight: str, file_format: str) -> None:
    """Load all calls of an account."""
    dlt_settings.configure(out, in_flight)
    # After the environment is set, which dlt reads when it is imported.
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415

    assert provider == "talkover"
    api = APIS[provider]
    paginator = {
        "type": "page_number",
        "base_page": 1,
        "page_param": "page",
        "total_path": "pagination.last_page",
    }
    endpoint = {
        "path": api.path,
        "params": {"per_page": 100},
        "data_selector": "data",
        "paginator": paginator,
    }
    config = {
        "client": {"base_url": url, "headers": dict(api.headers)},
        "resources": [{"name": "calls", "endpoint": endpoint, "max_table_nesting": 0}],
    }
    dlt_settings.load(rest_api_source(config), out, file_format)


if __name__ == "__main__":
    main(*sys.argv[1:])
