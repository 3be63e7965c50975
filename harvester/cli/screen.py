"""Where messages go: stderr, as text or JSON lines, above a live bar where there is one.

Also what may be shown: no credential, no signed URL, no phone number, and nothing that steers a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, TextIO

Level = Literal["debug", "info", "warning", "error"]

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}\b")
_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SHORTEST_SECRET = 8
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m"}


class Screen:
    """The user's side of stderr.

    Attributes:
        verbosity: -1 with `-q`, 0, 1 with `-v`, 2 with `-vv`.
        as_json: Whether messages are JSON lines.
        command: The command line as it was typed, ready for a shell; empty where nobody typed one.
        above: Prints a line above a live bar; None where there is none.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._secrets: tuple[str, ...] = ()
        self.verbosity = 0
        self.as_json = False
        self.command = ""
        self.above: Callable[[str], None] | None = None

    @property
    def stream(self) -> TextIO:
        """Where it writes."""
        return self._stream if self._stream is not None else sys.stderr

    @property
    def is_terminal(self) -> bool:
        """Whether a person is watching who can see colour and bars."""
        return is_terminal(self.stream)

    def hide(self, secrets: Iterable[str]) -> None:
        """Never show these; a word as short as `sandbox` is no secret, and would take other words with it."""
        long = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        self._secrets = tuple(sorted({*self._secrets, *long}, key=len, reverse=True))

    def info(self, text: str, **fields: object) -> None:
        """Say what is good to know."""
        if self.verbosity >= 0:
            self.say("info", text, fields)

    def warning(self, text: str, **fields: object) -> None:
        """Say what may be unexpected."""
        self.say("warning", text, fields)

    def error(self, text: str, **fields: object) -> None:
        """Say what went wrong."""
        self.say("error", text, fields)

    def say(self, level: Level, text: str, fields: dict[str, object]) -> None:
        """Write one message; a stream that is gone is no reason to stop."""
        safe = self.redacted(text)
        line = self._json(level, safe, fields) if self.as_json else self._text(level, safe)
        try:
            if self.above is not None:
                self.above(line)
            else:
                self.stream.write(line + "\n")
                self.stream.flush()
        except (OSError, ValueError):
            return

    def redacted(self, text: str) -> str:
        """Return the text less what may not be shown."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _QUERY.sub(r"\1?***", _PHONE.sub("+***", text))
        return plain(text)

    def _text(self, level: Level, text: str) -> str:
        if level in {"info", "debug"}:
            return text
        colour = _COLOURS[level] if self.is_terminal and use_colour() and self.above is None else ""
        return f"{colour}{level}:{chr(27) + '[0m' if colour else ''} {text}"

    def _json(self, level: Level, text: str, fields: dict[str, object]) -> str:
        line: dict[str, object] = {"ts": datetime.now(UTC).isoformat(), "level": level, "event": text}
        line |= {key: value for key, value in fields.items() if key not in line}
        return self._hidden(json.dumps(line, default=_written, ensure_ascii=False))

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _PHONE.sub("+***", text)


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def plain(text: str) -> str:
    """Return text without what steers a terminal; a provider's names are not ours to trust."""
    return _CONTROL.sub("?", text)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False


def use_colour() -> bool:
    """Tell whether colour is wanted, as https://no-color.org says."""
    return not os.environ.get("NO_COLOR")
