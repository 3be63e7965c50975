"""One export, put together from the parts in `job`: sources to lanes, lanes to a run, a run to its report."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

from harvester.clock import Clock
from harvester.config import Config
from harvester.errors import OutputError
from harvester.fetch import Account, Fetcher
from harvester.job.choose import Wish, choose_jobs
from harvester.job.enrich import ALL_PLACES, PLACES, Enricher, Media
from harvester.job.ids import IdStore
from harvester.job.lane import Lane
from harvester.job.memory import GateMemory
from harvester.job.progress import Progress
from harvester.job.report import (
    Report,
    SourceProgress,
    SourceReport,
    overall,
    segment_reports,
    source_report,
    totals,
)
from harvester.job.run import Hook, Run, open_queue
from harvester.job.shape import Shaper
from harvester.job.window import Shared
from harvester.job.write import Desk, Files, Limits, Writer
from harvester.journal import FOLDER, Job, Journal, Store
from harvester.journal.runs import begin_run, end_run, was_killed
from harvester.model import Segment, SegmentKind
from harvester.providers import get_provider
from harvester.recordings import RecordingFetcher
from harvester.sinks import Sink, SinkFactory, open_sink, publish
from harvester.sinks.audio import Recordings
from harvester.transport.base import Opening, Transport
from harvester.transport.retry import RetryPolicy


class Means(msgspec.Struct, frozen=True):
    """What an export works with: all that outlives it, and is not said by its config."""

    transport: Transport
    fetcher: Fetcher
    policy: RetryPolicy
    clock: Clock
    memory: GateMemory
    limits: Limits
    hooks: Sequence[Hook]


class Export:
    """One export of a config's sources.

    Args:
        config: The sources and the output.
        accounts: How each source is asked.
        means: What it works with.
    """

    def __init__(self, config: Config, accounts: Sequence[Account], means: Means) -> None:
        self._config = config
        self._accounts = accounts
        self._transport = means.transport
        self._fetcher = means.fetcher
        self._policy = means.policy
        self._clock = means.clock
        self._memory = means.memory
        self._limits = means.limits
        self._hooks = means.hooks
        self._run: Run | None = None
        self._progress: Progress | None = None
        self._is_stopped = False
        self._is_to_files = False

    async def run(self, journal: Journal, *, sink: SinkFactory | None, is_fresh: bool) -> Report:
        """Export; see `Harvester.export`, with the journal of the output open."""
        root = self._config.output.path
        self._is_to_files = sink is None
        files = Files(root, journal, partial(publish, root) if sink is None else _publisher(sink))
        await files.recover()
        if sink is None and not is_fresh:
            await files.check([source.name for source in self._config.sources])
        return await self._export(journal, files, sink or file_sinks(self._config), is_fresh=is_fresh)

    def stop(self) -> None:
        """End it: what was fetched is written and committed, and `run` returns its report."""
        self._is_stopped = True
        if self._run is not None:
            self._run.stop()

    def progress(self) -> list[SourceProgress]:
        """Return how far each source is; empty before it has started."""
        return self._progress.look() if self._progress is not None else []

    async def _export(self, journal: Journal, files: Files, sink: SinkFactory, *, is_fresh: bool) -> Report:
        config, started_at, started = self._config, self._clock.now(), self._clock.monotonic()
        output = config.output
        wish = Wish(output.shape, output.format, output.raw)
        run_id = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        jobs = await choose_jobs(
            journal, files, config.sources, wish, is_fresh=is_fresh, run_id=run_id, now=started_at
        )
        await journal.run(begin_run, run_id, "export", started_at)
        await journal.run(Store.start_jobs, [job.id for job in jobs.values()], run_id)
        lanes = await self._carry_out(journal, files, jobs, sink, run_id)
        report = await self._report(journal, lanes, run_id, started_at, self._clock.monotonic() - started)
        await journal.run(end_run, run_id, report.outcome, report.finished_at)
        if report.outcome != "interrupted":
            await journal.run(Store.close_round)
        await anyio.to_thread.run_sync(_keep_report, output.path, report)
        return report

    async def _carry_out(
        self, journal: Journal, files: Files, jobs: Mapping[str, Job], sink: SinkFactory, run_id: str
    ) -> list[Lane]:
        """Run every source to its end; return the lanes, with what became of them."""
        sent, received = open_queue()
        with sent, received:
            shared = Shared(self._fetcher, journal, IdStore(journal), sent, self._clock)
            await self._memory.open(self._accounts, journal, was_killed=await journal.run(was_killed))
            media = self._media()
            lanes = [
                self._lane(account, jobs[account.source.name], shared, sink=sink, run_id=run_id, media=media)
                for account in self._accounts
            ]
            for lane in lanes:
                await lane.start()
            self._progress = Progress(lanes, self._clock)
            self._run = Run(
                lanes,
                fetcher=self._fetcher,
                writer=Writer(journal, run_id, files, self._limits),
                journal=journal,
                memory=self._memory,
                clock=self._clock,
                max_in_flight=self._config.concurrency,
                hooks=self._hooks,
            )
            if self._is_stopped:
                self._run.stop()
            if isinstance(self._transport, Opening):
                await self._transport.open()
            await self._run.carry_out(sent, received)
            await self._memory.save()
        return lanes

    def _media(self) -> Media | None:
        if not any(source.recordings for source in self._config.sources):
            return None
        recordings = RecordingFetcher(self._transport, self._clock, self._policy)
        return Media(recordings, Recordings(self._config.output.path), self._fetcher)

    def _lane(
        self,
        account: Account,
        job: Job,
        shared: Shared,
        *,
        sink: SinkFactory,
        run_id: str,
        media: Media | None,
    ) -> Lane:
        source, output = account.source, self._config.output
        desk = Desk(source.name, job.id, is_aside=job.state == "fresh", open_sink=sink)
        shaper = Shaper(
            source.name,
            account.provider,
            shape=output.shape,
            run_id=run_id,
            keep_raw=output.raw,
            lines=desk.lines is not None,
            blocks=self._is_to_files,
        )
        with_recordings = sum(source.recordings for source in self._config.sources)
        places = max(min(PLACES, ALL_PLACES // max(with_recordings, 1)), 1)
        enricher = Enricher(account, job.id, shaper, shared.journal, media, places=places)
        return Lane(account, job, desk, shaper=shaper, enricher=enricher, shared=shared)

    async def _report(
        self, journal: Journal, lanes: Sequence[Lane], run_id: str, started_at: datetime, elapsed_s: float
    ) -> Report:
        sources: list[SourceReport] = []
        segments: list[Segment] = []
        for lane in lanes:
            sources.append(await _source_report(journal, lane, run_id))
            segments += await journal.run(Store.current_segments, lane.account.source.name)
        assert self._run is not None
        total = totals(sources)
        total.damaged = sum(lane.damaged for lane in lanes)
        total.recordings = sum(lane.enricher.fetched for lane in lanes)
        total.bytes_in = sum(lane.account.bytes_in + lane.enricher.counts.bytes_in for lane in lanes)
        total.retries += sum(lane.enricher.counts.retries for lane in lanes)
        total.throttled += sum(lane.enricher.counts.throttled for lane in lanes)
        is_interrupted = any(source.outcome == "interrupted" for source in sources)
        return Report(
            run_id=run_id,
            command="export",
            outcome=overall(sources, is_interrupted=is_interrupted),
            started_at=started_at,
            finished_at=self._clock.now(),
            elapsed_s=elapsed_s,
            totals=total,
            sources=sources,
            segments=segment_reports(segments),
        )


def file_sinks(config: Config) -> SinkFactory:
    """Return what opens the sinks of a config's sources, for files in its output folder."""
    output, providers = config.output, {source.name: source.provider for source in config.sources}

    def open_one(name: str, kind: SegmentKind) -> Sink:
        return open_sink(
            output.path,
            name,
            format=output.format,
            shape=output.shape,
            compression=output.compression,
            columns=get_provider(providers[name]).columns,
            kind=kind,
        )

    return open_one


async def _source_report(journal: Journal, lane: Lane, run_id: str) -> SourceReport:
    account, outcome = lane.account, lane.outcome
    assert outcome is not None
    report = source_report(
        name=account.source.name,
        provider=account.source.provider,
        outcome=outcome,
        windows=sorted(lane.stored.values(), key=lambda stored: stored.window.agent_id or ""),
        agents=await journal.run(Store.agents, lane.job.id),
        gaps=lane.gaps,
    )
    report.written_now = lane.written_now
    report.requests, report.retries, report.throttled = account.requests, account.retries, account.throttled
    await journal.run(Store.end_job, lane.job.id, run_id, outcome, lane.gaps)
    return report


def _publisher(sink: SinkFactory) -> Callable[[Segment], Awaitable[None]]:
    async def publish_one(segment: Segment) -> None:
        await sink(segment.source, segment.kind).publish(segment)

    return publish_one


def _keep_report(root: Path, report: Report) -> None:
    folder = root / FOLDER / "runs" / report.run_id
    aside = folder / "report.json.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(report.to_json())
        aside.replace(folder / "report.json")
    except OSError as error:
        raise OutputError(
            f"the report cannot be kept at {error.filename or folder}: {error.strerror}; mend that, the calls are "
            "committed"
        ) from error
