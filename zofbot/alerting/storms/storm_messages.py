"""The messages of a storm: its summary, edits, replies and escalations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zofbot.alerting.escalation_reminders import build_wake_up, schedule_reminders
from zofbot.alerting.state import DecisionBuilder
from zofbot.alerting.stored_state import is_acted_on, read_reopening, read_triage_record
from zofbot.alerting.storms.storm_record import Storm
from zofbot.notifications import payloads
from zofbot.notifications.idempotency import edit_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payloads import Payload
from zofbot.triage import Action, TriageRecord, TriageState, effective_record


def schedule_escalations(storm: Storm, present: TriageRecord, notified_at: float) -> Iterator[Notification]:
    """Yield the escalations of the storm as a whole; ``notified_at`` is when its channel is notified (Unix seconds)."""
    yield from schedule_reminders(storm.storm_key, storm.channel, present, storm.policy, notified_at=notified_at)


def schedule_more_escalations(draft: DecisionBuilder, storm: Storm, failed_at: float, notified_at: float) -> None:
    """Schedule escalations for a further failure, which opens the storm again if somebody had resolved or snoozed it.

    While nobody has acted on it, those scheduled when it began are the ones that count: more of them would only
    take up the channel's pace.
    """
    if is_acted_on(draft, storm.channel, storm.storm_key):
        opened = TriageRecord(turn=storm.turn, opened=failed_at)
        draft.add_notifications(*schedule_escalations(storm, opened, notified_at))


def with_reopening(draft: DecisionBuilder, storm: Storm) -> Storm:
    """Return the storm with the time of its latest failure kept if that ended a snooze or resolution of the storm."""
    if not is_acted_on(draft, storm.channel, storm.storm_key):
        return storm
    facts = storm.summary_body().test_facts
    return storm.model_copy(update=read_reopening(draft, storm.channel, storm.storm_key, facts))


def report_wake_up(draft: DecisionBuilder, before: Storm, after: Storm) -> None:
    """Tell whoever snoozed a storm that further failures have ended the snooze, and update the alerts that show it."""
    if not is_acted_on(draft, after.channel, after.storm_key):
        return
    stored = read_triage_record(draft, after.channel, after.storm_key)
    asleep = effective_record(stored, before.summary_body().test_facts, draft.now)
    woken = effective_record(stored, after.summary_body().test_facts, draft.now)
    if asleep.state is TriageState.SNOOZED and woken.did is Action.WAKE:
        draft.add_notifications(
            build_wake_up(after.storm_key, after.channel, asleep, woken.at),
            *(build_storm_edit(after, card, {}, 0.0) for card in after.cards),
        )


def build_summary(storm: Storm, held: float) -> Notification:
    """Build the storm's own message; ``held`` is when quiet hours that delay it end (Unix seconds), 0 for none."""
    return Notification(
        key=storm.storm_key,
        kind=NotificationKind.ROOT,
        channel=storm.channel,
        body=payloads.dump_payload(storm.summary_body()),
        happened=storm.since,
        critical=storm.critical,
        not_before=held,
        schema=NOTIFICATION_SCHEMA,
    )


def build_storm_reply(storm: Storm, name: str, body: Payload, happened: float, held: float) -> Notification:
    """Build a reply in the storm's thread, with the key ``name``."""
    return Notification(
        key=name,
        kind=NotificationKind.REPLY,
        channel=storm.channel,
        body=payloads.dump_payload(body),
        root=storm.storm_key,
        happened=happened,
        critical=storm.critical,
        not_before=held,
        schema=NOTIFICATION_SCHEMA,
    )


def build_storm_edit(
    storm: Storm, message: str, body: dict[str, Any], not_before: float, name: str = ""
) -> Notification:
    """Build an edit of one of a storm's messages: its summary, a page of members, or a member's own message."""
    return Notification(
        key=name or edit_key(message), kind=NotificationKind.EDIT, channel=storm.channel, body=body, root=message,
        happened=storm.since, critical=storm.critical, not_before=not_before, schema=NOTIFICATION_SCHEMA,
    )  # fmt: skip
