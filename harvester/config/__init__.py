"""TOML, or options alone, to frozen structs; every mistake at once, each with its key.

Nothing else reads the environment, and this only as it is handed in. What values mean is in `values`,
how a table is read in `table`, what a source may ask in `source`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from harvester.errors import UnsupportedError, UsageError
from harvester.model import Source
from harvester.providers import PROVIDERS

from .options import Overrides
from .output import COMPRESSIONS, Compression, Output, read_output
from .source import DEFAULT_KEYS, SourceReader
from .table import OptionTable, Problems, References, Table, UnresolvedError, nearest
from .values import quoted, read_count, read_name

__all__ = ["COMPRESSIONS", "Compression", "Config", "Output", "Overrides", "ad_hoc_config", "load_config"]

_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_CREDENTIAL = re.compile(r"([A-Za-z0-9_-]+)=(env|file):(.+)", re.DOTALL)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What a job is to do: the sources in use, in the file's order; `notices` are for the user to read."""

    output: Output
    sources: tuple[Source, ...]
    concurrency: int = 32
    notices: tuple[str, ...] = ()


def load_config(
    text: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    now: datetime,
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
) -> Config:
    """Read a config.

    Args:
        text: TOML.
        folder: Where its relative paths start.
        environ: What `${NAME}` refers to.
        now: What "today", "now" and "7d" start from.
        overrides: What the command line says.

    Raises:
        UsageError: The file or an option is wrong; all mistakes, each with its key.
        UnsupportedError: All mistakes are wishes that a provider cannot fulfil.
    """
    return read_document(_parse(text), folder=folder, environ=environ, now=now, overrides=overrides)


def ad_hoc_config(
    *,
    provider: str,
    base_url: str | None = None,
    credentials: Sequence[str] = (),
    folder: Path,
    environ: Mapping[str, str],
    now: datetime,
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
) -> Config:
    """Make a config of options alone; the source is named after its provider.

    Args:
        provider: Its name.
        base_url: Its address, None for the public one.
        credentials: Each `KEY=env:NAME` or `KEY=file:PATH`; never the secret itself, which others could see.
        folder: Where relative paths start.
        environ: What `env:` refers to.
        now: What relative moments start from.
        overrides: The other options.

    Raises:
        UsageError: An option is wrong; all mistakes, each with its option.
    """
    problems = Problems()
    if overrides.sources:
        problems.add("--source", "chooses among the sources of a config; with --provider there is none")
    values: dict[str, object] = {"name": provider, "provider": provider}
    if base_url is not None:
        values["base_url"] = base_url
    for given in credentials:
        found = _CREDENTIAL.fullmatch(given)
        if found is None:
            key = given.partition("=")[0] if "=" in given else ""
            problems.add(f"--credential {key}".strip(), "must be KEY=env:NAME or KEY=file:PATH")
        else:
            values[found[1]] = "${" + ("file:" if found[2] == "file" else "") + found[3] + "}"
    reader = _Reader(References(environ, folder), folder, problems, overrides, now)
    return reader.read({}, [OptionTable(values, provider, references=reader.references, problems=problems)])


def read_document(
    document: Mapping[str, object],
    *,
    folder: Path,
    environ: Mapping[str, str],
    now: datetime,
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
) -> Config:
    """Read a config that is parsed already; as `load_config`."""
    reader = _Reader(References(environ, folder), folder, Problems(), overrides, now)
    return reader.read(document, reader.source_tables(document))


def _parse(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UsageError("the config is nested too deep") from None
    except ValueError as error:
        what = str(error)
        found = _POSITION.search(what)
        if found is None:
            raise UsageError(f"the config is no TOML: {what}") from None
        line = found[1] or str(text.count("\n") + 1)
        column = found[2] or str(len(text) - text.rfind("\n"))
        raise UsageError(f"line {line}, column {column}: {what[: found.start()]}") from None


class _Reader:
    """Reads one document; the sources are read by a SourceReader."""

    def __init__(
        self, references: References, folder: Path, problems: Problems, options: Overrides, now: datetime
    ) -> None:
        self.references = references
        self._folder = folder
        self._problems = problems
        self._options = options
        self._now = now

    def read(self, document: Mapping[str, object], tables: list[Table]) -> Config:
        self._table(document, "").refuse_unknown(("output", "run", "defaults", "source"))
        output, output_notices = read_output(
            self._section(document, "output"), self._options, folder=self._folder
        )
        concurrency = self._concurrency(self._section(document, "run"))
        sources, notices = self._sources(self._section(document, "defaults"), tables)
        if self._problems.messages:
            kind = UnsupportedError if self._problems.is_unsupported else UsageError
            raise kind(*self._problems.messages)
        return Config(
            output=output, concurrency=concurrency, sources=sources, notices=(*output_notices, *notices)
        )

    def source_tables(self, document: Mapping[str, object]) -> list[Table]:
        """Return the file's sources with their labels, and whether each is in use."""
        given = document.get("source")
        if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
            self._problems.add("source", "a config needs at least one [[source]]")
            return []
        names = [self._name(values.get("name")) for values in given]
        self._check_names(given, names)
        return [
            self._table(
                values,
                f"source[{place}]" + (f" {quoted(name)}" if name else ""),
                used=not self._options.sources or name in self._options.sources,
            )
            for place, (values, name) in enumerate(zip(given, names, strict=True), 1)
        ]

    def _name(self, value: object) -> str | None:
        try:
            return read_name(self.references.fill(value, used=True))
        except (UnresolvedError, ValueError):
            return None

    def _check_names(self, given: list[dict[str, object]], names: list[str | None]) -> None:
        first: dict[str, int] = {}
        for place, (values, name) in enumerate(zip(given, names, strict=True), 1):
            if "name" not in values:
                self._problems.add(f"source[{place}]: name", "missing; every source needs one")
            # File systems that fold case would put both into one folder.
            elif name and first.setdefault(name.lower(), place) != place:
                other = first[name.lower()]
                self._problems.add(f"source[{place}] {quoted(name)}: name", f"is that of source[{other}] too")
        for wanted in self._options.sources:
            if wanted not in names:
                hint = nearest(wanted, [name for name in names if name])
                self._problems.add("--source", f"no source {quoted(wanted)}; {hint}")

    def _sources(self, defaults: Table, tables: list[Table]) -> tuple[tuple[Source, ...], tuple[str, ...]]:
        if defaults.values:  # else no provider is imported that no source asks for
            credentials = {key for one in PROVIDERS.values() for key in one.capabilities.credentials}
            defaults.refuse_unknown((*DEFAULT_KEYS, *sorted(credentials)))
        reader = SourceReader(defaults, self._options, self._problems, self._now)
        read = [(table, reader.read(table)) for table in tables]
        sources = tuple(source for table, source in read if source is not None and table.is_used)
        return sources, reader.reach.settle(self._problems)

    def _concurrency(self, table: Table) -> int:
        table.refuse_unknown(("concurrency",))
        given = table.take("concurrency", read_count, 32)
        try:
            return given if self._options.concurrency is None else read_count(self._options.concurrency)
        except ValueError as error:
            self._problems.add("--concurrency", str(error))
            return given

    def _section(self, document: Mapping[str, object], name: str) -> Table:
        values = document.get(name, {})
        if isinstance(values, dict):
            return self._table(values, name)
        self._problems.add(name, f"must be a table: [{name}]")
        return self._table({}, name)

    def _table(self, values: Mapping[str, object], label: str, *, used: bool = True) -> Table:
        return Table(values, label, references=self.references, problems=self._problems, used=used)
