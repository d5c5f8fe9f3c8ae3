"""Check that Slack knows the people and user groups named in settings and subscriptions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from zofbot.config.settings import Settings
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.diagnostics.slack import slack_unreachable
from zofbot.domain.errors import SlackError, SlackRefused
from zofbot.slack.errors import UNKNOWN_USER_REASONS
from zofbot.subscriptions.model import Subscription

_NOT_CHECKED = ok_finding("people", "Not checked, because a scope is missing.")


def named_people(settings: Settings, subscriptions: Iterable[Subscription]) -> dict[str, str]:
    """Return each named id of a user or user group, with the first place that names it."""
    lists = {
        "ZOFBOT_RESPONDERS": settings.zofbot_responders,
        "ZOFBOT_OPERATORS": settings.zofbot_operators,
        "ZOFBOT_ADMINS": settings.zofbot_admins,
    }
    found = {item: name for name, ids in reversed(lists.items()) for item in ids.split(",") if item}
    for subscription in subscriptions:
        for item in filter(None, (*subscription.mention_ids, subscription.by)):
            found.setdefault(item, f"subscription {subscription.id} of {subscription.channel}")
    return found


def check_person(identifier: str, where: str, reply: Mapping[str, Any] | SlackError) -> Finding | None:
    """Judge Slack's reply about a named user; None if it is fine."""
    about = f"{where}: {identifier}"
    if isinstance(reply, SlackRefused):
        if reply.reason == "missing_scope":
            return _NOT_CHECKED
        is_unknown = reply.reason in UNKNOWN_USER_REASONS
        what = "Slack knows nobody with this ID" if is_unknown else "Slack does not show this person"
        return error_finding(
            about, f"{what} ({reply.reason}).", "Copy the ID from the person's profile (Copy member ID)."
        )
    if isinstance(reply, SlackError):
        return slack_unreachable(reply)
    if reply.get("deleted"):
        return warning_finding(about, "This person's account is deactivated.", "Replace or remove the ID.")
    return None


def check_groups(wanted: Mapping[str, str], reply: Collection[str] | SlackError) -> list[Finding]:
    """Compare the named user groups (id to place) with those of the workspace."""
    if not wanted:
        return []
    if isinstance(reply, SlackRefused):
        return [_NOT_CHECKED]
    if isinstance(reply, SlackError):
        return [slack_unreachable(reply)]
    fix = "Copy the ID from the group's page in Slack, or remove it."
    return [
        error_finding(f"{where}: {item}", "Slack knows no user group with this ID, or it is disabled.", fix)
        for item, where in wanted.items()
        if item not in reply
    ]
