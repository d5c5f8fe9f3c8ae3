"""Zof's own events: a blocked release gate, an agent that is offline, a failed integration, a plan to approve."""

from __future__ import annotations

from zofbot.notifications import text
from zofbot.notifications.other_payloads import PlatformEventPayload
from zofbot.notifications.payload_parts import RunSummary
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.components import run_buttons, with_footer, with_mentions
from zofbot.slack.views.render_context import RenderContext

PLATFORM_EVENT_LABELS = {
    "gate": ("🚧", "Release gate blocked"),
    "agent": ("🔌", "Agent offline"),
    "integration": ("🔗", "Integration error"),
    "plan": ("📝", "Remediation plan needs approval"),
}
"""Emoji and label of Zof's platform events."""


def platform_event_message(body: PlatformEventPayload, context: RenderContext) -> Message:
    """Render one of Zof's platform events."""
    emoji, words = PLATFORM_EVENT_LABELS.get(body.event, ("📣", "Event in Zof"))
    facts = [text.escape_line(part, 100) for part in (body.project, body.environment)]
    sentence = " · ".join([words, *(fact for fact in facts if fact)])
    detail = f"\n{text.escape_mrkdwn(body.said, 600)}" if body.said else ""
    about = text.inline_code(body.about)
    below = [
        *(run_buttons(RunSummary(id=body.run_id), context.links) if body.run_id else []),
        *([context_block(about)] if about else []),
    ]
    message = with_mentions(sentence, [section_block(f"{emoji} *{sentence}*{detail}")], "", [], body.mention)
    for block in below:
        message = with_footer(message, block)
    return message
