"""A page as the journal keeps it, and a page again of what it kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from harvester.journal import DATELESS, NAMELESS, Digest, PackedDigest
from harvester.model import Listing

from .ids import hour_of
from .shape import Page


def digest_of(
    page: Page, received_at: datetime, new: Sequence[int], *, written: int
) -> Digest | PackedDigest:
    """Return what the journal keeps of an answer.

    Args:
        page: The answer.
        received_at: When it came.
        new: Its rows that are new to the output.
        written: How many calls that is.
    """
    listing, keys = page.listing, page.keys
    told = (listing.total, listing.size, listing.page, listing.has_more)
    rest = (written, received_at, None if len(new) == len(page.ids) else list(new))
    if keys is not None:
        return PackedDigest(*told, keys.ids, keys.moments, [], *rest)
    nameless = [i for i, hour in enumerate(page.hours) if hour == NAMELESS] if page.problems else []
    return Digest(*told, list(page.ids), list(page.moments), nameless, *rest)


def brought_by(digest: Digest) -> Page:
    """Return the rows of an answer that were new to the output with it: what its segment holds."""
    page = page_of(digest)
    if digest.brought is None:
        return page
    for name in ("calls", "ids", "moments", "hours"):
        values = getattr(page, name)
        setattr(page, name, [values[i] for i in digest.brought])
    return page


def page_of(digest: Digest) -> Page:
    """Return an answer as its digest has it: without its rows, but as many."""
    nothing = msgspec.Raw(b"")
    listing = Listing([nothing] * len(digest.ids), digest.total, digest.size, digest.page, digest.has_more)
    hours = [DATELESS if at is None else hour_of(at) for at in digest.moments]
    for index in digest.nameless:
        hours[index] = NAMELESS
    return Page(listing, [None] * len(digest.ids), digest.ids, digest.moments, hours, [])
