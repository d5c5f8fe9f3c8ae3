"""The demo: the real bot against the simulator, all on this machine, with no account and no setting."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from zofbot.app import Zofbot, run_bot
from zofbot.clock import Clock, MovableClock
from zofbot.config.manifest import SCOPES_BY_EVENT, build_manifest
from zofbot.config.settings import Settings
from zofbot.domain.commands import SLASH_COMMAND, VERBS, usage_hint
from zofbot.domain.errors import SettingsError
from zofbot.services.subscription_changes import commit_changes
from zofbot.simulator.quota import MinuteQuota
from zofbot.simulator.sample_conversation import CONVERSATION_SECONDS, add_sample_conversation
from zofbot.simulator.seed import ANA, CAUSES_CHANNEL, CHECKOUT_CHANNEL, ON_CALL_GROUP, QA_ALERTS, seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.world import World
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import parse_filters
from zofbot.subscriptions.diff import SubscriptionChange

POLL_INTERVAL_SECONDS = 5.0

REQUESTS_PER_MINUTE = 1200
"""The simulated Zof's quota, scaled up because the demo polls more often than a bot in production."""

CONSOLE_HOST = "console.zof.ai"
"""Host of the simulated Zof's web pages of runs and results; links to it unfurl."""

RUN_SECONDS = 8.0
"""Time until a run that was started from Slack passes."""

DEMO_SUBSCRIPTIONS = {
    QA_ALERTS: f"project:* escalate:15m-><!subteam^{ON_CALL_GROUP}>",
    CHECKOUT_CHANNEL: "project:checkout env:production group:case",
    CAUSES_CHANNEL: "project:accounts,billing,profile group:cause",
}
"""Channels subscribed from the start, with the filters that Ana typed there."""


@asynccontextmanager
async def run_demo(
    port: int,
    poll_seconds: float = POLL_INTERVAL_SECONDS,
    host: str = "127.0.0.1",
    *,
    conversation: bool = True,
) -> AsyncIterator[SimulatorServer]:
    """Run the demo while the context lasts; its page is at the simulator's URL.

    ``poll_seconds`` is the bot's poll interval; with ``conversation``, #qa-alerts has messages of the last 20 minutes.
    Raises SettingsError if the address cannot be opened.
    """
    machine_clock = Clock()
    past = CONVERSATION_SECONDS if conversation else 0.0
    clock = MovableClock(lambda: machine_clock.time() - past)
    world = _build_world(clock)
    simulator = SimulatorServer(world)
    with tempfile.TemporaryDirectory(prefix="zofbot-demo-") as folder:
        try:
            try:
                await simulator.start(host, port)
            except OSError as error:
                use_any = "For any free port, use `zofbot demo --port 0` or `make demo ARGS='--port 0'`."
                raise SettingsError([f"Cannot listen on {host} port {port} ({error.strerror}). {use_any}"]) from error
            settings = _demo_settings(simulator, Path(folder), poll_seconds)
            async with run_bot(settings, clock) as bot:
                world.slack.request_url = f"{bot.url}/slack/events"
                world.zof.webhooks.url = f"{bot.url}/zof/webhook"
                await _add_subscriptions(world, bot)
                if conversation:
                    await add_sample_conversation(simulator)
                yield simulator
        finally:
            await simulator.stop()


def _build_world(clock: MovableClock) -> World:
    """Make a Slack in which the app is installed, and a Zof with a quota."""
    world = World(clock)
    seed_world(world)
    world.slack.commands = [_composer_command()]
    world.slack.shortcuts = build_manifest()["features"]["shortcuts"]
    world.slack.events = set(SCOPES_BY_EVENT)
    world.slack.unfurl_domains = {CONSOLE_HOST}
    world.zof.quota = MinuteQuota(REQUESTS_PER_MINUTE)
    world.zof.runs_take = RUN_SECONDS
    return world


def _demo_settings(simulator: SimulatorServer, folder: Path, poll_seconds: float) -> Settings:
    """Point the bot at the simulator; nothing comes from the environment."""
    slack, zof = simulator.world.slack, simulator.world.zof
    return Settings.model_construct(
        slack_bot_token=SecretStr(slack.bot_token),
        slack_signing_secret=SecretStr(slack.signing_secret),
        slack_api_url=f"{simulator.url}/api/",
        zof_api_key=SecretStr(zof.key),
        zof_base_url=f"{simulator.url}/zof/v1",
        zof_link_hosts="zof.ai",
        zof_run_url_template=f"https://{CONSOLE_HOST}/runs/{{run_id}}",
        zof_result_url_template=f"https://{CONSOLE_HOST}/results/{{result_id}}",
        zof_webhook_secret=SecretStr(zof.webhooks.secret),
        port=0,
        zofbot_poll_interval=poll_seconds,
        zofbot_allow_runs=True,
        zofbot_data_dir=folder,
    )


async def _add_subscriptions(world: World, bot: Zofbot) -> None:
    """Subscribe the channels on Ana's behalf, and post a message in each that says so."""
    name, changes = world.slack.users[ANA].name, []
    for number, (channel, filters) in enumerate(DEMO_SUBSCRIPTIONS.items(), start=1):
        identity = {"id": f"demo{number}", "channel": channel, "by": ANA, "by_name": name, "created": world.unix_time()}
        changes.append(SubscriptionChange(None, parse_filters(filters).model_copy(update=identity)))
        typed = filters.replace(f"<!subteam^{ON_CALL_GROUP}>", f"@{world.slack.groups[ON_CALL_GROUP].handle}")
        text = f"I subscribed this channel to failed runs: `{SLASH_COMMAND} subscribe {typed}`"
        world.slack.add_message(PostedMessage(channel, world.slack.next_timestamp(), ANA, text))
    await commit_changes(bot.outbox, await Subscriptions(bot.store.keyspace).read(), changes)


def _composer_command() -> dict[str, object]:
    """Describe the command for the page's composer, which completes it."""
    return {
        "command": SLASH_COMMAND,
        "description": "Look up Zof's runs and results",
        "usage_hint": usage_hint(),
        "verbs": [{"usage": verb.usage, "does": verb.does} for verb in VERBS.values()],
    }
