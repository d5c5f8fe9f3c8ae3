"""The books that an operator reads and mends on a terminal: outbox, audit, subscriptions, traces, trials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from zofbot.clock import Clock
from zofbot.settings import Settings
from zofbot.store import connected
from zofbot.store.audit import Audit
from zofbot.store.embedded import embedded
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import Traces
from zofbot.store.webhook_trials import WebhookTrials


@dataclass(frozen=True)
class Books:
    """What stands in one bot's store."""

    outbox: Outbox
    audit: Audit
    subscriptions: Subscriptions
    traces: Traces
    trials: WebhookTrials


@asynccontextmanager
async def books_of(settings: Settings, clock: Clock) -> AsyncIterator[Books]:
    """Open the books of these settings. Raises SettingsError or StoreUnavailable."""
    async with AsyncExitStack() as stack:
        address = settings.redis_url or await stack.enter_async_context(embedded(settings.zofbot_data_dir, clock))
        store = await stack.enter_async_context(connected(address, settings.zofbot_namespace, clock))
        await store.ping()
        client, namespace = store.client, settings.zofbot_namespace
        outbox, audit = Outbox(client, namespace, clock), Audit(client, namespace)
        trials = WebhookTrials(client, namespace, clock)
        yield Books(outbox, audit, Subscriptions(client, namespace), Traces(client, namespace), trials)
