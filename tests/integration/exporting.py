"""How the tests of exports write configs, start harvester, and read what it wrote beside the sandbox's truth."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import msgspec
import pyarrow.parquet as pq
import zstandard

from harvester.app import Harvester
from harvester.clock import SystemClock
from harvester.config import Overrides, load_config
from harvester.sandbox import PROVIDERS, Account, History, SandboxConfig, World
from harvester.transport.retry import RetryPolicy

if TYPE_CHECKING:
    from typing import Self

    from harvester.job.report import Report, SourceReport

PROMPT = RetryPolicy(base_s=0.005, longest_s=0.02)
"""Asks again at once, so that no test waits."""

CREDENTIALS = {
    "talkover": ("token",),
    "agentvoice": ("api_key", "organization_id"),
    "talkpilot": ("api_key",),
    "bimpe": ("api_key",),
}
Url = Callable[[str], str]


# Configs.


def toml(value: object) -> str:
    """Return a value as TOML; strings, numbers, lists and inline tables."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


def table(name: str, values: Mapping[str, object]) -> str:
    return "\n".join([name, *(f"{key} = {toml(value)}" for key, value in values.items())]) + "\n\n"


def source(provider: str, url: Url, /, *, credential: str = "sandbox", **keys: Any) -> dict[str, object]:
    """Return a source of a sandbox, named after its provider unless `name` is given."""
    found: dict[str, object] = {"name": provider, "provider": provider, "base_url": url(provider)}
    found |= dict.fromkeys(CREDENTIALS[provider], credential)
    return {**found, "rate": "unlimited", **keys}


def four(url: Url, **keys: Any) -> list[dict[str, object]]:
    """Return one source of each provider."""
    return [source(provider, url, **keys) for provider in PROVIDERS]


def document(
    sources: Iterable[Mapping[str, object]],
    *,
    output: Mapping[str, object] | None = None,
    run: Mapping[str, object] | None = None,
    defaults: Mapping[str, object] | None = None,
) -> str:
    """Return a config."""
    tables = (("[output]", output), ("[run]", run), ("[defaults]", defaults))
    text = "".join(table(name, values) for name, values in tables if values is not None)
    return text + "".join(table("[[source]]", values) for values in sources)


class StandingClock(SystemClock):
    """The machine's clock, but for the date, which stands."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the date it was given."""
        return self._now


async def export(
    text: str,
    folder: Path,
    *,
    fresh: bool = False,
    now: datetime | None = None,
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
    policy: RetryPolicy = PROMPT,
) -> Report:
    """Export in this process, at a moment of the test's choice; relative paths start at `folder`."""
    clock = SystemClock() if now is None else StandingClock(now)
    config = load_config(text, folder=folder, environ={}, now=clock.now(), overrides=overrides)
    async with Harvester(config, policy=policy, clock=clock) as harvester:
        return await harvester.export(fresh=fresh)


# What was written.


class Output:
    """An output folder, read without harvester."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def segments(self, name: str = "*", kind: str = "calls") -> list[Path]:
        """Return the visible files of a source, by name."""
        return sorted(path for path in self.root.glob(f"{kind}/{name}/*") if path.is_file())

    def lines(self, name: str = "*", kind: str = "calls") -> list[bytes]:
        """Return the lines of a source's NDJSON segments."""
        return [line for path in self.segments(name, kind) for line in _read(path).splitlines()]

    def rows(self, name: str = "*") -> list[dict[str, Any]]:
        """Return the rows of a source; of Parquet as Python values, of NDJSON as JSON."""
        found: list[dict[str, Any]] = []
        for path in self.segments(name):
            if path.suffix == ".parquet":
                found += pq.ParquetFile(path).read().to_pylist()
            else:
                found += map(json.loads, _read(path).splitlines())
        return found

    def ids(self, name: str = "*") -> list[str]:
        """Return the ids of a source's rows, in either shape."""
        return [row["call_id"] if "fetched_at" in row else row["id"] for row in self.rows(name)]

    def raws(self, name: str = "*") -> dict[str, bytes]:
        """Return the unified rows' raw JSON by id."""
        return {row["call_id"]: row["raw"].encode() for row in self.rows(name)}

    def quarantine(self, name: str = "*") -> list[dict[str, Any]]:
        """Return a source's lines of quarantine."""
        return [json.loads(line) for line in self.lines(name, "quarantine")]

    def report(self) -> dict[str, Any]:
        """Return the newest report that is kept."""
        paths = self.root.glob("_harvester/runs/*/report.json")
        newest = max(paths, key=lambda path: json.loads(path.read_bytes())["finished_at"])
        found: dict[str, Any] = json.loads(newest.read_bytes())
        return found

    def files(self) -> dict[str, bytes]:
        """Return all visible files, whatever is in them."""
        visible = [*self.segments(), *self.segments(kind="quarantine")]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in visible}

    def aside(self) -> list[str]:
        """Return what lies aside."""
        return sorted(path.name for path in self.root.glob("_harvester/aside/*"))


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        unpacked: bytes = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        return unpacked
    return data


# What should have been.


def truth(
    account: Account,
    *,
    agents: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    shape: str = "list",
) -> dict[str, bytes]:
    """Return the calls of a range by id, as served; a call without a moment is in every range."""
    found: dict[str, bytes] = {}
    for agent in [None] if agents is None else agents:
        for row in account.rows(agent, shape):
            at = row.created_at
            is_in = at is None or ((since is None or at >= since) and (until is None or at < until))
            if row.call_id is not None and is_in:
                found[row.call_id] = row.raw
    return found


def assert_same_ids(written: Sequence[str], wanted: Iterable[str]) -> None:
    """Compare ids as a set, and name a few that are doubled, lost or strange."""
    doubled = [call_id for call_id, count in Counter(written).items() if count > 1]
    expected = set(wanted)
    lost, strange = expected - set(written), set(written) - expected
    told = f"{len(doubled)} doubled {doubled[:3]}, {len(lost)} lost {sorted(lost)[:3]}, "
    is_same = not (doubled or lost or strange)
    assert is_same, told + f"{len(strange)} strange {sorted(strange)[:3]}"


def assert_adds_up(report: Report) -> None:
    """Check `expected` = `written` + `quarantined` + `missing` of windows, agents, sources and the whole."""
    for one in report.sources:
        for agent in one.agents:
            for window in agent.windows:
                _assert_sum(window, f"{one.name}, agent {agent.agent_id}, {window.since} to {window.until}")
                if window.listed is not None:
                    assert window.expected == window.listed - window.outside, one.name
            _assert_sum(agent, f"{one.name}, agent {agent.agent_id}")
            _assert_total(agent, agent.windows)
        _assert_sum(one, one.name)
        _assert_total(one, one.agents)
    _assert_sum(report.totals, "totals")
    _assert_total(report.totals, report.sources)


def _assert_sum(counts: Any, where: str) -> None:
    if counts.expected is not None:
        assert counts.expected == counts.written + counts.quarantined + counts.missing, (where, counts)


def _assert_total(whole: Any, parts: Sequence[Any]) -> None:
    for name in ("written", "duplicates", "quarantined", "missing"):
        assert getattr(whole, name) == sum(getattr(part, name) for part in parts), name


def of(report: Report, name: str) -> SourceReport:
    """Return one source of a report."""
    return next(one for one in report.sources if one.name == name)


def requests_of(stats: Mapping[str, Any], provider: str | None = None) -> int:
    """Return how many requests a sandbox has seen, those with a wrong key too."""
    names = PROVIDERS if provider is None else (provider,)
    tallies = [tally for name in names for tally in (*stats[name]["keys"], stats[name]["strangers"])]
    return sum(sum(tally["requests"].values()) for tally in tallies)


def violations_of(stats: Mapping[str, Any]) -> list[str]:
    """Return what a sandbox has seen that no document allows."""
    tallies = [tally for name in PROVIDERS for tally in (*stats[name]["keys"], stats[name]["strangers"])]
    return [text for tally in tallies for text in tally["violations"]["messages"]]


# Processes.


class SandboxProcess:
    """A sandbox in a process of its own, and the same world here."""

    def __init__(self, **config: Any) -> None:
        self._config = msgspec.json.decode(msgspec.json.encode(config), type=SandboxConfig)
        command = [sys.executable, "-m", "harvester.sandbox", "-"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(self._config))
        self._process.stdin.close()
        self.origin: str = json.loads(self._process.stdout.readline())["url"]
        self.world = World(self._config, self.origin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def url(self, provider: str) -> str:
        """Return a provider's address."""
        return f"{self.origin}/{provider}"

    def stats(self) -> dict[str, Any]:
        """Return what it has seen."""
        with urllib.request.urlopen(f"{self.origin}/_sandbox/stats") as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def history(self, provider: str, credential: str = "sandbox") -> History:
        """Return what has happened so far to an account that moves; the world here stays as it was."""
        with urllib.request.urlopen(f"{self.origin}/_sandbox/history/{provider}/{credential}") as answer:
            return msgspec.json.decode(answer.read(), type=History)

    def reset(self) -> None:
        """Start its counts anew."""
        request = urllib.request.Request(f"{self.origin}/_sandbox/reset", method="POST")
        urllib.request.urlopen(request).close()


class Done(msgspec.Struct, frozen=True):
    """A harvester process that has ended; `peak_mb` is what it held at most, as far as it was looked at."""

    code: int
    out: str
    err: str
    peak_mb: float


class Running:
    """A harvester process; what it says goes to two files."""

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        said: tuple[IO[bytes], IO[bytes]],
    ) -> None:
        self._said = said
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.lower().endswith("_proxy") and key != "HARVESTER_CONFIG"
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harvester", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said[0],
            stderr=said[1],
            env={**clean, **environ},
        )
        self._done: Done | None = None
        self._peak_kb = 0

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        if self._done is None:
            # Not the kernel's `ru_maxrss`, which also holds what this process had when it started that one.
            self._peak_kb = max(self._peak_kb, _peak_kb(self._process.pid))
            if self._process.poll() is not None:
                self._end()
        return self._done is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there to receive it."""
        if self.is_running:
            self._process.send_signal(number)

    def wait(self, *, longest_s: float = 60.0) -> Done:
        """Wait for its end."""
        wait_for(lambda: not self.is_running, longest_s=longest_s)
        assert self._done is not None
        return self._done

    def close(self) -> None:
        """Stop it if it runs."""
        if self.is_running:
            self._process.kill()
            self.wait()

    def _end(self) -> None:
        told = []
        for file in self._said:
            file.seek(0)
            told.append(file.read().decode())
        self._done = Done(self._process.returncode, told[0], told[1], self._peak_kb / 1024)


def _peak_kb(pid: int) -> int:
    """Return the most memory that a process has held, 0 if it is no more."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def wait_for(is_so: Callable[[], bool], *, longest_s: float = 20.0) -> None:
    """Look until something is so, a few hundred times a second."""
    end = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < end, f"not so within {longest_s} s"
        time.sleep(0.005)


@contextmanager
def started(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start harvester in a folder; it is killed at the end of the block if it still runs."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        running = Running(folder, arguments, environ or {}, (out, err))
        try:
            yield running
        finally:
            running.close()


def harvest(
    folder: Path, *arguments: str, environ: Mapping[str, str] | None = None, longest_s: float = 60.0
) -> Done:
    """Run harvester in a folder to its end."""
    with started(folder, *arguments, environ=environ) as running:
        return running.wait(longest_s=longest_s)


def write_config(folder: Path, text: str) -> Path:
    """Write a config where harvester looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "harvester.toml"
    path.write_text(text, encoding="utf-8")
    return path


def gaps_of(report: Report) -> list[str]:
    """Return the kinds of all gaps."""
    return [gap.kind for one in report.sources for gap in one.gaps]


LINE_BREAKS = re.compile(rb"[\r\n]")


def as_line(raw: bytes) -> bytes:
    """Return a row's JSON on one line: line breaks stand between tokens only."""
    return LINE_BREAKS.sub(b"", raw)
