"""One call in full: by its id, or the most recent ones."""

from __future__ import annotations

from .asker import Asker, Call
from .get import get
from .latest import latest

__all__ = ["Asker", "Call", "get", "latest"]
