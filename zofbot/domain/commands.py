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
    """A verb of the slash command; ``hint`` is its part of the usage hint in Slack's composer."""

    name: str
    usage: str
    does: str
    example: str
    hint: str


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "result",
            "result <id> [share]",
            "show a result; `share` posts it to the channel",
            "result res_4821",
            "result <id> [share]",
        ),
        Verb("run", "run <id>", "show a run and its failed cases", "run run_1001", "run <id>"),
        Verb(
            "runs",
            "runs [status:failed,error] [project:…] [env:…]",
            "list the latest runs, newest first; filters work as in `subscribe`",
            "runs status:failed env:staging",
            "runs [filters]",
        ),
        Verb(
            "subscribe",
            "subscribe [filters]",
            "post failures in this channel; without filters, opens a form (`/zof help subscribe` lists the filters)",
            "subscribe project:checkout env:production,staging",
            "subscribe [filters]",
        ),
        Verb(
            "subscriptions",
            "subscriptions",
            "list this channel's subscriptions and mutes",
            "subscriptions",
            "subscriptions",
        ),
        Verb(
            "unsubscribe",
            "unsubscribe <n|all>",
            "remove one of this channel's subscriptions, or all",
            "unsubscribe 1",
            "unsubscribe <n|all>",
        ),
        Verb(
            "mute",
            "mute <filters> <duration> [reason]",
            "pause alerts here that match `project:`, `env:` or `case:`, with a summary at the end",
            "mute project:checkout 2h release",
            "mute <filters> <duration>",
        ),
        Verb(
            "unmute",
            "unmute [n|all|filters]",
            "end a mute early; without a number, the only one",
            "unmute 1",
            "unmute [n|all]",
        ),
        Verb(
            "triage",
            "triage [mine|all]",
            "list open alerts, oldest first: in this channel, yours, or everywhere",
            "triage mine",
            "triage [mine|all]",
        ),
        Verb(
            "causes",
            "causes [7d]",
            "list the causes of this channel's failures, most failures first, in the last 7 days or another time",
            "causes 24h",
            "causes [7d]",
        ),
        Verb(
            "cause",
            "cause <id>",
            "show one cause: how often it was seen, how it was resolved, its alerts and their buttons",
            "cause s1-3f9a1c20b7d4e685",
            "cause <id>",
        ),
        Verb(
            "why",
            "why <id>",
            "explain why a run or result was posted here, or wasn't",
            "why run_1001",
            "why <id>",
        ),
        Verb("oncall", "oncall", "show who would be called now in this channel", "oncall", "oncall"),
        Verb(
            "handover",
            "handover [since]",
            "post a handover: open, snoozed and resolved alerts of the last 12 hours, or since then",
            "handover 8h",
            "handover [since]",
        ),
        Verb(
            "digest",
            "digest [daily 09:00|weekly mon 09:00|off]",
            "schedule a summary in this channel; without a schedule, preview it",
            "digest weekly mon 09:00",
            "digest [daily|weekly|off]",
        ),
        Verb(
            "cancel",
            "cancel <run>",
            "cancel a run (asks first)",
            "cancel run_1001",
            "cancel <run>",
        ),
        Verb(
            "trace",
            "trace <id>",
            "show what led to an error, by its request ID or reference (admins)",
            "trace ref_0f3a9c5e21",
            "trace <id>",
        ),
        Verb("help", "help [verb]", "list commands, or explain one", "help runs", "help [verb]"),
    )
}


def usage_hint() -> str:
    """Return the usage hint for Slack's composer; Slack accepts 1,000 characters."""
    return " | ".join(verb.hint for verb in VERBS.values())
