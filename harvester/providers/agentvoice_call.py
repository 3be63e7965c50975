"""A row of AgentVoice's calls, light or full: what is read of it, and its native columns.

Source: AgentVoice's page "Calls", its payload modes and include options.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from harvester.model import Problem
from harvester.record import Turn

from .transcripts import SpokenTranscript, turns_of


class Key(msgspec.Struct, frozen=True, gc=False):
    """What walking needs of a row, and fetching the recording that it links."""

    id: str
    created_at: datetime | None = None
    agent_id: str | None = None
    recording_url: str | None = None


class Call(msgspec.Struct, frozen=True, gc=False):
    """A row of the light payload, and what `fields=full` or `include` add to it that is read.

    `call_duration` is in seconds. `transcript` is raw text; `transcript_formatted` is structured, in a shape that is
    not documented.
    """

    id: str
    created_at: datetime | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    contact_id: str | None = None
    contact_first_name: str | None = None
    contact_last_name: str | None = None
    contact_email: str | None = None
    phone_number: str | None = None
    phone_number_called_from: str | None = None
    call_type: str | None = None
    status: str | None = None
    call_success: bool | None = None
    went_to_voicemail: bool | None = None
    call_duration: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_reason: str | None = None
    recording_url: str | None = None
    campaign_id: str | None = None
    campaign_name: str | None = None
    call_description: str | None = None
    transcript: SpokenTranscript | None = None
    transcript_formatted: SpokenTranscript | None = None


COLUMNS: Mapping[str, str] = {
    "id": "string",
    "agent_id": "string",
    "agent_name": "string",
    "contact_id": "string",
    "contact_first_name": "string",
    "contact_last_name": "string",
    "contact_email": "string",
    "phone_number": "string",
    "phone_number_called_from": "string",
    "call_type": "string",
    "status": "string",
    "call_success": "bool",
    "went_to_voicemail": "bool",
    "call_duration": "float",
    "started_at": "string",
    "ended_at": "string",
    "ended_reason": "string",
    "recording_url": "string",
    "campaign_id": "string",
    "campaign_name": "string",
    "created_at": "string",
    "transcript": "string",
    "call_description": "string",
    # Of these the page says what they are for, not what they look like.
    "transcript_formatted": "json",
    "post_call_analysis": "json",
    "custom_analysis": "json",
    "structured_data_results": "json",
    "notes": "json",
    "action_executions": "json",
    "action_summary": "json",
    "quality_metrics": "json",
    "enhanced_context": "json",
    "latency_metrics": "json",
    "audio_metrics": "json",
    "turn_events": "json",
    "interruptions": "json",
    "tool_usage": "json",
}


def is_spare(problem: Problem, call: Any) -> bool:
    """Say whether a problem is with a structured transcript in whose stead the text is there and was read."""
    is_unread = problem.field == "transcript_formatted" and call.transcript_formatted is None
    return is_unread and call.transcript is not None


def turns_in(call: Call) -> list[Turn] | None:
    """Return the turns of the structured transcript; where it has none, those of the text."""
    structured = turns_of(call.transcript_formatted)
    if structured or call.transcript is None:
        return structured
    return turns_of(call.transcript)
