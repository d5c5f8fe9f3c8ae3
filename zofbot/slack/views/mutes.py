"""Mutes: replies, the list below a channel's subscriptions, and the list in App Home."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.text import join_first
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, Message, build_button, button_row, section_block
from zofbot.slack.views.components import format_moment
from zofbot.subscriptions.mute import Mute

UNMUTE_ACTION_ID = "zof_unmute"
"""``action_id`` of the button that ends a mute."""

MAX_ROWS = 10
"""Maximum mutes listed."""


def muted_reply(mute: Mute, hint: str = "") -> Message:
    """Reply to the person who muted something; ``hint`` (mrkdwn) says if it matches no project."""
    sentence = f"Muted: {text.escape_mrkdwn(mute.filters, 500)}"
    after = f"Matching alerts are paused{format_moment(mute.until, ' until ')}, then summed up in one message."
    ends = f"`{SLASH_COMMAND} unmute` ends it early."
    return Message(
        f"{sentence}. {after}",
        [
            section_block(f"🔕 *Muted:* {text.inline_code(mute.filters, 1000)}\n{after} {ends}"),
            *([section_block(f"⚠️ {hint}")] if hint else []),
            *button_row(_unmute_button(mute)),
        ],
    )


def already_done_reply() -> Message:
    """Reply to a repeated request whose effect has changed since."""
    sentence = f"Already done. `{SLASH_COMMAND} subscriptions` lists current mutes."
    return Message(sentence, [section_block(f"🔕 {sentence}")])


def unmuted_reply(ended: Sequence[Mute]) -> Message:
    """Reply to the person who ended mutes."""
    sentence = "Unmuted: " + join_first([text.inline_code(mute.filters, 250) for mute in ended], MAX_ROWS, ", ")
    after = "If anything failed in the meantime, a summary follows here."
    return Message(f"{sentence}. {after}", [section_block(f"🔔 {sentence}\n{after}")])


def mute_list(mutes: Sequence[Mute], *, ends: bool = True, places: Sequence[str] = ()) -> list[Block]:
    """Return a row per mute, with a button to end it; ``places`` are their channels (mrkdwn), if they differ."""
    if not mutes:
        return []
    shown = mutes[:MAX_ROWS]
    rows = [
        section_block(f"{number}. {place}{mute_line(mute)}", _unmute_button(mute) if ends else None)
        for number, (mute, place) in enumerate(zip(shown, places or [""] * len(shown), strict=False), start=1)
    ]
    more = len(mutes) - len(shown)
    return [section_block(f"🔕 *Muted* ({len(mutes)})"), *rows, *([section_block(f"and {more} more")] if more else [])]


def mute_line(mute: Mute) -> str:
    """Describe a mute in one line (mrkdwn)."""
    because = f": {text.escape_line(mute.reason, 200)}" if mute.reason else ""
    muted_until = f"{text.inline_code(mute.filters, 500)} {format_moment(mute.until, 'until ')}"
    return f"{muted_until}, by {text.escape_line(mute.by_name, 80)}{because}"


def _unmute_button(mute: Mute) -> Block | None:
    return build_button("Unmute", UNMUTE_ACTION_ID, {"id": mute.id}, aloud=f"End the mute of {mute.filters}"[:75])
