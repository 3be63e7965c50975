"""What a file of sound begins with, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import MalformedError
from harvester.sandbox.media import sound, storage_error
from harvester.sinks.sounds import HEAD_BYTES, read_page, suffix_of

NOISE = b"\x00\x81\x13\x9c" * 64


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (sound("a", "mp3", 400), "mp3"), (sound("a", "wav", 400), "wav"), (b"RF64\x00\x00\x00\x00WAVE", "wav"),
        (b"\xff\xfb\x90\x64" + NOISE, "mp3"), (b"\xff\xf3\x40\xc0" + NOISE, "mp3"), (b"\xff\xfd\x40\xc0", "mp3"),
        (b"OggS\x00\x02", "ogg"), (b"fLaC\x00", "flac"), (b"#!AMR\n\x3c", "amr"), (b"#!AMR-WB\n", "amr"),
        (b".snd\x00\x00\x00\x18", "au"), (b"caff\x00\x01", "caf"), (b"FORM\x00\x00\x10\x00AIFF", "aiff"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wma"), (b"\xff\xf1\x50\x80", "aac"), (b"\xff\xf9\x50\x80", "aac"),
        (b"\x00\x00\x00\x20ftypM4A \x00", "m4a"), (b"\x00\x00\x00\x20ftypisom", "mp4"),
        (b"\x00\x00\x00\x14ftyp3gp4", "3gp"), (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "webm"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", "mkv"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "text/plain", "application/xml"])
def test_first_bytes_decide(head: bytes, suffix: str, content_type: str) -> None:
    """A recording is known by its beginning, whatever its storage calls it."""
    assert suffix_of(head, content_type) == suffix


@pytest.mark.parametrize(
    ("content_type", "suffix"),
    [
        ("audio/mpeg", "mp3"), ("Audio/MPEG; charset=binary", "mp3"), ("audio/x-wav", "wav"), ("audio/opus", "opus"),
        ("audio/PCMU;rate=8000", "ulaw"), ("audio/L16; rate=16000", "pcm"), ("audio/unheard-of", "audio"),
    ],
)  # fmt: skip
def test_type_decides_where_the_bytes_do_not(content_type: str, suffix: str) -> None:
    """A recording of a kind that shows nothing is taken for what it is called."""
    assert suffix_of(NOISE, content_type) == suffix


def test_type_says_what_an_mp4_is_for() -> None:
    """A container for pictures too is sound where it is called so."""
    assert suffix_of(b"\x00\x00\x00\x20ftypisom", "audio/mp4") == "m4a"


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (NOISE, ""), (NOISE, "application/octet-stream"), (NOISE, "video/mp4"), (NOISE, "text/html"), (b"\xff", ""),
        (b"\xff\xff\xff\xff", ""), (b"\xff\xfb\xf0\x00", ""), (b"\xff\xfb\x9c\x00", ""), (b"\xff\xeb\x90\x00", ""),
        (b"\xff\xf1\x7c\x80", ""), (b"%PDF-1.7\n", "application/pdf"), (b"RIFF\x00\x00\x00\x00AVI ", ""),
    ],
)  # fmt: skip
def test_what_is_no_sound_is_refused(head: bytes, content_type: str) -> None:
    """Neither bytes nor type speak for a recording."""
    with pytest.raises(MalformedError, match="no recording"):
        suffix_of(head, content_type)


@pytest.mark.parametrize(
    ("page", "status"),
    [
        (storage_error(403, "Request has expired", "0"), 403),
        (storage_error(404, "The specified key does not exist.", "0"), 404),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>BlobNotFound</Code></Error>', 404),
        (b'{"statusCode":"404","error":"not_found","message":"Object not found"}', 404),
        (b'{"statusCode":"400","error":"InvalidJWT","message":"jwt expired"}', 403),
        (b'{"error": {"code": 410, "message": "gone"}}', 410),
        (b'{"error":"Not found"}', 404),
        (b"<Error><Code>SlowDown</Code></Error>", 503),
        (b"<Error><Code>Unheard0f</Code></Error>", None),
        (b"<!DOCTYPE html><html><title>Welcome to our Wi-Fi</title>", None),
        (b"  \r\n[]", None),
        (b"Not Found\n", None),
        (b"\xff\xfe<\x00h\x00t\x00m\x00l\x00", None),
        ("<html>é</html>".encode(), None),
    ],
)
@pytest.mark.parametrize("content_type", ["audio/mpeg", "", "application/octet-stream", "text/html"])
def test_error_page_is_refused(page: bytes, status: int | None, content_type: str) -> None:
    """What a storage says in place of a recording is never taken for one, and what it means is understood."""
    with pytest.raises(MalformedError, match=r"a page.* came where a recording was expected") as caught:
        suffix_of(page, content_type, is_whole=True)
    assert caught.value.status == status


def test_sound_may_look_like_prose() -> None:
    """Silence in A-law is a row of letters: only what is short and all there is is taken for a sentence."""
    assert suffix_of(b"U" * HEAD_BYTES, "audio/x-alaw") == "alaw"
    assert suffix_of(b"<\x00\x07" + NOISE, "audio/x-alaw") == "alaw"


def test_empty_file_is_refused() -> None:
    """Nothing at all is no recording, whatever it is called."""
    with pytest.raises(MalformedError, match="empty"):
        suffix_of(b"", "audio/mpeg", is_whole=True)


def test_code_that_is_shown_is_a_word() -> None:
    """Of a page only a word without digits is repeated."""
    assert read_page(b"<Code>+15550100</Code>") == ("", None)
    assert read_page(b'{"code":"5550100"}') == ("", None)


@given(st.binary(max_size=200), st.sampled_from(["", "audio/mpeg", "text/html", "audio/"]), st.booleans())
def test_any_bytes_are_judged(head: bytes, content_type: str, is_whole: bool) -> None:
    """Whatever comes has a short suffix or is refused in our own words."""
    try:
        suffix = suffix_of(head, content_type, is_whole=is_whole)
    except MalformedError:
        return
    assert suffix.isalnum()
