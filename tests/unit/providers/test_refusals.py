"""Refusals: which error an answer means, and that nothing of its body but a code is repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from harvester.errors import AccessError, ProviderError, RateLimitError, RejectedError, ServerError
from harvester.model import Response
from harvester.providers.refusals import error_of, read_refusal, says_no_calls

PHONE = "+15550100"


def respond(status: int, body: object = b"") -> Response:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {}, text, datetime(2026, 3, 1, tzinfo=UTC))


def refused(status: int, body: object = b"") -> ProviderError:
    response = respond(status, body)
    refusal = read_refusal(response)
    assert refusal is not None
    return error_of(response, refusal, keys="`token`")


@pytest.mark.parametrize(
    ("status", "kind", "is_retryable"),
    [
        (301, RejectedError, False), (304, RejectedError, False), (400, RejectedError, False),
        (401, AccessError, False), (403, AccessError, False), (404, RejectedError, False),
        (407, RejectedError, False), (408, ServerError, True), (409, RejectedError, False),
        (410, RejectedError, False), (422, RejectedError, False), (425, ServerError, True),
        (429, RateLimitError, True), (500, ServerError, True), (501, ServerError, False),
        (503, ServerError, True), (599, ServerError, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b'{"message":"x"}', b"[]", b'{"error":"x"}'])
def test_error_of_goes_by_the_status(
    status: int, kind: type[ProviderError], is_retryable: bool, body: bytes
) -> None:
    """The status decides the kind of error, whatever the body looks like."""
    error = refused(status, body)
    assert type(error) is kind
    assert (error.is_retryable, error.status) == (is_retryable, status)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"", "the credential was refused (401): check `token`"),
        (401, {"error": {"code": "INVALID_TOKEN"}}, "the credential was refused (401, INVALID_TOKEN)"),
        (403, {"code": "forbidden"}, "may not do this (403, forbidden): check what `token` is allowed to"),
        (404, b"", "remove it from `agents`"),
        (404, b"<html>", "a web page answers (404): check `base_url`"),
        (403, b"<html>", "a proxy is in the way"),
        (407, b"", "check `HTTPS_PROXY`"),
        (308, b"", "the address redirects (308): set `base_url`"),
        (422, {"errors": {"status": ["bad"], "date_from": ["bad"]}}, "refused (422) about status, date_from"),
        (400, {"error": "Invalid order_by parameter"}, "the request was refused (400): check `filters`"),
        (500, b"", "the provider failed (500)"),
        (429, b"", "too many requests (429)"),
    ],
)
def test_error_of_says_what_to_do(status: int, body: object, said: str) -> None:
    """A message names the status, the documented code, and the key of the config to look at."""
    assert said in str(refused(status, body))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
def test_error_of_quotes_nothing_of_the_body(status: int) -> None:
    """Phone numbers, links and ids of the body do not reach a message, wherever they stand."""
    secrets = [PHONE, "https://example.com/?sig=1", "7f3c", f"code {PHONE}", "a" * 41]
    for secret in secrets:
        body = {
            "message": secret, "code": secret, "request_id": secret, "errors": {secret: [secret]},
            "error": {"code": secret, "message": secret, "details": {secret: secret}},
        }  # fmt: skip
        assert secret not in str(refused(status, body))


@pytest.mark.parametrize(
    ("body", "wait_s"),
    [
        ({"error": {"code": "RATE_LIMIT", "details": {"retry_after": 12}}}, 12.0),
        ({"error": {"details": {"retry_after": "1.5"}}}, 1.5),
        ({"error": {"retry_after": 3600}}, 3600.0),
        ({"details": {"retry_after": 4}}, 4.0),
        ({"retry_after": 0}, 0.0),
        ({"error": {"details": {"retry_after": None}}, "retry_after": 7}, 7.0),
        ({"retry_after": -1}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": 10**400}, None),
        ({"retry_after": 1772366400}, None),
        ({"error": {"details": ["retry_after"]}}, None),
        ([1], None),
    ],
)
def test_error_of_takes_the_wait_from_the_body(body: object, wait_s: float | None) -> None:
    """Seconds to wait are found where they are documented or near it; nonsense is no wait."""
    assert refused(429, body).retry_after_s == wait_s


@pytest.mark.parametrize("status", [200, 400, 403, 503])
@pytest.mark.parametrize("code", ["RATE_LIMITED", "rate_limited", "too_many_requests", "too-many-requests"])
def test_read_refusal_takes_a_code_for_a_429(status: int, code: str) -> None:
    """A code that asks to slow down is what a 429 is, under any status."""
    for body in ({"error": {"code": code}, "retry_after": 9}, {"code": code, "error": "x", "retry_after": 9}):
        error = refused(status, body)
        assert isinstance(error, RateLimitError)
        assert (error.retry_after_s, error.status) == (9.0, status)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"data":[]}', b'{"error":{"code":"OTHER"}}', b"[]", b"x" * 9999]
)
@pytest.mark.parametrize("status", [200, 204, 299])
def test_read_refusal_leaves_a_success_to_its_reader(status: int, body: bytes) -> None:
    """What else is wrong with a success is found where its rows are read."""
    assert read_refusal(respond(status, body)) is None


def test_read_refusal_does_not_read_a_page_of_calls_for_codes() -> None:
    """A body of a page's size is not searched: speed, and calls may hold any word."""
    assert read_refusal(respond(200, b'{"code":"rate_limited","data":["' + b"x" * 4000 + b'"]}')) is None


@pytest.mark.parametrize(
    "body", [b"{" * 5000, b'{"a":' * 100_000, b'{"a":"' + b"x" * 99_999 + b'"}', b'{"a":\xff}']
)
def test_read_refusal_survives_any_body(body: bytes) -> None:
    """A body that is broken, endless or deep says nothing, and the status still does."""
    assert type(refused(500, body)) is ServerError


@pytest.mark.parametrize(
    "body",
    [
        {"error": "No calls found matching criteria"},
        {"success": False, "message": "No calls found"},
        {"error": {"code": "NOT_FOUND", "message": "No results."}},
    ],
)
def test_says_no_calls_knows_an_empty_list(body: object) -> None:
    """A 404 that says there are no calls is an empty list, not an agent that is gone."""
    response = respond(404, body)
    assert says_no_calls(response.body)
    assert read_refusal(response) is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"No calls found", b'{"message":"Call not found"}', b'{"message":"Agent not found"}',
        b'{"message":"No callsign"}', b'{"data":[],"message":"No calls found"}', b'[{"message":"No calls found"}]',
        b'{"message":"No calls found","x":"' + b"x" * 3000 + b'"}',
    ],
)  # fmt: skip
def test_says_no_calls_is_not_said_by_anything_else(body: bytes) -> None:
    """Other refusals, and rows that hold such words, are not taken for an empty list."""
    assert not says_no_calls(body)


def test_error_of_is_about_the_agent_where_it_is_not_found() -> None:
    """A 404 of the API ends one agent; a web page in its place does not speak of agents."""
    assert refused(404, {"message": "Agent not found"}).is_about_agent
    assert refused(404, b"").is_about_agent
    assert not refused(404, b"<html>").is_about_agent
    assert not refused(403, {"message": "x"}).is_about_agent


def test_error_of_is_final_where_the_thing_is_gone() -> None:
    """Only an API's own 404 or 410 says that there is no more to be had."""
    assert refused(404, {"message": "Call not found"}).is_gone
    assert refused(410, b"").is_gone
    assert "no longer has it" in refused(410, b"").message
    assert not refused(404, b"<html>").is_gone
    assert not any(refused(status, {"message": "x"}).is_gone for status in (400, 401, 403, 409, 429, 500))


def test_read_refusal_joins_a_message_of_several() -> None:
    """BimpeAI's `message` may be a list of sentences; it is read as one, for matching only."""
    refusal = read_refusal(respond(400, {"message": ["one", 2, "two"], "error": "Bad Request"}))
    assert refusal is not None
    assert refusal.text == "one two"
