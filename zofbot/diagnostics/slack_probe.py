"""Call Slack to check tokens, channels and people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.diagnostics import people, slack
from zofbot.diagnostics.clock import check_clock
from zofbot.diagnostics.finding import Finding, ok_finding
from zofbot.diagnostics.zof_probe import T
from zofbot.domain.errors import SlackError
from zofbot.domain.text import count_noun
from zofbot.slack.client import SlackClient
from zofbot.slack.identity import BotIdentity

MAX_CHANNELS = 40
"""Channels looked up; Slack allows about fifty such calls a minute."""

MAX_PEOPLE = 60
"""Users looked up; Slack allows about a hundred such calls a minute."""


async def probe_tokens(
    notifier: SlackClient, settings: Settings, clock: Clock, *, emails: bool
) -> tuple[list[Finding], bool]:
    """Check the tokens; also returns whether Slack accepts the bot's."""
    token, app = settings.slack_bot_token.get_secret_value(), settings.slack_app_token.get_secret_value()
    wrong = {name: what for name, value in ((slack.BOT_TOKEN, token), (slack.APP_TOKEN, app))
             if (what := slack.check_misplaced(name, value))}  # fmt: skip
    identity, opened = await asyncio.gather(
        _catch_slack_error(notifier.identity.fetch()) if token and slack.BOT_TOKEN not in wrong else _return_none(),
        _try_app_token(notifier, "" if slack.APP_TOKEN in wrong else app),
    )
    found = list(wrong.values())
    if slack.BOT_TOKEN not in wrong:
        found += (
            [slack.missing_setting(slack.BOT_TOKEN)]
            if identity is None
            else slack.check_bot_token(
                identity, settings.unfurl_domains, emails=emails, over_http=not settings.uses_socket_mode
            )
        )
    if app and slack.APP_TOKEN not in wrong:
        found.append(slack.check_app_token(opened))
    found.append(slack.check_signing_secret(settings))
    if isinstance(identity, BotIdentity):
        found += check_clock("Slack", identity.date, clock.time(), signs=not settings.uses_socket_mode)
    return found, isinstance(identity, BotIdentity)


async def _return_none() -> None:
    return None


async def _try_app_token(notifier: SlackClient, app_token: str) -> SlackError | None:
    try:
        if app_token:
            await notifier.open_socket(app_token)
    except SlackError as error:
        return error
    return None


async def probe_channels(
    notifier: SlackClient, settings: Settings, subscribed: Sequence[str], token_works: bool
) -> list[Finding]:
    """Check the channels that something is posted to: whether they are there, and the bot in them."""
    configured = [item for item in (settings.zofbot_default_channel, settings.zofbot_canary_channel) if item]
    channels = [
        channel for channel in dict.fromkeys([*configured, *subscribed]) if not channel.startswith("D")
    ]  # the bot is always in direct messages
    if not token_works:
        return [ok_finding("channels", "Not checked, because Slack rejects the token.")] if channels else []
    replies = await asyncio.gather(
        *(_catch_slack_error(notifier.workspace.fetch_channel(item)) for item in channels[:MAX_CHANNELS])
    )
    found = [slack.check_channel(item, reply) for item, reply in zip(channels, replies, strict=False)]
    return found + _report_omitted("channels", len(channels) - MAX_CHANNELS)


async def probe_people(notifier: SlackClient, named: dict[str, str]) -> list[Finding]:
    """Look up the users and groups that settings and subscriptions name, within Slack's rate limits."""
    groups = {item: where for item, where in named.items() if item.startswith("S")}
    everyone = [(item, where) for item, where in named.items() if item not in groups]
    persons = everyone[:MAX_PEOPLE]
    replies = await asyncio.gather(
        *(_catch_slack_error(notifier.workspace.fetch_user(person)) for person, _ in persons)
    )
    listed = await _catch_slack_error(notifier.workspace.fetch_group_handles()) if groups else {}
    found = [people.check_person(person, where, reply) for (person, where), reply in zip(persons, replies, strict=True)]
    wrong = [*filter(None, found), *people.check_groups(groups, listed)]
    if named and not wrong:
        checked = count_noun(len(persons) + len(groups), "ID")
        wrong = [ok_finding("people", f"Slack knows the {checked} of people and groups checked.")]
    return wrong + _report_omitted("people", len(everyone) - MAX_PEOPLE)


def _report_omitted(about: str, count: int) -> list[Finding]:
    """Say how many were not looked up, if any."""
    return [ok_finding(about, f"{count} more not checked, because of Slack's rate limits.")] if count > 0 else []


async def _catch_slack_error(call: Awaitable[T]) -> T | SlackError:
    try:
        return await call
    except SlackError as error:
        return error
