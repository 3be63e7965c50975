"""Many sources or agents at once: what a call costs must not grow with how many there are.

Each source has a credential, windows and files of its own, each agent a window.
"""

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


def run_agents(bench: Bench) -> Iterator[Section]:
    """Measure many agents and a tenth of them."""
    sizes = bench.sizes
    counts = (sizes.agents // 10, sizes.agents)
    measured = []
    with bench.nginx(sizes.agent_calls) as target:
        for count in counts:
            contenders = [
                harvester(form, shape, agents=count, suffix=f", {count:,} agents")
                for form, shape in (("ndjson", "native"), ("parquet", "unified"))
            ]
            series = bench.measure(_all_of(target, count), contenders, rounds=sizes.slow_rounds)
            measured.append((contenders, series))
    (few, _), (many, _) = measured
    yield compared(
        "agents",
        f"{sizes.agent_calls} light calls of each agent, a page for each",
        [series for _, all_series in measured for series in all_series],
        against=[(each.name, other.name) for each, other in zip(many, few, strict=True)],
        base=few[0].name,
        base_title="times NDJSON of the fewer agents",
    )


def _all_of(target: Target, owners: int) -> Target:
    """Return the calls of all sources or agents as one target: each has the same ids."""
    assert target.ids is not None
    ids = target.ids.with_name(f"ids-of-{owners}.txt")
    ids.write_text(target.ids.read_text(encoding="ascii") * owners, encoding="ascii")
    return replace(target, calls=target.calls * owners, ids=ids)
