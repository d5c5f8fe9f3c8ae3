"""Help on the slash command: all verbs, or one."""

from __future__ import annotations

import functools

from zofbot.domain.commands import SLASH_COMMAND, VERBS, Verb
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Message,
    context_block,
    section_block,
)
from zofbot.subscriptions.filter_errors import FILTER_EXAMPLES, MORE_EXAMPLES


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
    "`broadcast:never`: a failure that is back after recovering is posted only in the thread. One that was resolved is "
    "a new alert anyway."
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
