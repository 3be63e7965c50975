"""The servers that are asked, each a process of its own on a free loopback port.

nginx with static pages, the same pages with a delay (`delayed`), and the sandbox, which has limits. Each is stopped by
its own process, whatever ends the benchmark.
"""

from __future__ import annotations

import json
import resource
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .measure import ROOT
from .pages import PAGINGS, Paging

START_S = 30.0
_FILES = 60_000
_OTHER_FILES = 1_000

# One process, so that its id is the one we stop. An answer is a file that is already open and in memory, so that what
# is measured is who asks. Arguments a real server would act on, such as the days, are taken and ignored; harvester
# finds that out, and reads as one what it would cut in time.
_CONFIG = """\
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ }}
  default_type application/json;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 10000000;
  keepalive_timeout 300s;
  open_file_cache max={cached} inactive=1h;
  open_file_cache_valid 1h;
  gzip_static {packing};
  server {{
    listen 127.0.0.1:{port};
    root {pages};
{calls}
    {agents}
  }}
}}
"""


def find_nginx() -> str | None:
    """Return where nginx is; None where it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


@contextmanager
def open_nginx(pages: Path, folder: Path, provider: str, *, is_packed: bool = False) -> Iterator[str]:
    """Serve a folder of pages as one account; gives its base URL.

    Args:
        pages: The pages.
        folder: Where nginx keeps its own files; made here.
        provider: Whose pages.
        is_packed: Answers are gzip, and who does not ask for that is refused.

    Raises:
        RuntimeError: It did not start; what it said is on stderr.
    """
    program = find_nginx()
    if program is None:
        raise RuntimeError("nginx is not installed")
    folder.mkdir()
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(_config(PAGINGS[provider], pages, folder, port, is_packed=is_packed))
    command = [program, "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with _stopped(subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)) as process:
        _await(process, port)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def open_delayed(pages: Path, provider: str, delay_s: float) -> Iterator[str]:
    """Serve a folder of pages as one account, each answer after a delay; gives its base URL.

    Raises:
        RuntimeError: It did not start; what it said is on stderr.
    """
    with _open_python("benchmarks.delayed", str(pages), provider, str(delay_s)) as url:
        yield url


@contextmanager
def open_sandbox(config: Mapping[str, Any]) -> Iterator[str]:
    """Serve made-up accounts; gives the URL the providers' names are added to.

    Raises:
        RuntimeError: It did not start; what it said is on stderr.
    """
    with _open_python("harvester.sandbox", json.dumps(config)) as url:
        yield url


def _config(paging: Paging, pages: Path, folder: Path, port: int, *, is_packed: bool) -> str:
    refusals = [f"      if ($arg_{name} != {value}) {{ return 422; }}" for name, value in paging.further]
    if is_packed:
        refusals.append("      if ($http_accept_encoding !~ gzip) { return 406; }")
    answer = [*refusals, f"      try_files /$arg_{paging.size}/$arg_{paging.parameter}.json =404;"]
    lists = [f"= {paging.calls}"] + ([f"~ {paging.of_agent}"] if paging.of_agent else [])
    # Each page that is held open takes a descriptor; where there are none left nginx answers 404.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    return _CONFIG.format(
        files=files,
        cached=files - _OTHER_FILES,
        folder=folder,
        port=port,
        pages=pages,
        calls="\n".join(["\n".join([f"    location {path} {{", *answer, "    }"]) for path in lists]),
        packing="on" if is_packed else "off",
        agents=f"location = {paging.agents} {{ try_files /agents.json =404; }}" if paging.agents else "",
    )


@contextmanager
def _open_python(module: str, *arguments: str) -> Iterator[str]:
    """Run a server of ours, which says its URL in a line of JSON when it is there."""
    command: Sequence[str] = [sys.executable, "-m", module, *arguments]
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, process_group=0
    )
    with _stopped(child) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start")
        yield json.loads(line)["url"]


@contextmanager
def _stopped(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """Stop a server when the block is left; its own group keeps Ctrl-C from it until then."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(START_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(process: subprocess.Popen[Any], port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/agents.json", timeout=START_S):
                return
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"the server answers {error.code}") from error
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {error}") from error
        time.sleep(0.02)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
