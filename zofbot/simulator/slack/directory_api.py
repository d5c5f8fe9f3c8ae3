"""Slack's methods about channels, people and groups."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from zofbot.simulator.slack.chat_api import Arguments, ResponseBody, dump_message, find_channel, is_truthy
from zofbot.simulator.slack.model import BOT_USER_ID, TEAM_ID, Channel, PostedMessage, User
from zofbot.simulator.slack.state import SlackRefusal, Workspace


def tz_offset(user: User, now: float) -> int:
    """Return the user's offset from UTC in seconds at that time."""
    offset = datetime.fromtimestamp(now, ZoneInfo(user.tz)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def channel_info(slack: Workspace, given: Arguments) -> ResponseBody:
    """``conversations.info``."""
    return {"channel": dump_channel(find_channel(slack, given.get("channel")))}


def dump_channel(channel: Channel) -> ResponseBody:
    """Format a channel as in Slack's API."""
    if channel.im_with:
        shared = {"is_ext_shared": True} if channel.external else {}  # believed: the docs show no such direct message
        return {"id": channel.id, "is_im": True, "is_channel": False, "user": channel.im_with, "is_archived": False,
                **shared}  # fmt: skip
    return {
        "id": channel.id,
        "name": channel.name,
        "is_im": False,
        "is_mpim": channel.group_dm,
        "is_channel": not channel.private,
        "is_group": channel.private and not channel.group_dm,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_member": BOT_USER_ID in channel.members,
        "is_shared": channel.external,
        "is_ext_shared": channel.external,
        "is_org_shared": False,
        "is_pending_ext_shared": channel.pending,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "num_members": len(channel.members),
    }


def _parse_limit(given: Arguments, name: str, default: int) -> int:
    try:
        return int(given.get(name) or default)
    except ValueError:
        raise SlackRefusal("invalid_limit") from None


def _parse_timestamp(given: Arguments, name: str, default: float) -> float:
    try:
        return float(given.get(name) or default)
    except ValueError:
        raise SlackRefusal(f"invalid_ts_{name}") from None


def _is_in_window(given: Arguments, message: PostedMessage) -> bool:
    """True if a message is between oldest and latest; the bounds are included only with ``inclusive``."""
    ts, oldest, latest = (
        float(message.ts),
        _parse_timestamp(given, "oldest", 0),
        _parse_timestamp(given, "latest", math.inf),
    )
    return oldest <= ts <= latest if is_truthy(given.get("inclusive")) else oldest < ts < latest


MAX_DISTRIBUTED_MESSAGES = 15
"""Maximum page size for apps distributed outside the Marketplace, whatever ``limit`` they send.

https://docs.slack.dev/reference/methods/conversations.history
"""


def _message_page(slack: Workspace, given: Arguments, found: list[PostedMessage]) -> ResponseBody:
    """Return the page at the cursor, which is the timestamp of the last message before it."""
    limit = _parse_limit(given, "limit", 100)
    if not 1 <= limit <= 999:
        raise SlackRefusal("invalid_limit")
    if cursor := given.get("cursor"):
        known = [at for at, message in enumerate(found) if f"c{message.ts}" == cursor]
        if not known:
            raise SlackRefusal("invalid_cursor")
        found = found[known[0] + 1 :]
    if slack.distributed:
        limit = min(limit, MAX_DISTRIBUTED_MESSAGES)
    page, more = found[:limit], len(found) > limit
    metadata = is_truthy(given.get("include_all_metadata"))
    return {
        "messages": [dump_message(slack, message, metadata=metadata) for message in page],
        "has_more": more,
        "response_metadata": {"next_cursor": f"c{page[-1].ts}" if more else ""},
    }


def _find_readable_channel(slack: Workspace, given: Arguments) -> Channel:
    channel = find_channel(slack, given.get("channel"))
    if BOT_USER_ID not in channel.members:
        raise SlackRefusal("not_in_channel")
    return channel


def channel_history(slack: Workspace, given: Arguments) -> ResponseBody:
    """``conversations.history``."""
    channel = _find_readable_channel(slack, given)
    found = [
        message
        for message in reversed(slack.messages.get(channel.id, {}).values())
        if message.is_visible and (not message.thread_ts or message.broadcast) and _is_in_window(given, message)
    ]
    return _message_page(slack, given, found)


def thread_replies(slack: Workspace, given: Arguments) -> ResponseBody:
    """``conversations.replies``."""
    channel = _find_readable_channel(slack, given)
    first = slack.find_message(channel.id, str(given.get("ts")))
    if first is None or not first.is_visible:
        raise SlackRefusal("thread_not_found")
    return _message_page(
        slack, given, [first, *(reply for reply in slack.thread_replies(first) if _is_in_window(given, reply))]
    )


def join_channel(slack: Workspace, given: Arguments) -> ResponseBody:
    """``conversations.join``."""
    channel = find_channel(slack, given.get("channel"))
    if channel.private or channel.im_with:
        raise SlackRefusal("method_not_supported_for_channel_type")
    if channel.archived:
        raise SlackRefusal("is_archived")
    already = {"warning": "already_in_channel"} if BOT_USER_ID in channel.members else {}
    channel.members.add(BOT_USER_ID)
    slack.changed()
    return {"channel": dump_channel(channel), **already}


def open_dm(slack: Workspace, given: Arguments) -> ResponseBody:
    """``conversations.open`` with one person."""
    users = given.get("users") or ""
    channel = slack.find_dm(users if isinstance(users, str) else ",".join(users))
    if channel is None:
        raise SlackRefusal("user_not_found")
    return {"channel": {"id": channel.id}}


def channel_members(slack: Workspace, given: Arguments) -> ResponseBody:
    """``conversations.members``."""
    channel = find_channel(slack, given.get("channel"))
    return {"members": sorted(channel.members), "response_metadata": {"next_cursor": ""}}


_SCOPES_BY_TYPE = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "im": "im:read",
    "mpim": "mpim:read",
}
MAX_USER_CHANNELS = 999


def user_channels(slack: Workspace, given: Arguments) -> ResponseBody:
    """``users.conversations``; private channels only if the bot is in them too."""
    user = str(given.get("user") or BOT_USER_ID)
    if user not in slack.users:
        raise SlackRefusal("user_not_found")
    kinds = str(given.get("types") or "public_channel").split(",")
    for wanted in kinds:
        if wanted not in _SCOPES_BY_TYPE:
            raise SlackRefusal("invalid_types")
        if _SCOPES_BY_TYPE[wanted] not in slack.scopes:
            raise SlackRefusal("missing_scope", needed=_SCOPES_BY_TYPE[wanted], provided=",".join(sorted(slack.scopes)))
    found = [
        channel for channel in slack.channels.values() if user in channel.members and channel_type(channel) in kinds
    ]
    if is_truthy(given.get("exclude_archived")):
        found = [channel for channel in found if not channel.archived]
    return _channel_page(
        given,
        [channel for channel in found if BOT_USER_ID in channel.members or channel_type(channel) == "public_channel"],
    )


def channel_type(channel: Channel) -> str:
    """Return the channel's type as in ``users.conversations``."""
    if channel.im_with:
        return "im"
    return "mpim" if channel.group_dm else "private_channel" if channel.private else "public_channel"


def _channel_page(given: Arguments, found: list[Channel]) -> ResponseBody:
    limit = _parse_limit(given, "limit", 100)
    if not 1 <= limit <= MAX_USER_CHANNELS:
        raise SlackRefusal("invalid_limit")
    start = 0
    if cursor := given.get("cursor"):
        known = [at for at, channel in enumerate(found) if f"c{channel.id}" == cursor]
        if not known:
            raise SlackRefusal("invalid_cursor")
        start = known[0]
    page, rest = found[start : start + limit], found[start + limit :]
    lacking = ("is_member", "num_members")  # this method leaves them out
    shown_ = [{name: value for name, value in dump_channel(channel).items() if name not in lacking} for channel in page]
    return {"channels": shown_, "response_metadata": {"next_cursor": f"c{rest[0].id}" if rest else ""}}


def user_info(slack: Workspace, given: Arguments) -> ResponseBody:
    """``users.info``."""
    user = slack.users.get(str(given.get("user")))
    if user is None:
        raise SlackRefusal("user_not_found")
    return {"user": dump_user(slack, user)}


def user_by_email(slack: Workspace, given: Arguments) -> ResponseBody:
    """``users.lookupByEmail``: members of this workspace, without deactivated accounts."""
    wanted = str(given.get("email")).lower()
    found = [user for user in slack.users.values() if user.email == wanted and user.kind != "external"]
    if not found or found[0].deleted:
        raise SlackRefusal("users_not_found")
    return {"user": dump_user(slack, found[0])}


def user_list(slack: Workspace, given: Arguments) -> ResponseBody:
    """``users.list``: everybody, including deactivated accounts."""
    found, limit, start = list(slack.users.values()), _parse_limit(given, "limit", 1000), 0
    if not 1 <= limit <= 1000:
        raise SlackRefusal("invalid_limit")
    if cursor := given.get("cursor"):
        known = [at for at, user in enumerate(found) if f"c{user.id}" == cursor]
        if not known:
            raise SlackRefusal("invalid_cursor")
        start = known[0]
    page, rest = found[start : start + limit], found[start + limit :]
    more = f"c{rest[0].id}" if rest else ""
    return {"members": [dump_user(slack, user) for user in page], "response_metadata": {"next_cursor": more}}


def dump_user(slack: Workspace, user: User) -> dict[str, Any]:
    """Format a user as in Slack's API; deactivated accounts have fewer fields.

    A person of another organization is a "stranger" only while they share no channel with the bot
    (https://docs.slack.dev/reference/objects/user-object); otherwise only ``team_id`` shows it.
    """
    said = {
        "id": user.id,
        "team_id": user.team,
        "name": user.name,
        "deleted": user.deleted,
        "profile": _dump_profile(user),
    }
    said["is_bot"] = user.kind == "bot"
    if user.deleted:
        return said
    met = any({BOT_USER_ID, user.id} <= channel.members for channel in slack.channels.values())
    home = {"tz": user.tz, "tz_label": user.tz, "tz_offset": tz_offset(user, slack.now())}
    ranks = {"is_admin": user.admin, "is_owner": False, "is_primary_owner": False}
    guest = {"is_restricted": user.kind == "guest", "is_ultra_restricted": False}
    stranger = {"is_stranger": True} if user.kind == "external" and not met else {}
    return {**said, "real_name": user.real_name, **home, **ranks, **guest, **stranger}


def _dump_profile(user: User) -> dict[str, str]:
    return {"display_name": user.display_name or user.name, "real_name": user.real_name}


def group_list(slack: Workspace, given: Arguments) -> ResponseBody:
    """``usergroups.list``."""
    with_users = is_truthy(given.get("include_users"))
    groups: list[dict[str, Any]] = []
    for group in slack.groups.values():
        shown_users = {"users": group.users} if with_users else {}
        counted = {"user_count": len(group.users), "date_delete": 0, "team_id": TEAM_ID}
        groups.append({"id": group.id, "handle": group.handle, "name": group.name, **counted, **shown_users})
    return {"usergroups": groups}


def group_users(slack: Workspace, given: Arguments) -> ResponseBody:
    """``usergroups.users.list``."""
    group = slack.groups.get(str(given.get("usergroup")))
    if group is None:
        raise SlackRefusal("no_such_subteam")
    return {"users": list(group.users)}
