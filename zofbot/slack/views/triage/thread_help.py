"""Private replies to what is typed in a failure's thread."""

from __future__ import annotations

from zofbot.notifications import text
from zofbot.slack.views.blocks import Message, context_block, section_block

THREAD_COMMAND_HELP = (
    ("ack", "it is yours"),
    ("unack", "it is nobody's again"),
    ("assign @ben", "it is somebody's"),
    ("snooze 2h", "be quiet until then: `fri 14:00`, `until it passes`, `until it fails 5 more times`"),
    ("resolve flaky: retried", "for a reason (product bug, test bug, flaky, environment, infra, other), with a note"),
    ("reopen", "it is not over"),
    ("escalate", "call whoever is next"),
    ("undo", "take the last act back, for a minute"),
    ("why", "what brought it here, and where it stands"),
    ("result res_4821", "look a result up, or a `run`"),
    ("mute env:staging 2h", "nothing that matches is posted in the channel until then; `unmute` ends it"),
)
"""Commands and explanations for a failure's thread."""


def thread_help() -> Message:
    """Render the help for a failure's thread."""
    lines = [f"`@zofbot {word}`  {does}" for word, does in THREAD_COMMAND_HELP]
    sentence = "What I understand in the thread of a failure"
    return Message(
        sentence,
        [section_block("\n".join([f"*{sentence}*", *lines])), context_block("Everywhere else there is `/zof help`.")],
    )


def not_understood_reply() -> Message:
    """Reply to unknown text in the bot's direct messages."""
    sentence = "I did not understand that. Try `help`, `result <id>` or `run <id>`; `/zof help` lists everything."
    sentence = text.escape_mrkdwn(sentence)
    return Message(sentence, [section_block(sentence)])


def no_escalation_reply() -> Message:
    """Reply that the subscription has no escalation."""
    sentence = "There is nobody to escalate to: the subscription has no `escalate:`."
    return Message(
        sentence,
        [section_block(f"💡 {sentence}\nFor example: `/zof subscribe escalate:15m->@oncall`".replace(">@", "&gt;@"))],
    )
