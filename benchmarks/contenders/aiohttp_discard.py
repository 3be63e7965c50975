"""The ceiling of what aiohttp can bring: the same pages, read and thrown away."""

from __future__ import annotations

import sys

from .aiohttp_pages import read_pages


def main(provider: str, url: str, _out: str, in_flight: str) -> None:
    """Read all pages of an account and print how many calls they have."""
    count = 0

    def take(body: bytes) -> None:
        nonlocal count
        count += body.count(b'"direction":')

    read_pages(provider, url, int(in_flight), take)
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
