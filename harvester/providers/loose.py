"""JSON read by the standard library where msgspec refuses it: half characters are let in, and the reason is told."""

from __future__ import annotations

import json
import math
from typing import Any


def read_json(text: bytes | str) -> Any:
    """Return what a text holds; a string in it may have half a character (a lone surrogate).

    Raises:
        ValueError: It is no JSON; the message says why and holds nothing of the text.
    """
    try:
        return _DECODER.decode(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise ValueError("not JSON: its bytes are no UTF-8") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}") from error


def _refuse_constant(word: str) -> float:
    raise ValueError(f"not JSON: {word} is no JSON")


def _read_int(digits: str) -> float:
    """Return a number; beyond 400 digits, where no column could hold it, infinity."""
    return int(digits) if len(digits) < 400 else math.inf


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_read_int)
