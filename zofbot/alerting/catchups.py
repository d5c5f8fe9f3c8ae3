"""What one message sums up when quiet hours or a mute end: every failure that was held back, noted as it is decided.

A failure that recovers before its own message was due has none: the summary alone tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from zofbot.alerting.holds import Hold, remember_held
from zofbot.alerting.state import MUTES, DecisionBuilder, catch_up_in, failure_hash
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.slack.views import catch_up
from zofbot.slack.views.catch_up import CatchUpBody
from zofbot.subscriptions.mute import read_mutes

KEPT_SECONDS = 40 * 86400.0
"""How long a failure is listed after it was last held back: longer than any mute, and than a channel may be parked."""

_MANY = 64


class Item(BaseModel):
    """One failure for the summary under ``key``: ``unposted``: its own message waits as well. Unix seconds.

    What is not ``listed`` is no failure, and only comes after the summary.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    at: float
    until: float
    mutes: tuple[str, ...] = ()
    unposted: bool = False
    listed: bool = True

    def waits(self, draft: DecisionBuilder) -> bool:
        """Whether it is still held back."""
        if not self.mutes:
            return self.until > draft.now
        return any(mute.id in self.mutes and mute.until > draft.now for mute in read_mutes(draft.read_hash(MUTES)))


@dataclass(frozen=True)
class Before:
    """A draft at one moment, to tell what was added since."""

    notifications: Mapping[str, Notification]
    bodies: Mapping[str, str | None]

    @classmethod
    def of(cls, draft: DecisionBuilder) -> Before:
        return cls(dict(draft.notifications), _bodies(draft))

    def failures_since(self, draft: DecisionBuilder) -> list[str]:
        """The keys of failures that show something else by now; a storm is shown by its members."""
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
    """Note what a channel was to be told since ``before`` for the end of the hold, and promise the summary."""
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
    """What was noted of the failure under the key ``root``."""
    kept = draft.read_hash(catch_up_in(channel)).get(root)
    return Item.model_validate_json(kept) if kept else None


def _note(draft: DecisionBuilder, channel: str, root: str, item: Item) -> str:
    """Note one failure; the key of its summary: what waits for another one stays there."""
    known = item_of(draft, channel, root)
    if known is not None and known.waits(draft):
        item = known.model_copy(update={"unposted": known.unposted or item.unposted})
    else:
        _forget(draft, channel)
    draft.set_field(catch_up_in(channel), root, item.model_dump_json(exclude_defaults=True))
    return item.key


def _forget(draft: DecisionBuilder, channel: str) -> None:
    """Let go of what was summed up long ago, once there is much of it."""
    name = catch_up_in(channel)
    if len(draft.read_hash(name)) >= _MANY:
        items = {root: Item.model_validate_json(kept) for root, kept in draft.read_hash(name).items()}
        draft.delete_fields(name, [root for root, item in items.items() if item.until < draft.now - KEPT_SECONDS])


def _key(channel: str, hold: Hold) -> str:
    name = hold.last.id if hold.last else f"{hold.until:.0f}"
    return f"catchup:{name}:{channel}"


def _summary(draft: DecisionBuilder, channel: str, key: str, hold: Hold) -> Notification:
    mute = hold.last
    body = CatchUpBody(since=mute.created if mute else draft.now, muted=mute.filters if mute else "")
    return Notification(
        key=key,
        kind=NotificationKind.ROOT,
        channel=channel,
        body=catch_up.stored(body),
        happened=draft.now,
        critical=True,  # it goes before what it sums up
        not_before=hold.until,
        schema=NOTIFICATION_SCHEMA,
    )
