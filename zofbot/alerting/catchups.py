"""Catch-up messages: one summary, when quiet hours or a mute end, of all failures held back meanwhile.

A failure that recovers before its own message was due is listed in the summary only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zofbot.alerting.catch_up_entries import CatchUpEntry, add_entry, catch_up_entry
from zofbot.alerting.holds import Hold, record_held_notifications
from zofbot.alerting.state import DecisionBuilder, failure_hash
from zofbot.notifications import payloads
from zofbot.notifications.catch_up_payload import CatchUpPayload
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind


@dataclass(frozen=True)
class DraftSnapshot:
    """A snapshot of a draft, to find out what was added later."""

    notifications: Mapping[str, Notification]
    bodies: Mapping[str, str | None]

    @classmethod
    def take(cls, draft: DecisionBuilder) -> DraftSnapshot:
        return cls(dict(draft.notifications), _bodies(draft))

    def changed_failures(self, draft: DecisionBuilder) -> list[str]:
        """Return the keys of failures whose message has changed since; storms are listed by their members."""
        changed = [name for name, body in _bodies(draft).items() if self.bodies.get(name) != body]
        roots = [name.removeprefix(failure_hash("")) for name in changed]
        return [root for root in roots if not root.startswith("storm:")]


def _bodies(draft: DecisionBuilder) -> dict[str, str | None]:
    return {
        name: fields["body"]
        for name, fields in draft.changes.items()
        if name[:8] == failure_hash("") and "body" in fields
    }


def schedule_catch_up(draft: DecisionBuilder, channel: str, hold: Hold, before: DraftSnapshot) -> None:
    """List what was added since ``before`` for the end of the hold, and schedule the summary."""
    if not hold.until:
        return
    fresh = [note for key, note in draft.notifications.items() if before.notifications.get(key) is not note]
    own, key = {note.key for note in fresh if note.kind is NotificationKind.ROOT}, _summary_key(channel, hold)
    ended = (note.happened for note in fresh if note.happened <= draft.now)  # an escalation is dated when it is due
    at, mutes = max(ended, default=draft.now), tuple(mute.id for mute in hold.mutes)
    item = CatchUpEntry(key=key, at=at, until=hold.until, mutes=mutes, follows_mutes=True)
    failures = before.changed_failures(draft)
    listed = [add_entry(draft, channel, root, item.model_copy(update={"unposted": root in own})) for root in failures]
    if key in listed:
        for other in sorted(own.difference(failures)):  # a storm, or a platform event
            add_entry(draft, channel, other, item.model_copy(update={"listed": False, "unposted": True}))
        summary = _build_summary(draft, channel, key, hold)
        draft.add_first(summary)
        fresh = [summary, *fresh]
    record_held_notifications(draft, hold, fresh)


def is_held_longer(draft: DecisionBuilder, channel: str, root: str, until: float) -> bool:
    """Whether the message with the key ``root`` waits for longer than ``until`` (Unix seconds), 0 for now."""
    entry = catch_up_entry(draft, channel, root)
    return entry is not None and entry.unposted and entry.is_waiting(draft) and entry.until > until


def _summary_key(channel: str, hold: Hold) -> str:
    name = hold.last.id if hold.last else f"{hold.until:.0f}"
    return f"catchup:{name}:{channel}"


def _build_summary(draft: DecisionBuilder, channel: str, key: str, hold: Hold) -> Notification:
    mute = hold.last
    body = CatchUpPayload(since=mute.created if mute else draft.now, muted=mute.filters if mute else "")
    return Notification(
        key=key,
        kind=NotificationKind.ROOT,
        channel=channel,
        body=payloads.dump_payload(body),
        happened=draft.now,
        critical=True,  # sent before what it lists, as it is added first
        not_before=hold.until,
        schema=NOTIFICATION_SCHEMA,
    )
