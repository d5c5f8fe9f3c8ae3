"""Digests: how often each channel gets one, ``{namespace}:digests``, and which was promised last, ``…:digested``.

Both are hashes by channel; they are changed by commits of the outbox, together with what follows from the change.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from pydantic import ValidationError

from zofbot.store.outbox import Outbox
from zofbot.subscriptions.digest_schedule import DigestSetting

log = structlog.get_logger()

DIGESTS_HASH, LAST_DIGESTS_HASH = "digests", "digested"


def parse_digest_records(records: Mapping[str, str]) -> list[DigestSetting]:
    """The digests among ``records``; what cannot be read is said in the log."""
    found = []
    for channel, record in sorted(records.items()):
        try:
            found.append(DigestSetting.model_validate_json(record))
        except ValidationError as error:
            log.error("unreadable digest", channel=channel, problems=error.error_count())
    return found


async def load_digest(outbox: Outbox, channel: str) -> tuple[DigestSetting | None, str]:
    """A channel's digest, if it has one, and the key of the last that was promised. Raises StoreUnavailable."""
    record, last = await outbox.read_fields((DIGESTS_HASH, channel), (LAST_DIGESTS_HASH, channel))
    return next(iter(parse_digest_records({channel: record} if record else {})), None), last or ""
