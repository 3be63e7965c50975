"""A table of a config, read key by key: every mistake is collected with its key, none ends the reading.

Also what `${...}` in a string stands for. What a key means is not known here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from .values import quoted

T = TypeVar("T")

_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_BARE = re.compile(r"[A-Za-z0-9_.-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_FILE_BYTES = 1 << 20  # a secret is short: a larger file is the wrong one


class Problems:
    """Mistakes in the order they were found, each once; `unsupported` ones are what a provider cannot do."""

    def __init__(self) -> None:
        self._found: dict[str, bool] = {}

    def add(self, key: str, message: str, *, unsupported: bool = False) -> None:
        """Note a mistake."""
        self._found.setdefault(f"{key}: {message}", unsupported)

    @property
    def messages(self) -> tuple[str, ...]:
        """All of them, each with its key."""
        return tuple(self._found)

    @property
    def is_unsupported(self) -> bool:
        """Whether all of them are what a provider cannot do."""
        return all(self._found.values())


class UnresolvedError(Exception):
    """A string with a reference, in a part of the file that is not in use: not looked up, not judged."""


class References:
    """What `${NAME}` and `${file:/path}` stand for.

    Args:
        environ: The environment.
        folder: Where relative paths start.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def fill(self, value: object, *, used: bool) -> object:
        """Return a value of the file with all its strings filled in.

        Raises:
            ValueError: Something referred to is not there.
            UnresolvedError: The value refers to something and is not used.
        """
        if isinstance(value, str):
            if not used and "${" in value:
                raise UnresolvedError
            return _REFERENCE.sub(self._look_up, value)
        if isinstance(value, list):
            return [self.fill(one, used=used) for one in value]
        if isinstance(value, dict):
            return {key: self.fill(one, used=used) for key, one in value.items()}
        return value

    def _look_up(self, found: re.Match[str]) -> str:
        name, end = found[1], found[2]
        if name.startswith("file:") and end:
            return self._text_of(name.removeprefix("file:"))
        if not end or not _VARIABLE.fullmatch(name):
            raise ValueError("holds a '${' that is neither ${NAME} nor ${file:/path}")
        if name not in self._environ:
            raise ValueError(f"the environment variable {name} is not set")
        return self._environ[name]

    def _text_of(self, name: str) -> str:
        try:
            with (self._folder / name).open("rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"the file {quoted(name)} is no UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            raise ValueError(f"the file {quoted(name)} cannot be read: {reason}") from None
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError(f"the file {quoted(name)} is larger than 1 MB")
        return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


class Table:
    """One table, read key by key.

    Args:
        values: What TOML gave.
        label: What messages call it, such as `output` or `source[1] "sales"`.
        references: What `${...}` stands for.
        problems: Where mistakes go.
        used: Whether it is in use; else its `${...}` are left alone and the strings with one are not judged.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        label: str,
        *,
        references: References,
        problems: Problems,
        used: bool = True,
    ) -> None:
        self.values = values
        self.label = label
        self._references = references
        self._problems = problems
        self.is_used = used

    def when(self, *, used: bool) -> Table:
        """Return the same table as it is for a part of the file that is in use, or is not."""
        return Table(self.values, self.label, references=self._references, problems=self._problems, used=used)

    def key(self, name: str) -> str:
        """Return a key's whole name for messages."""
        joint = ": " if self.label.startswith("source[") else "."
        bare = name if _BARE.fullmatch(name) else quoted(name)
        return f"{self.label}{joint}{bare}" if self.label else bare

    def example(self, credential: str, provider: str) -> str:
        """Return how a credential is given here."""
        return f'{credential} = "${{{provider.upper()}_{credential.upper()}}}"'

    def problem(self, name: str, message: str, *, unsupported: bool = False) -> None:
        """Note a mistake in one of its keys."""
        self._problems.add(self.key(name), message, unsupported=unsupported)

    def take(self, name: str, read: Callable[[object], T], default: T) -> T:
        """Return a key's value as `read` understands it, the default where it is absent or wrong."""
        if name not in self.values:
            return default
        try:
            return read(self._references.fill(self.values[name], used=self.is_used))
        except UnresolvedError:
            return default
        except ValueError as error:
            self.problem(name, str(error))
            return default

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Note each key that is not known, with the nearest that is."""
        names = list(known)
        for name in self.values:
            if name not in names:
                self.problem(name, f"unknown key; {nearest(name, names)}")


class OptionTable(Table):
    """A source given by options: the same keys under their names on the command line."""

    def key(self, name: str) -> str:
        """Return the option that stands for a key."""
        options = {"provider": "--provider", "base_url": "--base-url"}
        return options.get(name, f"--credential {name}")

    def example(self, credential: str, provider: str) -> str:
        """Return how a credential is given here."""
        return f"--credential {credential}=env:{provider.upper()}_{credential.upper()}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the hint for a mistyped name: the nearest known one, else all of them."""
    names = list(known)
    match = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{match[0]}"?' if match else f"known: {', '.join(sorted(names))}"
