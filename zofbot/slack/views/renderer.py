"""Renderer of notifications: turns a claimed notification's payload into a message when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from zofbot.notifications import alert_payloads, other_payloads, storm_payloads, text, thread_payloads
from zofbot.notifications.catch_up_payload import CatchUpPayload
from zofbot.notifications.current_state import read_claim
from zofbot.notifications.digest_payload import DigestPayload
from zofbot.notifications.notification import Claim, NotificationKind
from zofbot.notifications.other_payloads import AlertTestPayload
from zofbot.notifications.payloads import STANDALONE_PAYLOADS, FailurePayload, Payload
from zofbot.notifications.thread_payloads import ReminderPayload
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.alerts import alert_cards, cause_views, storm_cards, thread_replies
from zofbot.slack.views.alerts.catch_up import catch_up_message
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.channel_notes import channel_note
from zofbot.slack.views.components import format_moment, with_footer
from zofbot.slack.views.digest_message import digest_message
from zofbot.slack.views.platform_events import platform_event_message
from zofbot.slack.views.render_context import RenderContext
from zofbot.slack.views.test_alerts import mark_as_test
from zofbot.triage import parse_active_rerun

LATE_AFTER_SECONDS = 600.0
"""Seconds after which a message says when the event happened and why it is late."""

DETAILS_FOLLOW_NOTE = "Details follow once Slack says who can read this channel."

NO_LINKS = ZofLinks()


def render_notification(claim: Claim, now: float, links: ZofLinks = NO_LINKS, *, runs: bool = False) -> Message:
    """Render a claimed notification at ``now`` (Unix seconds); ``runs``: whether it may offer to start reruns.

    A payload of an unknown version becomes one plain line.
    """
    message = _render_payload(claim, now, links, runs=runs)
    return message.with_note(DETAILS_FOLLOW_NOTE) if claim.details_follow else message


def _render_payload(claim: Claim, now: float, links: ZofLinks, *, runs: bool) -> Message:
    try:
        payload, state = read_claim(claim, now)
    except ValidationError:
        name = text.inline_code(claim.notification.key, 200)
        sentence = f"Zof has news that this version of zofbot cannot show: {name}"
        return Message(sentence, [section_block(sentence)])
    if _is_posted_again(claim) and isinstance(payload, FailurePayload | other_payloads.PlatformEventPayload):
        payload = payload.model_copy(update={"mention": ()})  # the first message has mentioned them
    offered = runs and not parse_active_rerun(claim.rerun, now)
    storm = state.storm is not None
    context = RenderContext(claim, now, links, state.failure, state.record, runs=offered, storm=storm)
    message = RENDERERS[type(payload)](payload, context)
    late = _lateness_text(payload, context)
    return with_footer(message, context_block(late)) if late else message


def _render_test_alert(body: AlertTestPayload, context: RenderContext) -> Message:
    """Render the alert like a real one, without links and reruns, and mark it."""
    real = replace(context.claim, notification=context.claim.notification.model_copy(update={"body": body.alert}))
    return mark_as_test(_render_payload(real, context.now, NO_LINKS, runs=False), body)


RENDERERS: Mapping[type[Payload], Callable[[Any, RenderContext], Message]] = {
    alert_payloads.RunAlertPayload: alert_cards.run_alert_card,
    alert_payloads.CaseAlertPayload: alert_cards.case_alert_card,
    thread_payloads.ResultPayload: thread_replies.result_reply,
    thread_payloads.CauseReplyPayload: cause_views.cause_reply,
    thread_payloads.MoreFailuresPayload: thread_replies.more_failures_reply,
    thread_payloads.FailingAgainPayload: thread_replies.failing_again_reply,
    thread_payloads.FlappingPayload: thread_replies.flapping_reply,
    thread_payloads.RecoveryPayload: thread_replies.recovery_reply,
    storm_payloads.StormPayload: storm_cards.storm_alert_card,
    storm_payloads.StormMembersPayload: storm_cards.storm_members_reply,
    thread_payloads.ReminderPayload: thread_replies.reminder_reply,
    thread_payloads.ActionPayload: thread_replies.action_message,
    thread_payloads.RerunResultPayload: thread_replies.rerun_reply,
    other_payloads.PlatformEventPayload: platform_event_message,
    DigestPayload: lambda body, context: digest_message(body),
    CatchUpPayload: lambda body, context: catch_up_message(body),
    other_payloads.NotePayload: lambda body, context: channel_note(body),
    other_payloads.AlertTestPayload: _render_test_alert,
}
"""The function that renders each type of payload."""


def _is_posted_again(claim: Claim) -> bool:
    """Return whether this replaces a message that was deleted: only then has a root a root, the first one."""
    return claim.notification.kind is NotificationKind.ROOT and bool(claim.notification.root)


def _lateness_text(payload: Payload, context: RenderContext) -> str:
    """Say why it comes now: posted again, or when it happened and what delayed it.

    Empty if it is in time, and for edits, which show the current state.
    """
    claim, now, notification = context.claim, context.now, context.claim.notification
    if _is_posted_again(claim):
        return "Posted again: the first message was deleted, or is too old to change."
    if isinstance(payload, (*STANDALONE_PAYLOADS, ReminderPayload)) or thread_replies.is_assignment(payload, context):
        return ""
    if notification.kind is NotificationKind.EDIT or now - notification.happened < LATE_AFTER_SECONDS:
        return ""
    age = text.describe_duration(now - notification.happened)
    late = f"Delivered late: happened {age} ago ({format_moment(notification.happened)})"
    held = notification.not_before - notification.happened >= LATE_AFTER_SECONDS / 2
    if held and notification.not_before > claim.committed:
        return f"{late}, held by quiet hours or a mute."
    waited = now - claim.committed
    if claim.committed - notification.happened >= waited:
        return f"{late}, zofbot learned about it {text.describe_duration(max(0.0, waited))} ago."
    return f"{late}, Slack didn't accept it earlier."
