"""One `[[source]]` of a config, with the defaults of the file and the command line's options, as a Source.

What a source itself asks of its provider must be possible. An option or a default applies where it can; the
sources it left out are named, and where it could apply to none it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from harvester.model import Secret, Source
from harvester.providers import PROVIDERS
from harvester.providers.base import Capabilities, Provider

from .options import Overrides, Reach
from .table import Problems, Table, nearest
from .values import (
    quoted,
    read_agents,
    read_base_url,
    read_count,
    read_credential,
    read_filters,
    read_flag,
    read_moment,
    read_name,
    read_rates,
    read_text,
    shown,
)
from .wishes import FULL, read_details, refuse_details, refuse_filter, refuse_recordings

T = TypeVar("T")

# The keys a source may have besides its provider's credentials; all but the name may stand in [defaults].
DEFAULT_KEYS = (
    "provider", "base_url", "agents", "since", "until",
    "rate", "concurrency", "details", "recordings", "filters",
)  # fmt: skip
SOURCE_KEYS = ("name", *DEFAULT_KEYS)


class SourceReader:
    """Reads the sources of one file.

    Args:
        defaults: The table `[defaults]`.
        options: What the command line says.
        problems: Where mistakes go.
        now: What relative moments start from.
    """

    def __init__(self, defaults: Table, options: Overrides, problems: Problems, now: datetime) -> None:
        self._defaults = defaults
        self._options = options
        self._problems = problems
        self._now = now
        self.reach: Reach = Reach()
        self._option_range = {
            key: self._option(f"--{key}", value, self._moment)
            for key, value in (("since", options.since), ("until", options.until))
        }
        self._option_agents = self._option("--agent", options.agents or None, read_agents)
        self._option_filters = self._option("--filter", options.filters, read_filters) or {}

    def read(self, table: Table) -> Source | None:
        """Read one source; None where it is not in use or too much of it is wrong."""
        name = table.take("name", read_name, "")
        provider = self._provider(table)
        if provider is None:
            return None
        can = provider.capabilities
        table.refuse_unknown((*SOURCE_KEYS, *can.credentials))
        since, until = self._range(table)
        details = self._details(table, can)
        recordings = self._recordings(table, can)
        return Source(
            name=name,
            provider=can.name,
            base_url=self._take(table, "base_url", read_base_url, can.base_url),
            credentials=self._credentials(table, can),
            agents=self._agents(table),
            since=since,
            until=until,
            rates=self._take(table, "rate", read_rates, None),
            concurrency=self._take(table, "concurrency", read_count, None),
            details=FULL if recordings and can.recordings == "detail" else details,
            recordings=recordings,
            filters=self._filters(table, provider),
        )

    def _take(self, table: Table, key: str, read: Callable[[object], T], default: T) -> T:
        return self._holder(table, key).take(key, read, default)

    def _holder(self, table: Table, key: str) -> Table:
        return table if key in table.values else self._defaults.when(used=table.is_used)

    def _option(self, key: str, value: object, read: Callable[[object], T]) -> T | None:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            self._problems.add(key, str(error))
            return None

    def _moment(self, value: object) -> datetime:
        return read_moment(value, self._now)

    def _provider(self, table: Table) -> Provider | None:
        holder = self._holder(table, "provider")
        if "provider" not in holder.values:
            table.problem("provider", f"missing; one of {', '.join(sorted(PROVIDERS))}")
        return holder.take("provider", read_provider, None)

    def _credentials(self, table: Table, can: Capabilities) -> dict[str, Secret]:
        found = {}
        for key in can.credentials:
            holder = self._holder(table, key)
            if key not in holder.values:
                table.problem(key, f"missing; {can.title} needs it: {table.example(key, can.name)}")
            secret = holder.take(key, read_credential, None)
            if secret is not None:
                found[key] = secret
        return found

    def _agents(self, table: Table) -> tuple[str, ...] | None:
        agents: tuple[str, ...] | None = self._take(table, "agents", read_agents, None)
        return self._option_agents if table.is_used and self._option_agents else agents

    def _range(self, table: Table) -> tuple[datetime | None, datetime | None]:
        since, since_key = self._edge(table, "since")
        until, until_key = self._edge(table, "until")
        end, end_name = (until, until_key) if until else (self._now, "now, where it ends without an until")
        if since is not None and since >= end:
            place = table if since_key == "since" else None
            message = f"{shown(since)} is not before {end_name}, {shown(end)}"
            self._problems.add(place.key("since") if place else since_key, message)
        return since, until

    def _edge(self, table: Table, key: str) -> tuple[datetime | None, str]:
        value = self._take(table, key, self._moment, None)
        option = self._option_range[key] if table.is_used else None
        return (option, f"--{key}") if option else (value, key)

    def _details(self, table: Table, can: Capabilities) -> tuple[str, ...]:
        none: tuple[str, ...] = ()
        groups = self._wish(table, "details", read_details, none, lambda asked: refuse_details(can, asked))
        option = self._options.details if table.is_used else None
        if option is None:
            return groups
        if not option:
            return ()
        return FULL if self._reaches(table, "--details", refuse_details(can, FULL)) else groups

    def _recordings(self, table: Table, can: Capabilities) -> bool:
        wanted = self._wish(
            table, "recordings", read_flag, False, lambda asked: refuse_recordings(can, is_asked=asked)
        )
        option = self._options.recordings if table.is_used else None
        if option is None:
            return wanted
        return option and self._reaches(table, "--recordings", refuse_recordings(can, is_asked=True))

    def _wish(
        self,
        table: Table,
        key: str,
        read: Callable[[object], T],
        nothing: T,
        refuse: Callable[[T], str | None],
    ) -> T:
        """Take what the provider may be unable to do: a source that asks is told, a default is noted."""
        default = self._defaults.when(used=table.is_used).take(key, read, nothing)
        refusal, default_key = refuse(default), self._defaults.key(key)
        if key in table.values:
            # It has its own, but could do what others are left out of: the default is no mistake of the file.
            if default != nothing and refusal is None:
                self._reaches(table, default_key, None)
            return self._own_wish(table, key, read, nothing, refuse)
        if default == nothing or getattr(self._options, key) is not None:
            return nothing
        return default if self._reaches(table, default_key, refusal) else nothing

    def _own_wish(
        self,
        table: Table,
        key: str,
        read: Callable[[object], T],
        nothing: T,
        refuse: Callable[[T], str | None],
    ) -> T:
        asked = table.take(key, read, nothing)
        refusal = refuse(asked)
        if refusal is not None:
            table.problem(key, refusal, unsupported=True)
        return asked

    def _filters(self, table: Table, provider: Provider) -> dict[str, str]:
        nothing: dict[str, str] = {}
        default = self._defaults.when(used=table.is_used).take("filters", read_filters, nothing)
        prefix = self._defaults.key("filters.")
        if "filters" in table.values:
            filters = table.take("filters", read_filters, nothing)
            for name, value in filters.items():
                refusal = refuse_filter(provider, name, value)
                if refusal is not None:
                    table.problem(f"filters.{name}", refusal, unsupported=True)
            able = {
                key: value for key, value in default.items() if refuse_filter(provider, key, value) is None
            }
            self._fitting(table, provider, able, prefix)
        else:
            filters = self._fitting(table, provider, default, prefix)
        return filters | (
            self._fitting(table, provider, self._option_filters, "--filter ") if table.is_used else {}
        )

    def _fitting(
        self, table: Table, provider: Provider, filters: Mapping[str, str], prefix: str
    ) -> dict[str, str]:
        return {
            key: value
            for key, value in filters.items()
            if self._reaches(table, f"{prefix}{key}", refuse_filter(provider, key, value))
        }

    def _reaches(self, table: Table, key: str, refusal: str | None) -> bool:
        name = str(table.values.get("name", table.label))
        return self.reach.note(key, name, refusal, used=table.is_used)


def read_provider(value: object) -> Provider:
    """Read a provider's name."""
    name = read_text(value)
    if name not in PROVIDERS:
        raise ValueError(f"no such provider {quoted(name)}; {nearest(name, PROVIDERS)}")
    return PROVIDERS[name]
