"""Why card: each subscription's decision on a run, and the status of its messages in the channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import ZofError
from zofbot.domain.model import Run
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.notification import NotificationState
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.slack.errors import ASK_WHY_STEP, EXPLANATIONS
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.components import format_moment, paragraph_blocks
from zofbot.slack.views.outcomes import outcome_word, title_line
from zofbot.slack.views.replies.error_replies import request_id_line
from zofbot.slack.views.triage.triage_replies import last_action_text
from zofbot.slack.views.triage.triage_status import person_name, snooze_end_text
from zofbot.triage import TriageRecord, TriageState

DECISION_EMOJI = {
    "told": "✅", "known": "✅", "recovered": "✅", "held": "💤", "muted": "🔕", "storm": "🌩️", "below": "⏳",
    "unfinished": "⏳",
}  # fmt: skip
"""Emoji of decisions; any other decision is negative."""

NOTIFIED_DECISIONS = {"told", "known", "recovered", "held", "muted", "storm"}
"""Decisions that lead to a message, now or later."""

MAX_SUBSCRIPTIONS_SHOWN = 20
"""Maximum subscriptions listed."""

NEXT_STEP_NOTES = {
    "heard": "zofbot knows about this run and will read it as soon as Zof responds.",
    "watched": "zofbot is watching this run until it finishes.",
    "expected": "It will be posted once zofbot has read it, at the next webhook or poll.",
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
    ``storm``: it is the summary of a storm, or the message of one cause, whose payload is then ``cause``;
    ``unposted``: the failure recovered before it was due.
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
    cause: StormPayload | None = None


def why_card(  # noqa: PLR0913  (what is known, and what is not)
    run: Run,
    decisions: Sequence[SubscriptionLine],
    statuses: Sequence[MessageStatus],
    now: float,
    then: str = "",
    *,
    unread: str = "",
) -> Message:
    """Render the whole card; ``then`` is the next step, a key of ``NEXT_STEP_NOTES``.

    ``unread`` says why the run's failures could not be read (mrkdwn).
    """
    title = f"Why {title_line(run)} {_posted_text(decisions, statuses, then)}"
    lines = [*_subscription_lines(decisions), *(_message_line(status, now) for status in statuses)]
    notes = [context_block(note) for note in (NEXT_STEP_NOTES.get(then), unread) if note]
    ran = f" · {text.describe_duration(run.duration)}" if run.duration is not None else ""
    small = context_block(f"{text.inline_code(run.id)} · {text.escape_line(outcome_word(run))}{ran}")
    return Message(title, [section_block(f"*{title}*"), *paragraph_blocks(lines), *notes, small])


def _posted_text(decisions: Sequence[SubscriptionLine], statuses: Sequence[MessageStatus], then: str) -> str:
    """Say whether the channel was notified, or has yet to be."""
    if any(status.state is NotificationState.SENT for status in statuses):
        return "was posted here"
    if not any(decision.answer in NOTIFIED_DECISIONS for decision in decisions):
        return "wasn't posted here"
    waits = statuses and all(status.state is NotificationState.PENDING for status in statuses)
    waits = waits or (then in NEXT_STEP_NOTES and not statuses)
    return "hasn't been posted here yet" if waits else "was posted here"


def stored_why_card(
    title: str, decisions: Sequence[SubscriptionLine], statuses: Sequence[MessageStatus], now: float, doubt: ZofError
) -> Message:
    """Render what zofbot has stored, when Zof could not be read (``doubt``)."""
    sentence = f"Why {text.escape_line(title, 150)} was posted here"
    asked = _subscription_lines(decisions) if decisions else [
        "Its subscription was removed, or this is the default channel."
    ]  # fmt: skip
    lines = [f"*{sentence}*", *asked, *(_message_line(status, now) for status in statuses)]
    small = f"From zofbot's records, because the run couldn't be read: {text.escape_mrkdwn(doubt.sentence, 600)}"
    return Message(sentence, [*paragraph_blocks(lines), context_block(small, request_id_line(doubt, code=True))])


def _subscription_lines(decisions: Sequence[SubscriptionLine]) -> list[str]:
    """Return a line per subscription, those that led to a message first."""
    if not decisions:
        return [f"No subscriptions in this channel. For example: `{SLASH_COMMAND} subscribe project:…`"]
    ordered = sorted(decisions, key=lambda wish: wish.answer not in DECISION_EMOJI)
    left = len(ordered) - MAX_SUBSCRIPTIONS_SHOWN
    more = [f"and {count_noun(left, 'subscription')} more that don't match"] if left > 0 else []
    return [*map(_subscription_line, ordered[:MAX_SUBSCRIPTIONS_SHOWN]), *more]


def _subscription_line(decision: SubscriptionLine) -> str:
    named = "the default channel" if decision.default else text.inline_code(decision.typed, 300)
    by = f" (by {person_name(decision.by)})" if decision.by else ""
    ends = format_moment(decision.until, " ") if decision.until else ""
    return f"{DECISION_EMOJI.get(decision.answer, '⏭️')} {named}{by}: {text.escape_line(decision.why, 500)}{ends}"


def _message_name(status: MessageStatus) -> str:
    if status.cause:
        where = f"{count_noun(status.cause.failures, 'failure')} in {count_noun(status.cause.members, 'place')}"
        return f"The alert for its cause ({where})"
    if status.storm:
        return "Its storm's summary"
    return "The alert that it updated" if status.joined else "Its alert"


def _message_line(status: MessageStatus, now: float) -> str:
    its = _message_name(status)
    reason = text.escape_line(status.reason, 300)
    match status.state:
        case None:
            return f"📌 {its} has expired: alerts are kept for 38 days after their last change."
        case NotificationState.SENT:
            view = f" <{status.link}|View message>" if status.link else ""
            return f"📌 {its} was posted in this channel.{view} {_triage_text(status.present, now)}".strip()
        case NotificationState.SENDING:
            return f"📌 {its} is being sent."
        case NotificationState.DEAD:
            return f"📌 {its} couldn't be delivered: {reason}. An operator can retry it with `zofbot outbox`."
        case NotificationState.DROPPED if status.unposted:
            return f"📌 {its} wasn't posted separately: it recovered during quiet hours, so it's only in the summary."
        case NotificationState.DROPPED:
            return f"📌 {its} was dropped: {reason}."
        case _:
            tried = "once" if status.attempts == 1 else f"{status.attempts} times"
            return f"📌 {its} is queued{f', tried {tried}' if status.attempts else ''}: {status.held}"


def _triage_text(present: TriageRecord | None, now: float) -> str:
    """Describe the failure's triage: the last action and the end of a snooze."""
    if present is None:
        return ""
    asleep = f" Snoozed {snooze_end_text(present.until, present.more)}." if present.state is TriageState.SNOOZED else ""
    return f"{last_action_text(present, now)}.{asleep}"


def waiting_reason(*, parked: str = "", paused: str = "", muted: float = 0.0, quiet: float = 0.0) -> str:
    """Explain why a message waits: outbox paused, channel parked, mute, quiet hours, or Slack's rate limit."""
    if paused:
        return f"all messages are on hold. {_refusal_text(paused)}"
    if parked:
        return _refusal_text(parked)
    if muted:
        return f"it is muted{format_moment(muted, ' until ')}."
    if quiet:
        return f"quiet hours{format_moment(quiet, ' end ')}."
    return "Slack allows about one message per second and channel."


def _refusal_text(reason: str) -> str:
    what, fix = EXPLANATIONS.get(reason, (f"Slack rejects messages ({text.escape_line(reason, 80)}).", ASK_WHY_STEP))
    return f"{what} {fix}"
