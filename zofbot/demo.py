"""The demo: the real bot in a pretend world, all on this machine, with no account and no setting."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from zofbot.app import running
from zofbot.errors import SettingsError
from zofbot.settings import Settings
from zofbot.simulator.organization import furnish
from zofbot.simulator.stage import Stage
from zofbot.simulator.world import World
from zofbot.verbs import COMMAND, VERBS, usage_hint


@asynccontextmanager
async def playing(port: int) -> AsyncIterator[Stage]:
    """Run the demo while the context lasts; its page is at the stage's address.

    Raises SettingsError when the port cannot be opened.
    """
    world = World()
    furnish(world)
    world.slack.commands = [_command()]
    stage = Stage(world)
    with tempfile.TemporaryDirectory(prefix="zofbot-demo-") as folder:
        try:
            try:
                await stage.start(port=port)
            except OSError as error:
                raise SettingsError(
                    [f"--port {port} cannot be opened ({error.strerror}): choose another, or 0 for any that is free."]
                ) from error
            async with running(_settings(stage, Path(folder))) as bot:
                world.slack.request_url = f"{bot.url}/slack/events"
                yield stage
        finally:
            await stage.stop()


def _settings(stage: Stage, folder: Path) -> Settings:
    """Point the bot at the pretend world; nothing comes from the environment."""
    slack, zof = stage.world.slack, stage.world.zof
    return Settings.model_construct(
        slack_bot_token=SecretStr(slack.bot_token),
        slack_signing_secret=SecretStr(slack.signing_secret),
        slack_api_url=f"{stage.url}/api/",
        zof_api_key=SecretStr(zof.key),
        zof_base_url=f"{stage.url}/zof/v1",
        zof_link_hosts="zof.ai",
        port=0,
        zofbot_poll_interval=5.0,
        zofbot_data_dir=folder,
    )


def _command() -> dict[str, object]:
    """The command as the page's composer completes it."""
    return {
        "command": COMMAND,
        "description": "Look up Zof's runs and results",
        "usage_hint": usage_hint(),
        "verbs": [{"usage": verb.usage, "does": verb.does} for verb in VERBS.values()],
    }
