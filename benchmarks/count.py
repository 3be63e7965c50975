"""`python -m benchmarks.count FOLDER`: how many calls the files below a folder hold; a process, see `measure`."""

from __future__ import annotations

import sys
from pathlib import Path

_CHUNK = 1 << 22


def main(folder: str) -> None:
    """Print the number of calls."""
    files = [path for path in Path(folder).rglob("*") if path.suffix in {".ndjson", ".parquet"}]
    print(sum(_rows(path) if path.suffix == ".parquet" else _lines(path) for path in files))


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK), b""))


def _rows(path: Path) -> int:
    # Only who counts Parquet pays for the import.
    import pyarrow.parquet  # noqa: PLC0415

    count: int = pyarrow.parquet.read_metadata(path).num_rows
    return count


if __name__ == "__main__":
    main(sys.argv[1])
