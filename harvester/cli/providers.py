"""`harvester providers`: what each provider can do."""

from __future__ import annotations

from harvester.providers import PROVIDERS
from harvester.providers.base import Capabilities

from .options import AsJson, Unread
from .tables import print_json, print_table

EXAMPLES = ("harvester providers", "harvester providers --json")

_COLUMNS = ("provider", "credentials", "filters", "range by", "details", "recordings", "limits", "address")
_WAYS = {"none": "none", "list": "in the list", "request": "a request a call", "detail": "in the detail"}

_GET = {True: "one call by its id", False: "no route for one call"}
_LATEST = {
    "one": "asked for as such",
    "newest_page": "the newest page of each agent",
    "range": "the last days, read whole",
}


def command(*, _config: Unread = None, as_json: AsJson = False) -> int:
    """Say what each provider can do: filters, limits, details, recordings, quirks."""
    known = [provider.capabilities for provider in PROVIDERS.values()]
    if as_json:
        print_json(known)
        return 0
    print_table(_COLUMNS, [_cells(one) for one in known])
    for one in known:
        print(f"\n{one.title} ({one.documents})")
        print(f"  get: {_GET[one.can_get]}")
        print(f"  latest: {_LATEST[one.latest]}; by --phone: {'yes' if one.phone_filter else 'no'}")
        for name, filtered in one.filters.items():
            values = f": {', '.join(filtered.values)}" if filtered.values else ""
            print(f"  filter {name}: {filtered.description}{values}")
        for quirk in one.quirks:
            print(f"  {quirk}")
    return 0


def _cells(one: Capabilities) -> tuple[object, ...]:
    groups = f" ({', '.join(one.detail_groups)})" if one.detail_groups else ""
    return (
        one.name, ", ".join(one.credentials), ", ".join(one.filters), one.range_by,
        _WAYS[one.details] + groups, _WAYS[one.recordings], ", ".join(map(str, one.rates)) or "not published",
        one.base_url,
    )  # fmt: skip
