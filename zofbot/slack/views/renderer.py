"""Renderer of notifications: turns a claimed notification's payload into a message when it is sent."""

from __future__ import annotations

from typing import assert_never

from pydantic import ValidationError

from zofbot.notifications import payloads, text
from zofbot.notifications.notification import Claim, NotificationKind, UnwantedNotification
from zofbot.notifications.payloads import (
    ActionPayload,
    FailurePayload,
    Payload,
    PlatformEventPayload,
    ReminderPayload,
    RunSummary,
    StormPayload,
)
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.alert_cards import AlertContext, case_alert_card, run_alert_card
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.components import format_moment, run_buttons, with_footer, with_mentions
from zofbot.slack.views.storm_cards import storm_alert_card, storm_members_reply
from zofbot.slack.views.thread_replies import action_message, assignment_message, reminder_reply, thread_reply
from zofbot.slack.views.triage_controls import FailureRef
from zofbot.triage import TriageRecord, effective_record, merge_storm_record, parse_active_rerun

LATE_AFTER_SECONDS = 600.0
"""Seconds after which a message says when the event happened and why it is late."""

NO_LINKS = ZofLinks()

PLATFORM_EVENT_LABELS = {
    "gate": ("🚧", "Release gate blocked"),
    "agent": ("🔌", "Agent offline"),
    "integration": ("🔗", "Integration error"),
    "plan": ("📝", "Remediation plan waits for approval"),
}
"""Emoji and label of Zof's platform events."""


def render_notification(claimed: Claim, now: float, links: ZofLinks = NO_LINKS, *, runs: bool = False) -> Message:
    """Render a claimed notification at ``now`` (Unix seconds); ``runs``: whether it may offer to start reruns.

    An alert shows its failure's latest state, not the one at commit time. A payload of an unknown version becomes one
    plain line. Raises UnwantedNotification if it is obsolete.
    """
    shown, notification = claimed.notification.body, claimed.notification
    if notification.kind is not NotificationKind.REPLY:
        shown = claimed.failure or shown
        if not shown:
            raise UnwantedNotification
    try:
        body = payloads.load_payload(shown)
        failure = payloads.load_payload(claimed.failure) if claimed.failure and shown is not claimed.failure else body
        record = TriageRecord.model_validate_json(claimed.triage) if claimed.triage else TriageRecord()
        storm = _storm_note(claimed, now)
    except ValidationError:
        name = text.inline_code(claimed.notification.key, 200)
        said = f"Zof has news that this version of zofbot cannot show: {name}"
        return Message(said, [section_block(said)])
    if (
        notification.kind is NotificationKind.ROOT
        and isinstance(body, payloads.RunAlertPayload | payloads.CaseAlertPayload)
        and body.unposted
    ):
        raise UnwantedNotification
    key = notification.root or notification.key
    present = effective_record(record, failure.test_facts, now) if isinstance(failure, FailurePayload) else record
    if storm:
        if isinstance(body, ReminderPayload) and body.sort == "escalate" and present.at <= storm.at:
            raise UnwantedNotification  # the storm is escalated as a whole
        present = merge_storm_record(present, storm)
    if isinstance(body, ReminderPayload):
        return reminder_reply(body, failure, FailureRef(key, present.card_version), present)
    if isinstance(body, ActionPayload) and key.startswith("assigned:"):
        return assignment_message(body, links)
    offered = runs and not parse_active_rerun(claimed.rerun, now)
    message = _render_payload(body, AlertContext(key, present, links, offered, storm is not None), now)
    late = _lateness_text(claimed, now)
    return with_footer(message, context_block(late)) if late else message


def _storm_note(claimed: Claim, now: float) -> TriageRecord | None:
    """Return the triage record of the storm that the failure is part of. Raises pydantic's ValidationError."""
    body = payloads.load_payload(claimed.storm) if claimed.storm else None
    if not isinstance(body, StormPayload):
        return None
    record = TriageRecord.model_validate_json(claimed.storm_triage) if claimed.storm_triage else TriageRecord()
    return effective_record(record, body.test_facts, now)


def _render_payload(body: Payload, view: AlertContext, now: float) -> Message:
    links = view.links
    match body:
        case payloads.RunAlertPayload():
            return run_alert_card(body, view)
        case payloads.CaseAlertPayload():
            return case_alert_card(body, view)
        case (
            payloads.ResultPayload()
            | payloads.MoreFailuresPayload()
            | payloads.FailingAgainPayload()
            | payloads.FlappingPayload()
            | payloads.RecoveryPayload()
            | payloads.RerunResultPayload()
        ):
            return thread_reply(body, links)
        case StormPayload():
            return storm_alert_card(body, view, now)
        case payloads.StormMembersPayload():
            return storm_members_reply(body, links)
        case ActionPayload():
            return action_message(body, links)
        case PlatformEventPayload():
            return _render_platform_event(body, links)
        case ReminderPayload():
            raise UnwantedNotification  # its failure has expired
        case _:
            assert_never(body)


def _lateness_text(claimed: Claim, now: float) -> str:
    """Say when it happened and what delayed it, if it is late; empty for edits, which show the current state."""
    one, waited = claimed.notification, now - claimed.committed
    if one.kind is NotificationKind.EDIT or now - one.happened < LATE_AFTER_SECONDS:
        return ""
    ago = f"Happened {text.describe_duration(now - one.happened)} ago ({format_moment(one.happened)}), told late"
    if one.not_before - one.happened >= LATE_AFTER_SECONDS / 2 and one.not_before > claimed.committed:
        return f"{ago}: quiet hours held it back."
    if claimed.committed - one.happened >= waited:
        return f"{ago}: zofbot heard of it only {text.describe_duration(max(0.0, waited))} ago."
    return f"{ago}: Slack did not take it sooner."


def _render_platform_event(body: PlatformEventPayload, links: ZofLinks) -> Message:
    """Render one of Zof's platform events."""
    emoji, words = PLATFORM_EVENT_LABELS.get(body.event, ("📣", "News from Zof"))
    facts = [text.escape_line(part, 100) for part in (body.project, body.environment)]
    said = " · ".join([words, *(fact for fact in facts if fact)])
    told = f"\n{text.escape_mrkdwn(body.said, 600)}" if body.said else ""
    about = text.inline_code(body.about)
    below = [
        *(run_buttons(RunSummary(id=body.run_id), links) if body.run_id else []),
        *([context_block(about)] if about else []),
    ]
    message = with_mentions(said, [section_block(f"{emoji} *{said}*{told}")], "", [], body.mention)
    for block in below:
        message = with_footer(message, block)
    return message
