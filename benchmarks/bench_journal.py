"""The journal: what it costs to make every answer durable within a second."""

from __future__ import annotations

from collections.abc import Iterator

from .bench import Bench
from .ours import embedded
from .report import Section, compared

ON, OFF = embedded("on"), embedded("off")


def run(bench: Bench) -> Iterator[Section]:
    """Measure with it and without."""
    with bench.nginx(bench.sizes.calls) as target:
        series = bench.measure(target, (ON, OFF))
    title = f"{target.calls:,} light calls, every answer in the journal and none"
    yield compared(
        "journal", title, series, against=[(ON.name, OFF.name)], base=OFF.name, base_title="times without"
    )
