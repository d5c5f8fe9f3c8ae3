"""Parse and format whom a subscription mentions and escalates to: ``@ana``, ``15m->@oncall``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zofbot.domain import durations
from zofbot.domain.text import fold_name, format_mention
from zofbot.subscriptions.filter_errors import clip_input, closest_word, filter_error
from zofbot.subscriptions.filter_values import AuthorContext
from zofbot.subscriptions.model import MentionRole
from zofbot.subscriptions.tokenizer import unquote_value
from zofbot.triage import EscalationStep

MAX_ESCALATION_STEPS = 5

MENTION_PATTERN = re.compile(r"<(?:@(?P<user>[UW][A-Z0-9]{1,30})|!subteam\^(?P<group>S[A-Z0-9]{1,30}))(?:\|[^<>]*)?>")

_STEP = re.compile(r"([^<>→-]*)(?:->|→)(.+)")


def name_key(name: str) -> str:
    """Return the key under which ``parse_filters`` looks up the id of a person or user group, with or without ``@``."""
    return fold_name(name).removeprefix("@")


def parse_mentions(values: list[str], author: AuthorContext) -> tuple[str, ...]:
    """Parse whom alerts mention. Raises BadInput."""
    return tuple(
        dict.fromkeys(_parse_role(value) or parse_mention(unquote_value(value), author.ids) for value in values)
    )


def _parse_role(value: str) -> str:
    """Return the word of a role; empty for anything else."""
    return next((role.value for role in MentionRole if role.value == value.lower()), "")


def format_mentions(mentioned: tuple[str, ...]) -> str:
    """Return whom alerts mention as typed."""
    return ",".join(each if each in list(MentionRole) else format_mention(each) for each in mentioned)


def parse_mention(value: str, ids: Mapping[str, str]) -> str:
    """Return the id of one person or user group. Raises BadInput."""
    found = MENTION_PATTERN.fullmatch(value)
    identifier = (found["user"] or found["group"]) if found else ids.get(name_key(value))
    if identifier:
        return identifier
    if re.match(r"[<!@]*(?:channel|here|everyone)\b", value.lower()):
        raise filter_error("mention", "Alerts can't mention a whole channel.", "Mention people or a user group.")
    suggestion = closest_word(name_key(value), list(ids))
    guess = f"Did you mean `@{suggestion}`? " if suggestion else ""
    raise filter_error(
        "mention",
        f"zofbot doesn't know `{clip_input(value)}`.",
        f"{guess}Type `@` and pick the person or user group from Slack's list.",
    )


def parse_escalation(values: list[str], author: AuthorContext) -> tuple[EscalationStep, ...]:
    """Parse escalation steps; a value without a time adds a person or group to the step before."""
    steps: list[tuple[int, list[str]]] = []
    for value in map(unquote_value, values):
        found = _STEP.fullmatch(value)
        after = (durations.try_parse_duration(found[1]) or 0) if found else 0
        if (not found and not steps) or (found and not 1 <= after <= 7 * 86400):
            raise filter_error(
                "escalate",
                f"`escalate:` needs a time and a person or group, not `{clip_input(value)}`.",
                "`escalate:15m->@oncall` mentions them after 15 minutes unless acknowledged; at most `7d`.",
            )
        if found:
            steps.append((after, []))
        steps[-1][1].append(parse_mention((found[2] if found else value).strip(), author.ids))
    if len(steps) > MAX_ESCALATION_STEPS:
        raise filter_error("escalate", f"`escalate:` has more than {MAX_ESCALATION_STEPS} steps.", "Remove some.")
    return tuple(EscalationStep(after=after, mention=tuple(dict.fromkeys(whom))) for after, whom in sorted(steps))


def format_escalation(steps: tuple[EscalationStep, ...]) -> str:
    """Return escalation steps as typed."""
    return ",".join(
        f"{durations.format_duration(step.after)}->{','.join(map(format_mention, step.mention))}" for step in steps
    )
