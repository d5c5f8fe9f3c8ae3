"""Calls about people, user groups and channels."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from zofbot.domain.errors import SlackRefused
from zofbot.slack import workspace_responses
from zofbot.slack.calls import SlackCalls

MAX_CHANNEL_PAGES = 5
"""Maximum pages of 999 channels to read for one person or the bot."""

CHANNEL_TYPES = "public_channel,private_channel"
"""Channels as ``users.conversations`` calls them, without group direct messages (``mpim``)."""

PEOPLE_PER_PAGE, MAX_PEOPLE_PAGES = 200, 20
"""Page size and maximum pages for ``users.list``: Slack recommends 200, and allows 20 calls a minute."""


class WorkspaceReader:
    """Reads the people, groups and channels of one workspace. Every method raises SlackError."""

    def __init__(self, calls: SlackCalls) -> None:
        self._calls = calls

    async def fetch_user(self, identifier: str) -> dict[str, Any]:
        """Fetch a user object (https://docs.slack.dev/reference/objects/user-object).

        Raises SlackError.
        """
        reply = await self._calls.call_method(
            "users.info", lambda: self._calls.client.users_info(user=identifier), workspace_responses.UserInfoReply
        )
        return reply.user.model_dump(exclude_unset=True)

    async def fetch_id_by_email(self, email: str) -> str:
        """Fetch the id of the person with an e-mail address; empty if nobody in the workspace has it.

        https://docs.slack.dev/reference/methods/users.lookupByEmail . Raises SlackError.
        """
        try:
            reply = await self._calls.call_method(
                "users.lookupByEmail",
                lambda: self._calls.client.users_lookupByEmail(email=email),
                workspace_responses.UserInfoReply,
            )
        except SlackRefused as error:
            if error.reason == "users_not_found":
                return ""
            raise
        return "" if reply.user.deleted else reply.user.id or ""

    async def fetch_admins(self) -> frozenset[str]:
        """Fetch the ids of the workspace's admins and owners, from the first ``MAX_PEOPLE_PAGES`` pages of users.

        https://docs.slack.dev/reference/methods/users.list . Raises SlackError.
        """
        found: set[str] = set()
        cursor = ""
        for _ in range(MAX_PEOPLE_PAGES):
            page = await self._fetch_people_page(cursor)
            ranks = (
                (member.id, member.is_admin or member.is_owner or member.is_primary_owner) for member in page.members
            )
            found.update(identifier for identifier, ranks_high in ranks if identifier and ranks_high)
            cursor = page.page_cursor
            if not cursor:
                break
        return frozenset(found)

    async def _fetch_people_page(self, cursor: str) -> workspace_responses.UserListReply:
        return await self._calls.call_method(
            "users.list",
            lambda: self._calls.client.users_list(limit=PEOPLE_PER_PAGE, cursor=cursor or None),
            workspace_responses.UserListReply,
        )

    async def fetch_group_members(self, identifier: str) -> frozenset[str]:
        """Fetch the members of a user group. Raises SlackError."""
        reply = await self._calls.call_method(
            "usergroups.users.list",
            lambda: self._calls.client.usergroups_users_list(usergroup=identifier),
            workspace_responses.GroupMembersReply,
        )
        return reply.users

    async def fetch_group_handles(self) -> dict[str, str]:
        """Fetch the handles of the workspace's user groups, by id. Raises SlackError."""
        reply = await self._calls.call_method(
            "usergroups.list", self._calls.client.usergroups_list, workspace_responses.GroupListReply
        )
        return {group.id: group.handle for group in reply.usergroups if group.handle}

    async def fetch_channel(self, identifier: str) -> dict[str, Any]:
        """Fetch a conversation object (https://docs.slack.dev/reference/objects/conversation-object).

        Raises SlackError.
        """
        reply = await self._calls.call_method(
            "conversations.info",
            lambda: self._calls.client.conversations_info(channel=identifier),
            workspace_responses.ConversationInfoReply,
        )
        return reply.channel.model_dump(exclude_unset=True)

    async def fetch_channel_members(self, channel: str) -> frozenset[str]:
        """Fetch the first 200 members of a conversation: all of a group message. Raises SlackError."""
        reply = await self._calls.call_method(
            "conversations.members",
            lambda: self._calls.client.conversations_members(channel=channel, limit=200),
            workspace_responses.ChannelMembersReply,
        )
        return reply.members

    async def fetch_channels_of(self, user: str) -> frozenset[str]:
        """Fetch a person's channels and group direct messages, without archived ones and private ones without the bot.

        Group direct messages are listed because their ids do not show what they are: modern ones begin with C
        (https://github.com/openclaw/openclaw/issues/115463). One call per 999, at most ``MAX_CHANNEL_PAGES``.
        Raises SlackError.
        """
        try:
            return await self._fetch_channel_ids(user, f"{CHANNEL_TYPES},mpim")
        except SlackRefused as error:
            if error.reason != "missing_scope":
                raise
            return await self._fetch_channel_ids(user, CHANNEL_TYPES)  # an app that was installed without mpim:read

    async def fetch_own_channels(self) -> dict[str, dict[str, bool | None]]:
        """Fetch whether the bot's channels are shared with other organizations, as in a conversation object, by id.

        Without archived channels, those that Slack lists without saying it, and direct and group messages. Pages as in
        ``fetch_channels_of``. Raises SlackError.
        """
        return {
            channel.id: channel.model_dump(exclude={"id"})
            async for channel in self._list_channels(CHANNEL_TYPES, {})
            if None not in (channel.is_ext_shared, channel.is_pending_ext_shared)
        }

    async def _fetch_channel_ids(self, user: str, types: str) -> frozenset[str]:
        return frozenset([channel.id async for channel in self._list_channels(types, {"user": user})])

    async def _list_channels(
        self, types: str, whose: Mapping[str, str]
    ) -> AsyncIterator[workspace_responses.ListedChannel]:
        """List channels by https://docs.slack.dev/reference/methods/users.conversations , of the bot by default."""
        more = whose
        for _ in range(MAX_CHANNEL_PAGES):
            page = await self._fetch_channels_page(types, more)
            for channel in page.channels:
                yield channel
            if not page.page_cursor:
                return
            more = {**whose, "cursor": page.page_cursor}

    async def _fetch_channels_page(self, types: str, more: Mapping[str, str]) -> workspace_responses.UserChannelsReply:
        return await self._calls.call_method(
            "users.conversations",
            lambda: self._calls.client.users_conversations(types=types, exclude_archived=True, limit=999, **more),
            workspace_responses.UserChannelsReply,
        )
