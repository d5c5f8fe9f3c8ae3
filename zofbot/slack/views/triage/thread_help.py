"""Private replies to what is typed in a failure's thread."""

from __future__ import annotations

from zofbot.notifications import text
from zofbot.slack.views.blocks import Message, context_block, section_block

THREAD_COMMAND_HELP = (
    ("ack", "acknowledge it"),
    ("unack", "give it back"),
    ("assign @ben", "assign it to someone"),
    ("snooze 2h", "also `fri 14:00`, `until it passes`, `until it fails 5 more times`"),
    ("wake", "end a snooze"),
    ("still on it", "confirm that you are working on it"),
    ("resolve flaky: retried", "reasons: product, test, flaky, environment, platform, other; then a note"),
    ("reopen", "open it again"),
    ("escalate", "mention whoever is next in the escalation policy"),
    ("undo", "undo the last action, within a minute"),
    ("why", "why this was posted"),
    ("result res_4821", "look up a result, or a `run`"),
    ("mute env:staging 2h", "pause matching alerts in this channel; `unmute` ends it"),
)
"""Commands and explanations for a failure's thread."""


def thread_help() -> Message:
    """Render the help for a failure's thread."""
    lines = [f"`@zofbot {word}`  {does}" for word, does in THREAD_COMMAND_HELP]
    sentence = "Commands in an alert's thread"
    return Message(
        sentence,
        [section_block("\n".join([f"*{sentence}*", *lines])), context_block("Everywhere else: `/zof help`.")],
    )


def not_understood_reply() -> Message:
    """Reply to unknown text in the bot's direct messages."""
    sentence = "Unknown command. Try `help`, `result <id>` or `run <id>`. `/zof help` lists everything."
    sentence = text.escape_mrkdwn(sentence)
    return Message(sentence, [section_block(sentence)])


def no_escalation_reply() -> Message:
    """Reply that the subscription has no escalation."""
    sentence = "No escalation policy: this subscription has no `escalate:`."
    return Message(
        sentence,
        [section_block(f"💡 {sentence}\nFor example: `/zof subscribe escalate:15m->@oncall`".replace(">@", "&gt;@"))],
    )
