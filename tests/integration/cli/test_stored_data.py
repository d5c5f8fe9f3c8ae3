"""An operator's command has more time for Redis than the bot, which people in Slack wait for."""

from __future__ import annotations

import pytest

from tests.support.slow_proxy import slow_proxy
from zofbot.cli.stored_data import open_stored_data
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications.notification import NotificationState
from zofbot.store import open_store
from zofbot.store.keyspace import MAX_REDIS_SECONDS


async def test_a_command_waits_for_a_redis_that_is_too_slow_for_the_bot(store_url: str) -> None:
    async with slow_proxy(store_url.removeprefix("unix://"), 1.2 * MAX_REDIS_SECONDS) as url:
        async with open_store(url, "zofbot", Clock()) as store:
            with pytest.raises(StoreUnavailable):
                await store.ping()
        async with open_stored_data(
            Settings.model_validate({"redis_url": url, "zofbot_namespace": "far"}), Clock()
        ) as stored:
            assert await stored.audit.read_records() == []
            assert await stored.subscriptions.list_all() == []
            assert await stored.outbox.list_records(NotificationState.DEAD) == []
