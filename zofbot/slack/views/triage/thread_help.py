"""Private replies to what is typed after a mention, in a failure's thread and elsewhere."""

from __future__ import annotations

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.notifications import text
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.replies import help_replies

THREAD_COMMAND_HELP = (
    ("ack", "acknowledge it"),
    ("unack", "give it back"),
    ("assign @ben", "assign it to someone"),
    ("snooze 2h", "also `fri 14:00`, `until it passes`; except for runs, `until it fails 5 more times`"),
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
    note = f"All commands of `{SLASH_COMMAND}` work here, too: `@zofbot runs`. `{SLASH_COMMAND} help` lists them."
    return Message(sentence, [section_block("\n".join([f"*{sentence}*", *lines])), context_block(note)])


def full_help() -> Message:
    """Render the help outside of threads: all verbs, then the commands in an alert's thread."""
    everywhere, in_threads = help_replies.all_commands_help(), thread_help()
    return Message(f"{everywhere.text}. {in_threads.text}", [*everywhere.blocks, *in_threads.blocks[:1]])


def not_understood_reply(suggestion: str = "") -> Message:
    """Reply to unknown text in the bot's direct messages; ``suggestion`` is the word that was probably meant."""
    step = f"Did you mean `{suggestion}`?" if suggestion else "Try `result <id>` or `run <id>`."
    sentence = text.escape_mrkdwn(f"Unknown command. {step} `help` lists all commands.")
    return Message(sentence, [section_block(sentence)])


def no_escalation_reply(without: str = "this subscription has no") -> Message:
    """Reply that there is nothing to escalate by, and how to add it; ``without`` begins a clause on `escalate:`."""
    sentence = f"No escalation policy: {without} `escalate:`."
    step = f"For example: `{SLASH_COMMAND} subscribe escalate:15m-&gt;@oncall`"
    return Message(f"{sentence} {step}", [section_block(f"💡 {sentence}\n{step}")])
