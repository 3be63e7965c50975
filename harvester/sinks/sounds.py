"""What a file of sound begins with, and what a storage says in place of one. Pure.

The first bytes decide. A content type does only where they are unknown: storages call a recording anything, and their
error pages `audio/mpeg`. Sources: RFC 9559 (EBML), RFC 3533 (Ogg), RFC 9639 (FLAC), RFC 4867 (AMR), ISO/IEC 14496-12
(`ftyp`), ISO/IEC 11172-3 and 13818-7 (frame headers of MPEG audio and ADTS), the RIFF and ID3 documents; the codes of
error pages: the references of Amazon S3, Google Cloud Storage, Azure Blob Storage and Supabase Storage.
"""

from __future__ import annotations

import re

from harvester.errors import MalformedError

HEAD_BYTES = 4096
"""So much of a file is looked at."""

_BEGINNINGS = (
    (b"ID3", "mp3"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"#!AMR", "amr"),
    (b".snd", "au"),
    (b"caff", "caf"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wma"),
)
_BY_TYPE = {
    "mpeg": "mp3", "mp3": "mp3", "mpeg3": "mp3", "x-mpeg": "mp3", "x-mp3": "mp3",
    "wav": "wav", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "ogg": "ogg", "opus": "opus",
    "flac": "flac", "x-flac": "flac", "mp4": "m4a", "m4a": "m4a", "x-m4a": "m4a", "aac": "aac", "x-aac": "aac",
    "webm": "webm", "amr": "amr", "amr-wb": "amr", "3gpp": "3gp", "basic": "au", "aiff": "aiff", "x-aiff": "aiff",
    "pcmu": "ulaw", "x-mulaw": "ulaw", "pcma": "alaw", "x-alaw": "alaw", "l16": "pcm", "pcm": "pcm",
}  # fmt: skip

_TEXT_STARTS = (b"<", b"{", b"[")
_PROSE_BYTES = 1024
_CODE = re.compile(
    rb'<Code>\s*(\w{1,40})\s*</Code>|"(?:code|error|error_code)"\s*:\s*"([\w ]{1,40})"', re.ASCII
)
_STATUS = re.compile(rb'"(?:statusCode|status|code)"\s*:\s*"?([45]\d\d)\b')
_MEANT = {
    "accessdenied": 403, "authenticationfailed": 403, "authorizationfailure": 403, "expiredtoken": 403,
    "invalidaccesskeyid": 403, "invalidjwt": 403, "invalidsignature": 403, "invalidtoken": 403,
    "requestexpired": 403, "signaturedoesnotmatch": 403, "unauthorized": 401,
    "blobnotfound": 404, "containernotfound": 404, "nosuchbucket": 404, "nosuchkey": 404, "notfound": 404,
    "resourcenotfound": 404, "gone": 410,
    "internalerror": 500, "serverbusy": 503, "serviceunavailable": 503, "slowdown": 503, "toomanyrequests": 429,
}  # fmt: skip


def suffix_of(head: bytes, content_type: str = "", *, is_whole: bool = False) -> str:
    """Return the suffix of a file of sound, less its dot.

    Args:
        head: Its first bytes, `HEAD_BYTES` or all there are.
        content_type: What the storage calls it; may be empty.
        is_whole: `head` is all of it.

    Raises:
        MalformedError: It is none. Where it is a storage's error page, `status` is what the page means, if it says.
    """
    if not head:
        raise MalformedError("the recording is empty")
    found = _by_beginning(head, content_type)
    if found is not None:
        return found
    if _is_text(head, is_whole=is_whole):
        code, status = read_page(head)
        said = f" ({code})" if code else ""
        raise MalformedError(f"a page{said} came where a recording was expected", status=status)
    kind, _, form = _plain_type(content_type).partition("/")
    if kind != "audio":
        raise MalformedError("what came is no recording, by its first bytes and by its content type")
    return _BY_TYPE.get(form, "audio")


def read_page(page: bytes) -> tuple[str, int | None]:
    """Return the code that a storage's error page names, and the HTTP status that it means, None if it says none.

    The code is letters alone, so that it can be shown.
    """
    found = _CODE.search(page)
    code = "" if found is None else (found[1] or found[2]).decode()
    code = code if code.replace("_", "").replace(" ", "").isalpha() else ""
    status = _STATUS.search(page)
    meant = _MEANT.get(code.replace("_", "").replace(" ", "").lower())
    return code, meant if meant is not None or status is None else int(status[1])


def _by_beginning(head: bytes, content_type: str) -> str | None:
    for beginning, suffix in _BEGINNINGS:
        if head.startswith(beginning):
            return suffix
    if head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "aiff"
    if head[4:8] == b"ftyp":
        return _mp4_suffix(head[8:12], content_type)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    return _by_frame(head)


def _mp4_suffix(brand: bytes, content_type: str) -> str:
    if brand[:3] == b"3gp":
        return "3gp"
    is_sound = brand[:3] in {b"M4A", b"M4B"} or _plain_type(content_type).startswith("audio/")
    return "m4a" if is_sound else "mp4"


def _by_frame(head: bytes) -> str | None:
    """Judge the header of a frame of MPEG audio: eleven bits that are set, and fields that have reserved values."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    layer, rate = head[1] >> 1 & 3, head[2] >> 2 & 3
    if head[1] & 0xF6 == 0xF0:
        return "aac" if (head[2] >> 2 & 15) < 13 else None
    # Layer I is used nowhere, and would take the beginning of UTF-16 for sound.
    is_frame = head[1] >> 3 & 3 != 1 and layer in {1, 2} and head[2] >> 4 != 15 and rate != 3
    return "mp3" if is_frame else None


def _is_text(head: bytes, *, is_whole: bool) -> bool:
    """Tell markup and JSON from sound of an unknown kind; and prose, where it is all there is and short."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True  # the mark of UTF-16
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_printable = not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", head)
    if text.startswith(_TEXT_STARTS):
        return is_printable
    return is_printable and is_whole and len(head) < _PROSE_BYTES


def _plain_type(content_type: str) -> str:
    """Return a content type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()
