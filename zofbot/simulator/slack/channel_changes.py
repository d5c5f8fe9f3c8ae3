"""Changes of channels: shared with another organization, renamed, given a new id, joined and left.

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


async def change_channel_id(people: WorkspaceUsers, channel: str, new: str) -> Acknowledgement:
    """Give a private channel a new id, as Slack does when somebody opens its *Share* dialog (``channel_id_changed``).

    The old id is unknown from then on; that messages keep their timestamps is believed.
    https://docs.slack.dev/reference/events/channel_id_changed , https://github.com/Netflix/dispatch/pull/560
    """
    slack = people.slack
    place = slack.channels[new] = slack.channels.pop(channel)
    place.id = new
    slack.messages[new] = slack.messages.pop(channel, {})
    for message in slack.messages[new].values():
        message.channel = new
        if message.thread_ts and (replies := slack.threads.pop((channel, message.thread_ts), None)):
            slack.threads[new, message.thread_ts] = replies
    return await report_channel_id(people, channel, new)


async def report_channel_id(people: WorkspaceUsers, channel: str, new: str) -> Acknowledgement:
    """Report that a channel's id has changed, as Slack may do late or more than once."""
    return await people.report_change(
        {"type": "channel_id_changed", "old_channel_id": channel, "new_channel_id": new}, people.slack.channels[new]
    )


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
