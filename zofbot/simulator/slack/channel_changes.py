"""Changes of channels: shared with another organization, renamed, made private, joined and left.

Each function changes the channel and then notifies the bot, as Slack does: https://docs.slack.dev/reference/events
"""

from __future__ import annotations

from zofbot.simulator.slack.model import TEAM_ID, Channel
from zofbot.simulator.slack.sender import Acknowledgement
from zofbot.simulator.slack.users import WorkspaceUsers

OTHER_TEAM_ID = "T0PARCEL"


async def share_channel(people: WorkspaceUsers, channel: str) -> Acknowledgement:
    """Share a channel with another organization (``channel_shared``)."""
    place = people.slack.channels[channel]
    place.external = True
    return await people.report_change(
        {"type": "channel_shared", "connected_team_id": OTHER_TEAM_ID, "channel": channel}, place
    )


async def unshare_channel(people: WorkspaceUsers, channel: str) -> Acknowledgement:
    """End a channel's sharing with another organization (``channel_unshared``)."""
    place = people.slack.channels[channel]
    place.external = False
    return await people.report_change(
        {
            "type": "channel_unshared",
            "previously_connected_team_id": OTHER_TEAM_ID,
            "channel": channel,
            "is_ext_shared": False,
        },
        place,
    )


async def rename_channel(people: WorkspaceUsers, channel: str, name: str) -> Acknowledgement:
    """Rename a channel (``channel_rename``, ``group_rename``)."""
    place = people.slack.channels[channel]
    place.name = name
    kind = "group_rename" if place.private else "channel_rename"
    about = {"id": channel, "name": name, "created": int(people.slack.now())}
    return await people.report_change({"type": kind, "channel": about}, place)


async def add_member(people: WorkspaceUsers, user: str, channel: str) -> Acknowledgement:
    """Add a person to a channel (``member_joined_channel``)."""
    place = people.slack.channels[channel]
    place.members.add(user)
    return await people.report_change(_membership_event("member_joined_channel", user, place), place)


async def remove_member(people: WorkspaceUsers, user: str, channel: str) -> Acknowledgement:
    """Remove a person from a channel (``member_left_channel``)."""
    place = people.slack.channels[channel]
    place.members.discard(user)
    return await people.report_change(_membership_event("member_left_channel", user, place), place)


def _membership_event(kind: str, user: str, place: Channel) -> dict[str, str]:
    sort = "G" if place.private else "C"
    return {"type": kind, "user": user, "channel": place.id, "channel_type": sort, "team": TEAM_ID}
