"""The sandbox as a process: it says where it is, serves, and ends on a signal."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

COMMAND = [sys.executable, "-m", "harvester.sandbox"]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_process_serves_until_a_signal(sent: signal.Signals) -> None:
    """One line of JSON, then answers, then exit code 0."""
    config = json.dumps({"calls": 10, "providers": {"bimpe": {"calls": 3, "limits": {"rates": ["9/s"]}}}})
    with subprocess.Popen(
        [*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(config)
        process.stdin.close()
        said = json.loads(process.stdout.readline())
        assert said["url"] == f"http://127.0.0.1:{said['port']}"
        with urllib.request.urlopen(f"{said['url']}/talkpilot/v1/health") as answer:
            assert json.load(answer) == {"status": "ok"}
        process.send_signal(sent)
        assert process.wait(10) == 0


@pytest.mark.slow
def test_process_refuses_a_wrong_config() -> None:
    """A config with an unknown key is exit code 2 and a message."""
    done = subprocess.run(
        [*COMMAND, '{"colour": 1}'], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 2
    assert "colour" in done.stderr
