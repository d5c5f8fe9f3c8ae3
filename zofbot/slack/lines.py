"""Lines of our own in a channel: who subscribed it to what, and why its alerts wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zofbot.slack import text
from zofbot.slack.message import Message, context
from zofbot.slack.verdict import MENDS


def body(said: str) -> dict[str, Any]:
    """A line as a notification's body; what people are called in it is not escaped yet."""
    return {"card": "line", "said": said}


def drawn(stored: Mapping[str, Any]) -> Message | None:
    """The message of such a body; nothing for any other."""
    if stored.get("card") != "line":
        return None
    said = text.line(str(stored.get("said") or ""), 2500)
    return Message(said, [context(said)])


def parked(channel: str, reason: str) -> str:
    """What the subscribers of a channel (its id) are told when Slack refuses it for ``reason``."""
    what, mend = MENDS.get(reason, (f"Slack refuses it ({reason}).", "An admin of the workspace can say why."))
    return f"Alerts for the channel {channel} wait: {what} {mend} What waits is sent once it is mended."
