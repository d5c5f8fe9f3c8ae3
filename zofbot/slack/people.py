"""Who somebody is, and whether a channel is shared: asked of Slack, and remembered while it does not answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any

import structlog

from zofbot.access import Person, Standing
from zofbot.clock import Clock
from zofbot.errors import SlackError, SlackRefused
from zofbot.routing.quiet import zone as known_zone
from zofbot.routing.spelling import name_key
from zofbot.routing.words import quoted
from zofbot.slack.notifier import Identity, SlackNotifier
from zofbot.slack.shelf import FRESH, Shelf

log = structlog.get_logger()

SETTLED = 1800.0
"""Seconds for which Slack is not asked again about a channel: it is shared or made private once in a while only."""


MAX_PEOPLE_NAMED = 40
"""People whose names are looked up for one subscription: Slack answers about a hundred such questions a minute."""

_MENTION = re.compile(r"<(?:@|!subteam\^)([UWS][A-Z0-9]+)>")


class People:
    """Asks one workspace about its people and channels.

    ``groups`` are the user groups whose members matter (``Roles.groups``). What Slack does not say counts as the less
    trusting answer: nobody is a member, and a channel is shared.
    """

    def __init__(self, notifier: SlackNotifier, clock: Clock, groups: Iterable[str] = frozenset()) -> None:
        self._groups = sorted(groups)
        self._home = Shelf(lambda _: notifier.identify(), clock, fresh=float("inf"))
        self._users = Shelf(notifier.user, clock)
        self._members = Shelf(notifier.group, clock)
        self._handles = Shelf(lambda _: notifier.handles(), clock)
        self._channels = Shelf(notifier.channel, clock, fresh=SETTLED)
        self._rooms = Shelf(notifier.rooms, clock)

    async def person(self, identifier: str, fresh: float = FRESH) -> Person:
        """Say who somebody is, as Slack said no more than ``fresh`` seconds ago, where it answers.

        Never raises SlackError: what Slack would not say is the person's ``doubt``.
        """
        try:
            home = await self._home.get("")
            told = await self._users.get(identifier, fresh)
        except SlackError as error:
            log.warning("person unknown", user=identifier, reason=error.reason)
            return Person(identifier, Standing.UNKNOWN, doubt=_doubt(error))
        person = described(identifier, told, home)
        if person.standing is not Standing.MEMBER:
            return person
        belongs = await asyncio.gather(*(self._belongs(identifier, group) for group in self._groups))
        doubt = next((one for one in belongs if isinstance(one, str)), "")
        groups = frozenset(group for group, one in zip(self._groups, belongs, strict=True) if one is True)
        return replace(person, groups=groups, doubt=doubt)

    async def shared(self, channel: str) -> bool:
        """Whether people of another organization see the channel, or will once they take up an invitation.

        They then see what was said before, too (https://docs.slack.dev/apis/slack-connect/). A channel that only other
        workspaces of our own organization see is not shared; direct messages with the bot are not either.
        """
        if channel.startswith(("D", "U", "W")):
            return False
        try:
            told = await self._channels.get(channel)
        except SlackError as error:
            log.warning("channel unknown, taken for shared", channel=channel, reason=error.reason)
            return True
        return bool(told.get("is_ext_shared") or told.get("is_pending_ext_shared"))

    async def private(self, channel: str) -> bool:
        """Whether only its members may know of the channel; what Slack does not say counts as private."""
        try:
            told = await self._channels.get(channel)
        except SlackError as error:
            log.warning("channel unknown, taken for private", channel=channel, reason=error.reason)
            return True
        return bool(told.get("is_private") or told.get("is_im") or told.get("is_mpim"))

    async def rooms(self, user: str) -> frozenset[str] | None:
        """The channels somebody is in, of the private ones those that the bot is in, too; ``None``: Slack does not say.

        One call for each person, however many channels are told of failures.
        """
        try:
            return await self._rooms.get(user)
        except SlackError as error:
            log.warning("channels of a person unknown", user=user, reason=error.reason)
            return None

    async def members(self, group: str) -> frozenset[str] | None:
        """Who is in a user group; ``None`` where Slack does not say."""
        try:
            return await self._members.get(group)
        except SlackError as error:
            log.warning("user group unknown", group=group, reason=error.reason)
            return None

    async def named(self, wish: str) -> str:
        """A subscription as people read it: in code Slack shows a mention as ids, so names take their place.

        Whom Slack does not name is called by their id.
        """
        mentioned = set(_MENTION.findall(wish))
        groups = {one for one in mentioned if one.startswith("S")}
        people = await asyncio.gather(*(self.person(one) for one in mentioned - groups))
        names = {one.id: one.name for one in people if one.name} | (await self._called() if groups else {})
        return _MENTION.sub(lambda found: quoted([f"@{names.get(found[1], found[1])}"]), wish)

    async def ids(self, known: Iterable[str] = ()) -> dict[str, str]:
        """The ids, by ``name_key``, of all user groups and of the people among ``known``.

        A name that two of them have is left out, as are people behind the first ``MAX_PEOPLE_NAMED``.
        """
        asked = [each for each in dict.fromkeys(known) if not each.startswith("S")][:MAX_PEOPLE_NAMED]
        people = await asyncio.gather(*map(self.person, asked))
        named = [(name, identifier) for identifier, name in (await self._called()).items()]
        named += [(person.name, person.id) for person in people if person.name]
        found: dict[str, set[str]] = {}
        for name, identifier in named:
            found.setdefault(name_key(name), set()).add(identifier)
        return {name: ids.pop() for name, ids in found.items() if len(ids) == 1}

    async def unknown(self, identifiers: Iterable[str]) -> str:
        """Whom of these Slack cannot notify and why, in a sentence; empty where it can, or does not say."""
        said = await asyncio.gather(*map(self._unreachable, identifiers))
        return next(filter(None, said), "")

    async def _unreachable(self, identifier: str) -> str:
        if identifier.startswith("S"):
            groups = await self._called()
            known = not groups or identifier in groups
            return "" if known else f"There is no user group `{identifier}`, or it is disabled."
        try:
            told = await self._users.get(identifier)
        except SlackRefused as error:
            return f"Slack knows nobody with the id `{identifier}`." if error.reason == "user_not_found" else ""
        except SlackError as error:
            log.warning("person unknown", user=identifier, reason=error.reason)
            return ""
        name = _name_of(identifier, told)
        return f"The account of {name} is deactivated." if told.get("deleted") else ""

    async def _called(self) -> dict[str, str]:
        try:
            return await self._handles.get("")
        except SlackError as error:
            log.warning("user groups unknown", reason=error.reason)
            return {}

    async def _belongs(self, user: str, group: str) -> bool | str:
        """Whether somebody is in a group, or why Slack would not say."""
        try:
            return user in await self._members.get(group)
        except SlackError as error:
            log.warning("user group unknown", group=group, reason=error.reason)
            return _doubt(error)


def described(identifier: str, told: Mapping[str, Any], home: Identity) -> Person:
    """Read what Slack says of somebody (https://docs.slack.dev/reference/objects/user-object)."""
    return Person(
        identifier,
        _standing(told, home),
        admin=any(told.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner")),
        name=_name_of(identifier, told),
        zone=_zone(told),
    )


def _name_of(identifier: str, told: Mapping[str, Any]) -> str:
    """What somebody is called; their id where Slack has no name for them."""
    profile = told.get("profile") or {}
    names = (profile.get("display_name"), profile.get("real_name"), told.get("real_name"), told.get("name"))
    return str(next((name for name in names if name), identifier))


def _standing(told: Mapping[str, Any], home: Identity) -> Standing:
    if told.get("deleted"):
        return Standing.GONE
    if told.get("is_stranger") or not _ours(told, home):
        return Standing.STRANGER
    if told.get("is_bot") or told.get("is_workflow_bot") or told.get("id") == "USLACKBOT":
        return Standing.BOT
    if told.get("is_restricted") or told.get("is_ultra_restricted"):
        return Standing.GUEST
    return Standing.MEMBER


def _ours(told: Mapping[str, Any], home: Identity) -> bool:
    """Whether somebody is of our workspace or organization.

    Slack calls nobody a stranger whom it lets us meet in a shared channel.
    """
    enterprise = told.get("enterprise_user") or {}
    theirs = {told.get("team_id"), enterprise.get("enterprise_id"), *(enterprise.get("teams") or ())}
    return bool(theirs & {one for one in (home.team, home.enterprise) if one})


def _zone(told: Mapping[str, Any]) -> tzinfo:
    """Their time zone; without a name that is known here, the difference to UTC that Slack has at the moment."""
    named = known_zone(str(told.get("tz") or ""))
    offset = told.get("tz_offset")
    if named or not isinstance(offset, int) or abs(offset) >= 86400:
        return named or UTC
    return timezone(timedelta(seconds=offset))


def _doubt(error: SlackError) -> str:
    """What helps, for the person."""
    if not isinstance(error, SlackRefused):
        return "Try again in a moment."
    return error.next_step or f"Slack's reason is `{error.reason}`."
