"""Mutes as people read them: answers, the list under a channel's subscriptions, and App Home's part of it."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.routing.mute import Mute
from zofbot.slack import text
from zofbot.slack.message import Block, Message, actions, button, section
from zofbot.slack.pieces import moment
from zofbot.verbs import COMMAND

END = "zof_unmute"
"""``action_id`` of the button that ends a mute."""

MAX_ROWS = 10
"""Mutes that are listed at a time."""


def muted(mute: Mute) -> Message:
    """Told to whoever muted something."""
    said = f"Muted: {text.mrkdwn(mute.filters, 500)}"
    after = (
        f"Nothing that matches is posted here until {moment(mute.until)}; then a summary says what failed meanwhile."
    )
    ends = f"`{COMMAND} unmute` ends it earlier."
    return Message(
        f"{said}. {after}",
        [section(f"🔕 *Muted:* {text.code(mute.filters, 1000)}\n{after} {ends}"), *actions(_end(mute))],
    )


def done_before() -> Message:
    """Told to whoever repeats what was done and has changed since."""
    said = f"That was done before. `{COMMAND} subscriptions` shows what is muted now."
    return Message(said, [section(f"🔕 {said}")])


def unmuted(ended: Sequence[Mute]) -> Message:
    """Told to whoever ended mutes."""
    said = "No longer muted: " + ", ".join(text.code(mute.filters, 300) for mute in ended[:MAX_ROWS])
    after = "If something failed meanwhile, a summary follows in the channel."
    return Message(f"{said}. {after}", [section(f"🔔 {said}\n{after}")])


def listed(mutes: Sequence[Mute], *, ends: bool = True, places: Sequence[str] = ()) -> list[Block]:
    """A row for each mute, with a button that ends it; ``places`` are their channels in mrkdwn, where they differ."""
    if not mutes:
        return []
    shown = mutes[:MAX_ROWS]
    rows = [
        section(f"{number}. {place}{row(mute)}", _end(mute) if ends else None)
        for number, (mute, place) in enumerate(zip(shown, places or [""] * len(shown), strict=False), start=1)
    ]
    more = len(mutes) - len(shown)
    return [section(f"🔕 *Muted* ({len(mutes)})"), *rows, *([section(f"and {more} more")] if more else [])]


def row(mute: Mute) -> str:
    """One mute in a line (mrkdwn)."""
    because = f": {text.line(mute.reason, 200)}" if mute.reason else ""
    return f"{text.code(mute.filters, 500)} until {moment(mute.until)}, by {text.line(mute.by_name, 80)}{because}"


def _end(mute: Mute) -> Block | None:
    return button("Unmute", END, {"id": mute.id}, aloud=f"End the mute of {mute.filters}"[:75])
