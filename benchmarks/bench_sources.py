"""Many sources at once, each with a credential, windows and files of its own, beside one with as many calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .bench import Bench
from .contender import Target
from .ours import harvester
from .report import Section, compared
from .roster import HARVESTERS


def run(bench: Bench) -> Iterator[Section]:
    """Measure NDJSON and Parquet."""
    sizes = bench.sizes
    all_calls = sizes.sources * sizes.source_calls
    forms = (("ndjson", "native"), ("parquet", "unified"))
    many = [harvester(*each, sources=sizes.sources, suffix=f", {sizes.sources:,} sources") for each in forms]
    one = [each for each in HARVESTERS if each.name in {f"harvester-{form}-{shape}" for form, shape in forms}]
    with bench.nginx(sizes.source_calls) as target:
        series = bench.measure(_all_of(target, sizes.sources), many, rounds=sizes.slow_rounds)
    with bench.nginx(all_calls) as target:
        series += bench.measure(target, one, rounds=sizes.slow_rounds)
    yield compared(
        "sources",
        f"{all_calls:,} light calls, of {sizes.sources:,} sources with {sizes.source_calls:,} each and of one",
        series,
        against=[(each.name, other.name) for each, other in zip(many, one, strict=True)],
        base=one[0].name,
        base_title="times NDJSON of one source",
    )


def _all_of(target: Target, sources: int) -> Target:
    """Return all sources as one target: the account of each has the same ids."""
    assert target.ids is not None
    ids = target.ids.with_name("all-ids.txt")
    ids.write_text(target.ids.read_text(encoding="ascii") * sources, encoding="ascii")
    return replace(target, calls=target.calls * sources, ids=ids)
