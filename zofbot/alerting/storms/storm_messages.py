"""The messages of a storm: its summary, edits, replies and escalations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zofbot.alerting.escalation_reminders import schedule_reminders
from zofbot.alerting.storms.storm_record import Storm
from zofbot.notifications import payloads
from zofbot.notifications.idempotency import edit_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payloads import Payload
from zofbot.triage import TriageRecord


def schedule_escalations(storm: Storm, present: TriageRecord, notified_at: float) -> Iterator[Notification]:
    """Yield the escalations of the storm as a whole; ``notified_at`` is when its channel is notified (Unix seconds)."""
    yield from schedule_reminders(storm.storm_key, storm.channel, present, storm.policy, notified_at=notified_at)


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
