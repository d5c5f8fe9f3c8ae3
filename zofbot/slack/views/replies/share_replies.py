"""Private replies about sharing a card."""

from __future__ import annotations

from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Message,
    section_block,
)


def shared_reply(link: str) -> Message:
    """Reply to the person who shared a card."""
    sentence = "Shared to this channel."
    return Message(sentence, [section_block(f"✅ {sentence}{_link_text(link)}")])


def already_shared_reply(name: str, ago: float, link: str) -> Message:
    """Reply to a share of something already shared by ``name`` (unescaped) so many seconds ``ago``."""
    sentence = (
        f"{text.escape_line(name, 80) or 'Someone'} already shared this, {text.describe_duration(max(ago, 1))} ago."
    )
    return Message(f"{sentence}{_link_text(link)}", [section_block(f"✅ {sentence}{_link_text(link)}")])


def share_running_reply(name: str) -> Message:
    """Reply to a click while another click is still posting."""
    sentence = f"{text.escape_line(name, 80) or 'Someone'} is already sharing this."
    return Message(sentence, [section_block(f"⏳ {sentence}")])


def _link_text(link: str) -> str:
    return f" <{link}|View message>" if link.startswith(("https://", "http://")) else ""
