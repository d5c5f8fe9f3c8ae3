"""The stored data that the command line reads and repairs: outbox, audit, subscriptions, traces, webhook trials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import ZofbotError
from zofbot.store import open_store
from zofbot.store.audit import AuditLog
from zofbot.store.health import explain_first_call
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox
from zofbot.store.redis_server.data_folder import has_store
from zofbot.store.redis_server.embedded import start_embedded
from zofbot.store.schema import SCHEMA_KEY
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH, Subscriptions
from zofbot.store.traces import TraceStore
from zofbot.store.webhook_trials import WebhookTrials

MAX_REDIS_SECONDS = 10.0
"""Time limit of one call to Redis: nobody in Slack waits for a command line, and it may be far from Redis."""


@dataclass(frozen=True)
class StoredData:
    """Access to the stored data of one bot; ``is_new`` if its embedded store has just been created."""

    outbox: Outbox
    audit: AuditLog
    subscriptions: Subscriptions
    traces: TraceStore
    trials: WebhookTrials
    is_new: bool = False


@asynccontextmanager
async def open_stored_data(settings: Settings, clock: Clock, *, may_create: bool = False) -> AsyncIterator[StoredData]:
    """Open the store of these settings.

    An embedded store must have been used by zofbot before, unless ``may_create``: an empty one would be exported as the
    backup of a bot whose settings this command does not have. Raises ZofbotError, as SettingsError or StoreUnavailable
    if the store cannot be opened.
    """
    needs_data = not settings.redis_url and not may_create
    is_new = not settings.redis_url and not has_store(settings.zofbot_data_dir)
    if is_new and not may_create:
        raise ZofbotError(
            f"There is no store in {settings.zofbot_data_dir}.",
            "Set ZOFBOT_DATA_DIR or REDIS_URL as for `zofbot run`.",
        )
    async with AsyncExitStack() as stack:
        address = settings.redis_url or await stack.enter_async_context(start_embedded(settings.zofbot_data_dir, clock))
        store = await stack.enter_async_context(
            open_store(address, settings.zofbot_namespace, clock, MAX_REDIS_SECONDS)
        )
        with explain_first_call(settings.redis_url):
            await store.ping()
        keyspace = store.keyspace
        if needs_data and not await _has_data(keyspace):
            raise ZofbotError(
                f"The store in {settings.zofbot_data_dir} has no data of ZOFBOT_NAMESPACE {settings.zofbot_namespace}.",
                "Set it and ZOFBOT_DATA_DIR or REDIS_URL as for `zofbot run`.",
            )
        yield StoredData(
            Outbox(keyspace, clock),
            AuditLog(keyspace),
            Subscriptions(keyspace),
            TraceStore(keyspace),
            WebhookTrials(keyspace, clock),
            is_new,
        )


async def _has_data(keyspace: Keyspace) -> bool:
    """Return whether a bot has started with this store, or subscriptions were imported; `zofbot check` does neither."""
    async with keyspace.guard_call():
        return bool(await keyspace.client.exists(keyspace.key(SCHEMA_KEY), keyspace.key(SUBSCRIPTIONS_HASH)))
