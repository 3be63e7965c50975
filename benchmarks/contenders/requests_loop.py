"""The loop of the providers' documents: `requests`, one page after another; to NDJSON.

Kinder than the documents: one session, so that the connection is kept, and lines written page by page, not all calls in
a list.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import requests

from .apis import APIS


def main(provider: str, url: str, out: str) -> None:
    """Read all pages of an account and write their calls."""
    api = APIS[provider]
    session = requests.Session()
    session.headers.update(api.headers)
    page, pages = 0, 1
    with Path(out, "calls.ndjson").open("w", encoding="utf-8") as file:
        while page < pages:
            answer = session.get(url + api.path, params=api.query(page), timeout=60)
            answer.raise_for_status()
            listing = answer.json()
            file.writelines(json.dumps(call) + "\n" for call in listing["data"])
            pages = api.pages(listing)
            page += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
