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

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.crash_proxy import ProxyFuse, crash_proxy
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.limits import limit_wait
from tests.support.paths import ROOT
from tests.support.triage import button_of, mention_bot, press_button, thread_of
from zofbot.clients import make_zof_client
from zofbot.clock import Clock, MovableClock
from zofbot.services.run_commands import RunCommands
from zofbot.simulator.slack.model import Channel, PostedMessage
from zofbot.simulator.slack.sender import Acknowledgement
from zofbot.store.audit import AuditLog

STEPS = 14
"""More than an act takes, so that the last ones kill nobody."""

BEYOND = 2
"""Steps that kill nobody, after which it is over."""

STORED_ACT = b":audit"
"""What the request contains that stores an act: its audit record's key.."""


@dataclass
class CrashProxies:
    """Where web processes come from, and the fuse before all that they talk to."""

    bot: RunningBot
    fuse: ProxyFuse
    addresses: dict[str, str]
    server: asyncio.subprocess.Process
    pid: int = 0

    async def open_proxies(self) -> None:
        """Have a fresh web process take what Slack sends."""
        assert self.server.stdin
        assert self.server.stdout
        own = self.bot.settings.model_dump(mode="json", exclude_unset=True) | self.addresses
        secret = {name: getattr(self.bot.settings, name).get_secret_value() for name in SECRETS}
        self.fuse.start_counting(0, "before", 0)
        self.server.stdin.write(f"{json.dumps(own | secret)}\n".encode())
        url, pid = (await limit_wait(self.server.stdout.readline())).decode().split()
        self.pid = int(pid)
        self.bot.world.slack.request_url = f"{url}/slack/events"

    def close_proxies(self) -> None:
        """Have the bot that lives on take it."""
        if self.pid and not self.fuse.burnt:
            os.kill(self.pid, signal.SIGKILL)
        self.pid = 0
        self.bot.world.slack.request_url = f"{self.bot.app.url}/slack/events"


SECRETS = ("slack_bot_token", "slack_signing_secret", "slack_app_token", "zof_api_key", "zof_webhook_secret")


@asynccontextmanager
async def crash_proxies(store_url: str, **settings: Any) -> AsyncIterator[CrashProxies]:
    fuse = ProxyFuse()
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(
            running_bot(
                store_url, workers=True, history=False, zofbot_poll_interval=3600, zof_webhook_secret=SECRET, **settings
            )
        )
        store = await stack.enter_async_context(crash_proxy(store_url, fuse))
        world = await stack.enter_async_context(crash_proxy(bot.simulator.url, fuse))
        addresses = {"redis_url": f"redis://{store}", "slack_api_url": f"http://{world}/api/",
                     "zof_base_url": f"http://{world}/zof/v1"}  # fmt: skip
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.crash_proxy", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        made = CrashProxies(bot, fuse, addresses, server)
        try:
            yield made
        finally:
            made.close_proxies()
            assert server.stdin
            server.stdin.close()
            await server.wait()


async def wait_for_alerts(bot: RunningBot, channels: list[str]) -> dict[str, PostedMessage]:
    """A failure in each of these channels, which are new."""
    for number, channel in enumerate(channels):
        bot.world.slack.channels[channel] = Channel(channel, channel.lower(), {"U0ANA", "U0BEN", "U0ZOFBOT"})
        await bot.type_text(f"/zof subscribe group:case layout:thread case:tc_{number}", channel=channel)
    await wait_for_first_poll(bot)
    run = fail_run(bot, len(channels))
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}")) == 200

    def roots_by_channel() -> dict[str, PostedMessage]:
        return {
            item.channel: item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:")
        }

    await wait_until(lambda: len(roots_by_channel()) == len(channels))
    return roots_by_channel()


def lines_containing(bot: RunningBot, root: PostedMessage, words: str) -> list[str]:
    return [line for line in thread_of(bot, root) if words in line]


async def audit_entries_of(bot: RunningBot, root: PostedMessage) -> list[Any]:
    audit = AuditLog(bot.app.store.keyspace)
    return [record for record in await audit.read_records() if record.key == root.idempotency_key]


@dataclass(frozen=True)
class TriageDeed:
    """One way to do something about a failure; ``make`` has Slack send it, ``before`` is what leads up to it."""

    act: str
    shown: str
    """What the card says then."""
    line: str
    """What the thread says."""
    make: Callable[[RunningBot, PostedMessage, Any], Awaitable[Acknowledgement]]
    before: Callable[[RunningBot, PostedMessage], Awaitable[Any]]


async def press_acknowledge(bot: RunningBot, root: PostedMessage, button: Any) -> Acknowledgement:
    return await bot.simulator.people.press_element("U0ANA", button, channel=root.channel, ts=root.ts)


async def acknowledge_button(bot: RunningBot, root: PostedMessage) -> Any:
    return button_of(root, "zof_triage_acknowledge")


def form_opener(name: str) -> Callable[[RunningBot, PostedMessage], Awaitable[Any]]:
    async def open_form_of(bot: RunningBot, root: PostedMessage) -> Any:
        await press_button(bot, "U0ANA", root, button_of(root, f"zof_triage_{name}"))
        await wait_until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
        return bot.world.slack.modals["U0ANA"][-1]

    return open_form_of


def form_submitter(values: dict[str, Any]) -> Callable[[RunningBot, PostedMessage, Any], Awaitable[Acknowledgement]]:
    async def submit_form(bot: RunningBot, root: PostedMessage, view: Any) -> Acknowledgement:
        if view not in bot.world.slack.modals["U0ANA"]:
            bot.world.slack.modals["U0ANA"].append(view)
        return await bot.simulator.people.submit_view("U0ANA", view.id, values)

    return submit_form


async def type_words(bot: RunningBot, root: PostedMessage, _: Any) -> Acknowledgement:
    return await mention_bot(bot, root, "resolve flaky: retried")


async def do_nothing(bot: RunningBot, root: PostedMessage) -> None:
    """Words need nothing before them."""


PICKED = {"owner": {"owner": {"type": "users_select", "selected_user": "U0BEN"}}}
TYPED = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
DEEDS = {
    "button": TriageDeed("acknowledge", "Acknowledged", "acknowledged this", press_acknowledge, acknowledge_button),
    "assign": TriageDeed("assign", "assigned to", "assigned this to", form_submitter(PICKED), form_opener("assign")),
    "snooze": TriageDeed("snooze", "Snoozed", "snoozed this", form_submitter(TYPED), form_opener("snooze")),
    "words": TriageDeed("resolve", "Resolved", "resolved this", type_words, do_nothing),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", DEEDS)
async def test_killed_at_any_step_of_an_act_it_is_done_once(store_url: str, name: str, when: str) -> None:
    deed, channels = DEEDS[name], [f"C0CRASH{number:02}" for number in range(STEPS)]
    killed = 0
    async with crash_proxies(store_url) as own:
        bot = own.bot
        roots = await wait_for_alerts(bot, channels)
        for step, root in enumerate(list(roots.values())):
            given = await deed.before(bot, root)
            await own.open_proxies()
            own.fuse.start_counting(step, when, own.pid, content=b"" if step else STORED_ACT)
            outcome = await deed.make(bot, root, given)
            killed += own.fuse.burnt
            own.close_proxies()
            stored = await audit_entries_of(bot, root)
            assert len(stored) == 1 or not outcome.is_accepted, f"step {step}: Slack was told that it is done"
            if step == 0:
                assert not outcome.is_accepted, "storing it is the last that is said, and then Slack hears of it"
                assert len(stored) == (when == "after")
            if not outcome.is_accepted and not stored:  # Slack says that it failed, so a person does it again
                assert (await deed.make(bot, root, given)).is_accepted
            bot.world.slack.modals.clear()
            assert [item.act for item in await audit_entries_of(bot, root)] == [deed.act], step
            if killed == step + 1 - BEYOND:
                break
        done = list(roots.values())[: step + 1]
        for root in done:
            await wait_until(
                lambda root=root: deed.shown in text_of(root) and len(lines_containing(bot, root, deed.line)) == 1
            )
        await asyncio.sleep(0.5)
        assert [len(lines_containing(bot, root, deed.line)) for root in done] == [1] * len(done)

        def personal() -> int:
            return sum((item.idempotency_key or "").startswith("assigned:") for item in bot.world.slack.ledger)

        await wait_until(lambda: personal() == (len(done) if name == "assign" else 0))
    assert killed >= 5, "an act says several things to Redis and to Slack"
    assert killed < STEPS, "the last steps lie beyond the act"


async def confirm_rerun(
    bot: RunningBot, question: PostedMessage, is_over: Callable[[], Awaitable[bool]]
) -> Acknowledgement:
    """Press the confirmation, and again if the reply is an error: on a busy machine Redis may answer too late."""
    while True:
        replies = len(bot.private_messages(question.channel))
        outcome = await bot.press_button(question, "zof_rerun")

        async def is_answered(before: int = replies) -> bool:
            return len(bot.private_messages(question.channel)) > before or await is_over()

        if outcome.is_accepted:
            await wait_until(is_answered)
        if not outcome.is_accepted or await is_over():
            return outcome


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_step_of_a_rerun_one_run_is_started(store_url: str, when: str) -> None:
    """What was pressed and not begun is carried out by those who live on."""
    channels = [f"C0CRASH{number:02}" for number in range(STEPS)]
    acknowledged = killed = 0
    async with crash_proxies(store_url, zofbot_allow_runs=True) as own:
        bot = own.bot
        roots = await wait_for_alerts(bot, channels)
        runs = len(bot.world.zof.runs)
        for step, (channel, root) in enumerate(list(roots.items()), start=1):
            menu = button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}}
            await press_button(bot, "U0ANA", root, menu)
            await wait_until(
                lambda channel=channel: "Re-run the failed cases" in text_of(bot.private_messages(channel)[-1])
            )
            question = bot.private_messages(channel)[-1]
            await own.open_proxies()
            own.fuse.start_counting(step, when, own.pid)

            async def is_done(root: PostedMessage = root) -> bool:
                return bool(await audit_entries_of(bot, root))

            async def is_over() -> bool:
                return own.fuse.burnt or await is_done()

            outcome = await confirm_rerun(bot, question, is_over)
            acknowledged += outcome.is_accepted
            killed += own.fuse.burnt
            own.close_proxies()
            if not outcome.is_accepted:
                assert (await confirm_rerun(bot, question, is_done)).is_accepted
            if killed == step - BEYOND:
                break
        zof = make_zof_client(bot.settings, bot.app.events, Clock())
        late = RunCommands(bot.app.outbox, zof, MovableClock(lambda: Clock().time() + 120))
        await late.resume_stale()
        await late.resume_stale()
        await zof.aclose()
        for root in list(roots.values())[:step]:
            await wait_until(
                lambda root=root: len(lines_containing(bot, root, "started a re-run of the failed cases")) == 1
            )
            assert [item.act for item in await audit_entries_of(bot, root)] == ["rerun"]
        assert len(bot.world.zof.runs) - runs == step
        assert await bot.app.outbox.read_hashes("orders") == {"orders": {}}
    assert 6 <= killed < STEPS
    assert acknowledged > step - killed, "some died after Slack had heard that they would do it"
