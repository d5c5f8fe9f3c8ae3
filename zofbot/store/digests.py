"""Digests: how often each channel gets one, ``{namespace}:digests``, and which was promised last, ``…:digested``.

Both are hashes by channel; they are changed by commits of the outbox, together with what follows from the change.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from pydantic import ValidationError

from zofbot.routing.rhythm import Regular
from zofbot.store.outbox import Outbox

log = structlog.get_logger()

DIGESTS, DIGESTED = "digests", "digested"


def readable(records: Mapping[str, str]) -> list[Regular]:
    """The digests among ``records``; what cannot be read is said in the log."""
    found = []
    for channel, record in sorted(records.items()):
        try:
            found.append(Regular.model_validate_json(record))
        except ValidationError as error:
            log.error("unreadable digest", channel=channel, problems=error.error_count())
    return found


async def digest_of(outbox: Outbox, channel: str) -> tuple[Regular | None, str]:
    """A channel's digest, if it has one, and the key of the last that was promised. Raises StoreUnavailable."""
    record, last = await outbox.fields((DIGESTS, channel), (DIGESTED, channel))
    return next(iter(readable({channel: record} if record else {})), None), last or ""
