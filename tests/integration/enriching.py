"""How the tests of details and recordings ask the sandbox what it has, and what it was asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harvester.sandbox import Account, World

from .exporting import Output, Url, source, truth, violations_of

WITH_DETAILS = ("agentvoice", "talkpilot", "bimpe")
WITH_RECORDINGS = ("agentvoice", "talkpilot")
ROLES = {"assistant": "agent"}


def three(url: Url, *, recordings: bool = False, **keys: Any) -> list[dict[str, object]]:
    """Return a source of each provider that has details, with the recordings of those that have any."""
    return [
        source(name, url, **{"details": True, "recordings": recordings and name in WITH_RECORDINGS, **keys})
        for name in WITH_DETAILS
    ]


def whole(account: Account) -> dict[str, bytes]:
    """Return what `raw` should be, by id: the detail, but for TalkPilot's purged calls, which have none."""
    listed = truth(account)
    full = truth(account, shape="full" if account.provider == "agentvoice" else "detail")
    return {call_id: listed[call_id] if _is_purged(raw) else raw for call_id, raw in full.items()}


def detailed(account: Account) -> set[str]:
    """Return the calls whose details have to be asked for."""
    return {call_id for call_id, raw in truth(account).items() if not _is_purged(raw)}


def _is_purged(raw: bytes) -> bool:
    return json.loads(raw).get("is_purged") is True


def turns(provider: str, raw: bytes) -> list[tuple[str, str | None]] | None:
    """Read who said what from a provider's JSON, without harvester; None where there is no transcript."""
    name = {"agentvoice": "transcript_formatted", "talkpilot": "transcript", "bimpe": "conversation_logs"}
    found = json.loads(raw).get(name[provider])
    found = json.loads(found) if isinstance(found, str) else found
    if found is None:
        return None
    roles = [one.get("role") or one.get("speaker") for one in found]
    return [
        (ROLES.get(role, role), one.get("text", one.get("message")))
        for role, one in zip(roles, found, strict=True)
    ]


def asked(stats: Mapping[str, Any], provider: str, endpoint: str = "call") -> int:
    """Return how often an endpoint of a provider was asked."""
    return sum(tally["requests"].get(endpoint, 0) for tally in stats[provider]["keys"])


def asked_media(stats: Mapping[str, Any], provider: str) -> int:
    """Return how often a provider's storage was asked."""
    return sum(tally["requests"].get("media", 0) for tally in stats[provider]["media"]["keys"])


def all_violations(stats: Mapping[str, Any]) -> list[str]:
    """Return what the APIs and their storages have seen that no document allows."""
    found = violations_of(stats)
    for name in WITH_RECORDINGS:
        media = stats[name]["media"]
        for tally in (*media["keys"], media["strangers"]):
            found += tally["violations"]["messages"]
    return found


def sounds(account: Account) -> dict[str, bytes]:
    """Return the recordings that there are, by call."""
    ids = truth(account)
    found = {call_id: account.recording(call_id) for call_id in ids}
    return {call_id: sound for call_id, sound in found.items() if sound is not None}


def recorded(out: Output, name: str) -> dict[str, bytes]:
    """Return the recordings that the records name, by call; each is what its record says of it."""
    found: dict[str, bytes] = {}
    for row in out.rows(name):
        if row["recording_path"] is None:
            assert (row["recording_sha256"], row["recording_bytes"]) == (None, None)
            continue
        data = (out.root / row["recording_path"]).read_bytes()
        assert (row["recording_bytes"], row["recording_sha256"]) == (
            len(data),
            hashlib.sha256(data).hexdigest(),
        )
        found[row["call_id"]] = data
    return found


def recording_files(out: Output, name: str = "*") -> list[Path]:
    """Return the files of recordings, named by a record or not."""
    return sorted(path for path in out.root.glob(f"recordings/{name}/*/*") if path.is_file())


def assert_whole(out: Output, world: World, *, recordings: bool = False) -> None:
    """Compare every detail and every recording with what the sandbox has, byte for byte."""
    for name in WITH_DETAILS:
        assert out.raws(name) == whole(world.account(name)), name
    if recordings:
        for name in WITH_RECORDINGS:
            wanted = sounds(world.account(name))
            assert recorded(out, name) == wanted, name
            assert len(recording_files(out, name)) == len(wanted)
