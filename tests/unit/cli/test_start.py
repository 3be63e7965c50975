"""What is begun before the command line is read."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from harvester.cli import ahead, main, start
from harvester.transport import child
from harvester.transport.child import Begun


class Started(Begun):
    """A process that is none."""

    begun: int = 0
    ended: int = 0
    is_fork: bool = False

    def __init__(self, *, by_fork: bool = False) -> None:
        type(self).begun += 1
        type(self).is_fork = by_fork
        self.process = self  # type: ignore[assignment]

    def give_up(self) -> None:
        type(self).ended += 1

    def wait(self) -> int:
        return 0


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Started]]:
    kind = type("Here", (Started,), {})
    monkeypatch.setattr(child, "Begun", kind)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    yield kind
    ahead.drop()


@pytest.mark.parametrize(
    ("line", "begun"),
    [("export", 1), ("export -q", 1), ("export --help", 0), ("export -h", 0), ("plan", 0), ("", 0)],
)
def test_process_is_begun_for_an_export_alone(started: type[Started], line: str, begun: int) -> None:
    """Nothing else sends many requests; help sends none."""
    ahead.begin(line.split())
    assert started.begun == begun
    assert (ahead.take() is not None) == bool(begun)
    assert ahead.take() is None


@pytest.mark.parametrize(
    ("platform", "others", "is_fork"), [("linux", 0, 1), ("linux", 1, 0), ("darwin", 0, 0)]
)
def test_process_is_forked_where_that_is_safe(
    started: type[Started], monkeypatch: pytest.MonkeyPatch, platform: str, others: int, is_fork: int
) -> None:
    """Not beside a thread, which the fork would find half way, nor where the system forbids it."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "listdir", lambda _: ["1"] * (1 + others))
    ahead.begin(["export"])
    assert (started.begun, started.is_fork) == (1, bool(is_fork))


def test_process_is_not_forked_where_nobody_tells_of_threads(
    started: type[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be no `/proc`."""

    def absent(_: str) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "listdir", absent)
    ahead.begin(["export"])
    assert (started.begun, started.is_fork) == (1, False)


def test_process_is_not_begun_without_a_core_for_it(
    started: type[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one core it would only take this process's time."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    ahead.begin(["export"])
    assert started.begun == 0


def test_process_that_no_export_took_is_ended(
    started: type[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command line that is wrong leaves nothing behind."""
    monkeypatch.setattr(sys, "argv", ["harvester", "export", "--no-such-option"])
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 2
    assert (started.begun, started.ended) == (1, 1)


class Broken(ModuleType):
    """A module whose import ends with an error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("broken")
        self._error = error

    def __getattr__(self, name: str) -> object:
        if name == "main":
            raise self._error
        raise AttributeError(name)


def _of_a_class(cause: BaseException) -> RuntimeError:
    """Return what Python 3.11 makes of an error while a class learns the names of its attributes."""
    error = RuntimeError("Error calling __set_name__")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), _of_a_class(KeyboardInterrupt())])
def test_interrupt_amid_the_imports_is_an_interrupt(
    started: type[Started], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Ctrl-C that comes before the command line is read ends it as one that comes later does."""
    monkeypatch.setattr(sys, "argv", ["harvester", "export"])
    monkeypatch.setitem(sys.modules, "harvester.cli.main", Broken(error))
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == main.INTERRUPTED
    assert (started.begun, started.ended) == (1, 1)
    assert gc.isenabled()


def test_mistake_amid_the_imports_is_told(started: type[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Ctrl-C is one; and what was begun is ended all the same."""
    monkeypatch.setattr(sys, "argv", ["harvester", "export"])
    monkeypatch.setitem(sys.modules, "harvester.cli.main", Broken(_of_a_class(KeyError())))
    with pytest.raises(RuntimeError, match="__set_name__"):
        start.main()
    assert started.ended == 1


def test_interrupt_while_the_process_is_begun_is_an_interrupt(
    started: type[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left of what was not begun."""

    def interrupted(_: object, *, by_fork: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["harvester", "export"])
    monkeypatch.setattr(started, "__init__", interrupted)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == main.INTERRUPTED
    assert ahead.take() is None


def test_process_is_not_begun_where_there_is_no_way_to(
    started: type[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen program has no interpreter to start."""
    monkeypatch.setattr(sys, "executable", "")
    ahead.begin(["export"])
    assert started.begun == 0


def test_process_that_cannot_be_begun_is_left_to_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export tries it again, and says what it does without."""

    def refuse(*, by_fork: bool) -> Begun:
        raise OSError("no more processes")

    monkeypatch.setattr(child, "Begun", refuse)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    ahead.begin(["export"])
    assert ahead.take() is None
