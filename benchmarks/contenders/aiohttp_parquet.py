"""What one would write by hand for Parquet: aiohttp, orjson, pyarrow's `from_pylist`. No ids, no journal, no retries.

Tuned: calls are written 100,000 at a time and not collected to the end, with the compression that harvester uses. The
schema is that of the first 100,000 calls.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow
import pyarrow.parquet

from .aiohttp_pages import read_pages

ROWS = 100_000


class Table:
    """Calls on their way to a Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None

    def take(self, body: bytes) -> None:
        """Take a page."""
        self._rows += orjson.loads(body)["data"]
        if len(self._rows) >= ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        table = pyarrow.Table.from_pylist(self._rows, schema=self._writer and self._writer.schema)
        if self._writer is None:
            options = {"compression": "zstd", "compression_level": 1}
            self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema, **options)
        self._writer.write_table(table)
        self._rows = []

    def close(self) -> None:
        """Write the rest and the end of the file."""
        if self._rows:
            self.flush()
        self._writer.close()


def main(provider: str, url: str, out: str, in_flight: str) -> None:
    """Read all pages of an account and write their calls."""
    table = Table(Path(out, "calls.parquet"))
    read_pages(provider, url, int(in_flight), table.take)
    table.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
