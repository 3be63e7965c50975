"""What an answer that is no success says, in the envelopes the four APIs use, and the error it means.

Messages are our own sentences. Of the body they repeat an error code and names of parameters, which are words
without digits, and nothing else: bodies quote phone numbers, queries and ids.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from harvester.errors import ProviderError, RateLimitError
from harvester.model import Response

from .base import error_for
from .rows import BOM

_SMALL = 2048  # bytes; a page of calls is larger, an error in a 200 is not
_LARGEST = 65536  # bytes; a longer body of a refusal is not read
_LONGEST_WAIT_S = 31 * 86400.0  # a longer one is no wait but another unit, or nonsense
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{1,39}")
_NO_CALLS = re.compile(rb'"(?:message|error|detail)"\s*:\s*"no (?:calls|results|records)\b', re.IGNORECASE)
_SLOW_DOWN = frozenset({"rate_limited", "too_many_requests", "rate_limit_exceeded"})
_MAY_BE_SLOW_DOWN = re.compile(rb"(?:rate.limit|too.many)", re.IGNORECASE)


class Refusal(msgspec.Struct, frozen=True):
    """What a body says of a refusal.

    `code` is the API's word for it, `text` its sentence, for matching, never for printing. `fields` are the
    parameters it names. `is_html`: a web page, so it is not the API that speaks.
    """

    code: str = ""
    text: str = ""
    fields: tuple[str, ...] = ()
    retry_after_s: float | None = None
    is_html: bool = False

    @property
    def is_slow_down(self) -> bool:
        """Whether the code says what a 429 says."""
        return self.code.lower().replace("-", "_") in _SLOW_DOWN


def says_no_calls(body: bytes) -> bool:
    """Say whether an answer without rows means an empty list.

    AgentVoice documents a 404 "No calls found matching criteria"; an empty list is answered so elsewhere too
    (`FACTS`, "What users of such exports run into").
    """
    if len(body) > _SMALL or b'"data"' in body:
        return False
    return body.removeprefix(BOM).lstrip()[:1] == b"{" and _NO_CALLS.search(body) is not None


def read_refusal(response: Response) -> Refusal | None:
    """Return what is refused, None where the answer is a success or an empty list.

    A status of success with a code that asks to slow down is a refusal as well; any other failure in a 200 is
    found where its rows are read.
    """
    is_success = 200 <= response.status < 300
    if is_success and (len(response.body) > _SMALL or _MAY_BE_SLOW_DOWN.search(response.body) is None):
        return None
    if response.status == 404 and says_no_calls(response.body):
        return None
    refusal = _read_body(response.body)
    return refusal if refusal.is_slow_down or not is_success else None


def _read_body(body: bytes) -> Refusal:
    body = body.removeprefix(BOM).strip()
    if body[:1] == b"<":
        return Refusal(is_html=True)
    if body[:1] != b"{" or len(body) > _LARGEST:
        return Refusal()
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal()
    error = _object(told.get("error"))
    return Refusal(
        code=_word(error.get("code")) or _word(told.get("code")),
        text=_text(error.get("message")) or _text(told.get("message")) or _text(told.get("error")),
        fields=tuple(filter(None, map(_word, _object(told.get("errors")))))[:5],
        retry_after_s=_wait_in(_object(error.get("details")), error, _object(told.get("details")), told),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _text(value: Any) -> str:
    """Return a sentence, or several as one: BimpeAI's `message` may be a list."""
    if isinstance(value, list):
        return " ".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _wait_in(*places: Mapping[str, Any]) -> float | None:
    """Return the first wait in seconds that one of the objects names."""
    for place in places:
        try:
            wait_s = float(place.get("retry_after"))  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            continue
        if math.isfinite(wait_s) and 0 <= wait_s <= _LONGEST_WAIT_S:
            return wait_s
    return None


def error_of(response: Response, refusal: Refusal, *, keys: str) -> ProviderError:
    """Return the error that a refusal means where an API says nothing special.

    Args:
        response: The answer, for its status.
        refusal: What its body says.
        keys: The config's keys of the credentials, as a message names them.
    """
    is_about_agent = response.status == 404 and not refusal.is_html
    is_gone = response.status in {404, 410} and not refusal.is_html
    message = _message(response.status, refusal, keys)
    if refusal.is_slow_down:
        return RateLimitError(message, status=response.status, retry_after_s=refusal.retry_after_s)
    return error_for(
        response,
        message,
        retry_after_s=refusal.retry_after_s,
        is_about_agent=is_about_agent,
        is_gone=is_gone,
    )


def _message(status: int, refusal: Refusal, keys: str) -> str:
    said = f"{status}, {refusal.code}" if refusal.code else str(status)
    if refusal.is_slow_down or status == 429:
        return f"too many requests ({said})"
    if refusal.is_html and 400 <= status < 500:
        return f"a web page answers ({said}): check `base_url`; or a proxy is in the way"
    if status in _SENTENCES:
        return _SENTENCES[status].format(said=said, keys=keys)
    if status >= 500 or status in {408, 425}:
        return f"the provider failed ({said})"
    if 300 <= status < 400:
        return f"the address redirects ({said}): set `base_url` to where it leads"
    named = f" about {', '.join(refusal.fields)}" if refusal.fields else ""
    return f"the request was refused ({said}){named}: check `filters` and `agents`"


_SENTENCES = {
    401: "the credential was refused ({said}): check {keys}",
    403: "the credential may not do this ({said}): check what {keys} is allowed to",
    404: "not found ({said}): an agent that is gone? remove it from `agents`, else check `base_url`",
    410: "gone ({said}): the provider no longer has it",
    407: "the proxy asks for a login ({said}): check `HTTPS_PROXY`",
}
