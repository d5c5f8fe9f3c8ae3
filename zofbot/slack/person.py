"""Somebody as Slack describes them, read into a person: standing, name and time zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any

from zofbot.access import Person, Standing
from zofbot.routing.quiet import zone as known_zone
from zofbot.slack.notifier import Identity


def described(identifier: str, told: Mapping[str, Any], home: Identity) -> Person:
    """Read what Slack says of somebody (https://docs.slack.dev/reference/objects/user-object)."""
    return Person(
        identifier,
        _standing(told, home),
        admin=any(told.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner")),
        name=name_of(identifier, told),
        zone=_zone(told),
    )


def name_of(identifier: str, told: Mapping[str, Any]) -> str:
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
