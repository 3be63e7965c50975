"""Which values of a command line need no conversion.

Typer converts every option by pydantic, also those that nobody gave, and that is 70 ms of each start. What is right as
it is stays as it is here; the rest, mistakes above all, is typer's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any, get_args, get_origin


def convert_less(parameters: Iterable[Any]) -> None:
    """Let parameters of typer's convert only what needs it; none may have a `parser` of its own.

    Those of a typer that does without pydantic stay as they are.
    """
    for parameter in parameters:
        wanted = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        if wanted is not None:
            parameter.process_value = partial(_processed, parameter, wanted, parameter.process_value)


def _processed(
    parameter: Any, wanted: Any, convert: Callable[[Any, Any], Any], context: Any, value: Any
) -> Any:
    if parameter.required and not value:
        return convert(context, value)
    # What was typed is a string; a default is of its type already.
    if value is None:
        value = () if get_origin(wanted) is list else None
    elif isinstance(value, list | tuple) and all(get_args(wanted) == (type(one),) for one in value):
        value = list(value)
    elif isinstance(wanted, type) and issubclass(wanted, Enum) and value in [one.value for one in wanted]:
        value = wanted(value)
    elif type(value) is not wanted:
        return convert(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)
