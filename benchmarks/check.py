"""`python -m benchmarks.check FOLDER [IDS]`: whether the files below a folder hold exactly these calls, and how many.

IDS is a file with one id a line; without it calls are only counted. Prints the number; says on stderr what is wrong and
ends with 1. A process of its own, for it needs memory (see `measure`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.json
import pyarrow.parquet

LINES = {".ndjson", ".jsonl"}
NAMES = ("id", "call_id")
"""Of the provider's own rows, and of unified ones."""


def main(folder: str, known: str | None = None) -> int:
    """Check; gives the exit code."""
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix in {*LINES, ".parquet"})
    found = pyarrow.chunked_array([chunk for path in files for chunk in _ids(path)], pyarrow.string())
    if known is not None:
        wanted = Path(known).read_text(encoding="ascii").split()
        if (wrong := _difference(found, pyarrow.array(wanted, pyarrow.string()))) is not None:
            print(wrong, file=sys.stderr)
            return 1
    print(len(found))
    return 0


def _difference(found: Any, wanted: Any) -> str | None:
    if len(found) != len(wanted):
        return f"{len(found):,} calls were written, there are {len(wanted):,}"
    if _sorted(found).equals(_sorted(wanted)):
        return None
    several = len(found) - pyarrow.compute.count_distinct(found).as_py()
    return f"the ids are not those of the account; {several:,} are there more than once"


def _sorted(ids: Any) -> Any:
    taken = ids.take(pyarrow.compute.sort_indices(ids))
    return taken.combine_chunks() if isinstance(taken, pyarrow.ChunkedArray) else taken


def _ids(path: Path) -> Iterator[Any]:
    if path.stat().st_size == 0:
        return
    if path.suffix == ".parquet":
        file = pyarrow.parquet.ParquetFile(path)
        name = next(name for name in reversed(NAMES) if name in file.schema_arrow.names)
        for batch in file.iter_batches(columns=[name]):
            yield batch.column(0).cast(pyarrow.string())
        return
    schema = pyarrow.schema([(name, pyarrow.string()) for name in NAMES])
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    for batch in pyarrow.json.open_json(path, parse_options=options):
        yield pyarrow.compute.coalesce(batch.column("call_id"), batch.column("id"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
