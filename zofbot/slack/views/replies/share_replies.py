"""Private replies about sharing a card."""

from __future__ import annotations

from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Message,
    section_block,
)


def shared_reply(link: str, *, is_redacted: bool = False) -> Message:
    """Reply to the person who shared a card; ``is_redacted``: without details, because the bot cannot see who reads."""
    return _reply_to_share("Shared to this channel", "", link, is_redacted)


def already_shared_reply(name: str, ago: float, link: str, *, is_redacted: bool = False) -> Message:
    """Reply to a share of something already shared by ``name`` (unescaped) so many seconds ``ago``."""
    sentence = f"{text.escape_line(name, 80) or 'Someone'} already shared this"
    return _reply_to_share(sentence, f", {text.describe_duration(max(ago, 1))} ago", link, is_redacted)


def _reply_to_share(sentence: str, when: str, link: str, is_redacted: bool) -> Message:
    without, note = (", without failure details", f"\n{_REDACTED_NOTE}") if is_redacted else ("", "")
    shown = f"{sentence}{without}{when}.{_link_text(link)}{note}"
    return Message(shown.replace("\n", " "), [section_block(f"{'⚠️' if is_redacted else '✅'} {shown}")])


_REDACTED_NOTE = (
    "zofbot isn't in this conversation, so it can't tell whether people of other organizations read it. Invite it with "
    "`/invite @zofbot` and share again, or share in a channel that it is in."
)


def share_running_reply(name: str) -> Message:
    """Reply to a click while another click is still posting."""
    sentence = f"{text.escape_line(name, 80) or 'Someone'} is already sharing this."
    return Message(sentence, [section_block(f"⏳ {sentence}")])


def _link_text(link: str) -> str:
    return f" <{link}|View message>" if link.startswith(("https://", "http://")) else ""
