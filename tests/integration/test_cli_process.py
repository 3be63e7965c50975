"""The command line as a process: codes, streams, what it imports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import harvester

ROOT = Path(harvester.__file__).parent.parent
ENGINE = ("aiohttp", "asyncio", "harvester.app", "harvester.config", "pyarrow", "uvloop")
DRAWN = ("pydantic", "rich")  # typer's own dear ones: neither conversion nor drawing is needed
CONFIG = '[[source]]\nname = "sales"\nprovider = "talkover"\ntoken = "${SALES_TOKEN}"\n'


def environ(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HARVESTER")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def harvest(
    *arguments: str, cwd: Path, text: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harvester", *arguments],
        cwd=cwd,
        input=text,
        env=environ(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["exprt"], "error: no such command 'exprt'; did you mean 'export'?"),
        (["export", "--sources", "x"], "--sources"),
        (["status"], "error: there is no config "),
    ],
)
def test_wrong_usage_is_code_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    """An unknown command, an unknown option and a missing config end with code 2 and nothing on stdout."""
    done = harvest(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("", 'source[1] "sales": token: the environment variable SALES_TOKEN is not set'),
        ("colour = 1\n", 'source[1] "sales": colour: unknown key'),
        ("since = 2026-02-30\n", "error: line 5, column "),
        ('since = "2026-02-30"\n', 'source[1] "sales": since: "2026-02-30" is no moment'),
        (
            "since = 2026-03-02\nuntil = 2026-03-01\n",
            'source[1] "sales": since: 2026-03-02T00:00:00Z is not before until',
        ),
    ],
)
def test_wrong_config_is_code_2(tmp_path: Path, change: str, told: str) -> None:
    """Every mistake of a config ends with code 2, its key in the message, before anything is fetched."""
    (tmp_path / "harvester.toml").write_text(CONFIG + change)
    done = harvest("export", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["harvester.toml"]


@pytest.mark.slow
def test_config_comes_from_stdin_or_a_variable(tmp_path: Path) -> None:
    """`-c -` reads stdin; without -c the variable goes before harvester.toml."""
    (tmp_path / "other.toml").write_text(CONFIG.replace("sales", "other"))
    (tmp_path / "harvester.toml").write_text(CONFIG)
    for variables, arguments, name in (
        ({}, ["-c", "-"], "stdin"),
        ({"HARVESTER_CONFIG": "other.toml"}, [], "other"),
        ({}, [], "sales"),
    ):
        text = CONFIG.replace("sales", "stdin")
        done = harvest("status", "--json", *arguments, cwd=tmp_path, text=text, SALES_TOKEN="t", **variables)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[0]["source"] == name


@pytest.mark.slow
def test_init_then_status(tmp_path: Path) -> None:
    """What init writes is a config as soon as its variable is set, and is not written over."""
    assert harvest("init", cwd=tmp_path).returncode == 0
    assert harvest("init", cwd=tmp_path).returncode == 2
    assert harvest("status", cwd=tmp_path, TALKOVER_TOKEN="t").returncode == 0


@pytest.mark.parametrize("command", ["providers", "schema"])
def test_reader_that_leaves_is_no_error(tmp_path: Path, command: str) -> None:
    """`harvester providers | head -1` ends quietly."""
    with subprocess.Popen(
        [sys.executable, "-m", "harvester", command],
        cwd=tmp_path,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0


def imported(code: str, cwd: Path) -> set[str]:
    """Return the names of the modules that a program has imported at its end, less those it began with."""
    code = (
        f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())  # above it is what a command tells


def test_import_is_of_one_module(tmp_path: Path) -> None:
    """Importing the package imports none of its rooms, and nothing that is not Python's own."""
    names = imported("import harvester", tmp_path)
    assert {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names} == {"harvester"}


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        ([], ("anyio", "msgspec", *ENGINE, *DRAWN)),
        (["--help"], ("anyio", "msgspec", *ENGINE, *DRAWN)),
        (["--version"], ("anyio", "msgspec", *ENGINE, *DRAWN)),
        (["--nonsense"], ("anyio", "msgspec", *ENGINE, *DRAWN)),
        (["exprt"], ("anyio", "msgspec", *ENGINE, *DRAWN)),
        (["export", "--help"], (*ENGINE, *DRAWN)),
        (["export", "--nonsense"], (*ENGINE, *DRAWN)),
        (["export", "-c", "none.toml", "--source", "a"], ("aiohttp", "harvester.app", "pyarrow", *DRAWN)),
        (["schema"], (*ENGINE, *DRAWN)),
    ],
)
def test_answer_imports_nothing_needless(
    tmp_path: Path, arguments: list[str], needless: tuple[str, ...]
) -> None:
    """Help, a version and a mistake need neither engine nor graphics, and strings are not converted."""
    names = imported(f"from harvester.cli.main import Screen, run\nrun({arguments}, Screen())", tmp_path)
    assert "harvester.cli.main" in names
    assert names.isdisjoint(needless), names.intersection(needless)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sandbox_prints_a_config_and_ends_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """What the sandbox prints on stdout is a config that works; a signal is its ordinary end."""
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "harvester",
            "sandbox",
            "--port",
            "0",
            "--calls",
            "5",
            "--config-out",
            "s.toml",
        ],
        cwd=tmp_path,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        assert child.stdout is not None
        assert child.stderr.readline().startswith("serving http://127.0.0.1:")
        done = harvest("check", "-c", "s.toml", "--json", cwd=tmp_path)
        child.send_signal(number)
        assert child.stdout.read() == (tmp_path / "s.toml").read_text()
    assert child.returncode == 0
    assert done.returncode == 0, done.stderr
    assert [row["ok"] for row in json.loads(done.stdout)] == [True] * 4


@pytest.mark.slow
def test_sandbox_serves_a_command_and_has_its_code(tmp_path: Path) -> None:
    """A command behind `--` finds the config, and its exit code is passed on."""
    script = "import os, pathlib; assert pathlib.Path(os.environ['HARVESTER_CONFIG']).exists(); raise SystemExit(7)"
    done = harvest("sandbox", "--port", "0", "--", sys.executable, "-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    lost = harvest("sandbox", "--port", "0", "--", "no-such-command", cwd=tmp_path)
    assert (lost.returncode, lost.stderr) == (
        2,
        "error: no-such-command cannot be run: No such file or directory\n",
    )


@pytest.mark.slow
def test_sandbox_passes_a_signal_on(tmp_path: Path) -> None:
    """SIGTERM reaches the command, and the code says so as a shell would."""
    script = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    done = harvest("sandbox", "--port", "0", "--", sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode == 143


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_export_without_standard_streams_keeps_its_channel_apart(tmp_path: Path, closed: str) -> None:
    """Their numbers go to nothing else: what is printed there would go to the process that sends requests."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = f'name = "sales"\nprovider = "talkover"\ntoken = "x"\nbase_url = "http://127.0.0.1:{port}"\n'
    (tmp_path / "harvester.toml").write_text(f"[[source]]\n{source}")
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m harvester check --config harvester.toml {closed}', sys.executable],
        cwd=tmp_path,
        env=environ(),
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    export = f'exec "$0" -m harvester export --config harvester.toml --report report.json {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", export, sys.executable], cwd=tmp_path, env=environ(), timeout=60, check=False
    )
    # Nobody listens there; without its channel the export would wait, or name another reason.
    assert done.returncode == 1
    (gap,) = json.loads((tmp_path / "report.json").read_text())["sources"][0]["gaps"]
    assert "no connection" in gap["message"]


_INTERRUPTS = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == os.environ["AT_IMPORT_OF"] and os.environ.pop("IS_TO_COME", ""):
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "name", ["datetime", "_datetime", "msgspec._core", "uvloop.loop", "typer", "harvester.app"]
)
def test_interrupt_amid_an_import_is_an_interrupt(tmp_path: Path, name: str) -> None:
    """Also where a module written in C is being imported, which may take Ctrl-C for nothing and crash later."""
    (tmp_path / "sitecustomize.py").write_text(_INTERRUPTS)
    (tmp_path / "harvester.toml").write_text(CONFIG + 'base_url = "http://127.0.0.1:9"\n')
    places = os.pathsep.join([str(tmp_path), str(ROOT)])
    variables = {"PYTHONPATH": places, "AT_IMPORT_OF": name, "IS_TO_COME": "1", "SALES_TOKEN": "x"}
    done = harvest("export", cwd=tmp_path, **variables)
    # Where the interrupt came amid code made from text, Python ends itself by the signal: a shell says 130 then too.
    assert done.returncode in {130, -signal.SIGINT}
    assert done.stderr == ""
