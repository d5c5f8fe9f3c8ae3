"""Directory of people and channels: identities, channel readers and visibility, from Slack, cached briefly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

import structlog

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import SlackError, SlackRefused, SlackUnknown, StoreUnavailable
from zofbot.domain.permissions import Membership, Person
from zofbot.slack.cache import TtlCache
from zofbot.slack.client import SlackClient
from zofbot.slack.contact_finder import ContactFinder
from zofbot.slack.errors import EXPLANATIONS
from zofbot.slack.mention_names import MentionNames
from zofbot.slack.users import parse_user

log = structlog.get_logger()

MAX_ACCESS_AGE_SECONDS = 60.0
"""Maximum age of an answer that decides who may see what, even while Slack does not answer."""

RETRY_SECONDS = 1.0
"""Seconds before a failed channel lookup is repeated: messages wait for it."""

MAX_READERS_WAIT_SECONDS = 5.0
"""Maximum seconds that a reply waits to learn who reads a channel."""

MAX_LISTING_SECONDS = 3.0
"""Maximum seconds to list the bot's channels; asking about one channel must fit into ``READERS_WAIT_SECONDS`` too."""


class Readers(Enum):
    """Who can read a conversation and its history."""

    OURS = "ours"
    SHARED = "shared"
    """People of another organization too, now or after accepting an invitation."""
    UNKNOWN = "unknown"
    """Slack did not answer (temporary)."""
    UNSEEN = "unseen"
    """The bot may not see the channel, until somebody changes that."""


class _ChannelListing(NamedTuple):
    """The channels that the bot is in, as of a change."""

    channels: Mapping[str, Mapping[str, Any]]
    last_change: int

    def find_channel(self, channel: str, version: str) -> Mapping[str, Any] | None:
        """Return what is listed of a channel; None without it, or if its last change may be later."""
        is_current = not version or (version.isdigit() and int(version) <= self.last_change)
        return self.channels.get(channel) if is_current else None


class Directory:
    """People and channels of one workspace.

    ``groups`` are the user groups with roles (``Roles.groups``); ``changes`` returns the number of the last Slack event
    about a channel or person (id), or about any (empty id); it is empty if there was none, and counts as later than any
    listing if it is no number. Unknown answers count as the less trusting ones.
    """

    def __init__(
        self,
        notifier: SlackClient,
        clock: Clock,
        groups: Iterable[str] = frozenset(),
        changes: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        self._groups = sorted(groups)
        self._clock, self._changes = clock, changes
        self._workspace = workspace = notifier.workspace
        access_ttl = {"fresh": MAX_ACCESS_AGE_SECONDS, "stale": MAX_ACCESS_AGE_SECONDS}
        self._home = TtlCache(lambda _: notifier.identity.fetch(), clock, fresh=float("inf"))
        self._users = TtlCache(workspace.fetch_user, clock, fresh=MAX_ACCESS_AGE_SECONDS)
        self._group_people = TtlCache(workspace.fetch_group_members, clock)
        self._admins = TtlCache(lambda _: workspace.fetch_admins(), clock)
        self._handles = TtlCache(lambda _: workspace.fetch_group_handles(), clock)
        self._channels = TtlCache(workspace.fetch_channel, clock, **access_ttl, pause=RETRY_SECONDS)
        self._listing = TtlCache(lambda _: self._list_channels(), clock, **access_ttl)
        self._channel_people = TtlCache(workspace.fetch_channel_members, clock, **access_ttl, pause=RETRY_SECONDS)
        self._joined_channels = TtlCache(workspace.fetch_channels_of, clock, **access_ttl)
        self.names = MentionNames(self.load_person, self._users.get, self.group_handles)
        self.contacts = ContactFinder(workspace.fetch_id_by_email, self.group_handles, clock)

    async def load_person(self, identifier: str) -> Person:
        """Return a person's details, at most a minute old if Slack answers.

        Never raises SlackError: ``doubt`` on the person says what could not be read.
        """
        try:
            home = await self._home.get("")
            user = await self._users.get(identifier)
        except SlackError as error:
            log.warning("person unknown", user=identifier, reason=error.reason)
            return Person(identifier, Membership.UNKNOWN, doubt=_doubt_hint(error))
        person = parse_user(identifier, user, home)
        if person.membership is not Membership.MEMBER or not self._groups:
            return person  # gathering nothing would cost a turn of the event loop
        belongs = await asyncio.gather(*(self._check_membership(identifier, group) for group in self._groups))
        doubt = next((belong for belong in belongs if isinstance(belong, str)), "")
        groups = frozenset(group for group, each_group in zip(self._groups, belongs, strict=True) if each_group is True)
        return replace(person, groups=groups, doubt=doubt)

    async def readers_of(self, channel: str, *, from_listing: bool = False) -> Readers:
        """Return who reads a channel, group message or direct message; ``channel`` may be the id of a person.

        People of another organization see earlier messages, too, so a channel that they are only invited to counts as
        shared (https://docs.slack.dev/apis/slack-connect/). A channel shared only within this organization does not.
        Believed: Slack marks direct messages with external people as shared; the members are checked as well.

        ``from_listing`` is for alerts, which can be for more channels at once than the 50 a minute that Slack may be
        asked about (https://github.com/errbotio/err-backend-slackv3/issues/56): one call lists all that the bot is in.
        """
        if channel.startswith(("U", "W")):
            return await self._readers_among((channel,))
        try:
            info = await self._channel_info(channel, from_listing=from_listing)
            if info.get("is_ext_shared") or info.get("is_pending_ext_shared"):
                return Readers.SHARED
            if info.get("is_im"):
                return await self._readers_among((str(info.get("user") or ""),))
            if info.get("is_mpim"):
                return await self._readers_among(
                    await self._channel_people.get(channel, await self._change_version(channel))
                )
        except SlackRefused as error:
            log.warning("channel not shown", channel=channel, reason=error.reason)
            return Readers.UNSEEN
        except SlackError as error:
            log.warning("channel unknown", channel=channel, reason=error.reason)
            return Readers.UNKNOWN
        return Readers.OURS

    async def wait_for_readers(self, channel: str) -> Readers:
        """Return who reads a channel, retrying for up to ``MAX_READERS_WAIT_SECONDS`` while Slack does not answer."""
        until = self._clock.monotonic() + MAX_READERS_WAIT_SECONDS
        while (found := await self.readers_of(channel)) is Readers.UNKNOWN and self._clock.monotonic() < until:
            await self._clock.sleep(RETRY_SECONDS)
        return found

    async def is_shared(self, channel: str) -> bool:
        """Return whether people of another organization may read a channel; true if unknown."""
        return await self.readers_of(channel) is not Readers.OURS

    async def visible_channels(self, person: Person, channels: Collection[str]) -> frozenset[str]:
        """Return the channels whose failures and subscriptions a person may see. All visibility checks use this.

        Members and guests see the channels they are in and their own direct messages with the bot; members also see
        public channels. Nobody else sees anything, and channels that Slack does not describe are not visible.
        """
        if person.membership not in (Membership.MEMBER, Membership.GUEST):
            return frozenset()
        own = await self.joined_channels(person, channels)
        rest = sorted(set(channels) - (own or frozenset()))
        public = await asyncio.gather(*(self._is_public(channel) for channel in rest))
        opened = person.membership is Membership.MEMBER
        return (own or frozenset()) | {
            channel for channel, all_see in zip(rest, public, strict=True) if all_see and opened
        }

    async def joined_channels(self, person: Person, channels: Collection[str]) -> frozenset[str] | None:
        """Return the channels that a person is currently in; None if Slack does not answer.

        One call per person, however many channels and group messages there are, and one per direct message.
        """
        if not channels:
            return frozenset()
        try:
            joined = await self._joined_channels.get(person.id, await self._change_version(person.id))
        except SlackError as error:
            log.warning("channels of a person unknown", user=person.id, reason=error.reason)
            return None
        direct = [channel for channel in channels if channel not in joined and channel.startswith("D")]
        with_them = await asyncio.gather(*(self._is_direct_message(person.id, channel) for channel in direct))
        direct_messages = {channel for channel, theirs in zip(direct, with_them, strict=True) if theirs}
        return frozenset(channel for channel in channels if channel in joined or channel in direct_messages)

    async def group_members(self, group: str) -> frozenset[str] | None:
        """Return the members of a user group; None if Slack does not answer."""
        try:
            return await self._group_people.get(group)
        except SlackError as error:
            log.warning("user group unknown", group=group, reason=error.reason)
            return None

    async def group_handles(self) -> dict[str, str]:
        """Return the handles of user groups by id; empty if Slack does not answer."""
        try:
            return await self._handles.get("")
        except SlackError as error:
            log.warning("user groups unknown", reason=error.reason)
            return {}

    async def admin_ids(self, listed: Collection[str] = ()) -> frozenset[str]:
        """Return the admins' ids: the people and members of user groups ``listed``, or else the workspace's admins.

        Those that Slack refuses to return are left out. Raises SlackError if it may return them later.
        """
        groups = [item for item in listed if item.startswith("S")]
        reads = [(self._group_people, group) for group in groups] if listed else [(self._admins, "")]
        found = await asyncio.gather(*(_get_unless_refused(cache, key) for cache, key in reads))
        return frozenset(listed).difference(groups).union(*found)

    async def _channel_info(self, channel: str, *, from_listing: bool = False) -> Mapping[str, Any]:
        """Return the conversation object, or what is listed of it; read again after each change. Raises SlackError."""
        listing = await self._load_listing() if from_listing else None
        version = await self._change_version(channel)
        return (listing and listing.find_channel(channel, version)) or await self._channels.get(channel, version)

    async def _load_listing(self) -> _ChannelListing | None:
        """Return the channels that the bot is in; None if Slack does not list them."""
        try:
            return await self._listing.get("")
        except SlackError:
            return None

    async def _list_channels(self) -> _ChannelListing:
        """List the channels that the bot is in. Raises SlackError."""
        last_change = await self._change_version("")
        try:
            async with timeout(MAX_LISTING_SECONDS):
                channels = await self._workspace.fetch_own_channels()
        except TimeoutError as error:
            log.warning("channels not listed", reason="slow")
            raise SlackUnknown("slow", "Slack didn't list the channels in time.") from error
        except SlackError as error:
            log.warning("channels not listed", reason=error.reason)
            raise
        return _ChannelListing(channels, int(last_change) if last_change.isdigit() else 0)

    async def _change_version(self, identifier: str) -> str:
        """Return the cache version of a channel or person; while the store is unavailable, one that never matches."""
        if self._changes is None:
            return ""
        try:
            return await self._changes(identifier)
        except StoreUnavailable:
            return f"at {self._clock.monotonic()}"

    async def _is_public(self, channel: str) -> bool:
        """Return whether every member of the workspace may see a channel; false if unknown."""
        try:
            info = await self._channel_info(channel)
        except SlackError as error:
            log.warning("channel unknown, treated as private", channel=channel, reason=error.reason)
            return False
        return not (info.get("is_private") or info.get("is_im") or info.get("is_mpim"))

    async def _is_direct_message(self, user: str, channel: str) -> bool:
        """Return whether a direct message is with the person; false if unknown."""
        try:
            info = await self._channel_info(channel)
        except SlackError as error:
            log.warning("channel unknown, treated as shared", channel=channel, reason=error.reason)
            return False
        return bool(info.get("is_im")) and info.get("user") == user

    async def _readers_among(self, users: Iterable[str]) -> Readers:
        """Return ``SHARED`` if one of these people belongs to another organization."""
        found = [person.membership for person in await asyncio.gather(*(self.load_person(user) for user in users))]
        if Membership.EXTERNAL in found:
            return Readers.SHARED
        return Readers.UNKNOWN if Membership.UNKNOWN in found else Readers.OURS

    async def _check_membership(self, user: str, group: str) -> bool | str:
        """Return whether a person is in a group, or a hint why Slack did not answer."""
        try:
            return user in await self._group_people.get(group)
        except SlackError as error:
            log.warning("user group unknown", group=group, reason=error.reason)
            return _doubt_hint(error)


async def _get_unless_refused(cache: TtlCache[frozenset[str]], key: str) -> frozenset[str]:
    """Return the people cached under ``key``; nobody if Slack refuses. Raises SlackError if it does not answer."""
    try:
        return await cache.get(key)
    except SlackRefused as error:
        log.warning("admins unknown", group=key, reason=error.reason)
        return frozenset()


def _doubt_hint(error: SlackError) -> str:
    """Return what the person can do about the error."""
    if not isinstance(error, SlackRefused):
        return "Try again in a moment."
    return error.next_step if error.reason in EXPLANATIONS else f"Slack's reason is `{error.reason}`. {error.next_step}"
