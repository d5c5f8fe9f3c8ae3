"""Private replies that are not cards: errors, help, subscriptions, and sharing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from zofbot.domain.commands import SLASH_COMMAND, VERBS, Verb
from zofbot.domain.errors import (
    BadInput,
    NotAllowed,
    PersonalQuotaExceeded,
    SlackError,
    ZofbotError,
    ZofError,
    ZofUnavailable,
)
from zofbot.domain.model import utc_datetime
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Block,
    Message,
    build_button,
    button_row,
    context_block,
    header_block,
    plain_text,
    section_block,
)
from zofbot.slack.views.cards import ROWS_PER_PAGE, PageWindow, page_controls
from zofbot.subscriptions.filter_errors import FILTER_EXAMPLES, MORE_EXAMPLES


def error_reply(error: ZofbotError, reference: str = "") -> Message:
    """Render an error: what happened, what to do next, Zof's request id, and zofbot's ``reference``, if any."""
    if isinstance(error, NotAllowed):  # its sentence is mrkdwn
        last = request_id_line(error, reference)
        return Message(f"{error.sentence} {last}", [section_block(f"🔒 {error.sentence}"), context_block(last)])
    hint = text.escape_mrkdwn(error.next_step, 600)
    if isinstance(error, BadInput) and error.example:
        hint += f"\nFor example: {text.inline_code(error.example)}"
    sentence = f"{_error_emoji(error)} *{text.escape_mrkdwn(error.sentence, 900)}*"
    spoken = " ".join(
        part for part in (text.escape_mrkdwn(error.sentence, 900), hint, request_id_line(error, reference)) if part
    )
    return Message(
        spoken.replace("\n", " "),
        [section_block(f"{sentence}\n{hint}".strip()), context_block(request_id_line(error, reference, code=True))],
    )


def _error_emoji(error: ZofbotError) -> str:
    return "💡" if isinstance(error, BadInput) else "⏳" if isinstance(error, ZofUnavailable) else "⚠️"


def request_id_line(error: ZofbotError, reference: str = "", *, code: bool = False) -> str:
    """Return the ids for Zof's support, and for an admin's ``/zof trace``."""

    def format_id(name: str) -> str:
        return text.inline_code(name) if code else text.escape_mrkdwn(name, 200)

    parts = ["Zof returned no request id for this."]
    if isinstance(error, BadInput | NotAllowed | PersonalQuotaExceeded):
        parts = ["Zof was not asked, so there is no request id."]
    elif isinstance(error, ZofError):
        parts = [f"Request ID: {format_id(error.request_id)}" if error.request_id else "Zof returned no request id."]
    return " ".join([*parts, *([f"Reference: {format_id(reference)}"] if reference else [])])


def unexpected_error_reply(reference: str) -> Message:
    """Render an unexpected error; the log has ``reference`` with the traceback."""
    sentence = "Something went wrong inside zofbot."
    step = "Try again; if it stays, give an operator this reference."
    return Message(
        f"{sentence} {step} Reference: {reference}",
        [section_block(f"⚠️ *{sentence}*\n{step}"), context_block(f"Reference: {text.inline_code(reference)}")],
    )


def still_working_reply(reference: str = "") -> Message:
    """Acknowledge a request while Zof takes longer than Slack waits; ``reference`` helps if no answer comes."""
    sentence = "Still asking Zof…"
    last = [context_block(f"Reference: {text.inline_code(reference)}")] if reference else []
    return Message(sentence, [section_block(f"⏳ {sentence} The answer follows."), *last])


@functools.cache
def all_commands_help() -> Message:
    """Render the help for all verbs; cached, because it never changes."""
    lines = [f"`{SLASH_COMMAND} {text.escape_mrkdwn(verb.usage)}`\n{verb.does}" for verb in VERBS.values()]
    return Message(
        f"What {SLASH_COMMAND} can do: " + ", ".join(VERBS),
        [
            section_block(f"*What `{SLASH_COMMAND}` can do*"),
            *(section_block(line) for line in lines),
            context_block(
                f"`{SLASH_COMMAND} <id>` alone is short for `{SLASH_COMMAND} result <id>`.".replace(
                    "<id>", "&lt;id&gt;"
                )
            ),
        ],
    )


THREAD_ONLY_NOTE = (
    "`broadcast:never`: that a failure is back after it had recovered stands in the thread alone, where only those who "
    "follow it hear of it. One that somebody had resolved is a new message all the same."
)
"""Explanation of ``broadcast:never`` (mrkdwn)."""


def command_help(verb: Verb) -> Message:
    """Render the help for one verb, with an example to copy."""
    usage = text.escape_mrkdwn(verb.usage)
    filters = (
        "\n".join(text.inline_code(example) for example in (*FILTER_EXAMPLES.values(), *MORE_EXAMPLES))
        if verb.name == "subscribe"
        else ""
    )
    return Message(
        f"{SLASH_COMMAND} {usage}: {verb.does}",
        [
            section_block(f"`{SLASH_COMMAND} {usage}`\n{verb.does}\nFor example: `{SLASH_COMMAND} {verb.example}`"),
            *([section_block(f"Filters, by example:\n{filters}"), context_block(THREAD_ONLY_NOTE)] if filters else []),
        ],
    )


# --- subscriptions


def subscribed_reply(wish: str, identifier: str, caution: str, *, changed: bool = False) -> Message:
    """Reply to the person who created or changed a subscription; ``caution`` (mrkdwn) may be empty."""
    sentence = "The subscription is changed." if changed else "This channel is subscribed."
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


def preview_reply(preview: str, caution: str) -> Message:
    """Reply with the preview of a subscription; both are mrkdwn, and ``caution`` may be empty."""
    notes = [note for note in (preview, caution) if note]
    return Message(" ".join(notes), [context_block(note) for note in notes])


def already_subscribed_reply(number: int, wish: str) -> Message:
    """Reply to a request for a subscription that exists already."""
    sentence = f"This channel has that subscription already: number {number}."
    return Message(sentence, [section_block(f"✅ {sentence}\n{text.inline_code(wish or 'all failures', 2000)}")])


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
        sentence = "This channel is told of no failures."
        example = (
            f"`{SLASH_COMMAND} subscribe` opens a form. Or type it: `{SLASH_COMMAND} {VERBS['subscribe'].example}`"
        )
        return Message(f"{note} {sentence}".strip(), [*top, section_block(f"{sentence}\n{example}"), *muted])
    start = start if start < len(found) else 0
    shown = found[start : start + ROWS_PER_PAGE]
    rows = [block for number, item in enumerate(shown, start=start + 1) for block in _subscription_blocks(number, item)]
    sentence = f"{len(found)} subscription{'s' if len(found) > 1 else ''} in this channel"
    more = page_controls(PageWindow(start, len(shown), len(found), "subscriptions"), "zof_subscriptions_page", {})
    last = context_block(f"`{SLASH_COMMAND} unsubscribe 1` ends the first.")
    return Message(f"{note} {sentence}".strip(), [*top, header_block(sentence), *rows, *more, *muted, last])


def _subscription_blocks(number: int, subscription: SubscriptionRow) -> list[Block]:
    remove = build_button("Remove", "zof_remove", {"id": subscription.id}, aloud=f"Remove subscription {number}")
    sure = {
        "title": plain_text("Remove this subscription?"),
        "text": plain_text("The channel is told of its failures no more."),
        "confirm": plain_text("Remove"),
        "deny": plain_text("Keep"),
    }
    created = text.format_local_time(utc_datetime(subscription.created))
    origin = f"{text.escape_line(subscription.by, 80)}, {created}"
    return [
        section_block(f"*{number}.* {text.inline_code(subscription.wish, 1500)}\n{origin}"),
        *button_row(
            build_button("Edit", "zof_edit", {"id": subscription.id}, aloud=f"Edit subscription {number}"),
            remove and remove | {"confirm": sure, "style": "danger"},
        ),
    ]


def unsubscribed_reply(count: int) -> Message:
    """Reply to the person who ended subscriptions."""
    sentence = "The subscription has ended." if count == 1 else f"{count} subscriptions have ended."
    return Message(sentence, [section_block(f"✅ {sentence}")])


def alert_test_reply() -> Message:
    """Reply to the person who requested a test alert."""
    sentence = "The test alert is on its way to the channel."
    return Message(sentence, [section_block(f"🧪 {sentence}")])


def retried_reply() -> Message:
    """Reply to the person who retried a dead letter."""
    sentence = "It is sent after all, once it was looked for."
    return Message(sentence, [section_block(f"✅ {sentence}")])


def modal_failed_reply(error: SlackError, reference: str) -> Message:
    """Reply to the person whose form did not open, with the command to type instead."""
    late = error.reason in ("expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id")
    why = "Slack's three seconds for it were over." if late else text.escape_mrkdwn(error.sentence, 300)
    step = "Try again, or type the filters instead:"
    return Message(
        f"The form did not open. {why} {step}",
        [
            section_block(f"⚠️ *The form did not open.* {why}\n{step} `{SLASH_COMMAND} {VERBS['subscribe'].example}`"),
            context_block(
                f"`{SLASH_COMMAND} help subscribe` lists all filters. "
                f"Slack's reason: {text.inline_code(error.reason)}. Reference: {text.inline_code(reference)}"
            ),
        ],
    )


# --- sharing


def shared_reply(link: str) -> Message:
    """Reply to the person who shared a card."""
    sentence = "Shared to the channel."
    return Message(sentence, [section_block(f"✅ {sentence}{_link_text(link)}")])


def already_shared_reply(name: str, ago: float, link: str) -> Message:
    """Reply to a share of something already shared by ``name`` (unescaped) so many seconds ``ago``."""
    sentence = (
        f"{text.escape_line(name, 80) or 'Somebody'} shared this already, {text.describe_duration(max(ago, 1))} ago."
    )
    return Message(f"{sentence}{_link_text(link)}", [section_block(f"✅ {sentence}{_link_text(link)}")])


def share_running_reply(name: str) -> Message:
    """Reply to a click while another click is still posting."""
    sentence = f"{text.escape_line(name, 80) or 'Somebody'} is sharing this right now."
    return Message(sentence, [section_block(f"⏳ {sentence}")])


def _link_text(link: str) -> str:
    return f" <{link}|View message>" if link.startswith(("https://", "http://")) else ""
