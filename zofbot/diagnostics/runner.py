"""Run all checks, each with its own time limit; the other modules judge the replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
import stamina

from zofbot.clients import make_zof_client, open_slack_client
from zofbot.clock import Clock, timeout
from zofbot.config.settings import Settings
from zofbot.diagnostics import endpoints, people, slack, store, zof
from zofbot.diagnostics.clock import check_clock
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding
from zofbot.domain.errors import SettingsError, SlackError, StoreUnavailable, ZofError
from zofbot.domain.redaction import redact
from zofbot.notifications.notification import NotificationState
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall
from zofbot.slack.client import SlackClient
from zofbot.slack.identity import BotIdentity
from zofbot.store import Store, open_store
from zofbot.store.health import explain_unreachable, find_refused_writes, read_redis_info
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.redis_server.embedded import start_embedded
from zofbot.store.schema import stored_schema
from zofbot.store.subscriptions import Subscriptions, parse_subscription_records
from zofbot.subscriptions import Subscription
from zofbot.zof.client import ZofClient
from zofbot.zof.request import TimeBudget

T = TypeVar("T")

MAX_CHECK_SECONDS = 4.0
"""Time limit of each call; at most three depend on each other."""

MAX_CHANNELS = 40
"""Channels looked up; Slack allows about fifty such calls a minute."""

MAX_PEOPLE = 60
"""Users looked up; Slack allows about a hundred such calls a minute."""

PING_COUNT = 5
MAX_WAITING_RECORDS = 200
"""Pending notifications whose schema is checked."""


async def run_checks(
    settings: Settings, clock: Clock, url: str = "", seconds: float = MAX_CHECK_SECONDS
) -> list[Finding]:
    """Run all checks; ``url`` is zofbot's public address. Failures are returned as findings, not raised."""
    async with open_slack_client(settings, EventEmitter(), clock, deadline=seconds) as notifier:
        store_findings, subscriptions = await _check_store(
            settings, clock, seconds
        )  # alone, so that other checks do not distort the latency
        (token_findings, token_works), zof_findings, endpoint_findings = await asyncio.gather(
            _check_tokens(notifier, settings, clock, emails=_finds_by_email(settings, subscriptions)),
            _check_zof(settings, clock, TimeBudget(seconds)),
            _check_endpoints(settings, url, seconds),
        )
        slack_findings = await _check_channels(
            notifier, settings, [subscription.channel for subscription in subscriptions], token_works
        )
        if token_works:
            slack_findings += await _check_people(notifier, people.named_people(settings, subscriptions))
    secrets = settings.all_secrets()
    found = dict.fromkeys([*token_findings, *slack_findings, *zof_findings, *store_findings, *endpoint_findings])

    def redact_known(text: str) -> str:
        return redact(text, *secrets)

    return [
        replace(item, about=redact_known(item.about), what=redact_known(item.what), fix=redact_known(item.fix))
        for item in found
    ]


def _finds_by_email(settings: Settings, subscriptions: Sequence[Subscription]) -> bool:
    return settings.finds_people_by_email or any(subscription.mention_roles for subscription in subscriptions)


async def _check_tokens(
    notifier: SlackClient, settings: Settings, clock: Clock, *, emails: bool
) -> tuple[list[Finding], bool]:
    """Check the tokens; also returns whether Slack accepts the bot's."""
    token, app = settings.slack_bot_token.get_secret_value(), settings.slack_app_token.get_secret_value()
    wrong = {name: what for name, value in ((slack.BOT_TOKEN, token), (slack.APP_TOKEN, app))
             if (what := slack.check_misplaced(name, value))}  # fmt: skip
    identity, opened = await asyncio.gather(
        _catch_slack_error(notifier.identity.fetch()) if token and slack.BOT_TOKEN not in wrong else _return_none(),
        _try_app_token(notifier, "" if slack.APP_TOKEN in wrong else app),
    )
    found = list(wrong.values())
    if slack.BOT_TOKEN not in wrong:
        found += (
            [slack.missing_setting(slack.BOT_TOKEN)]
            if identity is None
            else slack.check_bot_token(identity, settings.unfurl_domains, emails=emails)
        )
    if app and slack.APP_TOKEN not in wrong:
        found.append(slack.check_app_token(opened))
    found.append(slack.check_signing_secret(settings))
    if isinstance(identity, BotIdentity):
        found += check_clock("Slack", identity.date, clock.time(), signs=not settings.uses_socket_mode)
    return found, isinstance(identity, BotIdentity)


async def _return_none() -> None:
    return None


async def _try_app_token(notifier: SlackClient, app_token: str) -> SlackError | None:
    try:
        if app_token:
            await notifier.open_socket(app_token)
    except SlackError as error:
        return error
    return None


async def _check_channels(
    notifier: SlackClient, settings: Settings, subscribed: Sequence[str], token_works: bool
) -> list[Finding]:
    configured = [item for item in (settings.zofbot_default_channel, settings.zofbot_canary_channel) if item]
    channels = [
        channel for channel in dict.fromkeys([*configured, *subscribed]) if not channel.startswith("D")
    ]  # the bot is always in direct messages
    if not token_works:
        return [ok_finding("channels", "Not checked, because Slack rejects the token.")] if channels else []
    replies = await asyncio.gather(
        *(_catch_slack_error(notifier.workspace.fetch_channel(item)) for item in channels[:MAX_CHANNELS])
    )
    found = [slack.check_channel(item, reply) for item, reply in zip(channels, replies, strict=False)]
    omitted = len(channels) - MAX_CHANNELS
    return found + (
        [ok_finding("channels", f"{omitted} more not checked, because of Slack's rate limits.")] if omitted > 0 else []
    )


async def _check_people(notifier: SlackClient, named: dict[str, str]) -> list[Finding]:
    """Look up the users and groups that settings and subscriptions name, within Slack's rate limits."""
    groups = {item: where for item, where in named.items() if item.startswith("S")}
    persons = [(item, where) for item, where in named.items() if item not in groups][:MAX_PEOPLE]
    replies = await asyncio.gather(
        *(_catch_slack_error(notifier.workspace.fetch_user(person)) for person, _ in persons)
    )
    listed = await _catch_slack_error(notifier.workspace.fetch_group_handles()) if groups else {}
    found = [people.check_person(person, where, reply) for (person, where), reply in zip(persons, replies, strict=True)]
    wrong = [*filter(None, found), *people.check_groups(groups, listed)]
    return wrong or (
        [ok_finding("people", f"Slack knows all {len(named)} people and groups in settings and subscriptions.")]
        if named
        else []
    )


async def _catch_slack_error(call: Awaitable[T]) -> T | SlackError:
    try:
        return await call
    except SlackError as error:
        return error


async def _check_store(settings: Settings, clock: Clock, seconds: float) -> tuple[list[Finding], list[Subscription]]:
    """Check Redis; also returns the subscriptions that could be parsed."""
    try:
        async with timeout(seconds), AsyncExitStack() as stack:
            address = settings.redis_url or await stack.enter_async_context(
                start_embedded(settings.zofbot_data_dir, clock)
            )
            opened = await stack.enter_async_context(open_store(address, settings.zofbot_namespace, clock))
            # Retried once, because the store's time limit is short for a busy machine.
            retry = stamina.AsyncRetryingCaller(attempts=2, timeout=None)
            return await retry(StoreUnavailable, _check_open_store, opened, settings, clock)
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


async def _check_open_store(
    opened: Store, settings: Settings, clock: Clock
) -> tuple[list[Finding], list[Subscription]]:
    times = [await _time_ping(opened, clock) for _ in range(1 + PING_COUNT)][1:]  # the first also connects
    found = [*store.check_health(await read_redis_info(opened.client)), store.check_latency(times)]
    if refused_writes := await find_refused_writes(opened.keyspace):
        return [*found, *map(store.problem_finding, refused_writes)], []
    records = await Subscriptions(opened.keyspace).read_records()
    waiting = await Outbox(opened.keyspace, clock).list_records(NotificationState.PENDING, MAX_WAITING_RECORDS)
    number = await stored_schema(opened.keyspace)
    found += store.check_records(records, [entry.schema for entry in waiting], number)
    if settings.webhook_secrets:
        last = await PendingRuns(opened.keyspace, clock).last_delivery()
        found.append(endpoints.check_last_delivery(last, clock.time()))
    return found, parse_subscription_records(records)


async def _time_ping(opened: Store, clock: Clock) -> float:
    began = clock.monotonic()
    await opened.ping()
    return clock.monotonic() - began


async def _check_zof(settings: Settings, clock: Clock, patience: TimeBudget) -> list[Finding]:
    if not settings.zof_api_key.get_secret_value():
        return [slack.missing_setting(zof.KEY_SETTING)]
    dates: list[tuple[str, float]] = []

    def note_date(call: ZofCall) -> None:
        dates.append((call.date, clock.time()))

    events = EventEmitter()
    events.add_hook(ZofCall, note_date)
    try:
        client = make_zof_client(settings, events, clock)
    except SettingsError as error:
        return [error_finding("zof", problem, "Correct this setting.") for problem in error.problems]
    try:
        errors_by_read = await _try_permissions(client, patience)
    finally:
        await client.aclose()
    skews = [item for date, at in [date for date in dates if date[0]][:1] for item in check_clock("Zof", date, at)]
    return [*zof.check_permissions(errors_by_read), zof.runs_not_checked(settings.zofbot_allow_runs), *skews]


async def _try_permissions(client: ZofClient, patience: TimeBudget) -> dict[str, ZofError | None]:
    """Read a page of each list, then the first run and result if any; returns the error of each, None if fine."""
    lists: dict[str, AsyncGenerator[Any, None]] = {
        "runs": client.list_runs(patience=patience, pages=1),
        "results": client.list_results(patience=patience, pages=1),
        "projects": client.list_projects(patience=patience, pages=1),
        "schedules": client.list_schedules(patience=patience, pages=1),
        "webhooks": client.list_endpoints(patience=patience, pages=1),
    }
    replies = dict(zip(lists, await asyncio.gather(*map(_first_id, lists.values())), strict=True))
    errors_by_read = {f"the list of {name}": error for name, (_, error) in replies.items()}
    (run, _), (result, _) = replies["runs"], replies["results"]
    if run:
        errors_by_read["a run"] = await _catch_zof_error(client.get_run(run, patience=patience))
    if result:
        errors_by_read["a result"] = await _catch_zof_error(client.get_result(result, patience=patience))
    return errors_by_read


async def _first_id(pages: AsyncGenerator[Any, None]) -> tuple[str, ZofError | None]:
    """Return the id of a list's first item, possibly empty, and the error if the list could not be read."""
    try:
        page = await anext(pages, ())
    except ZofError as error:
        return "", error
    finally:
        await pages.aclose()
    return next((item.id for item in page if item.id), ""), None


async def _catch_zof_error(call: Any) -> ZofError | None:
    try:
        await call
    except ZofError as error:
        return error
    return None


async def _check_endpoints(settings: Settings, url: str, seconds: float) -> list[Finding]:
    if not url or not endpoints.public_paths(settings):
        return [endpoints.endpoints_not_checked(settings)]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(seconds), trust_env=True) as session:

        async def read_status(path: str) -> int | None:
            try:
                async with session.get(url.rstrip("/") + path, allow_redirects=False) as reply:
                    return reply.status
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                return None

        paths = endpoints.public_paths(settings)
        return [
            endpoints.check_endpoint(path, status)
            for path, status in zip(paths, await asyncio.gather(*map(read_status, paths)), strict=True)
        ]
