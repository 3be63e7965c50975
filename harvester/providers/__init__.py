"""The registry: what each API says, by its name in the config. Pure: no network, no clock, no files.

Adding a provider is one file here and one line in `PROVIDERS`. Where a source is cited as `FACTS`, it is what is known
of an API beyond its vendor's pages: from OpenAPI files, the vendors' own clients and what users report; not tried live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from harvester.errors import UsageError

from .base import Provider


class _Registry(Mapping[str, Provider]):
    """Providers by their names, each imported when it is first asked for: of the four most runs need one."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def __getitem__(self, name: str) -> Provider:
        """Return the provider that the module of that name has under its name in capitals."""
        if name not in self._names:
            raise KeyError(name)
        return cast("Provider", getattr(import_module(f".{name}", __name__), name.upper()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


PROVIDERS: Mapping[str, Provider] = _Registry(("talkover", "agentvoice", "talkpilot", "bimpe"))

# Parameters of the APIs that are keys of a source here.
_OWN_KEYS = {
    "from": "since", "to": "until", "date_from": "since", "date_to": "until",
    "agent_id": "agents", "fields": "details", "include": "details",
}  # fmt: skip


def get_provider(name: str) -> Provider:
    """Return a provider by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in PROVIDERS:
        raise UsageError(f"provider: no provider is called {name!r}; {_nearest(name, PROVIDERS)}")
    return PROVIDERS[name]


def check_filters(provider: Provider, filters: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a source's filters, one sentence a filter that begins with its key."""
    known = provider.capabilities.filters
    problems = []
    for name, value in filters.items():
        problem = _unknown(provider, name) if name not in known else _unfit(value, known[name].values)
        if problem:
            problems.append(f"filters.{name}: {problem}")
    return problems


def _unknown(provider: Provider, name: str) -> str:
    if name in _OWN_KEYS:
        return f"no filter; use `{_OWN_KEYS[name]}`"
    return (
        f"{provider.capabilities.title} has no such filter; {_nearest(name, provider.capabilities.filters)}"
    )


def _unfit(value: str, allowed: tuple[str, ...]) -> str | None:
    if not value.strip():
        return "it is empty; leave it out to ask for all"
    if allowed and value not in allowed:
        return f"{value!r} is none of its values; {_nearest(value, allowed)}"
    return None


def _nearest(word: str, known: Iterable[str]) -> str:
    """Return the word that was probably meant, and all there are."""
    names = list(known)
    meant = get_close_matches(word.lower().replace("_", "-"), names, n=1) or get_close_matches(
        word, names, n=1
    )
    guess = f"did you mean `{meant[0]}`? " if meant else ""
    return f"{guess}known: {', '.join(names)}"
