"""What follows an action: notifications, and its record in the audit log."""

from __future__ import annotations

from collections.abc import Iterator

from zofbot.alerting.escalation_reminders import schedule_reminders
from zofbot.notifications import payload_parts, payloads
from zofbot.notifications.idempotency import edit_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.notifications.thread_payloads import ActionPayload
from zofbot.services.failures import Failure
from zofbot.store.audit import AuditRecord
from zofbot.triage import (
    Action,
    ActionRequest,
)
from zofbot.triage.actions import next_step


def follow_up_notifications(before: Failure, after: Failure, request: ActionRequest) -> Iterator[Notification]:
    """Yield an action's notifications: updated cards, a thread reply, a message to the assignee, reminders."""
    present, at = after.present, request.at

    def build_notification(
        kind: NotificationKind, name: str, body: ActionPayload | None, channel: str = "", root: str = ""
    ) -> Notification:
        return Notification(
            key=name,
            kind=kind,
            channel=channel or after.channel,
            root="" if kind is NotificationKind.ROOT else root or after.key,
            body=payloads.dump_payload(body) if body else {},
            happened=at,
            critical=kind is NotificationKind.ROOT,
            schema=NOTIFICATION_SCHEMA,
        )

    mention = tuple(item for item in _called_people(before, request) if item != request.who.id)
    payload = ActionPayload(
        act=request.act, who=request.who.name or request.who.id, owner=present.owner.name, state=present.state,
        until=present.until, more=present.more, hid=present.hid, reason=present.reason, note=present.note,
        mention=mention, title=payload_parts.clean_text(after.title, 150),
        channel=after.channel, run_id=after.body.run.id,
    )  # fmt: skip
    cards = after.body.cards if isinstance(after.body, StormPayload) else ()
    yield from (
        build_notification(NotificationKind.EDIT, edit_key(card), None, root=card) for card in (after.key, *cards)
    )
    yield build_notification(NotificationKind.REPLY, f"act:{present.rev}:{after.key}", payload)
    if request.act is Action.ASSIGN and present.owner.id not in ("", request.who.id):
        yield build_notification(
            NotificationKind.ROOT, f"assigned:{present.rev}:{after.key}", payload, present.owner.id
        )
    yield from schedule_reminders(after.key, after.channel, present, after.body.policy)


def _called_people(before: Failure, request: ActionRequest) -> tuple[str, ...]:
    """Return whom an action calls: the next step of an escalation, or whoever had snoozed."""
    policy = before.body.policy
    if request.act is Action.ESCALATE and policy.escalate:
        return policy.escalate[next_step(before.present, policy, request.at)].mention
    return tuple(filter(None, (before.present.moved_by.id,))) if request.act is Action.WAKE else ()


def build_audit_record(before: Failure, after: Failure, request: ActionRequest) -> AuditRecord:
    """Build the record of an action for the audit log."""
    present = after.present
    details = {
        "reason": present.reason, "note": present.note, "assignee": present.owner.id,
        "until": f"{present.until:.0f}" if present.until else "", "more": str(present.more or ""),
        "run": after.body.run.id,
    }  # fmt: skip
    return AuditRecord(
        at=request.at, act=request.act.value, user=request.who.id, name=request.who.name, channel=after.channel,
        key=after.key, before=before.present.state.value, after=present.state.value, request=request.request,
        details={name: value for name, value in details.items() if value},
    )  # fmt: skip
