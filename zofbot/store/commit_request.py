"""What one commit to the outbox changes, and how ``lua/commit.lua`` takes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zofbot.notifications.notification import Notification
from zofbot.store.audit import AUDIT_FIELD, AUDIT_STREAM
from zofbot.store.claim_records import flatten_notification
from zofbot.store.keyspace import Keyspace, ScriptArguments
from zofbot.store.leases import Fence

EXPIRING_PREFIXES = ("failure:", "rerun:", "order:", "held:", "causes:", "history:", "open:", "passed:")
"""Hashes with these prefixes expire eight days more than ``KEY_TTL_SECONDS`` after a field was last set in them."""

FieldsByHash = Mapping[str, Mapping[str, str | None]]
"""Values of fields, by the hash's name and the field's; None deletes the field, or expects it to be missing."""


@dataclass(frozen=True)
class CommitRequest:
    """All that one atomic step adds, changes and expects; ``Outbox.commit`` says what each part is."""

    notifications: Sequence[Notification]
    changes: FieldsByHash
    fence: Fence | None
    expect: FieldsByHash
    acts: Sequence[str]
    due: Mapping[str, float]
    claim_limit: int
    """How many of the notifications due then to claim in the same step."""
    lease_ms: int
    """How long these are claimed for."""

    def list_keys(self, keyspace: Keyspace) -> list[str]:
        """Return the full names of all keys that the script may touch, those it finds by position first."""
        fence = self.fence.key if self.fence else keyspace.key("outbox", "due")  # any key of the slot
        expected = [keyspace.key(name) for name, fields in self.expect.items() for _ in fields]
        audit = [keyspace.key(AUDIT_STREAM)] if self.acts else []
        notified = record_keys(keyspace, (notification.key for notification in self.notifications))
        return [fence, *map(keyspace.key, self.changes), *expected, *audit, *notified, *record_keys(keyspace, self.due)]

    def flatten(self, keyspace: Keyspace) -> ScriptArguments:
        """Return the script's arguments."""
        expected = [
            (keyspace.key(name), field, value)
            for name, fields in self.expect.items()
            for field, value in fields.items()
        ]
        args: ScriptArguments = [self.fence.number if self.fence else "", len(expected), len(self.notifications)]
        args += [self.claim_limit, self.lease_ms]
        args += [part or "" for item in expected for part in item]
        args += [part for notification in self.notifications for part in flatten_notification(notification)]
        for name, fields in self.changes.items():
            verb = "~" if name.startswith(EXPIRING_PREFIXES) else "="
            for field, value in fields.items():
                args += [keyspace.key(name), "-" if value is None else verb, field, value or ""]
        args += [part for key, at in self.due.items() for part in (key, "@", "", repr(at))]
        args += [part for entry in self.acts for part in (keyspace.key(AUDIT_STREAM), "+", AUDIT_FIELD, entry)]
        return args


def record_keys(keyspace: Keyspace, keys: Iterable[str]) -> list[str]:
    """Return the full names of the hash and the receipt of each notification."""
    return [keyspace.key(noun, key) for key in keys for noun in ("note", "sent")]
