"""Change subscriptions: the records, what is posted and what is recorded about it, in one atomic step."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.alerting.state import threshold_hash
from zofbot.notifications.notification import Notification
from zofbot.store.audit import AuditRecord
from zofbot.store.commit_request import FieldsByHash
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.store.subscriptions import (
    SUBSCRIPTIONS_HASH,
    SUBSCRIPTIONS_VERSION_HASH,
    VERSION_FIELD,
    StoredSubscriptions,
    version_change,
)
from zofbot.subscriptions.diff import SubscriptionChange


async def commit_changes(
    outbox: Outbox,
    stored: StoredSubscriptions,
    changes: Sequence[SubscriptionChange],
    notes: Sequence[Notification] = (),
    acts: Sequence[AuditRecord] = (),
) -> None:
    """Commit the changes with the notes to channels and the audit records, unless any subscription has changed.

    The ``after:`` counters of subscriptions that end are deleted, too. Raises CommitConflict if what was decided by
    ``stored`` must be decided again, and StoreUnavailable.
    """
    after = {change.id: change.after.model_dump_json(by_alias=True) if change.after else None for change in changes}
    ended = [threshold_hash(change.before) for change in changes if change.before and not change.after]
    counted = await outbox.read_hashes(*ended) if ended else {}
    version = version_change()
    changed: FieldsByHash = {
        SUBSCRIPTIONS_HASH: after,
        **version,
        **{name: dict.fromkeys(fields) for name, fields in counted.items() if fields},
    }
    expected = {
        SUBSCRIPTIONS_VERSION_HASH: {VERSION_FIELD: stored.version},
        SUBSCRIPTIONS_HASH: {name: stored.records.get(name) for name in after},  # earlier zofbots leave the version
    }
    try:
        await outbox.commit(notes, changes=changed, expect=expected, acts=[act.model_dump_json() for act in acts])
    except CommitConflict:  # also with this commit itself: the client sends it again if Redis' reply was lost
        [present] = await outbox.read_fields((SUBSCRIPTIONS_VERSION_HASH, VERSION_FIELD))
        if present != version[SUBSCRIPTIONS_VERSION_HASH][VERSION_FIELD]:
            raise
