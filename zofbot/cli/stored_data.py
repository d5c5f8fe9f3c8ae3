"""The stored data that the command line reads and repairs: outbox, audit, subscriptions, traces, webhook trials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.store import open_store
from zofbot.store.audit import AuditLog
from zofbot.store.outbox import Outbox
from zofbot.store.redis_server.embedded import start_embedded
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import TraceStore
from zofbot.store.webhook_trials import WebhookTrials

MAX_REDIS_SECONDS = 10.0
"""Time limit of one call to Redis: nobody in Slack waits for a command line, and it may be far from Redis."""


@dataclass(frozen=True)
class StoredData:
    """Access to the stored data of one bot."""

    outbox: Outbox
    audit: AuditLog
    subscriptions: Subscriptions
    traces: TraceStore
    trials: WebhookTrials


@asynccontextmanager
async def open_stored_data(settings: Settings, clock: Clock) -> AsyncIterator[StoredData]:
    """Open the store of these settings. Raises SettingsError or StoreUnavailable."""
    async with AsyncExitStack() as stack:
        address = settings.redis_url or await stack.enter_async_context(start_embedded(settings.zofbot_data_dir, clock))
        store = await stack.enter_async_context(
            open_store(address, settings.zofbot_namespace, clock, MAX_REDIS_SECONDS)
        )
        await store.ping()
        keyspace = store.keyspace
        yield StoredData(
            Outbox(keyspace, clock),
            AuditLog(keyspace),
            Subscriptions(keyspace),
            TraceStore(keyspace),
            WebhookTrials(keyspace, clock),
        )
