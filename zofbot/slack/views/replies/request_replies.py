"""Private replies about the request itself: still working, sent again, form not opened."""

from __future__ import annotations

from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.domain.errors import (
    SlackError,
)
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Message,
    context_block,
    section_block,
)


def still_working_reply(reference: str = "") -> Message:
    """Acknowledge a request while Zof takes longer than Slack waits; ``reference`` helps if no answer comes."""
    sentence = "Still asking Zof…"
    last = [context_block(f"Reference: {text.inline_code(reference)}")] if reference else []
    return Message(sentence, [section_block(f"⏳ {sentence} The answer follows."), *last])


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
