"""dlt with pages asked for in parallel: a resource of deferred pages, which dlt's threads fetch.

With `arrow` each page is given to dlt as an Arrow table, made by pyarrow's own reader: dlt then leaves rows alone,
which is its fastest way, to Parquet only. What was tuned beside: `dlt_settings`; a session for each thread, orjson.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow
import pyarrow.json

from . import dlt_settings
from .apis import APIS, Api


class Reader:
    """Reads pages, each thread over a connection of its own."""

    def __init__(self, api: Api, url: str) -> None:
        self._api = api
        self._url = url + api.path
        self._local = threading.local()

    def page(self, number: int) -> bytes:
        """Return the body of a page."""
        import requests  # noqa: PLC0415 - dlt imports it too, after it was configured

        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers.update(self._api.headers)
        answer = self._local.session.get(self._url, params=self._api.query(number), timeout=60)
        answer.raise_for_status()
        body: bytes = answer.content
        return body


def as_dicts(body: bytes) -> Any:
    """Return the calls of a page."""
    return orjson.loads(body)["data"]


def as_arrow(body: bytes) -> Any:
    """Return the calls of a page as a table."""
    start, end = body.index(b"["), body.rindex(b"]")
    # Lines are what pyarrow reads; no text in these pages has these three characters in it.
    table = pyarrow.json.read_json(io.BytesIO(body[start + 1 : end].replace(b'},{"id"', b'}\n{"id"')))
    return table.set_column(
        table.column_names.index("agent"), "agent", _told(table.column("agent").to_pylist())
    )


def main(provider: str, url: str, out: str, in_flight: str, *form: str) -> None:
    """Load all calls of an account; the form is that of the files, then `dicts` or `arrow`."""
    file_format, shape = form
    dlt_settings.configure(out, in_flight)
    # After the environment is set, which dlt reads when it is imported.
    import dlt  # noqa: PLC0415

    reader = Reader(APIS[provider], url)
    read = {"dicts": as_dicts, "arrow": as_arrow}[shape]

    @dlt.resource(name="calls", max_table_nesting=0)
    def calls() -> Iterator[Any]:
        first = reader.page(0)
        yield read(first)

        @dlt.defer
        def later(number: int) -> Any:
            return read(reader.page(number))

        for number in range(1, APIS[provider].pages(orjson.loads(first))):
            yield later(number)

    dlt_settings.load(calls(), out, file_format)


def _told(values: list[Any]) -> Any:
    """Return objects as JSON, as the others keep them."""
    return pyarrow.array([orjson.dumps(value).decode() for value in values], pyarrow.string())


if __name__ == "__main__":
    main(*sys.argv[1:])
