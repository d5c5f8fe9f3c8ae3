"""Move a channel's settings and waiting messages to its new id, in one step.

Slack changes the id of a private channel when somebody begins to share it with another organization, for good
(https://docs.slack.dev/reference/events/channel_id_changed), even if they only open the dialog
(https://github.com/Netflix/dispatch/pull/560). Alerts are stored under keys with the old id, and stay there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import structlog

from zofbot.alerting.state import FAILURES_HASH, MOVED_CHANNELS, MUTES
from zofbot.clock import Clock
from zofbot.services.channel_contacts import build_personal_notes
from zofbot.slack.views import channel_notes
from zofbot.store.audit import AuditRecord
from zofbot.store.digests import DIGESTS_HASH, LAST_DIGESTS_HASH, parse_digest_records
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH, parse_subscription_records, version_change
from zofbot.subscriptions.filters import format_filters
from zofbot.subscriptions.mute import active_mutes, read_mutes

log = structlog.get_logger()

_HASHES = (SUBSCRIPTIONS_HASH, MUTES, DIGESTS_HASH, LAST_DIGESTS_HASH, MOVED_CHANNELS, FAILURES_HASH)


@dataclass
class _Move:
    """What moves from one id to another: the ``changes`` of hashes, how many of what, and who set it up."""

    changes: dict[str, dict[str, str | None]] = field(default_factory=dict)
    subscriptions: int = 0
    mutes: int = 0
    digest: bool = False
    people: set[str] = field(default_factory=set)


async def move_channel(outbox: Outbox, clock: Clock, old: str, new: str, configured: Collection[str] = ()) -> bool:
    """Move a channel's settings and waiting messages to its new id; returns whether there were any.

    Without settings, messages may come for the ``configured`` channels, which the environment names, and for those with
    open alerts, whose keys end with the channel. Notifies the people who set something up. Raises StoreUnavailable.
    """
    while True:
        hashes = await outbox.read_hashes(*_HASHES)
        move, known = _plan_move(hashes, old, new, clock.time()), hashes[MOVED_CHANNELS]
        ids = {old, *(earlier for earlier, later in known.items() if later == old)}
        has_messages = not ids.isdisjoint(configured) or any(
            key.rpartition(":")[2] in ids for key in hashes[FAILURES_HASH]
        )
        if not move.changes and (not has_messages or old in known):
            return False
        moved = dict[str, str | None].fromkeys(ids, new) | {new: None}
        changes = {**move.changes, MOVED_CHANNELS: moved}
        entry = AuditRecord(
            at=clock.time(), act="move", user="zofbot", channel=new, before=old, after=new,
            details={"subscriptions": str(move.subscriptions), "mutes": str(move.mutes), "digest": str(move.digest)},
        )  # fmt: skip
        said = channel_notes.moved_channel_note(move.subscriptions, move.mutes, digest=move.digest)
        try:
            await outbox.commit(
                build_personal_notes(
                    move.people, f"moved:{old}:{new}", channel_notes.note_payload(said, new), clock.time()
                ),
                changes={**changes, **(version_change() if SUBSCRIPTIONS_HASH in changes else {})},
                expect={name: {key: hashes[name].get(key) for key in fields} for name, fields in changes.items()},
                acts=[entry.model_dump_json()],
            )
        except CommitConflict:
            continue
        log.info("channel has a new id", old=old, channel=new, subscriptions=move.subscriptions, mutes=move.mutes)
        if old in configured:
            log.error(
                "a setting names a channel's old id", old=old, channel=new, fix="put the new id into the settings"
            )
        return True


def _plan_move(hashes: Mapping[str, Mapping[str, str]], old: str, new: str, now: float) -> _Move:
    """Plan what moves; of what the new channel has already, its own stays."""
    move = _Move()
    subscriptions = parse_subscription_records(hashes[SUBSCRIPTIONS_HASH])
    there = {format_filters(item) for item in subscriptions if item.channel == new}
    for item in subscriptions:
        if item.channel == old:
            after = item.model_copy(update={"channel": new}).model_dump_json(by_alias=True)
            _change(move, SUBSCRIPTIONS_HASH, item.id, None if format_filters(item) in there else after)
            move.subscriptions += 1
            move.people.add(item.by)
    mutes = read_mutes(hashes[MUTES])
    for mute in mutes:
        if mute.channel == old:
            record = mute.model_copy(update={"channel": new}).model_dump_json(exclude_defaults=True)
            _change(move, MUTES, mute.id, record)
    current = active_mutes(mutes, old, now)
    move.mutes = len(current)
    move.people.update(mute.by for mute in current)
    _plan_digest(move, hashes, old, new)
    move.people.discard("")
    return move


def _plan_digest(move: _Move, hashes: Mapping[str, Mapping[str, str]], old: str, new: str) -> None:
    records, latest = hashes[DIGESTS_HASH], hashes[LAST_DIGESTS_HASH]
    for setting in parse_digest_records({old: records[old]} if old in records else {}):
        move.digest = True
        move.people.add(setting.by)
        _change(move, DIGESTS_HASH, old, None)
        if new not in records:
            _change(move, DIGESTS_HASH, new, setting.model_copy(update={"channel": new}).model_dump_json())
            if old in latest:  # a digest's key ends with its channel
                _change(move, LAST_DIGESTS_HASH, new, latest[old].removesuffix(old) + new)


def _change(move: _Move, name: str, key: str, value: str | None) -> None:
    move.changes.setdefault(name, {})[key] = value
