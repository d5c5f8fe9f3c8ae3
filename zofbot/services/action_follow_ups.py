"""What follows an action: notifications, and its record in the audit log."""

from __future__ import annotations

from collections.abc import Iterator

from zofbot.alerting.escalation_reminders import schedule_card_edits, schedule_reminders
from zofbot.notifications import payload_parts, payloads
from zofbot.notifications.idempotency import edit_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.thread_payloads import ActionPayload
from zofbot.services.failures import Failure
from zofbot.store.audit import AuditRecord
from zofbot.triage import Action, ActionRequest, TriageRecord

MERGE_SECONDS = 60.0
"""Seconds in which an action that the same person repeats changes the thread line of the first."""

_MERGED_ACTIONS = frozenset({Action.SNOOZE, Action.CONFIRM})
"""Actions that can be repeated and call nobody: an edited message does not notify."""


def with_thread_line(before: Failure, present: TriageRecord, request: ActionRequest) -> TriageRecord:
    """Return the record after an action with the key of the thread line that shows it."""
    last = before.present
    repeated = last.did is request.act in _MERGED_ACTIONS and last.by.id == request.who.id
    if repeated and request.at - last.at <= MERGE_SECONDS and _shows_own_thread(before):
        return present.model_copy(update={"line": last.line})
    if request.act is Action.UNDO:
        return present
    return present.model_copy(update={"line": f"act:{present.rev}:{before.key}"})


def _shows_own_thread(failure: Failure) -> bool:
    """Whether the last action has a line in the failure's own thread, not only in that of its storm."""
    return failure.present.line.endswith(f":{failure.key}")


def follow_up_notifications(before: Failure, after: Failure, request: ActionRequest) -> Iterator[Notification]:
    """Yield an action's notifications: updated cards, a thread line, a message to the assignee, reminders."""
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

    def edit_message(root: str, body: ActionPayload | None, channel: str = "") -> Notification:
        return build_notification(NotificationKind.EDIT, edit_key(root), body, channel, root)

    def edit_line(line: str, body: ActionPayload) -> Notification:
        return edit_message(line, body).model_copy(update={"edits_reply": True})

    yield from (edit_message(card, None) for card in after.cards)
    last = before.present
    if request.act is Action.UNDO and _shows_own_thread(before):
        undone = _action_payload(before, last.before or TriageRecord(), last).model_copy(
            update={"undone_by": request.who.name or request.who.id, "undone_at": at, "state": present.state}
        )
        yield edit_line(last.line, undone)
        if _notifies_assignee(last):
            yield edit_message(last.line.replace("act:", "assigned:", 1), undone, last.owner.id)
    else:
        payload = _action_payload(after, last, present)
        if request.act is not Action.UNDO and present.line == last.line:
            yield edit_line(present.line, payload)
        else:
            yield build_notification(NotificationKind.REPLY, f"act:{present.rev}:{after.key}", payload)
        if _notifies_assignee(present):
            yield build_notification(
                NotificationKind.ROOT, f"assigned:{present.rev}:{after.key}", payload, present.owner.id
            )
    yield from schedule_reminders(after.key, after.channel, present, after.body.policy)
    yield from schedule_card_edits(after.cards, after.channel, present)


def _notifies_assignee(done: TriageRecord) -> bool:
    """Whether the last action assigned the failure to somebody else, who gets a direct message."""
    return done.did is Action.ASSIGN and done.owner.id not in ("", done.by.id)


def _action_payload(failure: Failure, last: TriageRecord, done: TriageRecord) -> ActionPayload:
    """Describe the action that turned the record ``last`` into ``done``."""
    return ActionPayload(
        act=done.did or Action.UNDO, who=done.by.name or done.by.id, owner=done.owner.name, state=done.state,
        until=done.until, more=done.more, hid=done.hid, reason=done.reason, note=done.note,
        mention=tuple(item for item in _called_people(failure, last, done) if item != done.by.id),
        title=payload_parts.clean_text(failure.title, 150), channel=failure.channel, run_id=failure.body.run.id,
    )  # fmt: skip


def _called_people(failure: Failure, last: TriageRecord, done: TriageRecord) -> tuple[str, ...]:
    """Return whom an action calls: the people of an escalation's step, or whoever had snoozed."""
    steps = failure.body.policy.escalate
    if done.did is Action.ESCALATE and 0 < done.steps <= len(steps):
        return steps[done.steps - 1].mention
    return tuple(filter(None, (last.moved_by.id,))) if done.did is Action.WAKE else ()


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
