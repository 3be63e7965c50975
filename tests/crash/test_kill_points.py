"""Killed at a step and started again: the same command makes what an undisturbed run makes, and asks little twice.

The steps are those that an undisturbed run passes, found anew each time: between an answer and the journal, the journal
and a segment, a segment and its rename, and in the middle of whatever is written, a Parquet footer too.
"""

from __future__ import annotations

import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.exporting import document, four, source, write_config

from .crashing import (
    Content,
    Nursery,
    Server,
    assert_exact,
    assert_true,
    assert_whole_so_far,
    content_of,
    copy,
    kills_of,
    steps_of,
)

IN_FLIGHT = 4
RECORDINGS = 16
"""Recordings on their way, of two sources, and the links of theirs that are asked for again."""

SEGMENT_ROWS = 120
MOMENTS = ("first", "middle", "last")

Layout = tuple[str, str, str]
LAYOUTS: Sequence[Layout] = [
    ("parquet", "zstd", "unified"),
    ("ndjson", "none", "native"),
    ("ndjson", "gzip", "unified"),
    ("ndjson", "zstd", "native"),
    ("parquet", "snappy", "native"),
    ("ndjson", "none", "unified"),
    ("ndjson", "gzip", "native"),
    ("ndjson", "zstd", "unified"),
]


class Course:
    """An export from some state of its folder on, known by what it does when nothing disturbs it.

    Args:
        nursery: Where exports are forked.
        server: What they ask.
        folder: Where the state, the undisturbed run and the killed ones are.
        layout: The format of the output, its compression and its shape.
        is_fresh: The command is `export --fresh`.
        is_rich: Details and recordings are asked for, where there are any.
    """

    def __init__(
        self,
        nursery: Nursery,
        server: Server,
        folder: Path,
        layout: Layout,
        *,
        is_fresh: bool = False,
        is_rich: bool = False,
    ) -> None:
        self._nursery = nursery
        self._server = server
        self._folder = folder
        self._is_fresh = is_fresh
        self._in_flight = IN_FLIGHT + (RECORDINGS if is_rich else 0)
        self._path = folder / "run"
        self._begun = folder / "begun"
        output = dict(zip(("format", "compression", "shape"), layout, strict=True))
        sources = _rich_sources(server) if is_rich else four(server.url)
        config = document(sources, output=output, run={"concurrency": IN_FLIGHT})
        write_config(self._path, config)
        copy(self._path, self._begun)

    def begin(self, *, code: int, **order: object) -> None:
        """Bring the folder into the state from which the killed runs start, one run at a time."""
        assert self._run(**order) == code
        copy(self._path, self._begun)

    def watch(self) -> Counter[str]:
        """Return the steps of an undisturbed run, which is what the killed ones are compared with."""
        self._restart()
        assert self._run(is_watched=True, is_fresh=self._is_fresh) == 0
        assert_true(self._path, self._server)
        self._undisturbed: Content = content_of(self._path)
        assert_exact(self._path, self._undisturbed)
        return steps_of(self._path)

    def kill(self, step: str, nth: int) -> bool:
        """Kill a run at a step for the n-th time, look at what it left, and go on; False where it did not come by."""
        self._restart()
        kept_before = _kept_in(self._path)[0]
        if not self._run_to(step, nth):
            assert_exact(self._path, self._undisturbed)
            return False
        killed_at = time.monotonic()
        assert_whole_so_far(self._path, is_exchanging=self._is_fresh)
        asked, kept, is_over = self._server.requests(), *_kept_in(self._path)
        assert self._run(is_fresh=self._is_fresh) == 0
        if not (is_over and self._is_fresh):  # which begins another round
            (kill,) = kills_of([asked, self._server.requests()], [killed_at], in_flight=self._in_flight)
            assert kill.repeated <= kill.allowed
            assert kill.repeated <= len(asked) - (kept - kept_before), (
                "an answer that is kept was asked for again"
            )
        assert_exact(self._path, self._undisturbed)
        return True

    def _run_to(self, step: str, nth: int) -> bool:
        """Run until killed at a step, and if it is not passed as often this time, at an earlier time; say whether."""
        while self._run(is_watched=True, is_fresh=self._is_fresh, step=step, nth=nth) != -signal.SIGKILL:
            if nth == 1:
                return False
            nth //= 2
            self._restart()
        return True

    def _restart(self) -> None:
        copy(self._begun, self._path)
        self._server.requests()

    def _run(self, **order: object) -> int:
        return self._nursery.run(self._path, segment_rows=SEGMENT_ROWS, **order)


def _kept_in(folder: Path) -> tuple[int, bool]:
    """Return how many answers the journal of a killed run holds, and whether the run had come to its end before."""
    path = folder / "out/_harvester/journal.db"
    if not path.exists():
        return 0, False
    # Only looked at: to recover what is there is for the next run to do.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return 0, False
        (kept,) = db.execute(
            "SELECT (SELECT count(*) FROM answer) + (SELECT count(*) FROM detail)"
            " + (SELECT count(*) FROM recording WHERE is_published)"
        ).fetchone()
        (left,) = db.execute("SELECT count(*) FROM run WHERE outcome IS NULL").fetchone()
        (rounds,) = db.execute("SELECT count(*) FROM meta WHERE key = 'round'").fetchone()
    return kept, not left and not rounds


def _nth(count: int, moment: str) -> int:
    return {"first": 1, "middle": (count + 1) // 2, "last": count}[moment]


def _kill_at(course: Course, steps: Counter[str], chosen: Sequence[str], *, turn: int = 0) -> None:
    """Kill at each of the steps once, at its first, middle or last time by turns.

    A few steps are passed only where time has it so, as when a segment ends with the last answer of a source.
    """
    missed: list[str] = []
    for number, step in enumerate(chosen, turn):
        nth = _nth(steps[step], MOMENTS[number % len(MOMENTS)])
        try:
            if not course.kill(step, nth):
                missed.append(step)
        except AssertionError as error:
            raise AssertionError(f"killed {step}, time {nth} of {steps[step]}: {error}") from error
    assert len(missed) <= len(chosen) // 10, missed


def _some(steps: Counter[str], count: int) -> list[str]:
    """Return so many steps, spread evenly over a run."""
    names = list(steps)
    return [names[number * len(names) // count] for number in range(count)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Four accounts with more than one page, a value here and there that does not fit, and calls without a moment."""
    with Server(calls=300, agents=2, quirks={"wrong_types": 50, "null_created": 60}) as process:
        yield process


@pytest.fixture(scope="module")
def rich_server() -> Iterator[Server]:
    """Four accounts whose calls have details and recordings."""
    with Server(calls=60, agents=2, media={"size_bytes": 3_000}) as process:
        yield process


def _rich_sources(server: Server) -> list[dict[str, object]]:
    wanted: dict[str, dict[str, Any]] = {
        "talkover": {},
        "agentvoice": {"details": True, "recordings": True},
        "talkpilot": {"details": True, "recordings": True},
        "bimpe": {"details": True},
    }
    return [source(name, server.url, **keys) for name, keys in wanted.items()]


def _new(nursery: Nursery, server: Server, folder: Path, layout: Layout) -> Course:
    return Course(nursery, server, folder, layout)


def _resumed(nursery: Nursery, server: Server, folder: Path, layout: Layout) -> Course:
    """Segments end in the middle of windows, answers wait in the journal, a segment is entered and not in place."""
    course = Course(nursery, server, folder, layout)
    course.begin(code=130, stop_after=8)
    course.begin(code=-9, is_watched=True, step="before INSERT segment", nth=2)
    course.begin(code=-9, is_watched=True, step="before replace _harvester/aside", nth=2)
    return course


def _fresh(nursery: Nursery, server: Server, folder: Path, layout: Layout) -> Course:
    """All is there, and is exported again to take the place of what is."""
    course = Course(nursery, server, folder, layout, is_fresh=True)
    course.begin(code=0)
    return course


@pytest.mark.parametrize(
    ("begin", "layout"),
    [(_new, LAYOUTS[0]), (_resumed, LAYOUTS[1]), (_fresh, LAYOUTS[3])],
    ids=["new", "resumed", "fresh"],
)
def test_export_killed_at_some_steps_goes_on_exactly(
    nursery: Nursery, server: Server, tmp_path: Path, begin: Callable[..., Course], layout: Layout
) -> None:
    """A few steps from the first to the last of a run: nothing is lost or doubled, and little is asked again."""
    course = begin(nursery, server, tmp_path, layout)
    steps = course.watch()
    _kill_at(course, steps, _some(steps, 6))


EVERY = [
    # All layouts from the start; where there is something before, one of Parquet and one of lines.
    pytest.param(begin, layout, id="-".join([begin.__name__[1:], *layout]))
    for begin in (_new, _resumed, _fresh)
    for layout in (LAYOUTS if begin is _new else LAYOUTS[:2])
]


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "layout"), EVERY)
def test_export_killed_at_every_step_goes_on_exactly(
    nursery: Nursery, server: Server, tmp_path: Path, begin: Callable[..., Course], layout: Layout
) -> None:
    """The same at every step there is, at its first, middle or last time by turns of the layouts."""
    course = begin(nursery, server, tmp_path, layout)
    steps = course.watch()
    _kill_at(course, steps, list(steps), turn=LAYOUTS.index(layout))


@pytest.mark.parametrize(
    ("layout", "count"),
    [
        (LAYOUTS[1], 4),
        pytest.param(LAYOUTS[0], 0, marks=pytest.mark.slow),
        pytest.param(LAYOUTS[3], 0, marks=pytest.mark.slow),
    ],
)
def test_details_and_recordings_killed_at_a_step_go_on_exactly(
    nursery: Nursery, rich_server: Server, tmp_path: Path, layout: Layout, count: int
) -> None:
    """Whatever is cut short between a detail, its recording and their row, nothing is lost, doubled or left over."""
    course = Course(nursery, rich_server, tmp_path, layout, is_rich=True)
    steps = course.watch()
    assert {"before journal.enter_recording", "after journal.published_recordings"} <= steps.keys()
    _kill_at(course, steps, _some(steps, count) if count else list(steps))
