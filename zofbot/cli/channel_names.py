"""Names of channels for the terminal, where stored data has only their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import SlackError

MAX_NAMES_SECONDS = 4.0
"""Time limit for looking up names; without them only ids are shown."""

MAX_NAMED_CHANNELS = 40
"""Channels looked up; Slack allows about fifty such calls a minute."""


async def read_channel_names(settings: Settings, channels: Iterable[str]) -> dict[str, str]:
    """Return the names of channels by id, as far as Slack answers in time; empty without a token."""
    from zofbot.clients import open_slack_client  # noqa: PLC0415
    from zofbot.observability.emitter import EventEmitter  # noqa: PLC0415  (--help must not wait for these)

    wanted = sorted({channel for channel in channels if channel.startswith(("C", "G"))})[:MAX_NAMED_CHANNELS]
    if not wanted or not settings.slack_bot_token.get_secret_value():
        return {}
    async with open_slack_client(settings, EventEmitter(), Clock(), deadline=MAX_NAMES_SECONDS) as slack:

        async def read_name(channel: str) -> str:
            try:
                return str((await slack.workspace.fetch_channel(channel)).get("name") or "")
            except SlackError:
                return ""  # this one is shown without a name

        names = dict(zip(wanted, await asyncio.gather(*map(read_name, wanted)), strict=True))
    return {channel: name for channel, name in names.items() if name}


def describe_channel(channel: str, names: Mapping[str, str]) -> str:
    """Return ``#name (id)``, or the id if the name is unknown."""
    return f"#{names[channel]} ({channel})" if channel in names else channel
