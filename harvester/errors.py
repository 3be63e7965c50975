"""Every exception harvester raises on purpose.

HarvesterError
├── UsageError (ValueError)       wrong arguments or config; lists every problem with its key
│   └── UnsupportedError          the provider cannot do this; raised before the first request
├── ProviderError                 no usable answer
│   ├── TransportError            no complete response: connect, reset, timeout            retryable
│   ├── RateLimitError            429, or the API's own way of saying it                   retryable
│   ├── ServerError               5xx                                                      retryable but 501
│   ├── AccessError               401, or 403 about the key: ends this source
│   ├── RejectedError             any other 4xx: our request is wrong, or the thing is gone
│   ├── MalformedError            the answer as a whole is not what the documents say      retryable
│   └── RecordingError            a recording could not be had, after all retries: a gap of one call
├── OutputError                   a file cannot be written, made durable, or is held by another run
│   └── HeldError                 another run holds this output
└── JournalError                  the journal cannot be trusted
"""

from __future__ import annotations


class HarvesterError(Exception):
    """The root of all errors raised on purpose."""


class UsageError(HarvesterError, ValueError):
    """Wrong arguments or config.

    Args:
        problems: Every problem found, each naming its key and the way out.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems: tuple[str, ...] = problems


class UnsupportedError(UsageError):
    """The provider cannot do what was asked; raised before the first request."""


class ProviderError(HarvesterError):
    """No usable answer from a provider.

    Args:
        message: What happened and what to do; no credential, signed URL, phone number or query.
        endpoint: The provider's name for what was asked, such as "list calls".
        status: The HTTP status, None where there was no complete response.
        retry_after_s: The wait the provider asked for, in seconds.
        is_about_agent: The refusal names one agent, not the credential.
        is_gone: What was asked for is not there (404, 410), and asking again is no use.
    """

    is_retryable = False

    def __init__(
        self,
        message: str,
        *,
        endpoint: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        is_about_agent: bool = False,
        is_gone: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.endpoint = endpoint
        self.status = status
        self.retry_after_s = retry_after_s
        self.is_about_agent = is_about_agent
        self.is_gone = is_gone
        self.source = ""
        self.attempt = 1

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.source, self.endpoint) if part)
        tries = f" (after {self.attempt} attempts)" if self.attempt > 1 else ""
        return f"{where}: {self.message}{tries}" if where else f"{self.message}{tries}"


class TransportError(ProviderError):
    """No complete response: connect, reset, timeout."""

    is_retryable = True


class RateLimitError(ProviderError):
    """429, or the API's own way of saying it."""

    is_retryable = True


class ServerError(ProviderError):
    """A 5xx, or a 408 or 425: the request may succeed later."""

    @property
    def is_retryable(self) -> bool:  # type: ignore[override]
        """Anything but 501, which says that it never will."""
        return self.status != 501


class AccessError(ProviderError):
    """The credential was refused (401, or 403 about the key): ends this source."""


class RejectedError(ProviderError):
    """Any other 4xx: the request is wrong, or what it names is gone."""


class MalformedError(ProviderError):
    """The answer as a whole is not what the documents say."""

    is_retryable = True


class RecordingError(ProviderError):
    """A recording could not be had, after all retries and with a renewed link: a gap of one call.

    Args:
        message: What happened; never the link.
        status: What its storage said last, None where it said nothing.
        is_final: The storage no longer has it, or the provider no longer links it: asking again is no use.
    """

    def __init__(self, message: str, *, status: int | None = None, is_final: bool = False) -> None:
        super().__init__(message, endpoint="recording", status=status)
        self.is_final = is_final


class OutputError(HarvesterError):
    """A file cannot be written, made durable, or is held by another run."""


class HeldError(OutputError):
    """Another run holds this output."""


class JournalError(HarvesterError):
    """The journal cannot be trusted."""
