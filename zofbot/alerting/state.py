"""State of the rules between findings: hashes that are read before a decision, and the changes it makes."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zofbot.alerting.causes import signatures_of
from zofbot.notifications.notification import Notification
from zofbot.notifications.payload_parts import clean_text
from zofbot.subscriptions import PlatformEvent, RunFinding, Subscription
from zofbot.subscriptions.matching import matches_location

HashChanges = Mapping[str, Mapping[str, str | None]]
"""Hash name, then field, to the new value, or ``None`` to delete the field."""

DECISION_TTL_SECONDS = 30 * 86400.0
"""Seconds for which a decision about a run is kept: as long as idempotency keys."""


def short_hash(*words: str) -> str:
    """Return a 16-digit hex digest of the given strings."""
    return hashlib.blake2s("\x1f".join(words).encode(errors="replace"), digest_size=8).hexdigest()


def scope_key(finding: RunFinding) -> str:
    """Return the key of a project and environment; recoveries and counts apply within one scope."""
    return short_hash(finding.project, finding.environment)


def decisions_hash(run_id: str) -> str:
    """Name the hash that records decisions about a run; there are 4,096 of them, to keep each small."""
    return f"seen:{zlib.crc32(run_id.encode(errors='replace')) % 4096:03x}"


def platform_event_key(notice: PlatformEvent) -> str:
    """Return the key for decisions about a platform event; it includes the time, so that it can recur."""
    return f"{notice.event}/{notice.id}/{notice.happened:.0f}"


def alerts_hash(channel: str, place: str) -> str:
    """Name the hash of a channel's alerts that may still change, in one scope; without a scope, the common prefix."""
    return f"open:{channel}:{place}"


def passes_hash(place: str) -> str:
    """Name the hash of the latest passing runs in a scope, for failures that are read late."""
    return f"passed:{place}"


def threshold_hash(subscription: Subscription) -> str:
    """Name the hash of failures counted for a subscription's ``after:`` threshold."""
    return f"after:{subscription.id}"


def failure_hash(root: str) -> str:
    """Name the hash of what the message with the key ``root`` shows, for triage."""
    return f"failure:{root}"


def history_hash(place: str) -> str:
    """Name the hash of the latest outcomes of a scope's cases, by a digest of the case."""
    return f"history:{place}"


def causes_hash(project: str, signature: str) -> str:
    """Name the hash that remembers a signature of a project, given by id, or by name where there is no id.

    A project has 16 of them, by the last digit of the signature.
    """
    return f"causes:{short_hash(clean_text(project, 100))}:{signature[-1:]}"


def subscribed_channels(subscriptions: Iterable[Subscription], default_channel: str = "") -> set[str]:
    """Return every channel with a subscription, and the default channel."""
    return {subscription.channel for subscription in subscriptions} | {default_channel} - {""}


def rerun_hash(run_id: str) -> str:
    """Name the hash that records from which failure's thread a run was started."""
    return f"rerun:{run_id}"


RERUN_FIELD = "rerun"
"""The field of a failure's hash that holds the re-run in progress, as JSON."""

PENDING_COMMANDS_HASH = "orders"
"""Hash of run commands that are not done yet: command name to the time it was confirmed."""


def command_hash(name: str) -> str:
    """Name the hash of one run command and its outcome."""
    return f"order:{name}"


FAILURES_HASH = "failures"
"""Hash of all failures open to triage: alert key to the time of its first notification (Unix seconds)."""


def triage_hash(channel: str) -> str:
    """Name the hash of triage records of a channel's failures, by alert key; it keeps those of 38 days."""
    return f"triage:{channel}"


def storms_hash(channel: str) -> str:
    """Name the hash of a channel's storms, of the latest alerts that may become one, and of whom they mentioned.

    Earlier versions kept counts in ``storm:<channel>``, for an hour.
    """
    return f"storms:{channel}"


MUTES = "mutes"
"""Hash of the mutes of all channels, by id."""

MOVED_CHANNELS = "moved"
"""Hash of channels whose id Slack has changed: the old id to the present one. What waits for the old goes there."""


def held_hash(mute: str) -> str:
    """Name the hash of notifications that wait for a mute: notification key to what else it waits for."""
    return f"held:{mute}"


def catch_up_hash(channel: str) -> str:
    """Name the hash of held-back failures that a channel's next catch-up messages list, by alert key."""
    return f"catchup:{channel}"


@dataclass(frozen=True)
class RuleState:
    """The hashes named by ``hash_names``, read in one step."""

    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @staticmethod
    def hash_names(
        finding: RunFinding | PlatformEvent,
        subscriptions: Sequence[Subscription],
        default_channel: str = "",
        failing: Collection[str] | None = None,
    ) -> tuple[str, ...]:
        """Return the names of the hashes that a decision about ``finding`` may read.

        ``failing`` are the channels with open failures in its scope, whatever they subscribe to now; ``None`` if that
        is not known, so that any channel may have some.
        """
        matching = [subscription for subscription in subscriptions if matches_location(subscription, finding)]
        channels = {subscription.channel for subscription in matching} | {default_channel} - {""}
        if isinstance(finding, PlatformEvent):
            return (
                decisions_hash(platform_event_key(finding)),
                MUTES,
                MOVED_CHANNELS,
                *map(storms_hash, sorted(channels)),
            )
        place, known = scope_key(finding), subscribed_channels(subscriptions, default_channel)
        counted = [threshold_hash(subscription) for subscription in matching if subscription.after]
        channels |= known if failing is None else known.intersection(failing)
        channel_hashes = [
            name
            for channel in sorted(channels)
            for name in (
                storms_hash(channel),
                alerts_hash(channel, place),
                triage_hash(channel),
                catch_up_hash(channel),
            )
        ]
        return (
            decisions_hash(finding.run.id),
            passes_hash(place),
            history_hash(place),
            rerun_hash(finding.run.id),
            MUTES,
            MOVED_CHANNELS,
            *sorted({causes_hash(finding.project, signature) for signature in signatures_of(finding.failures)}),
            *channel_hashes,
            *counted,
        )

    def with_changes(self, changes: HashChanges) -> RuleState:
        """Return the state after ``changes`` are committed."""
        after = dict(self.hashes)
        for name, fields in changes.items():
            merged: dict[str, str | None] = {**after.get(name, {}), **fields}
            after[name] = {key: value for key, value in merged.items() if value is not None}
        return RuleState(after)


class DecisionBuilder:
    """A decision in progress. Hashes read from it include the changes made so far."""

    def __init__(self, memory: RuleState, now: float) -> None:
        self.now = now
        self.notifications: dict[str, Notification] = {}
        self.changes: dict[str, dict[str, str | None]] = {}
        self.expected: dict[str, dict[str, str | None]] = {}
        """Field values that the decision depends on; the commit fails if they have changed."""
        self._memory = memory
        self._copies: dict[str, dict[str, str]] = {}

    def clamp_to_now(self, happened: float) -> float:
        """Return a time reported by Zof, whose clock may be ahead, as at most now, to compare with people's actions."""
        return min(happened, self.now)

    def read_hash(self, name: str) -> Mapping[str, str]:
        """Return one hash, including the changes so far."""
        return self._copies[name] if name in self._copies else self._memory.hashes.get(name, {})

    def set_field(self, name: str, key: str, value: str) -> None:
        self._copy_hash(name)[key] = value
        self.changes.setdefault(name, {})[key] = value

    def delete_fields(self, name: str, keys: Iterable[str]) -> None:
        for key in list(keys):
            self._copy_hash(name).pop(key, None)
            self.changes.setdefault(name, {})[key] = None

    def add_notifications(self, *notifications: Notification) -> None:
        """Add notifications; one with the same key, such as a later edit, replaces the earlier one."""
        for notification in notifications:
            self.notifications[notification.key] = notification

    def add_first(self, notification: Notification) -> None:
        """Add a notification that is sent before those added so far, unless one with the same key is among them."""
        self.notifications = {notification.key: notification, **self.notifications}

    def expect(self, name: str, key: str) -> None:
        """Make the commit depend on a field still having the value that was read."""
        self.expected.setdefault(name, {})[key] = self._memory.hashes.get(name, {}).get(key)

    def _copy_hash(self, name: str) -> dict[str, str]:
        if name not in self._copies:
            self._copies[name] = dict(self._memory.hashes.get(name, {}))
        return self._copies[name]
