"""Recordings: the sound behind a link, when a link is good, and what a storage says else. Pure: time is an argument."""

import re
import struct
from collections.abc import Mapping
from hashlib import shake_128

from msgspec import Struct

TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
XML_TYPE = "application/xml"
_WAV_HEADER = 44
# MPEG-1 layer III, 32 kbit/s, 44.1 kHz, one channel: a frame of 104 bytes, 4 of them its header.
_MP3_FRAME = b"\xff\xfb\x10\xc4"
_MP3_BODY = 100
_ID3 = b"ID3\x04\x00\x00\x00\x00\x00\x00"
_LEAST = 256
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CREDENTIAL_HEADERS = ("Authorization", "Cookie", "x-api-key", "x-organization-id")
_ERRORS = {
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    416: "InvalidRange",
    429: "SlowDown",
    503: "SlowDown",
}


class Piece(Struct, frozen=True):
    """What of a file was asked for.

    Attributes:
        status: 200 for all of it, 206 for a part, 416 for a part it has not.
        first: Where the part begins.
        end: Where it ends; not included.
    """

    status: int
    first: int
    end: int


def size_of(noise: int, usual: int) -> int:
    """Give the bytes of a recording: half of the usual size to one and a half."""
    return max(_LEAST, usual // 2 + noise % (usual + 1))


def sound(name: str, kind: str, size: int) -> bytes:
    """Make a recording of exactly so many bytes: the right beginning, then noise that follows from its name."""
    seed = shake_128(name.encode())
    if kind == "wav":
        data = size - _WAV_HEADER
        head = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16, b"data", data,
        )  # fmt: skip
        return head + seed.digest(data)
    frames = -(-(size - len(_ID3)) // (len(_MP3_FRAME) + _MP3_BODY))
    noise = seed.digest(frames * _MP3_BODY)
    pieces = [noise[place : place + _MP3_BODY] for place in range(0, len(noise), _MP3_BODY)]
    return (_ID3 + _MP3_FRAME + _MP3_FRAME.join(pieces))[:size]


def piece_of(asked: str | None, size: int) -> Piece:
    """Read a `Range` header; what is no single range of bytes asks for all.

    Source: RFC 9110, 14.1.2 and 15.5.17.
    """
    found = _RANGE.fullmatch(asked or "")
    if found is None or found[1] == found[2] == "":
        return Piece(200, 0, size)
    if not found[1]:
        first, end = max(0, size - int(found[2])), size
    else:
        first = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
    return Piece(206, first, end) if first < end else Piece(416, 0, 0)


def storage_error(status: int, said: str, request_id: str, *, code: str = "") -> bytes:
    """Write the page with which a storage refuses."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code or _ERRORS.get(status, 'InternalError')}</Code><Message>{said}</Message>"
        f"<RequestId>{request_id}</RequestId></Error>"
    ).encode()


def credentials_in(headers: Mapping[str, str]) -> list[str]:
    """Name the headers that have no business with a storage."""
    return [name for name in _CREDENTIAL_HEADERS if headers.get(name)]


class Links:
    """When each link of an account was last given out, which is from when on its life counts.

    The link itself is the same every time, so that rows stay what the truth says they are.

    Args:
        life_s: How long a link is good; 0 for ever.
        dead_on_arrival: One link in so many is good only when it was given out a second time; 0: none.
    """

    def __init__(self, life_s: float, dead_on_arrival: int) -> None:
        self._life_s = life_s
        self._dead = dead_on_arrival
        # Call to (when, how often), the longest ago first.
        self._issued: dict[int, tuple[float, int]] = {}

    def issue(self, call: int, now: float) -> None:
        """Note that a link was given out."""
        _, often = self._issued.pop(call, (now, 0))
        self._issued[call] = (now, often + 1)
        if self._life_s:
            while self._issued[oldest := next(iter(self._issued))][0] < now - self._life_s:
                del self._issued[oldest]

    def is_good(self, call: int, now: float) -> bool:
        """Say whether the link of a call opens anything."""
        at, often = self._issued.get(call, (now, 0))
        if not often or (self._life_s and now - at > self._life_s):
            return False
        return often > 1 or not is_chosen(call, self._dead)


def is_chosen(call: int, every: int) -> bool:
    """Say whether a call is the one in `every`; each time one further on, so that no agent is spared."""
    return bool(every) and (call - call // every) % every == every - 1
