"""A web process killed before and after each thing an act has it say to Redis, Slack or Zof: none lost or doubled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, until, wait_for_first_poll
from tests.support.crash_proxy import Fuse, crash_proxy
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.paths import ROOT
from tests.support.triage import button_of, mention_bot, press_button, thread_of
from zofbot.clock import Clock, MovableClock
from zofbot.pipeline.orders import Orders
from zofbot.rooms import zof_client
from zofbot.simulator.delivery import Outcome
from zofbot.simulator.entities import Channel, Message
from zofbot.store.audit import Audit

STEPS = 20
"""More than an act takes, so that the last ones kill nobody."""

BEYOND = 2
"""Steps that kill nobody, after which it is over."""


@dataclass
class Doors:
    """Where web processes come from, and the fuse before all that they talk to."""

    bot: RunningBot
    fuse: Fuse
    addresses: dict[str, str]
    server: asyncio.subprocess.Process
    pid: int = 0

    async def open(self) -> None:
        """Have a fresh web process take what Slack sends."""
        assert self.server.stdin
        assert self.server.stdout
        own = self.bot.settings.model_dump(mode="json", exclude_unset=True) | self.addresses
        secret = {name: getattr(self.bot.settings, name).get_secret_value() for name in SECRETS}
        self.fuse.arm(0, "before", 0)
        self.server.stdin.write(f"{json.dumps(own | secret)}\n".encode())
        async with asyncio.timeout(20):
            url, pid = (await self.server.stdout.readline()).decode().split()
        self.pid = int(pid)
        self.bot.world.slack.request_url = f"{url}/slack/events"

    def close(self) -> None:
        """Have the bot that lives on take it."""
        if self.pid and not self.fuse.burnt:
            os.kill(self.pid, signal.SIGKILL)
        self.pid = 0
        self.bot.world.slack.request_url = f"{self.bot.app.url}/slack/events"


SECRETS = ("slack_bot_token", "slack_signing_secret", "slack_app_token", "zof_api_key", "zof_webhook_secret")


@asynccontextmanager
async def doors(valkey: str, **settings: Any) -> AsyncIterator[Doors]:
    fuse = Fuse()
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(
            running_bot(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET, **settings)
        )
        store = await stack.enter_async_context(crash_proxy(valkey, fuse))
        world = await stack.enter_async_context(crash_proxy(bot.stage.url, fuse))
        addresses = {"redis_url": f"redis://{store}", "slack_api_url": f"http://{world}/api/",
                     "zof_base_url": f"http://{world}/zof/v1"}  # fmt: skip
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.crash_proxy", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        made = Doors(bot, fuse, addresses, server)
        try:
            yield made
        finally:
            made.close()
            assert server.stdin
            server.stdin.close()
            await server.wait()


async def alerts(bot: RunningBot, channels: list[str]) -> dict[str, Message]:
    """A failure in each of these channels, which are new."""
    for number, channel in enumerate(channels):
        bot.world.slack.channels[channel] = Channel(channel, channel.lower(), {"U0ANA", "U0BEN", "U0ZOFBOT"})
        await bot.type(f"/zof subscribe group:case layout:thread case:tc_{number}", channel=channel)
    await wait_for_first_poll(bot)
    run = fail_run(bot, len(channels))
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}")) == 200

    def roots() -> dict[str, Message]:
        return {one.channel: one for one in bot.world.slack.ledger if (one.key or "").startswith("case:")}

    await until(lambda: len(roots()) == len(channels), 20)
    return roots()


def told(bot: RunningBot, root: Message, words: str) -> list[str]:
    return [line for line in thread_of(bot, root) if words in line]


async def entries(bot: RunningBot, root: Message) -> list[Any]:
    audit = Audit(bot.app.store.client, bot.settings.zofbot_namespace)
    return [one for one in await audit.read() if one.key == root.key]


@dataclass(frozen=True)
class Deed:
    """One way to do something about a failure; ``make`` has Slack send it, ``before`` is what leads up to it."""

    act: str
    shown: str
    """What the card says then."""
    line: str
    """What the thread says."""
    make: Callable[[RunningBot, Message, Any], Awaitable[Outcome]]
    before: Callable[[RunningBot, Message], Awaitable[Any]]


async def acknowledge(bot: RunningBot, root: Message, button: Any) -> Outcome:
    return await bot.stage.people.press("U0ANA", button, channel=root.channel, ts=root.ts)


async def button(bot: RunningBot, root: Message) -> Any:
    return button_of(root, "zof_triage_acknowledge")


def form(name: str) -> Callable[[RunningBot, Message], Awaitable[Any]]:
    async def opened(bot: RunningBot, root: Message) -> Any:
        await press_button(bot, "U0ANA", root, button_of(root, f"zof_triage_{name}"))
        await until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
        return bot.world.slack.modals["U0ANA"][-1]

    return opened


def filled(values: dict[str, Any]) -> Callable[[RunningBot, Message, Any], Awaitable[Outcome]]:
    async def submitted(bot: RunningBot, root: Message, view: Any) -> Outcome:
        if view not in bot.world.slack.modals["U0ANA"]:
            bot.world.slack.modals["U0ANA"].append(view)
        return await bot.stage.people.submit("U0ANA", view.id, values)

    return submitted


async def words(bot: RunningBot, root: Message, _: Any) -> Outcome:
    return await mention_bot(bot, root, "resolve flaky: retried")


async def nothing(bot: RunningBot, root: Message) -> None:
    """Words need nothing before them."""


PICKED = {"owner": {"owner": {"type": "users_select", "selected_user": "U0BEN"}}}
TYPED = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
DEEDS = {
    "button": Deed("acknowledge", "Acknowledged", "acknowledged this", acknowledge, button),
    "assign": Deed("assign", "assigned to", "assigned this to", filled(PICKED), form("assign")),
    "snooze": Deed("snooze", "Snoozed", "snoozed this", filled(TYPED), form("snooze")),
    "words": Deed("resolve", "Resolved", "resolved this", words, nothing),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", DEEDS)
async def test_killed_at_any_step_of_an_act_it_is_done_once(valkey: str, name: str, when: str) -> None:
    deed, channels = DEEDS[name], [f"C0CRASH{number:02}" for number in range(STEPS)]
    killed, kept = 0, 0
    async with doors(valkey) as own:
        bot = own.bot
        roots = await alerts(bot, channels)
        for step, root in enumerate(list(roots.values()), start=1):
            given = await deed.before(bot, root)
            await own.open()
            own.fuse.arm(step, when, own.pid)
            outcome = await deed.make(bot, root, given)
            killed += own.fuse.burnt
            own.close()
            stored = await entries(bot, root)
            assert len(stored) == 1 or not outcome.ok, f"step {step}: Slack was told that it is done"
            if not outcome.ok:
                kept += len(stored)
                if not stored:  # Slack says that it failed, so a person does it again
                    assert (await deed.make(bot, root, given)).ok
            bot.world.slack.modals.clear()
            assert [one.act for one in await entries(bot, root)] == [deed.act], step
            if killed == step - BEYOND:
                break
        done = list(roots.values())[:step]
        for root in done:
            await until(lambda root=root: deed.shown in text_of(root) and len(told(bot, root, deed.line)) == 1, 20)
        await asyncio.sleep(0.5)
        assert [len(told(bot, root, deed.line)) for root in done] == [1] * step

        def personal() -> int:
            return sum((one.key or "").startswith("assigned:") for one in bot.world.slack.ledger)

        await until(lambda: personal() == (step if name == "assign" else 0), 30)
    assert killed >= 5, "an act says several things to Redis and to Slack"
    assert killed < STEPS, "the last steps lie beyond the act"
    assert bool(kept) == (when == "after"), "storing it is the last that is said, and then Slack hears of it"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_step_of_a_rerun_one_run_is_started(valkey: str, when: str) -> None:
    """What was pressed and not begun is carried out by those who live on."""
    channels = [f"C0CRASH{number:02}" for number in range(STEPS)]
    acknowledged = killed = 0
    async with doors(valkey, zofbot_allow_runs=True) as own:
        bot = own.bot
        roots = await alerts(bot, channels)
        runs = len(bot.world.zof.runs)
        for step, (channel, root) in enumerate(list(roots.items()), start=1):
            menu = button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}}
            await press_button(bot, "U0ANA", root, menu)
            await until(lambda channel=channel: "Run the failed cases" in text_of(bot.private(channel)[-1]))
            question = bot.private(channel)[-1]
            await own.open()
            own.fuse.arm(step, when, own.pid)
            outcome = await bot.press(question, "zof_rerun")
            if outcome.ok:
                acknowledged += 1

                async def over(root: Message = root) -> bool:
                    return own.fuse.burnt or bool(await entries(bot, root))

                await until(over)
            killed += own.fuse.burnt
            own.close()
            if not outcome.ok:
                assert (await bot.press(question, "zof_rerun")).ok
            if killed == step - BEYOND:
                break
        zof = zof_client(bot.settings, bot.app.metrics, Clock())
        late = Orders(bot.app.outbox, zof, MovableClock(lambda: Clock().time() + 120))
        await late.left_over()
        await late.left_over()
        await zof.aclose()
        for root in list(roots.values())[:step]:
            await until(lambda root=root: len(told(bot, root, "runs the failed cases again")) == 1, 20)
            assert [one.act for one in await entries(bot, root)] == ["rerun"]
        assert len(bot.world.zof.runs) - runs == step
        assert await bot.app.outbox.hashes("orders") == {"orders": {}}
    assert 6 <= killed < STEPS
    assert acknowledged > step - killed, "some died after Slack had heard that they would do it"
