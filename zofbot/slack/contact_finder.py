"""Find people by e-mail address and user groups by handle, as authors of changes and owners of cases are named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from zofbot.clock import Clock
from zofbot.domain.errors import SlackError
from zofbot.slack.cache import TtlCache

log = structlog.get_logger()

MAX_EMAIL_AGE_SECONDS = 3600.0
"""Maximum age of an answer about whose an e-mail address is."""


class ContactFinder:
    """Finds ids; ``fetch_id_by_email`` returns an empty string for an unknown address."""

    def __init__(
        self,
        fetch_id_by_email: Callable[[str], Awaitable[str]],
        load_handles: Callable[[], Awaitable[dict[str, str]]],
        clock: Clock,
    ) -> None:
        self._emails = TtlCache(fetch_id_by_email, clock, fresh=MAX_EMAIL_AGE_SECONDS)
        self._load_handles = load_handles

    async def find_ids(self, names: Collection[str]) -> dict[str, str]:
        """Return the ids, by name, of those that Slack knows.

        A handle may have an ``@``, and a team of a code host its organization: ``@acme/checkout-team``.
        """
        emails = [name for name in names if "@" in name[1:] and not name.startswith("@")]
        handles = [name for name in names if name not in emails]
        groups = {handle.lower(): group for group, handle in (await self._load_handles()).items()} if handles else {}
        found = dict(zip(emails, await asyncio.gather(*map(self._find_by_email, emails)), strict=True))
        found |= {name: groups.get(name.rpartition("/")[2].removeprefix("@").lower(), "") for name in handles}
        return {name: identifier for name, identifier in found.items() if identifier}

    async def _find_by_email(self, email: str) -> str:
        try:
            return await self._emails.get(email.lower())
        except SlackError as error:
            log.warning("person of an e-mail address unknown", reason=error.reason)
            return ""
