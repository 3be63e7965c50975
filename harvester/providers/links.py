"""Links to recordings, as they may be kept."""

from __future__ import annotations


def unsigned(link: str | None) -> str | None:
    """Return a link less what could open it: query and fragment, where signatures are, and a login before the host.

    None where there is none, or it is empty.
    """
    if not link:
        return None
    plain = link.partition("?")[0].partition("#")[0]
    if "@" not in plain:
        return plain
    scheme, slashes, rest = plain.partition("//")
    if not slashes:
        scheme, rest = "", plain
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"
