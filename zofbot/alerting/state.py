"""What the rules remember between findings: hashes read before a decision, and the changes that go with it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zofbot.notifications.notification import Notification
from zofbot.subscriptions import PlatformEvent, RunFinding, Subscription
from zofbot.subscriptions.matching import matches_location

HashChanges = Mapping[str, Mapping[str, str | None]]
"""Name of a hash, its field, the new value or ``None`` to delete it."""

DECISION_TTL_SECONDS = 30 * 86400.0
"""Seconds for which it is known that a run was told: as long as idempotency keys live."""


def short_hash(*words: str) -> str:
    """A short name for words of any length and kind."""
    return hashlib.blake2s("\x1f".join(words).encode(errors="replace"), digest_size=8).hexdigest()


def scope_key(finding: RunFinding) -> str:
    """Names project and environment: recoveries and counts reach no further."""
    return short_hash(finding.project, finding.environment)


def decisions_hash(run_id: str) -> str:
    """The hash that notes whether a run was told; 4,096 of them keep each small."""
    return f"seen:{zlib.crc32(run_id.encode(errors='replace')) % 4096:03x}"


def platform_event_key(notice: PlatformEvent) -> str:
    """What stands for a run's id where it is noted that a notice was told; the same may be told again another day."""
    return f"{notice.event}/{notice.id}/{notice.happened:.0f}"


def alerts_hash(channel: str, place: str) -> str:
    """The hash of a channel's failures that may still change, in one scope."""
    return f"open:{channel}:{place}"


def passes_hash(place: str) -> str:
    """The hash of the latest passed runs in a scope, for failures that are heard of late."""
    return f"passed:{place}"


def threshold_hash(subscription: Subscription) -> str:
    """The hash of failures that a subscription's ``after:`` has counted."""
    return f"after:{subscription.id}"


def failure_hash(root: str) -> str:
    """The hash of what the message under key ``root`` shows, for those who work on it."""
    return f"failure:{root}"


def subscribed_channels(subscriptions: Iterable[Subscription], default_channel: str = "") -> set[str]:
    """Every channel that is told anything."""
    return {subscription.channel for subscription in subscriptions} | {default_channel} - {""}


def rerun_hash(run_id: str) -> str:
    """The hash that says from which failure's thread a run was started: the key of its root."""
    return f"rerun:{run_id}"


RERUN_FIELD = "rerun"
"""The field of a failure's hash that holds the run of its failed cases that is under way, as JSON."""

PENDING_COMMANDS_HASH = "orders"
"""The hash of what was ordered at Zof and is not done yet: the names of orders, and when they were taken."""


def command_hash(name: str) -> str:
    """The hash of one order: what it is, and what it came to once it is done."""
    return f"order:{name}"


FAILURES_HASH = "failures"
"""The hash of all failures that people may work on: the key of each one's root, and when it was first told."""


def triage_hash(channel: str) -> str:
    """The hash of what people made of a channel's failures, by the keys of their roots."""
    return f"triage:{channel}"


def storms_hash(channel: str) -> str:
    """The hash of a channel's storms, of the latest alerts that may become one, and of whom they mentioned.

    Until storms were failures to work on, ``storm:<channel>`` held their counts for an hour.
    """
    return f"storms:{channel}"


MUTES = "mutes"
"""The hash of the mutes of all channels, by their ids."""


def held_by(mute: str) -> str:
    """The hash of what waits for a mute to end: keys of notifications, and what else those wait for."""
    return f"held:{mute}"


def catch_up_in(channel: str) -> str:
    """The hash of what a channel's next summaries list: failures that were held back, by the keys of their roots."""
    return f"catchup:{channel}"


@dataclass(frozen=True)
class RuleState:
    """The hashes that ``hash_names`` asked for, as they were read together."""

    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @staticmethod
    def hash_names(
        finding: RunFinding | PlatformEvent,
        subscriptions: Sequence[Subscription],
        default_channel: str = "",
        failing: Collection[str] | None = None,
    ) -> tuple[str, ...]:
        """The hashes that a decision about ``finding`` looks at: of thousands of channels those that it may concern.

        ``failing`` are the channels with open failures in its scope, whatever they subscribe to by now; ``None`` where
        that is not known, and any may have some.
        """
        meant = [subscription for subscription in subscriptions if matches_location(subscription, finding)]
        channels = {subscription.channel for subscription in meant} | {default_channel} - {""}
        if isinstance(finding, PlatformEvent):
            return (decisions_hash(platform_event_key(finding)), MUTES, *map(storms_hash, sorted(channels)))
        place, known = scope_key(finding), subscribed_channels(subscriptions, default_channel)
        counted = [threshold_hash(subscription) for subscription in meant if subscription.after]
        channels |= known if failing is None else known.intersection(failing)
        kept = [
            name
            for channel in sorted(channels)
            for name in (storms_hash(channel), alerts_hash(channel, place), triage_hash(channel), catch_up_in(channel))
        ]
        return (decisions_hash(finding.run.id), passes_hash(place), rerun_hash(finding.run.id), MUTES, *kept, *counted)

    @classmethod
    def from_hashes(cls, hashes: Mapping[str, Mapping[str, str]]) -> RuleState:
        """Keep what the store returned."""
        return cls(hashes)

    def with_changes(self, changes: HashChanges) -> RuleState:
        """The memory as it is once ``changes`` were committed."""
        after = dict(self.hashes)
        for name, fields in changes.items():
            merged: dict[str, str | None] = {**after.get(name, {}), **fields}
            after[name] = {key: value for key, value in merged.items() if value is not None}
        return RuleState(after)


class DecisionBuilder:
    """A decision while it is being made: what it has read is as it will be once it was committed."""

    def __init__(self, memory: RuleState, now: float) -> None:
        self.now = now
        self.notifications: dict[str, Notification] = {}
        self.changes: dict[str, dict[str, str | None]] = {}
        self.expected: dict[str, dict[str, str | None]] = {}
        """What the decision rests on: it counts only where this is still so when it is committed."""
        self._memory = memory
        self._copies: dict[str, dict[str, str]] = {}

    def clamp_to_now(self, happened: float) -> float:
        """When something happened at Zof, whose clock may be ahead, as what people do can be compared with it."""
        return min(happened, self.now)

    def read_hash(self, name: str) -> Mapping[str, str]:
        """One hash with the changes so far."""
        return self._copies[name] if name in self._copies else self._memory.hashes.get(name, {})

    def set_field(self, name: str, key: str, value: str) -> None:
        self._copy_hash(name)[key] = value
        self.changes.setdefault(name, {})[key] = value

    def delete_fields(self, name: str, keys: Iterable[str]) -> None:
        for key in list(keys):
            self._copy_hash(name).pop(key, None)
            self.changes.setdefault(name, {})[key] = None

    def add_notifications(self, *notifications: Notification) -> None:
        """Add notifications; a later edit of one message takes the place of an earlier one."""
        for notification in notifications:
            self.notifications[notification.key] = notification

    def expect(self, name: str, key: str) -> None:
        """Rest the decision on a field as it was read."""
        self.expected.setdefault(name, {})[key] = self._memory.hashes.get(name, {}).get(key)

    def _copy_hash(self, name: str) -> dict[str, str]:
        if name not in self._copies:
            self._copies[name] = dict(self._memory.hashes.get(name, {}))
        return self._copies[name]
