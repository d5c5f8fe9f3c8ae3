"""Asks Slack about the people and user groups that subscriptions mention."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from zofbot.checkup import slack
from zofbot.checkup.finding import Finding, ok
from zofbot.errors import SlackError
from zofbot.routing import Subscription
from zofbot.slack.notifier import SlackNotifier

MAX_PEOPLE = 40
"""People asked about: Slack answers about a hundred such questions a minute."""


async def check_mentions(notifier: SlackNotifier, subscribed: Sequence[Subscription]) -> list[Finding]:
    """Ask Slack about each of them once."""
    channels: dict[str, dict[str, None]] = {}
    for subscription in subscribed:
        for identifier in subscription.mentioned:
            channels.setdefault(identifier, {})[subscription.channel] = None
    groups = await _groups(notifier) if any(each.startswith("S") for each in channels) else {}
    people = [each for each in channels if not each.startswith("S")][:MAX_PEOPLE]
    heard: dict[str, dict[str, Any] | SlackError | None] = {
        identifier: groups if isinstance(groups, SlackError) else groups.get(identifier)
        for identifier in channels
        if identifier.startswith("S")
    }
    heard |= zip(people, await asyncio.gather(*(_person(notifier, each) for each in people)), strict=True)
    found = [slack.mention(identifier, said, list(channels[identifier])) for identifier, said in heard.items()]
    more = len(channels) - len(heard)
    return found + ([ok("mentions", f"{more} more were not looked at, for Slack's pace.")] if more else [])


async def _person(notifier: SlackNotifier, identifier: str) -> dict[str, Any] | SlackError:
    try:
        return await notifier.user(identifier)
    except SlackError as said:
        return said


async def _groups(notifier: SlackNotifier) -> dict[str, dict[str, Any]] | SlackError:
    try:
        return {identifier: {"handle": handle} for identifier, handle in (await notifier.handles()).items()}
    except SlackError as said:
        return said
