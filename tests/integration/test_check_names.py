"""The checkup finds names that lead nowhere: people, groups, channels, Zof's address, webhooks that never came."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis

from tests.support.bot import RunningBot, running_bot
from tests.support.failing_runs import SECRET, post_webhook, webhook_event
from tests.support.subscriptions import store_subscription
from tests.support.virtual_time import machine_clock
from zofbot.config.settings import Settings
from zofbot.diagnostics import Finding, Level, run_checks
from zofbot.store.keyspace import Keyspace
from zofbot.subscriptions import parse_filters


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url, zof_webhook_secret=SECRET) as bot:
        run = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging"})
        assert await post_webhook(bot, webhook_event(run["id"], "evt_1")) == 200
        yield bot


async def found_in(bot: RunningBot, **settings: Any) -> dict[str, Finding]:
    """What is wrong, but for the test's own store, which keeps nothing."""
    chosen = Settings.model_validate({**dict(bot.settings), **settings})
    found = await run_checks(chosen, bot.world.clock, seconds=30)
    wrong = [item for item in found if item.level is not Level.OK and item.about not in OWN]
    assert all(item.fix for item in wrong)
    return {item.about: item for item in wrong}


OWN = ("redis persistence", "SLACK_SIGNING_SECRET", "redis latency")


async def add_subscription(store_url: str, text: str, by: str = "U0ANA") -> None:
    own = {"id": "s1", "channel": "C0QA", "by": by, "created": 1.0}
    async with redis.from_url(store_url) as client:
        await store_subscription(Keyspace(client, "zofbot"), parse_filters(text).model_copy(update=own))


async def test_people_and_groups_that_slack_knows_are_fine(bot: RunningBot, store_url: str) -> None:
    await add_subscription(store_url, "project:* mention:<@U0BEN> escalate:15m-><!subteam^S0ONCALL>")
    groups = bot.world.slack.groups
    assert await found_in(bot, zofbot_responders=f"U0ANA,{next(iter(groups))}", zofbot_default_channel="C0QA") == {}


@pytest.mark.parametrize("setting", ["zofbot_responders", "zofbot_operators", "zofbot_admins"])
async def test_an_id_in_a_role_that_slack_does_not_know_is_found(bot: RunningBot, setting: str) -> None:
    found = await found_in(bot, **{setting: "U0ANA,U0NOBODY,S0NOGROUP"})
    assert list(found) == [f"{setting.upper()}: U0NOBODY", f"{setting.upper()}: S0NOGROUP"]
    assert {item.level for item in found.values()} == {Level.ERROR}


async def test_a_deactivated_person_in_a_role_is_found(bot: RunningBot) -> None:
    bot.world.slack.users["U0BEN"].deleted = True
    [(about, found)] = (await found_in(bot, zofbot_admins="U0BEN")).items()
    assert (about, found.level) == ("ZOFBOT_ADMINS: U0BEN", Level.WARNING)


async def test_a_default_channel_that_slack_does_not_know_is_found(bot: RunningBot) -> None:
    assert list(await found_in(bot, zofbot_default_channel="C0NOWHERE")) == ["channel C0NOWHERE"]


@pytest.mark.parametrize("text", ["project:* mention:<@U0BEN>", "project:* escalate:15m-><@U0BEN>", "project:*"])
async def test_a_deactivated_person_in_a_subscription_is_found(bot: RunningBot, store_url: str, text: str) -> None:
    await add_subscription(store_url, text, by="U0ANA" if "U0BEN" in text else "U0BEN")
    bot.world.slack.users["U0BEN"].deleted = True
    [(about, found)] = (await found_in(bot)).items()
    assert about == "subscription s1 of C0QA: U0BEN"
    assert "deactivated" in found.what


async def test_without_the_scope_people_are_not_called_unknown(bot: RunningBot) -> None:
    bot.world.slack.scopes -= {"users:read", "usergroups:read"}
    found = await found_in(bot, zofbot_responders="U0ANA,S0NOGROUP")
    assert set(found) == {"scope users:read", "scope usergroups:read"}


@pytest.mark.parametrize("path", ["", "/", "/zof", "/zof/v2", "/api"])
async def test_an_address_that_is_not_zofs_is_found(store_url: str, path: str) -> None:
    async with running_bot(store_url, clock=machine_clock()) as bot:  # such a server tells its own time
        found = await found_in(bot, zof_base_url=f"{bot.simulator.url}{path}")
    assert list(found) == ["ZOF_BASE_URL"]
    assert "https://api.zof.ai/v1" in found["ZOF_BASE_URL"].fix


@pytest.mark.parametrize("fault", ["html", "truncated"])
async def test_an_answer_that_is_not_zofs_is_found(bot: RunningBot, fault: str) -> None:
    bot.world.zof.faults.set_fault(fault)
    assert list(await found_in(bot)) == ["ZOF_BASE_URL"]


async def test_a_webhook_secret_without_any_delivery_is_found(store_url: str) -> None:
    async with running_bot(store_url, zof_webhook_secret=SECRET) as bot:
        assert list(await found_in(bot)) == ["webhooks"]
        assert await post_webhook(bot, webhook_event("run_1", "evt_1"), secret="another") == 401
        assert list(await found_in(bot)) == ["webhooks"]
        ignored = webhook_event("run_1", "evt_2") | {"type": "something.new"}
        assert await post_webhook(bot, ignored) == 200
        assert await found_in(bot) == {}
        assert await found_in(bot, zof_webhook_secret="") == {}
