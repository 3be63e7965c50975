"""The loop of the providers' documents: `requests`, one page after another; to NDJSON.

Kinder than the documents: one session, so that the connection is kept, and lines written page by page, not all calls in
a list.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import requests


def main(url: str, out: str) -> None:
    """Read all pages of an account and write their calls."""
    session = requests.Session()
    session.headers["Authorization"] = "Bearer sandbox"
    page = last = 1
    with Path(out).open("w", encoding="utf-8") as file:
        while page <= last:
            answer = session.get(f"{url}/api/v1/calls", params={"page": page, "per_page": 100}, timeout=60)
            answer.raise_for_status()
            listing = answer.json()
            file.writelines(json.dumps(call) + "\n" for call in listing["data"])
            last = listing["pagination"]["last_page"]
            page += 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
