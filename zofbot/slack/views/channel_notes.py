"""One-line notes that zofbot posts: who subscribed a channel to what, and why its alerts wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zofbot.domain.text import count_noun, join_first
from zofbot.notifications import text
from zofbot.notifications.other_payloads import NotePayload
from zofbot.notifications.payloads import dump_payload
from zofbot.slack.errors import ASK_WHY_STEP, EXPLANATIONS
from zofbot.slack.views.blocks import Message, context_block

MAX_FILTERS_NAMED = 5
"""Maximum subscriptions or mutes that a note names when several end."""


def note_payload(sentence: str, about: str = "") -> dict[str, Any]:
    """Return a note as a notification's payload; ``about`` is a channel id, ``sentence`` is not escaped yet."""
    return dump_payload(NotePayload(said=sentence, channel=about))


def join_filters(filters: Sequence[str]) -> str:
    """Join the first filters for a note, clipped so that all of them fit in it, and count the rest."""
    limit = 2000 // max(min(len(filters), MAX_FILTERS_NAMED), 1)
    return join_first([text.clip_text(each, limit) for each in filters], MAX_FILTERS_NAMED, "; ")


def channel_note(body: NotePayload) -> Message:
    """Render a note."""
    traced = f"Request ID: {body.request_id}" if body.request_id else "Zof returned no request id."
    sentence = text.escape_line(f"{body.said} {body.trouble} {traced}" if body.trouble else body.said, 2500)
    shown = f"<#{body.channel}>: {sentence}" if body.channel.isalnum() else sentence
    return Message(shown, [context_block(shown)])


DEFAULT_CHANNEL_NOTE = "This is the default channel for failures that match no subscription."
"""Explanation for admins, because nobody has subscribed the default channel."""

ALERT_REMOVED_NOTE = (
    "An alert in this channel was deleted, posted again, and deleted again. zofbot won't post it again. "
    "If an app deletes messages automatically, ask its admin to allow messages from zofbot."
)
"""Sent to the people responsible for a channel when an alert was deleted twice."""


def moved_channel_note(subscriptions: int, mutes: int, *, digest: bool) -> str:
    """Return the note to the people who set up what was moved to a channel's new id."""
    counts = ((subscriptions, "subscription"), (mutes, "mute"))
    moved = [count_noun(count, noun) for count, noun in counts if count]
    listed = " and ".join(filter(None, (", ".join(moved), "the digest" if digest else "")))
    return (
        "This channel has a new ID in Slack, as private channels get when someone starts to share them with another "
        f"organization. zofbot moved {listed or 'its settings'} to it. Alerts from before can no longer be "
        "acknowledged, and do not recover; new failures are posted as usual."
    )


def blocked_channel_note(reason: str) -> str:
    """Return the note to the people responsible for a channel that Slack refuses for ``reason``."""
    what, fix = EXPLANATIONS.get(reason, (f"Slack rejects messages ({reason}).", ASK_WHY_STEP))
    return f"Alerts for this channel are on hold: {what} {fix} Queued alerts will be sent once this is fixed."
