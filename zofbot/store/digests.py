"""Digest settings, ``{namespace}:digests``, and the key of each channel's latest digest, ``{namespace}:digested``.

Both are hashes by channel, changed by commits of the outbox together with the notifications that follow.
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
    """Parse digest settings from ``records``; those that cannot be parsed are logged and skipped."""
    settings = []
    for channel, record in sorted(records.items()):
        try:
            settings.append(DigestSetting.model_validate_json(record))
        except ValidationError as error:
            log.error("unreadable digest", channel=channel, problems=error.error_count())
    return settings


async def load_digest(outbox: Outbox, channel: str) -> tuple[DigestSetting | None, str]:
    """Return a channel's digest setting, if any, and the key of its latest digest. Raises StoreUnavailable."""
    record, last = await outbox.read_fields((DIGESTS_HASH, channel), (LAST_DIGESTS_HASH, channel))
    return next(iter(parse_digest_records({channel: record} if record else {})), None), last or ""
