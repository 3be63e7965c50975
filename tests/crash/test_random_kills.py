"""`kill -9` at random, again and again: whatever it meets, the export ends exact, and little is asked for again.

The exports are the command itself; the moments are drawn from a seed, most of them from the whole time of a run, the
others from the short time in which a segment lies aside.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.integration.exporting import (
    Output,
    Running,
    document,
    four,
    harvest,
    started,
    wait_for,
    write_config,
)

from .crashing import (
    Content,
    Kill,
    Server,
    assert_exact,
    assert_true,
    assert_whole_so_far,
    content_of,
    kills_of,
)
from .serving import Entry

IN_FLIGHT = 8
KILLS_OF_AN_EXPORT = 12
"""More of them, and the export is left to end by itself: so every test does."""

Layout = tuple[str, str, str]
SMALL = {"talkover": 300, "agentvoice": 600, "talkpilot": 1000, "bimpe": 2100}
LARGE = {"talkover": 1000, "agentvoice": 3000, "talkpilot": 6000, "bimpe": 10_000}
"""Of different sizes, so that their segments end at different times."""


class Storm:
    """Exports of one account that are killed, each compared with an undisturbed one.

    Args:
        server: What they ask; slow, so that a run has a length.
        folder: Where they are.
        layout: The format of their output, its compression and its shape.
        seed: What the moments are drawn from.
    """

    def __init__(self, server: Server, folder: Path, layout: Layout, seed: int) -> None:
        self._server = server
        self._folder = folder
        self._dice = random.Random(seed)
        output = dict(zip(("format", "compression", "shape"), layout, strict=True))
        self._config = document(four(server.url), output=output, run={"concurrency": IN_FLIGHT})
        undisturbed = self._new("undisturbed")
        begun = time.monotonic()
        done = harvest(undisturbed, "export", longest_s=120)
        self.undisturbed_s: float = time.monotonic() - begun
        assert done.code == 0, done.err
        assert_true(undisturbed, server)
        self._undisturbed: Content = content_of(undisturbed)
        paths = [entry.path for entry in server.requests()]
        assert len(paths) == len(set(paths)), (
            "what it asks twice by itself cannot be told from what a kill cost"
        )

    def export(self, name: str, *, kills: int) -> list[Kill]:
        """Export with so many kills or, where it was faster, less; check it at each of them and at its end."""
        folder, runs, ends = self._new(name), list[list[Entry]](), list[float]()
        while len(ends) < kills and (end := self._kill(folder)) is not None:
            ends.append(end)
            runs.append(self._server.requests())
            assert_whole_so_far(folder)
        done = harvest(folder, "export", longest_s=120)
        assert done.code == 0, done.err
        runs.append(self._server.requests())
        assert_exact(folder, self._undisturbed)
        assert harvest(folder, "verify").code == 0
        return kills_of(runs, ends, in_flight=IN_FLIGHT)

    def rage(self, kills: int) -> list[Kill]:
        """Kill so often, over as many exports as it takes."""
        done: list[Kill] = []
        for number in range(kills):
            if len(done) < kills:
                done += self.export(str(number), kills=min(kills - len(done), KILLS_OF_AN_EXPORT))
        return done

    def _kill(self, folder: Path) -> float | None:
        """Export until a moment of chance; return when that was, None where the export ended before."""
        with started(folder, "export") as running:
            if self._dice.random() < 0.7:
                _wait(running, self._dice.uniform(0.0, 0.4 * self.undisturbed_s))
            else:
                wait_for(
                    lambda: bool(Output(folder / "out").aside()) or not running.is_running, longest_s=120
                )
                _wait(running, self._dice.uniform(0.0, 0.04))
            running.send(signal.SIGKILL)
            end, done = time.monotonic(), running.wait()
        if done.code == 0:
            return None
        assert done.code == -signal.SIGKILL, done.err
        return end

    def _new(self, name: str) -> Path:
        self._server.requests()
        write_config(self._folder / name, self._config)
        return self._folder / name


def _wait(running: Running, delay_s: float) -> None:
    end = time.monotonic() + delay_s
    wait_for(lambda: time.monotonic() >= end or not running.is_running, longest_s=delay_s + 20)


def _survive(folder: Path, layout: Layout, *, seed: int, kills: int, **sandbox: object) -> None:
    """Serve, kill, compare; and say what it came to, which pytest shows where a test fails, and with `-s`."""
    with Server(**sandbox) as server:
        storm = Storm(server, folder, layout, seed)
        done = storm.rage(kills)
    repeated = [kill.repeated for kill in done]
    sys.stdout.write(
        f"\nseed {seed}, {'-'.join(layout)}: {len(done)} kills of a run of {storm.undisturbed_s:.1f} s; repeated "
        f"requests a kill {sum(repeated) / kills:.1f}, at most {max(repeated)}, {sum(repeated)} in all; nearest to "
        f"what is allowed {min(kill.allowed - kill.repeated for kill in done)} less; oldest answer asked again "
        f"{max(kill.oldest_s for kill in done):.2f} s\n"
    )
    assert len(done) == kills
    assert all(kill.repeated <= kill.allowed for kill in done), done


@pytest.mark.parametrize(
    ("layout", "seed"), [(("parquet", "zstd", "native"), 1), (("ndjson", "zstd", "unified"), 2)], ids=str
)
def test_export_killed_a_few_times_ends_exact(tmp_path: Path, layout: Layout, seed: int) -> None:
    """Nothing is lost or doubled, and no kill costs more than what was on its way and half a second's answers."""
    providers = {name: {"calls": calls} for name, calls in SMALL.items()}
    _survive(tmp_path, layout, seed=seed, kills=2, agents=2, latency_s=0.15, providers=providers)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["unified", "native"])
@pytest.mark.parametrize(
    ("file_format", "compression", "seed"),
    [("ndjson", "none", 3), ("ndjson", "gzip", 4), ("ndjson", "zstd", 5), ("parquet", "zstd", 6)],
)
def test_export_killed_25_times_ends_exact(
    tmp_path: Path, file_format: str, compression: str, shape: str, seed: int
) -> None:
    """The same for 20,000 calls and a run of ten seconds, in every format and shape: 200 kills in all."""
    providers = {name: {"calls": calls} for name, calls in LARGE.items()}
    layout = (file_format, compression, shape)
    _survive(tmp_path, layout, seed=seed, kills=25, agents=3, latency_s=0.35, providers=providers)
