"""Private replies about subscriptions: added, listed, ended, tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.domain.model import utc_datetime
from zofbot.domain.text import join_first
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    MAX_LIST_CHARS,
    Block,
    Message,
    build_button,
    button_row,
    context_block,
    header_block,
    plain_text,
    section_block,
)
from zofbot.slack.views.run_list import ROWS_PER_PAGE, PageWindow, page_controls


def subscribed_reply(wish: str, identifier: str, caution: str, *, changed: bool = False) -> Message:
    """Reply to the person who created or changed a subscription; ``caution`` (mrkdwn) may be empty."""
    sentence = "Subscription updated." if changed else "Subscribed: matching failures will be posted here."
    return Message(
        f"{sentence} {text.escape_mrkdwn(wish)}",
        [
            section_block(f"✅ *{sentence}*\n{text.inline_code(wish, 2000)}"),
            *([context_block(caution)] if caution else []),
            *button_row(
                build_button("Send a test alert", "zof_test_alert", {"id": identifier}),
                build_button("Edit", "zof_edit", {"id": identifier}, aloud="Edit this subscription"),
            ),
        ],
    )


MAX_WISHES_NAMED = 5
"""Maximum subscriptions named when several end; the rest are counted."""

MAX_ORIGIN_CHARS = 250
"""More characters than a row of the list has beside its filters: number, person and time."""

FORM_ACTION_ID = "zof_subscribe_form"
"""Action id of the button that opens the form for a new subscription."""


def form_offer_reply() -> Message:
    """Reply to somebody who typed no filters where no form can be opened at once."""
    sentence = "Which failures should be posted here?"
    example = f"Open the form, or type filters: `{SLASH_COMMAND} {VERBS['subscribe'].example}`"
    return Message(
        f"{sentence} {example}",
        [section_block(f"*{sentence}*\n{example}"), *button_row(build_button("Open the form", FORM_ACTION_ID, {}))],
    )


def preview_reply(preview: str, caution: str) -> Message:
    """Reply with the preview of a subscription; both are mrkdwn, and ``caution`` may be empty."""
    notes = [note for note in (preview, caution) if note]
    return Message(" ".join(notes), [context_block(note) for note in notes])


def already_subscribed_reply(number: int, wish: str) -> Message:
    """Reply to a request for a subscription that exists already."""
    sentence = f"This channel already has that subscription: number {number}."
    return Message(sentence, [section_block(f"✅ {sentence}\n{text.inline_code(wish, 2000)}")])


class SubscriptionRow(NamedTuple):
    """A row of the channel's subscription list; ``created`` in Unix seconds."""

    id: str
    wish: str
    by: str
    created: float


def subscription_list(
    found: Sequence[SubscriptionRow], start: int = 0, *, note: str = "", muted: Sequence[Block] = ()
) -> Message:
    """Render the channel's subscriptions from ``start`` on, numbered, below a ``note`` about a change, if any.

    ``muted`` are the blocks of the channel's mutes.
    """
    top = [section_block(note)] if note else []
    if not found:
        sentence = "No subscriptions in this channel yet."
        example = (
            f"`{SLASH_COMMAND} subscribe` opens a form. Or type it: `{SLASH_COMMAND} {VERBS['subscribe'].example}`"
        )
        return Message(f"{note} {sentence}".strip(), [*top, section_block(f"{sentence}\n{example}"), *muted])
    start = start if start < len(found) else 0
    shown = found[start : start + ROWS_PER_PAGE]
    most = min(1500, (MAX_LIST_CHARS - len(note)) // len(shown) - MAX_ORIGIN_CHARS)
    rows = [block for number, item in enumerate(shown, start + 1) for block in _subscription_blocks(number, item, most)]
    sentence = f"{len(found)} subscription{'s' if len(found) > 1 else ''} in this channel"
    more = page_controls(PageWindow(start, len(shown), len(found), "subscriptions"), "zof_subscriptions_page", {})
    last = context_block(f"`{SLASH_COMMAND} unsubscribe 1` removes the first.")
    return Message(f"{note} {sentence}".strip(), [*top, header_block(sentence), *rows, *more, *muted, last])


def _subscription_blocks(number: int, subscription: SubscriptionRow, most: int) -> list[Block]:
    """Return a row with its buttons; its filters have at most ``most`` characters, so that all rows fit."""
    remove = build_button("Remove", "zof_remove", {"id": subscription.id}, aloud=f"Remove subscription {number}")
    sure = {
        "title": plain_text("Remove this subscription?"),
        "text": plain_text("This channel will stop getting these alerts."),
        "confirm": plain_text("Remove"),
        "deny": plain_text("Keep"),
    }
    created = text.format_local_time(utc_datetime(subscription.created))
    origin = f"{text.escape_line(subscription.by, 80)}, {created}"
    return [
        section_block(f"*{number}.* {text.inline_code(subscription.wish, most)}\n{origin}"),
        *button_row(
            build_button("Edit", "zof_edit", {"id": subscription.id}, aloud=f"Edit subscription {number}"),
            remove and remove | {"confirm": sure, "style": "danger"},
        ),
    ]


def unsubscribed_reply(wishes: Sequence[str]) -> Message:
    """Reply to the person who ended subscriptions: names them, because numbers shift when somebody else ends one."""
    sentence = "Subscription removed." if len(wishes) == 1 else f"{len(wishes)} subscriptions removed."
    listed = join_first([text.inline_code(wish, 500) for wish in wishes], MAX_WISHES_NAMED, "\n")
    return Message(f"{sentence} {listed}".replace("\n", " "), [section_block(f"✅ *{sentence}*\n{listed}")])


def alert_test_reply(waiting: str = "") -> Message:
    """Reply to the person who requested a test alert; ``waiting`` (mrkdwn) says why it is not sent yet, if it waits."""
    sentence = f"Test alert queued: {waiting}" if waiting else "Test alert sent to this channel."
    return Message(sentence, [section_block(f"🧪 {sentence}")])
