"""The demo: the real bot in a pretend world, all on this machine, with no account and no setting."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from zofbot.app import Zofbot, running
from zofbot.clock import MovableClock
from zofbot.errors import SettingsError
from zofbot.manifest import EVENTS, manifest
from zofbot.routing import parse
from zofbot.settings import Settings
from zofbot.simulator.entities import Message
from zofbot.simulator.organization import ANA, CHECKOUT_CHANNEL, ON_CALL, QA_ALERTS, furnish
from zofbot.simulator.quota import PerMinute
from zofbot.simulator.stage import Stage
from zofbot.simulator.world import World
from zofbot.store.subscriptions import Subscriptions
from zofbot.verbs import COMMAND, VERBS, usage_hint

POLL_SECONDS = 5.0

QUOTA = 1200
"""Zof's requests a minute: as many times the real one as the demo polls more often than a bot at work."""

CONSOLE = "console.zof.ai"
"""Where the pretend Zof shows runs and results to people; pasted links to it unfurl."""

RUNS_TAKE = 8.0
"""Seconds until a run that was started from Slack has passed."""

SUBSCRIBED = {
    QA_ALERTS: f"project:* escalate:15m-><!subteam^{ON_CALL}>",
    CHECKOUT_CHANNEL: "project:checkout env:production group:case",
}
"""Channels that are told from the start, and what Ana typed there."""


@asynccontextmanager
async def playing(port: int, poll_seconds: float = POLL_SECONDS) -> AsyncIterator[Stage]:
    """Run the demo while the context lasts; its page is at the stage's address.

    ``poll_seconds`` lie between two of the bot's own looks at Zof. Raises SettingsError when the port cannot be opened.
    """
    clock = MovableClock()
    world = World(clock)
    furnish(world)
    world.slack.commands = [_command()]
    world.slack.shortcuts = manifest()["features"]["shortcuts"]
    world.slack.events = set(EVENTS)
    world.slack.unfurl_domains = {CONSOLE}
    world.zof.quota = PerMinute(QUOTA)
    world.zof.runs_take = RUNS_TAKE
    stage = Stage(world)
    with tempfile.TemporaryDirectory(prefix="zofbot-demo-") as folder:
        try:
            try:
                await stage.start(port=port)
            except OSError as error:
                raise SettingsError(
                    [f"--port {port} cannot be opened ({error.strerror}): choose another, or 0 for any that is free."]
                ) from error
            settings = _settings(stage, Path(folder), poll_seconds)
            async with running(settings, clock) as bot:
                world.slack.request_url = f"{bot.url}/slack/events"
                world.zof.webhooks.url = f"{bot.url}/zof/webhook"
                await _subscribe(world, bot, settings.zofbot_namespace)
                yield stage
        finally:
            await stage.stop()


def _settings(stage: Stage, folder: Path, poll_seconds: float) -> Settings:
    """Point the bot at the pretend world; nothing comes from the environment."""
    slack, zof = stage.world.slack, stage.world.zof
    return Settings.model_construct(
        slack_bot_token=SecretStr(slack.bot_token),
        slack_signing_secret=SecretStr(slack.signing_secret),
        slack_api_url=f"{stage.url}/api/",
        zof_api_key=SecretStr(zof.key),
        zof_base_url=f"{stage.url}/zof/v1",
        zof_link_hosts="zof.ai",
        zof_run_url_template=f"https://{CONSOLE}/runs/{{run_id}}",
        zof_result_url_template=f"https://{CONSOLE}/results/{{result_id}}",
        zof_webhook_secret=SecretStr(zof.webhooks.secret),
        port=0,
        zofbot_poll_interval=poll_seconds,
        zofbot_allow_runs=True,
        zofbot_data_dir=folder,
    )


async def _subscribe(world: World, bot: Zofbot, namespace: str) -> None:
    """Have Ana subscribe the channels, without the answers that only she would see, and say so to a newcomer."""
    subscriptions, name = Subscriptions(bot.store.client, namespace), world.slack.users[ANA].name
    for number, (channel, wish) in enumerate(SUBSCRIBED.items(), start=1):
        own = {"id": f"demo{number}", "channel": channel, "by": ANA, "by_name": name, "created": world.now()}
        await subscriptions.add(parse(wish).model_copy(update=own))
        typed = wish.replace(f"<!subteam^{ON_CALL}>", f"@{world.slack.groups[ON_CALL].handle}")
        said = f"zofbot tells this channel what fails from now on: I typed `{COMMAND} subscribe {typed}`."
        world.slack.keep(Message(channel, world.slack.stamp(), ANA, said))


def _command() -> dict[str, object]:
    """The command as the page's composer completes it."""
    return {
        "command": COMMAND,
        "description": "Look up Zof's runs and results",
        "usage_hint": usage_hint(),
        "verbs": [{"usage": verb.usage, "does": verb.does} for verb in VERBS.values()],
    }
