"""Parsing of Slack's user objects: membership, name and time zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any

from zofbot.domain.permissions import Membership, Person
from zofbot.slack.identity import BotIdentity
from zofbot.subscriptions.quiet_hours import find_zone as known_zone


def parse_user(identifier: str, user: Mapping[str, Any], home: BotIdentity) -> Person:
    """Parse a user object (https://docs.slack.dev/reference/objects/user-object)."""
    return Person(
        identifier,
        _membership_of(user, home),
        admin=any(user.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner")),
        name=user_name(identifier, user),
        zone=_time_zone(user),
    )


def user_name(identifier: str, user: Mapping[str, Any]) -> str:
    """Return a person's name, or their id if Slack has none."""
    profile = user.get("profile") or {}
    names = (profile.get("display_name"), profile.get("real_name"), user.get("real_name"), user.get("name"))
    return str(next((name for name in names if name), identifier))


def _membership_of(user: Mapping[str, Any], home: BotIdentity) -> Membership:
    if user.get("deleted"):
        return Membership.DEACTIVATED
    if user.get("is_stranger") or not _is_ours(user, home):
        return Membership.EXTERNAL
    if user.get("is_bot") or user.get("is_workflow_bot") or user.get("id") == "USLACKBOT":
        return Membership.BOT
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return Membership.GUEST
    return Membership.MEMBER


def _is_ours(user: Mapping[str, Any], home: BotIdentity) -> bool:
    """Return whether a person belongs to the bot's workspace or organization.

    ``is_stranger`` is not enough: it is false for external people in a channel shared with the bot.
    """
    enterprise = user.get("enterprise_user") or {}
    theirs = {user.get("team_id"), enterprise.get("enterprise_id"), *(enterprise.get("teams") or ())}
    return bool(theirs & {item for item in (home.team, home.enterprise) if item})


def _time_zone(user: Mapping[str, Any]) -> tzinfo:
    """Return the time zone; if its name is unknown, a fixed offset from Slack's current ``tz_offset``."""
    named = known_zone(str(user.get("tz") or ""))
    offset = user.get("tz_offset")
    if named or not isinstance(offset, int) or abs(offset) >= 86400:
        return named or UTC
    return timezone(timedelta(seconds=offset))
