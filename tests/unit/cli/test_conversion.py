"""Values that are taken as they are, beside what typer makes of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import pytest
import typer

from harvester.cli.conversion import convert_less


class Colour(StrEnum):
    RED = "red"


def doubled(value: str | None) -> str | None:
    return value and value * 2


def command(
    needed: str,
    more: Annotated[list[str] | None, typer.Argument()] = None,
    *,
    text: str | None = None,
    texts: Annotated[list[str] | None, typer.Option("--one")] = None,
    numbers: Annotated[list[int] | None, typer.Option("--number")] = None,
    count: Annotated[int, typer.Option("-v", count=True)] = 0,
    port: Annotated[int, typer.Option(min=0)] = 8,
    share: float | None = None,
    colour: Colour = Colour.RED,
    flag: bool | None = None,
    twice: Annotated[str | None, typer.Option(callback=doubled)] = None,
) -> None: ...


def built(*, is_less: bool) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(command)
    made = typer.main.get_command(app)
    if is_less:
        convert_less(made.params)
    return made


def read(arguments: list[str], *, is_less: bool) -> object:
    """Return what a command line comes to: the parameters, or the mistake."""
    try:
        params: dict[str, object] = built(is_less=is_less).make_context("command", list(arguments)).params
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        return getattr(error, "format_message", error.__str__)()
    return {name: (type(value), value) for name, value in params.items()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["a"],
        [],
        [""],
        ["é", "b", "c"],
        ["a", "--text", "\udcff", "--one", "x", "--one", "y"],
        ["a", "--text", "", "--one", ""],
        ["a", "--number", "1", "--number", "2"],
        ["a", "--number", "x"],
        ["a", "-v", "-vv"],
        ["a", "--port", "9", "--share", "0.5", "--colour", "red", "--flag"],
        ["a", "--port", "-1"],
        ["a", "--port", "x"],
        ["a", "--colour", "blue"],
        ["a", "--no-flag"],
        ["a", "--twice", "x"],
        ["a", "--text"],
    ],
)
def test_less_conversion_comes_to_the_same(arguments: list[str]) -> None:
    """What is taken as it is has the value and the type that typer would give it, and mistakes have its words."""
    assert read(arguments, is_less=True) == read(arguments, is_less=False)


def test_parameters_of_another_typer_are_left_alone() -> None:
    """One that does not say what it becomes keeps its own way."""
    parameter = object()
    convert_less([parameter])  # it could not be given another
