"""Who the bot is in its workspace, from ``auth.test``."""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk.web.async_slack_response import AsyncSlackResponse

from zofbot.slack import responses
from zofbot.slack.calls import SlackCalls


@dataclass(frozen=True)
class BotIdentity:
    """The bot's ids in its workspace, from ``auth.test``."""

    team: str
    user: str
    bot: str
    enterprise: str = ""
    """The organization that the workspace belongs to, on Enterprise Grid."""
    scopes: frozenset[str] | None = None
    """The token's scopes; None if Slack did not list them."""
    date: str = ""
    """The reply's Date header."""


class IdentityReader:
    """Reads the bot's identity, and remembers it until the token changes."""

    def __init__(self, calls: SlackCalls) -> None:
        self._calls = calls
        self._known: BotIdentity | None = None

    async def fetch(self) -> BotIdentity:
        """Fetch the identity that the token belongs to (``auth.test``). Raises SlackError."""
        headers: dict[str, str] = {}

        async def call_auth_test() -> AsyncSlackResponse:
            response = await self._calls.client.auth_test()
            headers.update((name.lower(), str(value)) for name, value in response.headers.items())
            return response

        identity = await self._calls.call_method("auth.test", call_auth_test, responses.AuthTestReply)
        scope_header = headers.get("x-oauth-scopes")
        scopes = None if scope_header is None else frozenset(scope.strip() for scope in scope_header.split(","))
        team, bot, enterprise = (item or "" for item in (identity.team_id, identity.bot_id, identity.enterprise_id))
        self._known = BotIdentity(team, identity.user_id, bot, enterprise, scopes, headers.get("date", ""))
        return self._known

    async def fetch_own_ids(self) -> frozenset[str]:
        """Return the bot's ids, to recognize its messages: any app can write the same metadata. Raises SlackError."""
        identity = self._known or await self.fetch()
        return frozenset(item for item in (identity.bot, identity.user) if item)

    def forget(self) -> None:
        """Fetch the identity again when it is needed next: with another token the bot id may have changed."""
        self._known = None
