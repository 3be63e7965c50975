"""How dlt is set up, for all ways of using it.

Tuned: one file of 50,000 calls after another, so that what takes files in parallel can (two workers normalize them,
each a process); buffers of 5,000; no compression of lines; the object inside a call kept as JSON and not taken apart
(`max_table_nesting=0`); extraction with as many threads as the others have requests in flight; append, so that nothing
is merged; no telemetry, no progress, only warnings logged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def configure(out: str, in_flight: str) -> None:
    """Set what dlt reads from the environment; before dlt is imported."""
    os.environ |= {
        "DLT_DATA_DIR": str(Path(out, "dlt")),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "WARNING",
        "EXTRACT__WORKERS": in_flight,
        "EXTRACT__MAX_PARALLEL_ITEMS": str(2 * int(in_flight)),
        "EXTRACT__DATA_WRITER__BUFFER_MAX_ITEMS": "5000",
        "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "50000",
        "NORMALIZE__WORKERS": "2",
        "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "5000",
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "NORMALIZE__START_METHOD": "fork" if os.name == "posix" else "spawn",
    }


def load(source: Any, out: str, file_format: str) -> None:
    """Run a pipeline from a source into files in `calls/` below `out`."""
    # Whoever calls this has configured dlt before; its import reads the environment.
    import dlt  # noqa: PLC0415

    pipeline = dlt.pipeline(
        "calls",
        pipelines_dir=str(Path(out, "pipelines")),
        destination=dlt.destinations.filesystem(
            Path(out).as_uri(), layout="{table_name}/{load_id}.{file_id}.{ext}"
        ),
        dataset_name="data",
    )
    pipeline.run(source, loader_file_format=file_format, write_disposition="append").raise_on_failed_jobs()
