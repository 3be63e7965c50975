"""`make demo`: made-up calls of all four providers, exported into ./out as a user would do it.

The sandbox serves in a process of its own; the export is the ordinary command with an ordinary config, which stays in
the output to be looked at. The config is also what marks ./out as the demo's: anything else there is left alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OUT = Path("out")
CONFIG = OUT / "demo.toml"
CALLS = 50_000
"""Of each account: some ten seconds in all."""

CREDENTIALS = {
    "TALKOVER_TOKEN": "sandbox",
    "AGENTVOICE_API_KEY": "sandbox",
    "AGENTVOICE_ORGANIZATION_ID": "sandbox",
    "TALKPILOT_API_KEY": "sandbox",
    "BIMPE_API_KEY": "sandbox",
}

TEMPLATE = """\
# What `make demo` exported. Its sandbox is gone; `.venv/bin/harvester init` writes a config for real accounts.

[output]
path = "."                # this folder
format = "parquet"
shape = "unified"

[defaults]
since = 2026-01-30
until = 2026-04-01
rate = "unlimited"        # the sandbox has no limits; without this the documented ones hold

[[source]]
name = "talkover"
provider = "talkover"
base_url = "{url}/talkover"
token = "${{TALKOVER_TOKEN}}"

[[source]]
name = "agentvoice"
provider = "agentvoice"
base_url = "{url}/agentvoice"
api_key = "${{AGENTVOICE_API_KEY}}"
organization_id = "${{AGENTVOICE_ORGANIZATION_ID}}"
details = true            # transcripts: they come with the list

[[source]]
name = "talkpilot"
provider = "talkpilot"
base_url = "{url}/talkpilot"
api_key = "${{TALKPILOT_API_KEY}}"

[[source]]
name = "bimpe"
provider = "bimpe"
base_url = "{url}/bimpe"
api_key = "${{BIMPE_API_KEY}}"
"""


def main() -> int:
    """Run the demo; gives the exit code of the export."""
    is_again = CONFIG.exists()
    if OUT.exists() and not is_again and any(OUT.iterdir()):
        print(
            "./out holds an export that is not this demo's: move it away, then run the demo again",
            file=sys.stderr,
        )
        return 2
    say(f"making up {CALLS:,} calls for each of four providers, and exporting them")
    with open_sandbox() as url:
        OUT.mkdir(exist_ok=True)
        CONFIG.write_text(TEMPLATE.format(url=url), encoding="utf-8")
        code, report = export(is_again=is_again)
    if report is not None and code in {0, 3}:
        tell(report)
    return code


@contextmanager
def open_sandbox() -> Iterator[str]:
    """Serve all providers from a process of its own, on a free port; gives the URL."""
    command = [sys.executable, "-m", "harvester.sandbox", json.dumps({"calls": CALLS})]
    # In a group of its own: Ctrl-C is for the export, which flushes while the sandbox is still there.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit("demo: the sandbox did not start")
            yield json.loads(line)["url"]
        finally:
            process.terminate()


def export(*, is_again: bool) -> tuple[int, Mapping[str, Any] | None]:
    """Run `harvester export` in this terminal; gives its exit code and, where it got so far, its report."""
    with tempfile.TemporaryDirectory(prefix="harvester-demo-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "harvester", "export", "-c", str(CONFIG), "--report", str(report)]
        command += ["--fresh"] if is_again else []
        process = subprocess.Popen(command, env={**os.environ, **CREDENTIALS})
        with signals_to(process):
            code = process.wait()
        return code if code >= 0 else 128 - code, json.loads(report.read_bytes()) if report.exists() else None


@contextmanager
def signals_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Outlive a signal until the process has ended by it; a terminal sends Ctrl-C to both, the others are passed on."""

    def pass_on(number: int, _frame: object) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(report: Mapping[str, Any]) -> None:
    """Say how fast it was, where it is and how to look at it with what is installed here."""
    calls = sum(source["written"] for source in report["sources"])
    size = sum(segment["bytes"] for segment in report["segments"])
    seconds = report["elapsed_s"]
    say(
        f"{calls:,} calls in {seconds:.1f} s: {calls / seconds:,.0f} a second; {size / 1e6:,.0f} MB in {OUT}/calls"
    )
    say(f"the config: {CONFIG}; the same files in Python, without the program duckdb:")
    query = f"select source, count(*) as calls from '{OUT}/calls/**/*.parquet' group by source"
    print(f'  {os.path.relpath(sys.executable)} -c "import duckdb; print(duckdb.sql(\\"{query}\\"))"')


def say(text: str) -> None:
    """Print a line of the demo's own."""
    print(f"demo: {text}", flush=True)


def leave(number: int, _frame: object) -> None:
    """End by a signal in an orderly way: the sandbox is stopped on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, leave)
    sys.exit(main())
