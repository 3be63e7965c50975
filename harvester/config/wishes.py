"""What a source may wish of its provider: details, recordings, filters; and why a provider cannot."""

from __future__ import annotations

from harvester.providers import check_filters
from harvester.providers.base import Capabilities, Provider

from .table import nearest
from .values import quoted, read_text

FULL = ("full",)


def read_details(value: object) -> tuple[str, ...]:
    """Read true, false or a list of groups; the groups come sorted, each once."""
    if isinstance(value, bool):
        return FULL if value else ()
    if not isinstance(value, list):
        raise ValueError('must be true, false or a list of groups such as ["transcript"]')  # noqa: TRY004 - a mistake
    groups = {read_text(one) for one in value}
    return FULL if "full" in groups else tuple(sorted(groups))


def refuse_details(can: Capabilities, groups: tuple[str, ...]) -> str | None:
    """Return why a provider cannot give these groups of details, None where it can."""
    if not groups:
        return None
    if can.details == "none":
        return f"{can.title} documents no details"
    if groups == FULL:
        return None
    if not can.detail_groups:
        return f"{can.title} gives details as a whole, not by groups: details = true"
    unknown = [group for group in groups if group not in can.detail_groups]
    return (
        f"no such group {quoted(unknown[0])}; {nearest(unknown[0], can.detail_groups)}" if unknown else None
    )


def refuse_recordings(can: Capabilities, *, is_asked: bool) -> str | None:
    """Return why a provider cannot give recordings, None where it can or is not asked."""
    return f"{can.title} documents no recordings" if is_asked and can.recordings == "none" else None


def refuse_filter(provider: Provider, name: str, value: str) -> str | None:
    """Return why a provider cannot filter so, None where it can."""
    problems = check_filters(provider, {name: value})
    return "; ".join(problems).removeprefix(f"filters.{name}: ") or None
