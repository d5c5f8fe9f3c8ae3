"""Lines of our own in a channel: who subscribed it to what, and why its alerts wait."""

from __future__ import annotations

from typing import Any

from zofbot.notifications import text
from zofbot.notifications.payloads import NotePayload, dump_payload
from zofbot.slack.errors import EXPLANATIONS
from zofbot.slack.views.blocks import Message, context_block


def note_payload(said: str, about: str = "") -> dict[str, Any]:
    """A line as a notification's body, ``about`` a channel (its id); what people are called is not escaped yet."""
    return dump_payload(NotePayload(said=said, channel=about))


def channel_note(body: NotePayload) -> Message:
    """The line as a message."""
    said = text.escape_line(body.said, 2500)
    shown = f"<#{body.channel}>: {said}" if body.channel.isalnum() else said
    return Message(shown, [context_block(shown)])


DEFAULT_CHANNEL_NOTE = "This is the default channel, which gets the failures that no subscription takes."
"""What the admins are told besides, for nobody has subscribed it."""

ALERT_REMOVED_NOTE = (
    "An alert was removed from this channel, posted once more, and removed again. zofbot will not post it again. "
    "If an app removes messages automatically, ask its admin to allow messages from zofbot."
)
"""What is said to those responsible for a channel when an alert does not stay there."""


def blocked_channel_note(reason: str) -> str:
    """What is said to those responsible for a channel when Slack refuses it for ``reason``."""
    what, mend = EXPLANATIONS.get(reason, (f"Slack refuses it ({reason}).", "An admin of the workspace can say why."))
    return f"Alerts for this channel wait: {what} {mend} What waits is sent once it is mended."
