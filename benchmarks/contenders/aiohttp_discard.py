"""The ceiling of what aiohttp can bring: the same pages, read and thrown away."""

from __future__ import annotations

import sys

from .aiohttp_pages import read_pages


def main(url: str, _out: str) -> None:
    """Read all pages of an account and print how many calls they have."""
    count = 0

    def take(body: bytes) -> None:
        nonlocal count
        count += body.count(b'"sid":')

    read_pages(url, take)
    print(count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
