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
    sentence = "Waiting for Zof…"
    last = [context_block(f"Reference: {text.inline_code(reference)}")] if reference else []
    return Message(sentence, [section_block(f"⏳ {sentence} The reply follows."), *last])


def retried_reply() -> Message:
    """Reply to the person who retried a dead letter."""
    sentence = "Retrying. zofbot first checks whether it was already posted."
    return Message(sentence, [section_block(f"✅ {sentence}")])


def modal_failed_reply(error: SlackError, reference: str, *, is_edit: bool = False) -> Message:
    """Reply to the person whose form did not open; for a new subscription, with the command to type instead."""
    late = error.reason in ("expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id")
    why = "It took too long for Slack." if late else text.escape_mrkdwn(error.sentence, 300)
    step = "Try again." if is_edit else "Try again, or type the filters instead:"
    example = "" if is_edit else f" `{SLASH_COMMAND} {VERBS['subscribe'].example}`"
    hint = "" if is_edit else f"`{SLASH_COMMAND} help subscribe` lists all filters. "
    ids = f"Slack's error: {text.inline_code(error.reason)}. Reference: {text.inline_code(reference)}"
    return Message(
        f"The form did not open. {why} {step}",
        [section_block(f"⚠️ *The form did not open.* {why}\n{step}{example}"), context_block(f"{hint}{ids}")],
    )
