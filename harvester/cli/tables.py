"""Answers on stdout: a table drawn on a terminal, aligned text elsewhere, JSON where asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from .screen import is_terminal, plain

Row = Sequence[object]


def print_json(value: object) -> None:
    """Print a value as JSON that people can read too; structs become objects with their fields' names."""
    print(json_of(value).decode())


def json_of(value: object) -> bytes:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def print_table(columns: Sequence[str], rows: Sequence[Row], *, right: Sequence[str] = ()) -> None:
    """Print rows under their columns.

    Args:
        columns: The columns' titles.
        rows: A cell for each column; None is an empty one.
        right: The titles of the columns of numbers.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if is_terminal(sys.stdout):
        # Drawing costs 60 ms to import, which a pipe need not pay.
        from .drawn import draw_table  # noqa: PLC0415

        draw_table(columns, cells, right=right)
    else:
        print(aligned(columns, cells, right=right))


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """Return a table as lines of text, two spaces between the columns."""
    table = [[title.upper() for title in columns], *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if title in right else cell.ljust(width)
            for title, cell, width in zip(columns, row, widths, strict=True)
        ).rstrip()
        for row in table
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(str(value)).replace("\n", " ")
