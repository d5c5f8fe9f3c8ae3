"""Help on the slash command: all verbs, or one."""

from __future__ import annotations

import functools

from zofbot.domain.commands import SLASH_COMMAND, VERB_GROUPS, VERBS, Verb
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Message,
    context_block,
    section_block,
)
from zofbot.slack.views.components import paragraph_blocks
from zofbot.subscriptions.filter_errors import FILTER_EXAMPLES

FILTER_EXPLANATIONS = {
    "project": "projects by name or ID; `*` matches anything, `-` excludes",
    "env": "environments, same rules",
    "case": "cases by title or ID, same rules",
    "branch": "branches, same rules, where Zof has them",
    "tag": "tags, same rules, where Zof has them",
    "owner": "owners of cases, same rules, where they are known",
    "on": "what to post; also `new`, `-known`, `flaky`, `passed-with-failures`, `gate`, `agent`, `integration`, `plan`",
    "group": "one alert per `run` (default), `case` or `cause`",
    "layout": "no details in the thread; default: `thread`",
    "broadcast": "also show in the channel: failing again, `worse`, recoveries; `broadcast:never` for none",
    "after": "only from the third failure within an hour; `after:3-in-a-row` for the third in a row",
    "mention": "who to mention in each alert; also `author`, `owner`",
    "quiet": "hold alerts overnight; add `sat,sun` for weekends, `critical` to let production through",
    "escalate": "who to mention until someone acknowledges",
    "reack": "check back with the owner after four hours",
}
"""What each filter does, as its example is written (mrkdwn)."""


@functools.cache
def all_commands_help() -> Message:
    """Render the help for all verbs in groups; cached, because it never changes."""
    lines = (
        "\n".join([f"*{group}*", *(f"{_usage(VERBS[name])}  {VERBS[name].does}" for name in names)])
        for group, names in VERB_GROUPS.items()
    )
    more = text.escape_mrkdwn("<command>")
    return Message(
        f"{SLASH_COMMAND} commands: " + ", ".join(VERBS),
        [
            *(section_block(part) for part in lines),
            context_block(
                f"`{SLASH_COMMAND} help {more}` shows details and an example. "
                f"In threads, type `@zofbot` in place of `{SLASH_COMMAND}`; `@zofbot help` there lists more."
            ),
        ],
    )


THREAD_ONLY_NOTE = (
    "`broadcast:never`: a failure that is back after recovering is posted only in the thread. One that was resolved is "
    "a new alert anyway."
)
"""Explanation of ``broadcast:never`` (mrkdwn)."""


def command_help(verb: Verb) -> Message:
    """Render the help for one verb, with an example to copy; for subscriptions also its filters, a line each."""
    more = f"\n{verb.more}" if verb.more else ""
    filters = [f"{text.inline_code(FILTER_EXAMPLES[name])}  {does}" for name, does in FILTER_EXPLANATIONS.items()]
    return Message(
        f"{SLASH_COMMAND} {text.escape_mrkdwn(verb.usage)}: {verb.does}",
        [
            section_block(f"{_usage(verb)}  {verb.does}{more}\nFor example: `{SLASH_COMMAND} {verb.example}`"),
            *(paragraph_blocks(["*Filters* (all optional)", *filters]) if verb.name == "subscribe" else []),
        ],
    )


def _usage(verb: Verb) -> str:
    return f"`{SLASH_COMMAND} {text.escape_mrkdwn(verb.usage)}`"
