"""Call Redis to check whether it answers, how fast, and what it stores."""

from __future__ import annotations

from contextlib import AsyncExitStack

from zofbot.clock import Clock, timeout
from zofbot.config.settings import Settings
from zofbot.diagnostics import endpoints, store
from zofbot.diagnostics.finding import Finding, error_finding
from zofbot.domain.errors import SettingsError, StoreUnavailable, ZofbotError
from zofbot.notifications.notification import NotificationState
from zofbot.retries import RetryLimits, call_with_retries
from zofbot.store import Store, open_store
from zofbot.store.health import explain_unreachable, find_refused_writes, read_redis_info
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.redis_server.embedded import start_embedded
from zofbot.store.schema import stored_schema
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import Subscription

PING_COUNT = 5
PROBE_PAUSE_SECONDS = 0.5
"""Seconds until a store that did not answer is asked once more."""

MAX_WAITING_RECORDS = 200
"""Pending notifications whose schema is checked."""


async def probe_store(settings: Settings, clock: Clock, seconds: float) -> tuple[list[Finding], list[Subscription]]:
    """Check Redis; also returns the subscriptions that could be parsed.

    The embedded Valkey gets so many ``seconds`` to start; each call has a limit of its own.
    """
    try:
        async with AsyncExitStack() as stack:
            address = settings.redis_url
            if not address:
                async with timeout(seconds):
                    address = await stack.enter_async_context(start_embedded(settings.zofbot_data_dir, clock))
            opened = await stack.enter_async_context(open_store(address, settings.zofbot_namespace, clock))
            # Retried once, because the store's time limit is short for a busy machine.
            return await call_with_retries(
                lambda: _probe_open_store(opened, settings, clock), _retry_delay, RetryLimits(2), clock
            )
    except StoreUnavailable as error:
        found = (
            store.problem_finding(explain_unreachable(error))
            if settings.redis_url
            else error_finding("redis", error.sentence, error.next_step)
        )
    except SettingsError as error:
        found = error_finding("redis", " ".join(error.problems), "Set REDIS_URL to a Redis of 6.2 or later.")
    except ValueError:  # redis-py quotes the URL, which may hold a password
        found = error_finding(
            "redis", "REDIS_URL is not a valid URL.", "Write it as redis://user:password@host:6379/0."
        )
    except (TimeoutError, OSError) as error:
        found = error_finding(
            "redis",
            f"The embedded Valkey did not start ({type(error).__name__}).",
            "Check ZOFBOT_DATA_DIR and its disk.",
        )
    return [found], []


def _retry_delay(error: ZofbotError) -> float | None:
    return PROBE_PAUSE_SECONDS if isinstance(error, StoreUnavailable) else None


async def _probe_open_store(
    opened: Store, settings: Settings, clock: Clock
) -> tuple[list[Finding], list[Subscription]]:
    times = [await _time_ping(opened, clock) for _ in range(1 + PING_COUNT)][1:]  # the first also connects
    name = "The store at REDIS_URL" if settings.redis_url else f"The store in {settings.zofbot_data_dir}"
    found = [*store.check_health(await read_redis_info(opened.client)), store.check_latency(times, name)]
    if refused_writes := await find_refused_writes(opened.keyspace):
        return [*found, *map(store.problem_finding, refused_writes)], []
    subscriptions = await Subscriptions(opened.keyspace).read()
    waiting = await Outbox(opened.keyspace, clock).list_records(NotificationState.PENDING, MAX_WAITING_RECORDS)
    number = await stored_schema(opened.keyspace)
    found += store.check_records(subscriptions.records, [entry.schema for entry in waiting], number)
    if settings.webhook_secrets:
        last = await PendingRuns(opened.keyspace, clock).last_delivery()
        found.append(endpoints.check_last_delivery(last, clock.time()))
    return found, subscriptions.list_all()


async def _time_ping(opened: Store, clock: Clock) -> float:
    began = clock.monotonic()
    await opened.ping()
    return clock.monotonic() - began
