"""How the people and user groups stand that settings and subscriptions name, judged by what Slack said of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from zofbot.config.settings import Settings
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.diagnostics.slack import slack_unreachable
from zofbot.domain.errors import SlackError, SlackRefused
from zofbot.subscriptions.model import Subscription

_UNKNOWN_REASONS = frozenset(("user_not_found", "users_not_found", "user_not_visible"))
_NOT_CHECKED = ok_finding("people", "Not looked at, because a scope is missing.")


def named_people(settings: Settings, subscriptions: Iterable[Subscription]) -> dict[str, str]:
    """Each id of a person or user group that is named, and where first."""
    lists = {
        "ZOFBOT_RESPONDERS": settings.zofbot_responders,
        "ZOFBOT_OPERATORS": settings.zofbot_operators,
        "ZOFBOT_ADMINS": settings.zofbot_admins,
    }
    found = {item: name for name, ids in reversed(lists.items()) for item in ids.split(",") if item}
    for each in subscriptions:
        later = (item for step in each.escalate for item in step.mention)
        for item in filter(None, (*each.mention, *later, each.by)):
            found.setdefault(item, f"subscription {each.id} of {each.channel}")
    return found


def check_person(identifier: str, where: str, heard: Mapping[str, Any] | SlackError) -> Finding | None:
    """Somebody who is named; nothing where all is well."""
    about = f"{where}: {identifier}"
    if isinstance(heard, SlackRefused):
        if heard.reason == "missing_scope":
            return _NOT_CHECKED
        what = (
            "Slack knows nobody of this id" if heard.reason in _UNKNOWN_REASONS else "Slack does not show this person"
        )
        return error_finding(
            about, f"{what} ({heard.reason}).", "Copy the id from the person's profile (Copy member ID)."
        )
    if isinstance(heard, SlackError):
        return slack_unreachable(heard)
    if heard.get("deleted"):
        return warning_finding(
            about, "This person's account is deactivated.", "Name somebody else, or take the id out."
        )
    return None


def check_groups(wanted: Mapping[str, str], heard: Collection[str] | SlackError) -> list[Finding]:
    """User groups that are named (id to where), by those that the workspace has."""
    if not wanted:
        return []
    if isinstance(heard, SlackRefused):
        return [_NOT_CHECKED]
    if isinstance(heard, SlackError):
        return [slack_unreachable(heard)]
    mend = "Copy the id from the group's own page in Slack, or take it out."
    return [
        error_finding(f"{where}: {item}", "Slack knows no user group of this id, or it is disabled.", mend)
        for item, where in wanted.items()
        if item not in heard
    ]
