"""One recording: its link, followed until the file is there, or until it is certain that it will not be.

A link is no request to the API: it carries no credential and is paced for itself, by a gate for each host. What breaks
off goes on where it was, if the storage shows that the file is still the same; else it is fetched anew. A link that is
refused is renewed once.
"""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import anyio
import msgspec

from harvester.clock import Clock
from harvester.errors import (
    MalformedError,
    ProviderError,
    RateLimitError,
    RecordingError,
    RejectedError,
    ServerError,
    TransportError,
)
from harvester.sinks.audio import Recording, Resume, Take
from harvester.sinks.sounds import HEAD_BYTES, read_page
from harvester.transport.base import Link, Stream, Transport
from harvester.transport.gate import Gate
from harvester.transport.hints import NOTHING, read_hint, retry_after_s
from harvester.transport.retry import Budget, RetryPolicy

REFUSED = frozenset({401, 403, 404, 410})
"""What a storage says of a link that has expired or leads nowhere. Source: `FACTS`, "TalkPilot"."""

BROKEN_AFTER = 16
"""Recordings in a row that could not be had of a storage; the others there are left for another run."""

MAX_REFUSALS = 4
"""How often a recording is asked for whose storage says nothing but "later": its gate waits longer each time."""

ADVANCE_BYTES = 1024**2
"""An attempt that brought so much more than all before it begins the count of attempts anew."""

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Renew = Callable[[], Awaitable[str | None]]
"""Asks the provider for the call's link once more; None where it has none any longer."""


class Counts(msgspec.Struct):
    """What fetching recordings came to, in requests to storages; `renewed` links are the API's requests."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    renewed: int = 0
    bytes_in: int = 0


class _Host:
    """A storage: who may ask it when, what may still be spent on asking again, and whether it is there at all."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.budget = Budget()
        self.given_up = 0
        self.turn: anyio.Lock = anyio.Lock()


class RecordingFetcher:
    """Fetches recordings, for any number of sources.

    Args:
        transport: What moves the bytes.
        clock: The time that waits go by.
        policy: How often and how long to try.
        gate_for: The gate of a host (with its port); None for one each that finds the limit itself.
        dice: Gives numbers from 0 to 1, for jitter.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        *,
        gate_for: Callable[[str], Gate] | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._policy = msgspec.structs.replace(policy, max_refusals=min(policy.max_refusals, MAX_REFUSALS))
        self._gate_for = gate_for or (lambda _host: Gate(clock, None))
        self._dice = dice
        self._hosts: dict[str, _Host] = {}

    async def fetch(
        self, link: str, *, into: Take, renew: Renew, trusted: str, counts: Counts | None = None
    ) -> Recording:
        """Fetch one recording and seal it.

        Args:
            link: As the provider gave it.
            into: The call's open take.
            renew: Called at most once, when the link is refused.
            trusted: The source's own address: only where that is local may the link be.
            counts: Counted into.

        Returns:
            The sealed file: enter it in the journal, then publish it.

        Raises:
            RecordingError: It could not be had; `is_final` where the storage no longer has it.
            ProviderError: `renew` raised it.
            OutputError: The file cannot be written.
        """
        counts = counts or Counts()
        attempt, furthest, is_renewed = 1, into.size, False
        while True:
            asked = Link(link, trusted=trusted)
            host = self._host(asked)
            if host.given_up >= BROKEN_AFTER:
                raise RecordingError("its storage does not answer; it is asked again by the next export")
            try:
                recording = await self._attempt(asked, into, counts)
            except ProviderError as raised:
                error = raised
            else:
                host.given_up = 0
                return recording
            if error.status in REFUSED:
                host.given_up = 0  # it answers
                if is_renewed:
                    raise _gone(error)
                counts.renewed += 1
                link, is_renewed = await _renewed(renew, error), True
                continue
            if into.size >= furthest + ADVANCE_BYTES:
                attempt, furthest = 1, into.size
            delay_s = self._policy.delay_s(attempt, error, self._host(asked).budget, self._dice)
            if delay_s is None:
                host.given_up += 1
                raise _given_up(error, attempt) from error
            attempt += 1
            counts.retries += 1
            await self._clock.sleep(delay_s)

    def _host(self, link: Link) -> _Host:
        host = link.host
        if host not in self._hosts:
            self._hosts[host] = _Host(self._gate_for(host))
        return self._hosts[host]

    async def _attempt(self, link: Link, into: Take, counts: Counts) -> Recording:
        resume = into.resume
        if resume is not None and resume.bytes == resume.total:
            return await into.seal()
        host = self._host(link)
        async with host.turn:  # in the order they came: a link that is overtaken may die while it waits
            while (wait_s := host.gate.wait_s()) > 0:
                await self._clock.sleep(wait_s)
            await host.gate.spend()
        sent, hint, error, is_lost = host.gate.sent(), NOTHING, None, True
        counts.requests += 1
        link = msgspec.structs.replace(link, headers=_asking(resume))
        try:
            async with self._transport.stream(link) as stream:
                hint = read_hint(stream.headers, self._clock.now())
                await _receive(stream, resume, into, counts, self._clock.now())
            is_lost = False
            host.budget.earn()
        except TransportError:
            raise
        except ProviderError as raised:
            error, is_lost = raised, False
            counts.throttled += isinstance(error, RateLimitError)
            raise
        finally:
            host.gate.settle(sent, hint=hint, error=error, is_lost=is_lost)
        return await into.seal()


def _asking(resume: Resume | None) -> Mapping[str, str]:
    """Return the headers that ask for the rest, if it is still the same file. Source: RFC 9110, 13.1.5 and 14.2."""
    if resume is None:
        return {}
    return {"Range": f"bytes={resume.bytes}-", "If-Range": resume.validator}


async def _receive(stream: Stream, resume: Resume | None, into: Take, counts: Counts, now: datetime) -> None:
    """Read an answer to its end.

    1. 200 is the whole file: it begins anew, whatever was asked for.
    2. 206 is the rest, if it says so itself; any other range is an answer to nobody's question.
    3. 416 says that what is there is not what the storage has: it begins anew the next time.
    4. Anything else is no recording.
    """
    if stream.status in {200, 203}:
        await into.begin(
            content_type=stream.headers.get("Content-Type", ""),
            total=_length(stream.headers),
            validator=_validator(stream.headers),
        )
    elif stream.status in {206, 416}:
        if stream.status == 416 or not _is_the_rest(stream.headers, resume):
            await into.begin()
            raise TransportError("the storage has another version of the recording by now")
    else:
        raise await _refusal(stream, now)
    try:
        async for chunk in stream.chunks():
            counts.bytes_in += len(chunk)
            await into.write(chunk)
        into.check()
    except MalformedError as error:
        if error.status is None:
            raise
        raise _error(error.status, error.message, stream.headers, now) from error


def _length(headers: Mapping[str, str]) -> int | None:
    """Return the size of the file; what was packed on the way has another than the header says."""
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and not _is_packed(headers) else None


def _validator(headers: Mapping[str, str]) -> str:
    if _is_packed(headers):
        return ""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _is_packed(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Encoding", "identity") != "identity"


def _is_the_rest(headers: Mapping[str, str], resume: Resume | None) -> bool:
    found = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None or resume is None or _is_packed(headers):
        return False
    first, last, total = int(found[1]), int(found[2]), found[3]
    size = last + 1 if total == "*" else int(total)
    is_end = first == resume.bytes and last + 1 == size and resume.total in {None, size}
    return is_end and _validator(headers) in {"", resume.validator}


async def _refusal(stream: Stream, now: datetime) -> ProviderError:
    """Return the error of an answer that is no success; storages say 400 of a link that has expired, too."""
    status = stream.status
    if status == 400:
        page = b""
        async for chunk in stream.chunks():
            page += chunk
            if len(page) >= HEAD_BYTES:
                break
        meant = read_page(page[:HEAD_BYTES])[1]
        status = meant if meant in REFUSED else status
    return _error(status, f"the storage refused the recording ({stream.status})", stream.headers, now)


def _error(status: int, message: str, headers: Mapping[str, str], now: datetime) -> ProviderError:
    kind: type[ProviderError] = RejectedError
    if status == 429:
        kind = RateLimitError
    elif status >= 500 or status in {408, 425}:
        kind = ServerError
    return kind(message, status=status, retry_after_s=retry_after_s(headers, now))


async def _renewed(renew: Renew, error: ProviderError) -> str:
    link = await renew()
    if not link:
        raise RecordingError(
            "the link was refused, and the provider gives no other", status=error.status, is_final=True
        )
    return link


def _gone(error: ProviderError) -> RecordingError:
    return RecordingError(
        f"the recording is gone: its link was refused, and so was a renewed one ({error.status})",
        status=error.status,
        is_final=True,
    )


def _given_up(error: ProviderError, attempt: int) -> RecordingError:
    given_up = RecordingError(error.message, status=error.status)
    given_up.attempt = attempt
    return given_up
