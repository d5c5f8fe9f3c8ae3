"""The verbs of ``/zof``: one table for help, docs, the manifest's usage hint and the demo."""

from __future__ import annotations

import re
from dataclasses import dataclass

SLASH_COMMAND = "/zof"

SHORTCUT_CALLBACK_ID = "zof_triage"
"""``callback_id`` of the message shortcut *Zof: triage*."""

ANY_COMMAND_PATTERN = re.compile("")
"""Matches any name that an operator gave the command in the manifest."""


@dataclass(frozen=True)
class Verb:
    """A verb of the slash command; ``hint`` is its part of the usage hint in Slack's composer.

    ``does`` is one short line; ``more`` (mrkdwn) are the details that only the verb's own help has.
    """

    name: str
    usage: str
    does: str
    example: str
    hint: str
    more: str = ""


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "result",
            "result <id> [share]",
            "a result; `share` posts it in the channel",
            "result res_4821",
            "result <id> [share]",
        ),
        Verb("run", "run <id>", "a run and its failed cases", "run run_1001", "run <id>"),
        Verb(
            "runs",
            "runs [filters]",
            "the latest runs",
            "runs status:failed env:staging",
            "runs [filters]",
            "Filters: `project:`, `env:`, and `status:` with `failed`, `error`, `passed`, `running` and others.",
        ),
        Verb(
            "subscribe",
            "subscribe [filters]",
            "post failures here; without filters, opens a form",
            "subscribe project:checkout env:production,staging",
            "subscribe [filters]",
        ),
        Verb(
            "subscriptions",
            "subscriptions",
            "this channel's subscriptions and mutes",
            "subscriptions",
            "subscriptions",
        ),
        Verb(
            "unsubscribe",
            "unsubscribe <n|all>",
            "remove a subscription, or all",
            "unsubscribe 1",
            "unsubscribe <n|all>",
        ),
        Verb(
            "mute",
            "mute <filters> <duration> [reason]",
            "pause matching alerts here",
            "mute project:checkout 2h release",
            "mute <filters> <duration>",
            "Filters are `project:`, `env:` and `case:`. When the mute ends, one message sums up what failed.",
        ),
        Verb(
            "unmute",
            "unmute [n|all|filters]",
            "end a mute early",
            "unmute 1",
            "unmute [n|all]",
            "By number or filters; without either, the only mute.",
        ),
        Verb(
            "triage",
            "triage [mine|all]",
            "open failures here, yours, or everywhere",
            "triage mine",
            "triage [mine|all]",
            "Oldest first. `mine`: assigned to or acknowledged by you. `all`: every channel that you can see.",
        ),
        Verb(
            "causes",
            "causes [7d]",
            "failures here by cause, most frequent first",
            "causes 24h",
            "causes [7d]",
            "Of the last 7 days, or another time such as `24h`.",
        ),
        Verb(
            "cause",
            "cause <id>",
            "a cause: its history, alerts and buttons",
            "cause s2-3f9a1c20b7d4e685",
            "cause <id>",
        ),
        Verb(
            "why",
            "why <id>",
            "why it was posted here, or wasn't",
            "why run_1001",
            "why <id>",
        ),
        Verb("oncall", "oncall", "this channel's escalation policy", "oncall", "oncall"),
        Verb(
            "handover",
            "handover [since]",
            "post a handover of the last 12 hours, or since a time",
            "handover 8h",
            "handover [since]",
            "Lists open, snoozed and resolved failures.",
        ),
        Verb(
            "digest",
            "digest [daily 09:00|weekly mon 09:00|off]",
            "schedule a summary here; without a schedule, preview it",
            "digest weekly mon 09:00",
            "digest [daily|weekly|off]",
        ),
        Verb(
            "cancel",
            "cancel <run>",
            "cancel a run (asks first)",
            "cancel run_1001",
            "cancel <run>",
            "For operators, if `ZOFBOT_ALLOW_RUNS` is on.",
        ),
        Verb(
            "trace",
            "trace <id>",
            "what led to an error, by its request ID or reference",
            "trace ref_0f3a9c5e21",
            "trace <id>",
            "For admins.",
        ),
        Verb("help", "help [verb]", "all commands, or one in detail", "help runs", "help [verb]"),
    )
}

VERB_GROUPS = {
    "Look up": ("result", "run", "runs", "why"),
    "Alerts": ("subscribe", "subscriptions", "unsubscribe", "mute", "unmute"),
    "Triage": ("triage", "causes", "cause", "oncall"),
    "Reports": ("handover", "digest"),
    "Admin": ("cancel", "trace"),
}
"""Verbs by what they are for, in the order of the help; *help* itself is left out."""


def usage_hint() -> str:
    """Return the usage hint for Slack's composer; Slack accepts 1,000 characters."""
    return " | ".join(verb.hint for verb in VERBS.values())
