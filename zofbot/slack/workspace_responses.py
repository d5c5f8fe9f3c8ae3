"""What Slack's methods return about people, groups and channels, as models (pure)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator

from zofbot.slack.responses import ChannelId, PagedReply, SlackId, SlackReply


class ListedChannel(ChannelId):
    """A channel in a listing."""

    is_ext_shared: bool | None = None
    is_pending_ext_shared: bool | None = None


class UserChannelsReply(PagedReply):
    """``users.conversations``."""

    channels: tuple[ListedChannel, ...]


class ChannelMembersReply(SlackReply):
    """``conversations.members``."""

    members: frozenset[SlackId]


class GroupMembersReply(SlackReply):
    """``usergroups.users.list``."""

    users: frozenset[SlackId]


class _GroupHandle(SlackReply):
    id: SlackId
    handle: str | None = None


class GroupListReply(SlackReply):
    """``usergroups.list``."""

    usergroups: tuple[_GroupHandle, ...]


class _SlackObject(BaseModel):
    """Base of Slack's objects: declared fields are validated, others are kept."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="allow")


class UserProfile(_SlackObject):
    """A person's names."""

    display_name: str | None = None
    real_name: str | None = None


class EnterpriseUser(_SlackObject):
    """A person's organization, on Enterprise Grid."""

    enterprise_id: str | None = None
    teams: tuple[str, ...] | None = None


class SlackUser(_SlackObject):
    """https://docs.slack.dev/reference/objects/user-object ."""

    id: SlackId | None = None
    name: str | None = None
    real_name: str | None = None
    team_id: str | None = None
    tz: str | None = None
    tz_offset: int | None = None
    deleted: bool | None = None
    is_admin: bool | None = None
    is_owner: bool | None = None
    is_primary_owner: bool | None = None
    is_bot: bool | None = None
    is_workflow_bot: bool | None = None
    is_stranger: bool | None = None
    is_restricted: bool | None = None
    is_ultra_restricted: bool | None = None
    profile: UserProfile | None = None
    enterprise_user: EnterpriseUser | None = None

    @field_validator("tz_offset", mode="before")
    @classmethod
    def _coerce_offset(cls, value: object) -> object:
        return int(value) if isinstance(value, float) and value.is_integer() else value


class UserInfoReply(SlackReply):
    """``users.info``."""

    user: SlackUser


class UserListReply(PagedReply):
    """``users.list``."""

    members: tuple[SlackUser, ...]


class Conversation(_SlackObject):
    """https://docs.slack.dev/reference/objects/conversation-object ."""

    id: SlackId | None = None
    name: str | None = None
    user: str | None = None
    is_im: bool | None = None
    is_mpim: bool | None = None
    is_private: bool | None = None
    is_archived: bool | None = None
    is_member: bool | None = None
    is_shared: bool | None = None
    is_ext_shared: bool | None = None
    is_org_shared: bool | None = None
    is_pending_ext_shared: bool | None = None


class ConversationInfoReply(SlackReply):
    """``conversations.info``."""

    channel: Conversation
