"""The name of a file that is named after an id, whatever is in the id. Pure.

An id of lowercase letters, digits, `-`, `_` and inner dots, as nearly all are, is its own name. Any other is spelt with
those, and a hash of the id follows behind a `~`, which no id's own name has: so two ids never share a name, also where
the file system takes capitals for small letters or composes accents, and the same id has the same name in every run.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 100
"""Characters of an id that are kept; with hash and suffix a name stays far below the 255 bytes of most systems."""

_PLAIN = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,98}[a-z0-9_-])?")
_STRANGE = re.compile(r"[^a-zA-Z0-9._-]")
# Names that Windows keeps for devices, with any suffix.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])(?:\..*)?")


def file_stem(call_id: str) -> str:
    """Return the name of an id's file, less its suffix."""
    if _PLAIN.fullmatch(call_id) and not _DEVICE.fullmatch(call_id):
        return call_id
    spelt = _STRANGE.sub("_", unicodedata.normalize("NFKD", call_id[:LONGEST]))[:LONGEST].strip(".")
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    if not spelt or spelt[0] == "-" or _DEVICE.fullmatch(spelt.lower()):
        spelt = f"_{spelt}"
    return f"{spelt}~{digest}"
