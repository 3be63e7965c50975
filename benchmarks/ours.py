"""Harvester as a user runs it: the ordinary command, an ordinary config, nothing for the benchmark."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from .contender import Contender, Target, check_ids

IN_FLIGHT = 32
TITLES = {"ndjson": "NDJSON", "parquet": "Parquet"}

_HEAD = """\
[output]
path = "out"
format = "{format}"
shape = "{shape}"

[run]
concurrency = {in_flight}
"""
_SOURCE = """
[[source]]
name = "{name}"
provider = "{provider}"
base_url = "{url}"
{credentials}
{further}
"""
_CREDENTIALS = {"talkover": ("token",), "agentvoice": ("api_key", "organization_id"), "bimpe": ("api_key",)}


def config(
    target: Target,
    output_format: str,
    shape: str,
    *,
    in_flight: int = IN_FLIGHT,
    rate: str | None = "unlimited",
    sources: int = 1,
    agents: int = 0,
) -> str:
    """Return a config, of so many sources on the same account, each with a credential of its own.

    With `agents` each asks for the lists of so many agents, not for the one of the account.
    """
    further = [f'rate = "{rate}"'] if rate is not None else []
    further += [f"agents = {[f'agent-{number}' for number in range(agents)]}"] if agents else []
    # AgentVoice's transcripts come with its list. The sandbox is asked for light rows.
    further += ["details = true"] if target.provider == "agentvoice" and target.ids is not None else []
    texts = [_HEAD.format(format=output_format, shape=shape, in_flight=in_flight)]
    for number in range(sources):
        key = f"sandbox-{number}" if number else "sandbox"
        credentials = "\n".join(f'{name} = "{key}"' for name in _CREDENTIALS[target.provider])
        source = {"name": f"source-{number}", "provider": target.provider, "url": target.url}
        texts.append(_SOURCE.format(**source, credentials=credentials, further="\n".join(further)))
    return "".join(texts)


def harvester(
    output_format: str,
    shape: str,
    *,
    in_flight: int = IN_FLIGHT,
    rate: str | None = "unlimited",
    sources: int = 1,
    agents: int = 0,
    suffix: str = "",
) -> Contender:
    """Return `harvester export` with one format and shape.

    Args:
        output_format: `ndjson` or `parquet`.
        shape: `native` or `unified`.
        in_flight: Requests in flight.
        rate: As a config has it; None: nothing is said.
        sources: So many, on the same account.
        agents: So many of a source, each with a list of its own; 0 for the list of the account.
        suffix: Of the title, where these differ.
    """

    def prepare(target: Target, folder: Path) -> list[str]:
        options = {"in_flight": in_flight, "rate": rate, "sources": sources, "agents": agents}
        path = folder / "harvester.toml"
        path.write_text(config(target, output_format, shape, **options))  # type: ignore[arg-type] # mixed values
        return [sys.executable, "-m", "harvester", "export", "--quiet", "--config", str(path)]

    name = f"harvester-{output_format}-{shape}"
    name += f"-{in_flight}" if in_flight != IN_FLIGHT else ""
    name += f"-{sources}-sources" if sources > 1 else ""
    name += f"-{agents}-agents" if agents else ""
    return Contender(
        name=name,
        title=f"harvester, {TITLES[output_format]}, {shape}{suffix}",
        prepare=prepare,
        count=check_ids("out", "calls"),
    )


def embedded(journal: str) -> Contender:
    """Return harvester in a program, its journal `on` or `off`."""
    return Contender(
        name=f"harvester-journal-{journal}",
        title=f"harvester in a program, NDJSON, native, journal {journal}",
        prepare=_embedding(journal),
        count=check_ids("out", "calls"),
    )


def _embedding(journal: str) -> Callable[[Target, Path], list[str]]:
    def prepare(target: Target, folder: Path) -> list[str]:
        path = folder / "harvester.toml"
        path.write_text(config(target, "ndjson", "native"))
        return [sys.executable, "-m", "benchmarks.contenders.harvester_embedded", str(path), journal]

    return prepare
