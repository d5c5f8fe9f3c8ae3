"""App Home's sections on the person's channels: failures, subscriptions, mutes."""

from __future__ import annotations

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.notifications import text
from zofbot.slack.views import mutes
from zofbot.slack.views.blocks import (
    Block,
    build_button,
    context_block,
    section_block,
)
from zofbot.slack.views.causes import cause_text
from zofbot.slack.views.home.home_data import FailureList, HomeData, HomeSubscription
from zofbot.slack.views.oncall import failure_row_text

EDIT_ACTION_ID = "zof_home_edit"
"""``action_id`` of the button that edits a subscription."""

MAX_FAILURE_ROWS = 8

MAX_SUBSCRIPTION_ROWS = 15


def failure_section(title: str, part: FailureList, now: float) -> list[Block]:
    """Return a list of failures below its title; nothing if there are none."""
    if not part.total:
        return []
    more = part.total - len(part.rows)
    rows = [section_block(failure_row_text(row, now)) for row in part.rows]
    return [
        list_heading(title, part.total),
        *rows,
        *([context_block(f"and {more} more. `{SLASH_COMMAND} triage all` lists them.")] if more > 0 else []),
    ]


def cause_section(home: HomeData) -> list[Block]:
    """Return the causes with most failures in the person's channels; nothing if there are none."""
    if not home.causes:
        return []
    rows = [section_block(cause_text(row)) for row in home.causes]
    return [section_block("*Top causes of the last 7 days*"), *rows, context_block(f"More: `{SLASH_COMMAND} causes`")]


def list_heading(title: str, number: int) -> Block:
    """Return the title of a list, with the number of its entries."""
    return section_block(f"*{title}* ({number})")


def subscription_section(home: HomeData) -> list[Block]:
    """Return the subscriptions of the person's channels."""
    if not home.rooms:
        missing = "Their failures, subscriptions and mutes aren't shown."
        return [context_block(f"⚠️ Slack didn't return your channels. {missing} This tab updates once Slack does.")]
    if not home.wishes:
        example = f"Type `{SLASH_COMMAND} subscribe` in a channel."
        return [section_block(f"*Your channels' subscriptions*\nNo subscriptions yet. {example}")]
    more = len(home.wishes) - MAX_SUBSCRIPTION_ROWS
    rows = [_subscription_row(wish, edits=home.edits) for wish in home.wishes[:MAX_SUBSCRIPTION_ROWS]]
    note = [context_block(f"and {more} more. `{SLASH_COMMAND} subscriptions` lists a channel's.")] if more > 0 else []
    return [list_heading("Your channels' subscriptions", len(home.wishes)), *rows, *note]


def mute_section(home: HomeData) -> list[Block]:
    """Return the mutes of the person's channels."""
    places = [f"{channel_mention(mute.channel)} " for mute in home.muted]
    return mutes.mute_list(home.muted, ends=False, places=places)


def _subscription_row(subscription: HomeSubscription, *, edits: bool) -> Block:
    edit = build_button(
        "Edit", EDIT_ACTION_ID, {"id": subscription.id, "channel": subscription.channel}, aloud="Edit this subscription"
    )
    return section_block(
        f"{channel_mention(subscription.channel)} {text.inline_code(subscription.wish, 300)}",
        edit if edits else None,
    )


def channel_mention(identifier: str) -> str:
    """Return a channel as a link; empty if ``identifier`` is none."""
    if identifier.startswith("D"):
        return "your direct messages with zofbot:"
    return f"<#{identifier}>" if identifier.isalnum() and identifier.isascii() else ""
