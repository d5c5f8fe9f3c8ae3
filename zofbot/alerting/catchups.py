"""Catch-up messages: one summary, when quiet hours or a mute end, of all failures held back meanwhile.

A failure that recovers before its own message was due is listed in the summary only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zofbot.alerting.holds import Hold, record_held_notifications
from zofbot.alerting.state import MUTES, DecisionBuilder, catch_up_hash, failure_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.frozen_model import FrozenModel
from zofbot.notifications import payloads
from zofbot.notifications.catch_up_payload import CatchUpPayload
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.subscriptions.mute import read_mutes

ENTRY_RETENTION_SECONDS = 40 * 86400.0
"""Seconds for which a held-back failure stays listed: longer than any mute and than a channel can be blocked."""

_MAX_ENTRIES_BEFORE_PRUNE = 64


class CatchUpEntry(FrozenModel):
    """A failure to list in the summary with the key ``key``; times are Unix seconds.

    ``unposted``: its own message waits too. If not ``listed``, it is no failure and is only sent after the summary.
    """

    key: str
    at: float
    until: float
    mutes: tuple[str, ...] = ()
    unposted: bool = False
    listed: bool = True

    def is_waiting(self, draft: DecisionBuilder) -> bool:
        """Whether quiet hours or a mute still hold it back."""
        if not self.mutes:
            return self.until > draft.now
        return any(mute.id in self.mutes and mute.until > draft.now for mute in read_mutes(draft.read_hash(MUTES)))


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
    item = CatchUpEntry(key=key, at=at, until=hold.until, mutes=mutes)
    failures = before.changed_failures(draft)
    listed = [_add_entry(draft, channel, root, item.model_copy(update={"unposted": root in own})) for root in failures]
    if key in listed:
        for other in sorted(own.difference(failures)):  # a storm, or a platform event
            _add_entry(draft, channel, other, item.model_copy(update={"listed": False}))
        summary = _build_summary(draft, channel, key, hold)
        draft.add_first(summary)
        fresh = [summary, *fresh]
    record_held_notifications(draft, hold, fresh)


def is_unposted(draft: DecisionBuilder, channel: str, root: str) -> bool:
    """Whether the failure's own message is still held back."""
    item = catch_up_entry(draft, channel, root)
    return item is not None and item.unposted and item.is_waiting(draft)


def catch_up_entry(draft: DecisionBuilder, channel: str, root: str) -> CatchUpEntry | None:
    """Return the catch-up entry of the failure with the key ``root``, if any."""
    stored = draft.read_hash(catch_up_hash(channel)).get(root)
    return parse_entry(stored) if stored else None


def parse_entry(stored: str) -> CatchUpEntry | None:
    """Parse a stored entry; None for one that cannot be read."""
    return parse_stored("catch-up entry", stored, CatchUpEntry.model_validate_json, None)


def _add_entry(draft: DecisionBuilder, channel: str, root: str, item: CatchUpEntry) -> str:
    """List one failure and return the key of its summary; one that waits for another summary stays in that."""
    known = catch_up_entry(draft, channel, root)
    if known is not None and known.is_waiting(draft):
        item = known.model_copy(update={"unposted": known.unposted or item.unposted})
    else:
        _prune_entries(draft, channel)
    draft.set_field(catch_up_hash(channel), root, item.model_dump_json(exclude_defaults=True))
    return item.key


def _prune_entries(draft: DecisionBuilder, channel: str) -> None:
    """Delete entries of old summaries once there are many entries."""
    name = catch_up_hash(channel)
    if len(draft.read_hash(name)) >= _MAX_ENTRIES_BEFORE_PRUNE:
        items = {root: parse_entry(stored) for root, stored in draft.read_hash(name).items()}
        draft.delete_fields(
            name,
            [root for root, item in items.items() if item is None or item.until < draft.now - ENTRY_RETENTION_SECONDS],
        )


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
