"""Why card: each subscription's decision on a run, and the status of its messages in the channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import ZofError
from zofbot.domain.model import Run
from zofbot.notifications import text
from zofbot.notifications.notification import NotificationState
from zofbot.slack.errors import EXPLANATIONS
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.cards import format_one_line
from zofbot.slack.views.components import count_noun, format_moment, paragraph_blocks
from zofbot.slack.views.replies import request_id_line
from zofbot.slack.views.triage_controls import person_name, snooze_end_text
from zofbot.slack.views.triage_replies import last_action_text
from zofbot.triage import TriageRecord
from zofbot.triage import TriageState as Stage

DECISION_EMOJI = {
    "told": "✅", "known": "✅", "recovered": "✅", "held": "💤", "muted": "🔕", "storm": "🌩️", "below": "⏳",
    "unfinished": "⏳",
}  # fmt: skip
"""Emoji of decisions; any other decision is negative."""

TOLD_DECISIONS = {"told", "known", "recovered", "held", "muted", "storm"}
"""Decisions that lead to a message, now or later."""

MAX_SUBSCRIPTIONS_SHOWN = 20
"""Maximum subscriptions listed."""

NEXT_STEP_NOTES = {
    "heard": "zofbot has heard of this run and reads it as soon as Zof lets it.",
    "watched": "zofbot looks at this run again until it has ended.",
    "expected": "It will be told once zofbot has read it: by a webhook at once, or when it polls.",
}


@dataclass(frozen=True)
class SubscriptionLine:
    """One subscription's decision (``answer``) and explanation (``why``); its filters (``typed``) and creator (``by``).

    ``until`` (Unix seconds) is the end of quiet hours or of a mute; ``default``: it is the default channel's.
    """

    answer: str
    why: str
    typed: str = ""
    by: str = ""
    until: float = 0.0
    default: bool = False


@dataclass(frozen=True)
class MessageStatus:
    """Status of one message; ``state`` is None if it has expired.

    ``held`` says why it waits, ``present`` is the failure's triage record. ``joined``: another run started the message,
    ``storm``: it is the summary of a storm, ``unposted``: the failure recovered before it was due.
    """

    state: NotificationState | None = None
    link: str = ""
    reason: str = ""
    attempts: int = 0
    held: str = ""
    present: TriageRecord | None = None
    joined: bool = False
    storm: bool = False
    unposted: bool = False


def why_card(
    run: Run, wishes: Sequence[SubscriptionLine], stands: Sequence[MessageStatus], now: float, then: str = ""
) -> Message:
    """Render the whole card; ``then`` is the next step, a key of ``NEXT_STEP_NOTES``."""
    title = f"Why this channel {_told_text(wishes, stands)} of {text.escape_line(run.title or run.id, 120)}"
    lines = [*_subscription_lines(wishes), *(_message_line(stand, now) for stand in stands)]
    notes = [context_block(NEXT_STEP_NOTES[then])] if then in NEXT_STEP_NOTES else []
    top = section_block(f"*{title}*\n{format_one_line(run)}")
    return Message(title, [top, *paragraph_blocks(lines), *notes, context_block(text.inline_code(run.id))])


def _told_text(wishes: Sequence[SubscriptionLine], stands: Sequence[MessageStatus]) -> str:
    """Whether the channel was told, or will be."""
    if not any(wish.answer in TOLD_DECISIONS for wish in wishes):
        return "was not told"
    waits = stands and all(stand.state is NotificationState.PENDING for stand in stands)
    return "has not been told yet" if waits else "was told"


def stored_why_card(
    title: str, wishes: Sequence[SubscriptionLine], stands: Sequence[MessageStatus], now: float, doubt: ZofError
) -> Message:
    """Render what zofbot has stored, when Zof could not be read (``doubt``)."""
    said = f"Why you see {text.escape_line(title, 150)}"
    asked = _subscription_lines(wishes) if wishes else [
        "The subscription that asked for it has ended, or this is the channel for what no subscription takes."
    ]  # fmt: skip
    lines = [f"*{said}*", *asked, *(_message_line(stand, now) for stand in stands)]
    small = f"This is what zofbot remembers, for Zof was asked in vain: {text.escape_mrkdwn(doubt.sentence, 600)}"
    return Message(said, [*paragraph_blocks(lines), context_block(small, request_id_line(doubt, code=True))])


def _subscription_lines(wishes: Sequence[SubscriptionLine]) -> list[str]:
    """Return a line per subscription, those that led to a message first."""
    if not wishes:
        return [f"This channel has no subscription. For example: `{SLASH_COMMAND} subscribe project:…`"]
    ordered = sorted(wishes, key=lambda wish: wish.answer not in DECISION_EMOJI)
    left = len(ordered) - MAX_SUBSCRIPTIONS_SHOWN
    more = [f"and {count_noun(left, 'subscription')} more that did not lead here"] if left > 0 else []
    return [*map(_subscription_line, ordered[:MAX_SUBSCRIPTIONS_SHOWN]), *more]


def _subscription_line(one: SubscriptionLine) -> str:
    named = "the default channel" if one.default else text.inline_code(one.typed or "all failures", 300)
    by = f" (asked for by {person_name(one.by)})" if one.by else ""
    ends = f" {format_moment(one.until)}" if one.until else ""
    return f"{DECISION_EMOJI.get(one.answer, '⏭️')} {named}{by}: {text.escape_line(one.why, 500)}{ends}"


def _message_line(one: MessageStatus, now: float) -> str:
    its = "The summary that counts it" if one.storm else "The message that it joined" if one.joined else "Its message"
    reason = text.escape_line(one.reason, 300)
    match one.state:
        case None:
            return f"📌 {its} is not known any more: zofbot forgets what has not changed for 30 days."
        case NotificationState.SENT:
            shown = f"<{one.link}|{its}>" if one.link else its
            return f"📌 {shown} stands in this channel. {_triage_text(one.present, now)}".strip()
        case NotificationState.SENDING:
            return f"📌 {its} is being sent just now."
        case NotificationState.DEAD:
            return f"📌 {its} was given up: {reason}. An operator finds it by `zofbot outbox`."
        case NotificationState.DROPPED if one.unposted:
            return f"📌 {its} was left out: It recovered before its channel was to be told, so a summary says it."
        case NotificationState.DROPPED:
            return f"📌 {its} was dropped: {reason}."
        case _:
            tried = "once" if one.attempts == 1 else f"{one.attempts} times"
            return f"📌 {its} waits{f', tried {tried}' if one.attempts else ''}: {one.held}"


def _triage_text(present: TriageRecord | None, now: float) -> str:
    """Describe the failure's triage: the last action and the end of a snooze."""
    if present is None:
        return ""
    asleep = f" It sleeps {snooze_end_text(present.until, present.more)}." if present.state is Stage.SNOOZED else ""
    return f"{last_action_text(present, now)}.{asleep}"


def waiting_reason(*, parked: str = "", paused: str = "", muted: float = 0.0, quiet: float = 0.0) -> str:
    """Explain why a message waits: outbox paused, channel parked, mute, quiet hours, or Slack's rate limit."""
    if paused:
        return f"nothing is sent, and everything waits. {_refusal_text(paused)}"
    if parked:
        return _refusal_text(parked)
    if muted:
        return f"it is muted until {format_moment(muted)}."
    if quiet:
        return f"quiet hours end {format_moment(quiet)}."
    return "Slack takes about one message a second of a channel."


def _refusal_text(reason: str) -> str:
    what, mend = EXPLANATIONS.get(reason, (f"Slack refuses it ({text.escape_line(reason, 80)}).", ""))
    return f"{what} {mend}".strip()
