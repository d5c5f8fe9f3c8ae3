"""Catch-up messages: one summary, when quiet hours or a mute end, of all failures held back meanwhile.

A failure that recovers before its own message was due is listed in the summary only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from zofbot.alerting.holds import Hold, remember_held
from zofbot.alerting.state import MUTES, DecisionBuilder, catch_up_in, failure_hash
from zofbot.notifications import payloads
from zofbot.notifications.catch_up_payload import CatchUpPayload
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.subscriptions.mute import read_mutes

KEPT_SECONDS = 40 * 86400.0
"""Seconds for which a held-back failure stays listed: longer than any mute and than a channel can be blocked."""

_MANY = 64


class Item(BaseModel):
    """A failure to list in the summary with the key ``key``; times are Unix seconds.

    ``unposted``: its own message waits too. If not ``listed``, it is no failure and is only sent after the summary.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    at: float
    until: float
    mutes: tuple[str, ...] = ()
    unposted: bool = False
    listed: bool = True

    def waits(self, draft: DecisionBuilder) -> bool:
        """Whether quiet hours or a mute still hold it back."""
        if not self.mutes:
            return self.until > draft.now
        return any(mute.id in self.mutes and mute.until > draft.now for mute in read_mutes(draft.read_hash(MUTES)))


@dataclass(frozen=True)
class Before:
    """A snapshot of a draft, to find out what was added later."""

    notifications: Mapping[str, Notification]
    bodies: Mapping[str, str | None]

    @classmethod
    def of(cls, draft: DecisionBuilder) -> Before:
        return cls(dict(draft.notifications), _bodies(draft))

    def failures_since(self, draft: DecisionBuilder) -> list[str]:
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


def sum_up(draft: DecisionBuilder, channel: str, hold: Hold, before: Before) -> None:
    """List what was added since ``before`` for the end of the hold, and schedule the summary."""
    if not hold.until:
        return
    fresh = [note for key, note in draft.notifications.items() if before.notifications.get(key) is not note]
    own, key = {note.key for note in fresh if note.kind is NotificationKind.ROOT}, _key(channel, hold)
    ended = (note.happened for note in fresh if note.happened <= draft.now)  # an escalation is dated when it is due
    at, mutes = max(ended, default=draft.now), tuple(mute.id for mute in hold.mutes)
    item = Item(key=key, at=at, until=hold.until, mutes=mutes)
    failures = before.failures_since(draft)
    listed = [_note(draft, channel, root, item.model_copy(update={"unposted": root in own})) for root in failures]
    if key in listed:
        for other in sorted(own.difference(failures)):  # a storm, or a notice
            _note(draft, channel, other, item.model_copy(update={"listed": False}))
        summary = _summary(draft, channel, key, hold)
        draft.add_notifications(summary)
        fresh = [summary, *fresh]
    remember_held(draft, hold, fresh)


def is_unposted(draft: DecisionBuilder, channel: str, root: str) -> bool:
    """Whether the failure's own message is still held back."""
    item = item_of(draft, channel, root)
    return item is not None and item.unposted and item.waits(draft)


def item_of(draft: DecisionBuilder, channel: str, root: str) -> Item | None:
    """Return the catch-up entry of the failure with the key ``root``, if any."""
    stored = draft.read_hash(catch_up_in(channel)).get(root)
    return Item.model_validate_json(stored) if stored else None


def _note(draft: DecisionBuilder, channel: str, root: str, item: Item) -> str:
    """List one failure and return the key of its summary; one that waits for another summary stays in that."""
    known = item_of(draft, channel, root)
    if known is not None and known.waits(draft):
        item = known.model_copy(update={"unposted": known.unposted or item.unposted})
    else:
        _forget(draft, channel)
    draft.set_field(catch_up_in(channel), root, item.model_dump_json(exclude_defaults=True))
    return item.key


def _forget(draft: DecisionBuilder, channel: str) -> None:
    """Delete entries of old summaries once there are many entries."""
    name = catch_up_in(channel)
    if len(draft.read_hash(name)) >= _MANY:
        items = {root: Item.model_validate_json(stored) for root, stored in draft.read_hash(name).items()}
        draft.delete_fields(name, [root for root, item in items.items() if item.until < draft.now - KEPT_SECONDS])


def _key(channel: str, hold: Hold) -> str:
    name = hold.last.id if hold.last else f"{hold.until:.0f}"
    return f"catchup:{name}:{channel}"


def _summary(draft: DecisionBuilder, channel: str, key: str, hold: Hold) -> Notification:
    mute = hold.last
    body = CatchUpPayload(since=mute.created if mute else draft.now, muted=mute.filters if mute else "")
    return Notification(
        key=key,
        kind=NotificationKind.ROOT,
        channel=channel,
        body=payloads.dump_payload(body),
        happened=draft.now,
        critical=True,  # it goes before what it sums up
        not_before=hold.until,
        schema=NOTIFICATION_SCHEMA,
    )
