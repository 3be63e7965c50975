"""Harvester in a program, with its journal or with one that keeps no answer: what the journal costs.

Its requests are sent by a process of their own, as those of the command are. Without answers a run that is cut short
begins anew; jobs, windows and segments are entered all the same, for without them there is no export.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import uvloop

import harvester
from harvester.config import Config, load_config
from harvester.journal import Journal
from harvester.transport.process import ProcessTransport


class Forgetful(Journal):
    """Keeps no answer: where a list is out of order, the ids that are read again from answers are not there."""

    async def keep(self, answer: object) -> None:
        """Drop it."""


JOURNALS: dict[str, type[Journal]] = {"on": Journal, "off": Forgetful}


def main(config: str, journal: str) -> None:
    """Export what a config asks for."""
    path = Path(config)
    read = load_config(path.read_text(), folder=path.parent, environ={}, now=datetime.now(UTC))
    uvloop.run(_export(read, JOURNALS[journal]))


async def _export(config: Config, journal: type[Journal]) -> None:
    transport = ProcessTransport()
    transport.start()
    try:
        async with harvester.Harvester(config, journal=journal, transport=transport) as opened:
            report = await opened.export()
    finally:
        await transport.aclose()
    if report.outcome != "complete":
        sys.exit(f"the export ended with {report.outcome}")


if __name__ == "__main__":
    main(*sys.argv[1:])
