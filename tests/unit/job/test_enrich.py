"""Details and recordings beside the lists: what is asked for, what is held back, and what is owed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from harvester.errors import ProviderError, TransportError
from harvester.fetch import Account, Fetcher
from harvester.job.dossier import Dossier
from harvester.job.enrich import Enricher, Media
from harvester.job.report import Report
from harvester.job.shape import Shaper
from harvester.job.window import OpenWindow
from harvester.journal import AnswerKey, Counts, Journal, NewDetail, StoredWindow
from harvester.model import Request, Response, Source, Window
from harvester.providers import get_provider
from harvester.recordings import RecordingFetcher
from harvester.sandbox.media import sound
from harvester.sinks.audio import Recordings
from harvester.testing import FakeClock, FakeTransport, Streamed, reply, streamed
from harvester.transport.base import Link, Target
from harvester.transport.gate import Gate
from harvester.transport.retry import RetryPolicy

from .apis import UNTIL, Api, Bench, source
from .servers import Call, calls, moment

Answer = Response | ProviderError
SOUND = sound("c", "mp3", 5_000)
LINK = "https://storage.test/c.mp3?signature=s3cret"
DOWN = reply({"message": "down"}, status=500)


class DetailedApi(Api):
    """An account whose calls have details, each with a link to a recording where the API has such.

    `details` says what to answer of a call instead, from how often it was asked for; None for the truth.
    """

    details: Callable[[str, int], Answer | None] = staticmethod(lambda _call_id, _count: None)
    linked: frozenset[str] = frozenset()

    def __call__(self, target: Target, request: Request) -> Answer:
        if request.endpoint != "get call":
            return super().__call__(target, request)
        self.asked.append(request)
        call_id = request.path.rpartition("/")[2]
        answer = self.details(call_id, sum(one.path == request.path for one in self.asked))
        return answer or self.detail(call_id)

    def detail(self, call_id: str) -> Response:
        agent, call = next(
            (agent, call) for agent, some in self.agents.items() for call in some if call.id == call_id
        )
        link = {"audio_file_url": LINK} if self.provider == "talkpilot" and call_id in self.linked else {}
        return reply({**self._row(agent, call), "full": True, **link})

    def _row(self, agent: str, call: Call | None) -> dict[str, Any]:
        row = super()._row(agent, call)
        is_linked = self.provider == "agentvoice" and call is not None and call.id in self.linked
        return {**row, "recording_url": LINK} if is_linked else row

    @property
    def detailed(self) -> list[str]:
        """The calls whose details were asked for."""
        return [one.path.rpartition("/")[2] for one in self.asked if one.endpoint == "get call"]


def wanting(provider: str = "bimpe", *, recordings: bool = False) -> Source:
    return msgspec.structs.replace(source(provider), details=("full",), recordings=recordings)


def bench(root: Path, api: Api, streams: Callable[[Link], Any] | None = None) -> Bench:
    opened = Bench(root, sales=api)
    opened.transport = FakeTransport(
        opened._answer,
        streams=streams or (lambda _link: streamed(SOUND, headers={"Content-Type": "audio/mpeg"})),
        clock=opened.clock,
    )
    return opened


def counts(report: Report) -> tuple[int, int, str]:
    return report.totals.written, report.totals.missing, report.outcome


def gaps(report: Report) -> list[tuple[str, str | None, bool]]:
    return [(gap.kind, gap.call_id, gap.final) for gap in report.sources[0].gaps]


def sounds_in(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in root.glob("recordings/sales/*/*")]


# Details.


@pytest.mark.parametrize(
    "answer",
    [
        reply({"error": {"code": "AGENT_NOT_ACCESSIBLE", "message": "not yours"}}, status=403),
        reply({"id": "another", "created_at": None}),
        reply(b"[1, 2]"),
        reply({"data": None}),
        TransportError("the connection broke off"),
        DOWN,
    ],
    ids=["denied", "another", "list", "empty", "reset", "500"],
)
async def test_detail_that_cannot_be_had_is_owed(tmp_path: Path, answer: Answer) -> None:
    """Whatever comes instead of the call: its row is held back and named, and written once it comes."""
    api = DetailedApi("talkpilot", {"a": calls(5)})
    b = bench(tmp_path, api)
    api.details = lambda call_id, _count: answer if call_id == "c2" else None
    first = await b.export(wanting("talkpilot"))
    assert (counts(first), gaps(first)) == ((4, 1, "gaps"), [("detail", "c2", False)])
    assert sorted(b.ids()) == ["c0", "c1", "c3", "c4"]
    api.details, api.asked = (lambda _call_id, _count: None), []
    again = await b.export(wanting("talkpilot"))
    assert (counts(again), gaps(again)) == ((5, 0, "complete"), [])
    assert api.detailed == ["c2"] == [one.path.rpartition("/")[2] for one in api.asked]
    assert sorted(b.ids()) == ["c0", "c1", "c2", "c3", "c4"]


@pytest.mark.parametrize("status", [404, 410])
async def test_call_that_is_gone_leaves_the_row_of_the_list(tmp_path: Path, status: int) -> None:
    """It is a final gap in the run that finds it, and asked for no more."""
    api = DetailedApi("talkpilot", {"a": calls(3)})
    api.details = lambda call_id, _count: reply({}, status=status) if call_id == "c1" else None
    b = bench(tmp_path, api)
    first = await b.export(wanting("talkpilot"))
    assert (counts(first), gaps(first)) == ((3, 0, "gaps"), [("detail", "c1", True)])
    assert {one.call_id for one in b.output.records("sales") if one.raw_list is None} == {"c1"}
    assert counts(await b.export(wanting("talkpilot"))) == (3, 0, "complete")
    assert sorted(api.detailed) == ["c0", "c1", "c2"]


async def test_key_that_is_refused_ends_the_source(tmp_path: Path) -> None:
    """A 401 to a detail is about the key; the next run goes on, and asks for no detail it had."""
    api = DetailedApi("bimpe", {"a": calls(6)})
    api.details = lambda _call_id, _count: reply({}, status=401) if len(api.detailed) > 3 else None
    b = bench(tmp_path, api)
    first = await b.export(wanting(), concurrency=1)
    assert (first.sources[0].outcome, gaps(first)[0][0]) == ("failed", "source")
    had = api.detailed[:3]
    api.details = lambda _call_id, _count: None
    assert counts(await b.export(wanting())) == (6, 0, "complete")
    assert all(api.detailed.count(call_id) == 1 for call_id in had)


async def test_lone_surrogate_in_a_detail_stays(tmp_path: Path) -> None:
    """Half a character makes the decoder refuse the detail, and is the affair of its own field alone."""
    body = b'{"id": "c0", "created_on": "2026-03-01T00:00:00Z", "end_reason": "half \\ud83d", "new": 1}'
    api = DetailedApi("bimpe", {"a": calls(1)})
    api.details = lambda _call_id, _count: reply(body)
    b = bench(tmp_path, api)
    report = await b.export(wanting())
    (record,), (line,) = b.output.records("sales"), b.output.quarantined("sales")
    assert (record.raw, record.end_reason) == (body.decode(), None)
    assert (line.endpoint, line.field, line.call_id, line.raw) == (
        "get call",
        "end_reason",
        "c0",
        body.decode(),
    )
    assert (counts(report), report.totals.damaged) == ((1, 0, "complete"), 1)


# Recordings.


async def test_slow_storage_holds_back_its_own_page_alone(tmp_path: Path) -> None:
    """Pages without recordings are written while a recording of an earlier one does not come."""
    api = DetailedApi("agentvoice", {"a": calls(250)})
    api.linked = frozenset({"c0"})
    b = bench(tmp_path, api, lambda _link: streamed(SOUND[:1000], 500.0, SOUND[1000:]))
    report = await b.export(wanting("agentvoice", recordings=True))
    assert counts(report) == (250, 0, "complete")
    assert b.ids() == [f"c{n}" for n in (*range(100, 250), *range(100))]
    assert [one.call_id for one in b.output.records("sales") if one.recording_path] == ["c0"]
    assert sounds_in(tmp_path) == [SOUND]


async def test_storage_is_told_nothing_but_the_link(tmp_path: Path) -> None:
    """No header of ours goes along, and the link may lead only where the provider's own address allows."""
    api = DetailedApi("talkpilot", {"a": calls(2)})
    api.linked = frozenset({"c0"})
    b = bench(tmp_path, api)
    await b.export(wanting("talkpilot", recordings=True))
    assert [(one.url, one.trusted, dict(one.headers)) for one in b.transport.links] == [
        (LINK, "https://sales.test", {})
    ]


async def test_row_is_held_back_for_its_detail_and_not_for_its_recording(tmp_path: Path) -> None:
    """A detail that was owed is written when it comes, and what is owed then is its recording alone."""
    api = DetailedApi("talkpilot", {"a": calls(3)})
    api.linked = frozenset({"c1"})
    flows: dict[bool, Streamed] = {False: streamed(status=500), True: streamed(SOUND)}
    is_up = [False]
    b = bench(tmp_path, api, lambda _link: flows[is_up[0]])
    wanted = wanting("talkpilot", recordings=True)
    api.details = lambda call_id, _count: DOWN if call_id == "c1" else None
    told = [await b.export(wanted)]
    api.details = lambda _call_id, _count: None
    told.append(await b.export(wanted))
    is_up[0] = True
    told += [await b.export(wanted), await b.export(wanted)]
    assert [counts(one) for one in told] == [
        (2, 1, "gaps"),
        (3, 0, "gaps"),
        (3, 0, "complete"),
        (3, 0, "complete"),
    ]
    assert [gaps(one) for one in told[:2]] == [[("detail", "c1", False)], [("recording", "c1", False)]]
    assert sorted(b.ids()) == ["c0", "c1", "c2"]
    assert sounds_in(tmp_path) == [SOUND]


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        (404, True),
        (500, False),
    ],
)
async def test_detail_that_is_lost_while_a_recording_is_owed(
    tmp_path: Path, status: int, is_final: bool
) -> None:
    """Its row is written, so what is missing still is the recording; gone for good where the call is."""
    api = DetailedApi("talkpilot", {"a": calls(3)})
    api.linked = frozenset({"c1"})
    b = bench(tmp_path, api, lambda _link: streamed(status=500))
    wanted = wanting("talkpilot", recordings=True)
    assert gaps(await b.export(wanted)) == [("recording", "c1", False)]
    api.details = lambda call_id, count: reply({}, status=status) if call_id == "c1" and count > 1 else None
    again = await b.export(wanted)
    assert gaps(again) == [("recording", "c1", is_final)]
    assert (again.totals.written, again.totals.missing) == (3, 0)
    assert sorted(b.ids()) == ["c0", "c1", "c2"]


# What an earlier run left.


def change(root: Path, statement: str) -> int:
    """Change the journal as a run that was killed in between might have left it."""
    with closing(sqlite3.connect(root / "_harvester/journal.db", isolation_level=None)) as db:
        return db.execute(statement).rowcount


async def owe_one(root: Path) -> tuple[Bench, DetailedApi]:
    api = DetailedApi("bimpe", {"a": calls(4)})
    api.details = lambda call_id, _count: DOWN if call_id == "c2" else None
    b = bench(root, api)
    assert gaps(await b.export(wanting())) == [("detail", "c2", False)]
    api.details, api.asked = (lambda _call_id, _count: None), []
    return b, api


async def test_window_ends_though_all_it_was_owed_is_there(tmp_path: Path) -> None:
    """Killed after the row came to a segment and before the window ended, nothing is asked and all is counted."""
    b, api = await owe_one(tmp_path)
    assert change(tmp_path, "UPDATE answer SET file = NULL WHERE pass = 0") == 1
    assert counts(await b.export(wanting())) == (4, 0, "complete")
    assert api.asked == []


async def test_detail_that_was_had_before_a_kill_is_not_asked_for(tmp_path: Path) -> None:
    """Killed after the answer was kept and before its row came to a segment: the row is written from the journal."""
    b, api = await owe_one(tmp_path)
    journal = await Journal.open(tmp_path, holder="test")
    window_id = 1
    await journal.keep(NewDetail(1, window_id, "c2", UNTIL, api.detail("c2").body))
    await journal.aclose()
    assert counts(await b.export(wanting())) == (4, 0, "complete")
    assert api.asked == []
    assert sorted(b.ids()) == ["c0", "c1", "c2", "c3"]


async def test_row_that_the_journal_has_lost_stays_a_gap(tmp_path: Path) -> None:
    """Where the disk has damaged what was kept, the call is named until the source is exported again."""
    b, _ = await owe_one(tmp_path)
    change(tmp_path, "UPDATE answer SET offset = 1000000 WHERE pass = 0")
    report = await b.export(wanting())
    assert (counts(report), gaps(report)) == ((3, 1, "gaps"), [("detail", "c2", False)])
    assert "--fresh" in report.sources[0].gaps[0].message


# Places.


async def opened(root: Path, *, places: int) -> tuple[Enricher, Journal, Callable[[int], Dossier]]:
    """An enricher of TalkPilot's calls, and what makes dossiers of one row."""
    journal, provider = await Journal.open(root, holder="test"), get_provider("talkpilot")
    wanted = wanting("talkpilot", recordings=True)
    account = Account(wanted, provider, Gate(FakeClock(), ()))
    transport = FakeTransport()
    fetcher = Fetcher(transport, FakeClock(), RetryPolicy())
    shaper = Shaper("sales", provider, shape="unified", run_id="r", keep_raw=True)
    media = Media(RecordingFetcher(transport, FakeClock()), Recordings(root), fetcher)
    enricher = Enricher(account, 1, shaper, journal, media, places=places)
    window = cast("OpenWindow", _Opened(StoredWindow(1, Window("a", None, UNTIL), "open", Counts(), [])))

    def dossier(number: int) -> Dossier:
        page = shaper.read_row(msgspec.json.encode({"id": f"c{number}", "created_at": moment(number)}))
        return Dossier(window, AnswerKey(1, 1, number, 100), page, [0], UNTIL)

    return enricher, journal, dossier


class _Opened(msgspec.Struct):
    stored: StoredWindow


def detail_of(number: int) -> bytes:
    return msgspec.json.encode({"id": f"c{number}", "audio_file_url": LINK})


async def test_recording_with_a_place_waits_for_none_without(tmp_path: Path) -> None:
    """One that has its place goes before those of an earlier run that wait for one: else none would ever go on."""
    enricher, journal, dossier = await opened(tmp_path, places=1)
    await enricher.take(dossier(0), is_resumed=False)
    task = enricher.next_detail()
    assert task is not None
    await journal.keep(NewDetail(1, 1, "c1", UNTIL, detail_of(1)))
    await journal.flush()
    await enricher.take(dossier(1), is_resumed=True)
    assert enricher.next_recording() is None
    assert await enricher.receive(task, detail_of(0), UNTIL) is None
    jobs = [enricher.next_recording(), enricher.next_recording()]
    assert [job and job.task.call_id for job in jobs] == ["c0", None]
    assert jobs[0] is not None
    assert enricher.recorded(jobs[0], TransportError("broke off")) is not None
    after = enricher.next_recording()
    assert after is not None
    assert after.task.call_id == "c1"
    await journal.aclose()


async def test_detail_is_asked_for_only_with_a_place_for_its_recording(tmp_path: Path) -> None:
    """So no link waits in a queue; a place comes back with a detail that links none, or is lost."""
    enricher, journal, dossier = await opened(tmp_path, places=2)
    for number in range(4):
        await enricher.take(dossier(number), is_resumed=False)
    first, second = enricher.next_detail(), enricher.next_detail()
    assert first is not None
    assert second is not None
    assert enricher.next_detail() is None
    assert await enricher.receive(first, b'{"id": "c0"}', UNTIL) is not None
    assert enricher.next_detail() is not None
    assert enricher.next_detail() is None
    assert await enricher.lose(second, TransportError("broke off"), UNTIL) is not None
    assert enricher.next_detail() is not None
    assert enricher.waiting == 0
    await journal.aclose()
