"""Failures held back by quiet hours or a mute, as the summary at the end of these lists them."""

from __future__ import annotations

from collections.abc import Mapping

from zofbot.alerting.state import MUTES, DecisionBuilder, catch_up_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.frozen_model import FrozenModel
from zofbot.subscriptions.mute import read_mutes

ENTRY_RETENTION_SECONDS = 40 * 86400.0
"""Seconds for which a held-back failure stays listed: longer than any mute and than a channel can be blocked."""

_MAX_ENTRIES_BEFORE_PRUNE = 64


class CatchUpEntry(FrozenModel):
    """A failure to list in the summary with the key ``key``; times are Unix seconds.

    ``until`` is when it is due. If it ``follows_mutes``, that is another time once one of the ``mutes`` ends early or
    later, which entries of earlier versions do not know. ``unposted``: its own message waits too. If not ``listed``,
    it is no failure and is only sent after the summary.
    """

    key: str
    at: float
    until: float
    mutes: tuple[str, ...] = ()
    unposted: bool = False
    listed: bool = True
    follows_mutes: bool = False

    def is_waiting(self, draft: DecisionBuilder) -> bool:
        """Whether quiet hours or a mute still hold it back."""
        if self.follows_mutes or not self.mutes:
            return self.until > draft.now
        return any(mute.id in self.mutes and mute.until > draft.now for mute in read_mutes(draft.read_hash(MUTES)))


def is_unposted(draft: DecisionBuilder, channel: str, root: str) -> bool:
    """Whether the failure's own message is still held back."""
    item = catch_up_entry(draft, channel, root)
    return item is not None and item.unposted and item.is_waiting(draft)


def catch_up_entry(draft: DecisionBuilder, channel: str, root: str) -> CatchUpEntry | None:
    """Return the catch-up entry of the failure with the key ``root``, if any, which ``/zof unmute`` may change."""
    stored = draft.read_hash(catch_up_hash(channel)).get(root)
    if not stored:
        return None
    draft.expect(catch_up_hash(channel), root)
    return parse_entry(stored)


def parse_entry(stored: str) -> CatchUpEntry | None:
    """Parse a stored entry; None for one that cannot be read."""
    return parse_stored("catch-up entry", stored, CatchUpEntry.model_validate_json, None)


def dump_entry(entry: CatchUpEntry) -> str:
    """Serialize an entry as stored."""
    return entry.model_dump_json(exclude_defaults=True)


def reschedule_entries(stored: Mapping[str, str], due: Mapping[str, float]) -> dict[str, str]:
    """Return the stored entries that change as their messages or summaries become ``due`` (Unix seconds)."""
    entries = {root: entry for root, value in stored.items() if (entry := parse_entry(value))}
    times = {root: due[name] for root, entry in entries.items() for name in (entry.key, root) if name in due}
    changed = {
        root: dump_entry(entries[root].model_copy(update={"until": until, "follows_mutes": True}))
        for root, until in times.items()
    }
    return {root: value for root, value in changed.items() if value != stored[root]}


def add_entry(draft: DecisionBuilder, channel: str, root: str, item: CatchUpEntry) -> str:
    """List one failure and return the key of its summary; one that waits for another summary stays in that."""
    known = catch_up_entry(draft, channel, root)
    if known is not None and known.is_waiting(draft):
        item = known.model_copy(update={"unposted": known.unposted or item.unposted})
    else:
        _prune_entries(draft, channel)
    draft.set_field(catch_up_hash(channel), root, dump_entry(item))
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
