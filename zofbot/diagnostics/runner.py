"""Goes round and tries everything, each question with its own time limit; what it hears is judged elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
import stamina

from zofbot.clock import Clock, timeout
from zofbot.config.settings import Settings
from zofbot.container import make_zof_client, open_slack_client
from zofbot.diagnostics import endpoints, people, slack, store, zof
from zofbot.diagnostics.clock import check_clock
from zofbot.diagnostics.finding import Finding, error_finding, ok_finding
from zofbot.domain.errors import SettingsError, SlackError, StoreUnavailable, ZofError
from zofbot.domain.redaction import redact
from zofbot.notifications.notification import NotificationState
from zofbot.observability.metrics import Metrics
from zofbot.slack.client import BotIdentity, SlackClient
from zofbot.store import Store, open_store
from zofbot.store.embedded import start_embedded
from zofbot.store.health import explain_unreachable, find_refused_writes, read_redis_info
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.schema import stored_schema
from zofbot.store.subscriptions import Subscriptions, parse_subscription_records
from zofbot.subscriptions import Subscription
from zofbot.zof.client import ZofClient
from zofbot.zof.request import CallRecord, TimeBudget

T = TypeVar("T")

MAX_CHECK_SECONDS = 4.0
"""How long each question may take; no chain of them is longer than three."""

MAX_CHANNELS = 40
"""Channels asked about: Slack answers about fifty such questions a minute."""

MAX_PEOPLE = 60
"""People asked about: Slack answers about a hundred such questions a minute."""

PING_COUNT = 5
MAX_WAITING_RECORDS = 200
"""Notifications looked at for their version."""


async def run_checks(
    settings: Settings, clock: Clock, url: str = "", seconds: float = MAX_CHECK_SECONDS
) -> list[Finding]:
    """Try everything; ``url`` is where the doors are seen from outside. No failure is raised: each is a finding."""
    async with open_slack_client(settings, Metrics(), clock, deadline=seconds) as notifier:
        kept, subscriptions = await _check_store(
            settings, clock, seconds
        )  # alone, lest what others do count as its latency
        (tokens, takes), asked, tried = await asyncio.gather(
            _check_tokens(notifier, settings, clock),
            _check_zof(settings, clock, TimeBudget(seconds)),
            _check_endpoints(settings, url, seconds),
        )
        told = await _check_channels(
            notifier, settings, [subscription.channel for subscription in subscriptions], takes
        )
        if takes:
            told += await _check_people(notifier, people.named_people(settings, subscriptions))
    secrets = settings.all_secrets()
    found = dict.fromkeys([*tokens, *told, *asked, *kept, *tried])

    def redact_known(said: str) -> str:
        return redact(said, *secrets)

    return [
        replace(item, about=redact_known(item.about), what=redact_known(item.what), mend=redact_known(item.mend))
        for item in found
    ]


async def _check_tokens(notifier: SlackClient, settings: Settings, clock: Clock) -> tuple[list[Finding], bool]:
    """Try the tokens; whether Slack takes the bot's."""
    token, app = settings.slack_bot_token.get_secret_value(), settings.slack_app_token.get_secret_value()
    wrong = {name: what for name, value in ((slack.BOT_TOKEN, token), (slack.APP_TOKEN, app))
             if (what := slack.check_misplaced(name, value))}  # fmt: skip
    who, opened = await asyncio.gather(
        _catch_slack_error(notifier.fetch_identity()) if token and slack.BOT_TOKEN not in wrong else _return_none(),
        _try_app_token(notifier, "" if slack.APP_TOKEN in wrong else app),
    )
    found = list(wrong.values())
    if slack.BOT_TOKEN not in wrong:
        found += (
            [slack.missing_setting(slack.BOT_TOKEN)]
            if who is None
            else slack.check_bot_token(who, settings.unfurl_domains)
        )
    if app and slack.APP_TOKEN not in wrong:
        found.append(slack.check_app_token(opened))
    found.append(slack.check_signing_secret(settings))
    if isinstance(who, BotIdentity):
        found += check_clock("Slack", who.date, clock.time(), signs=not settings.uses_socket_mode)
    return found, isinstance(who, BotIdentity)


async def _return_none() -> None:
    return None


async def _try_app_token(notifier: SlackClient, app_token: str) -> SlackError | None:
    try:
        if app_token:
            await notifier.open_socket(app_token)
    except SlackError as said:
        return said
    return None


async def _check_channels(
    notifier: SlackClient, settings: Settings, subscribed: Sequence[str], takes: bool
) -> list[Finding]:
    set_ = [item for item in (settings.zofbot_default_channel, settings.zofbot_canary_channel) if item]
    every = [
        fromkey for fromkey in dict.fromkeys([*set_, *subscribed]) if not fromkey.startswith("D")
    ]  # nobody can leave those
    if not takes:
        return [ok_finding("channels", "Not looked at, because Slack does not take the token.")] if every else []
    heard = await asyncio.gather(*(_catch_slack_error(notifier.fetch_channel(item)) for item in every[:MAX_CHANNELS]))
    found = [slack.check_channel(item, said) for item, said in zip(every, heard, strict=False)]
    more = len(every) - MAX_CHANNELS
    return found + ([ok_finding("channels", f"{more} more were not looked at, for Slack's pace.")] if more > 0 else [])


async def _check_people(notifier: SlackClient, named: dict[str, str]) -> list[Finding]:
    """Look up whom settings and subscriptions name, as far as Slack's pace allows."""
    groups = {item: where for item, where in named.items() if item.startswith("S")}
    persons = [(item, where) for item, where in named.items() if item not in groups][:MAX_PEOPLE]
    heard = await asyncio.gather(*(_catch_slack_error(notifier.fetch_user(person)) for person, _ in persons))
    listed = await _catch_slack_error(notifier.fetch_group_handles()) if groups else {}
    found = [people.check_person(person, where, said) for (person, where), said in zip(persons, heard, strict=True)]
    wrong = [*filter(None, found), *people.check_groups(groups, listed)]
    return wrong or ([ok_finding("people", f"Slack knows all {len(named)} who are named.")] if named else [])


async def _catch_slack_error(asking: Awaitable[T]) -> T | SlackError:
    try:
        return await asking
    except SlackError as said:
        return said


async def _check_store(settings: Settings, clock: Clock, seconds: float) -> tuple[list[Finding], list[Subscription]]:
    """Look at Redis; the subscriptions, as far as they could be read."""
    try:
        async with timeout(seconds), AsyncExitStack() as stack:
            address = settings.redis_url or await stack.enter_async_context(
                start_embedded(settings.zofbot_data_dir, clock)
            )
            opened = await stack.enter_async_context(open_store(address, settings.zofbot_namespace, clock))
            # Once more, for the store's patience is short, and a busy machine may use it up.
            twice = stamina.AsyncRetryingCaller(attempts=2, timeout=None)
            return await twice(StoreUnavailable, _check_open_store, opened, settings, clock)
    except StoreUnavailable as said:
        found = (
            store.problem_finding(explain_unreachable(said))
            if settings.redis_url
            else error_finding("redis", said.sentence, said.next_step)
        )
    except SettingsError as said:
        found = error_finding("redis", " ".join(said.problems), "Set REDIS_URL to a Redis of 6.2 or later.")
    except ValueError:  # the client quotes the address, and a password may stand in it
        found = error_finding(
            "redis", "REDIS_URL cannot be understood.", "Write it as redis://user:password@host:6379/0."
        )
    except (TimeoutError, OSError) as said:
        found = error_finding(
            "redis", f"The store did not come up ({type(said).__name__}).", "Look at ZOFBOT_DATA_DIR and disk."
        )
    return [found], []


async def _check_open_store(
    opened: Store, settings: Settings, clock: Clock
) -> tuple[list[Finding], list[Subscription]]:
    namespace = settings.zofbot_namespace
    times = [await _time_ping(opened, clock) for _ in range(1 + PING_COUNT)][1:]  # the first one connects
    found = [*store.check_health(await read_redis_info(opened.client)), store.check_latency(times)]
    if refused := await find_refused_writes(opened.client, namespace):
        return [*found, *map(store.problem_finding, refused)], []
    records = await Subscriptions(opened.client, namespace).read_records()
    waiting = await Outbox(opened.client, namespace, clock).list_records(NotificationState.PENDING, MAX_WAITING_RECORDS)
    number = await stored_schema(opened.client, namespace)
    found += store.check_records(records, [entry.schema for entry in waiting], number)
    if settings.webhook_secrets:
        last = await PendingRuns(opened.client, namespace, clock).last_delivery()
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

    def note_date(call: CallRecord) -> None:
        dates.append((call.date, clock.time()))

    try:
        client = make_zof_client(settings, Metrics(), clock, on_call=note_date)
    except SettingsError as said:
        return [error_finding("zof", problem, "Correct that setting.") for problem in said.problems]
    try:
        tried = await _try_permissions(client, patience)
    finally:
        await client.aclose()
    skews = [item for date, at in [date for date in dates if date[0]][:1] for item in check_clock("Zof", date, at)]
    return [*zof.check_permissions(tried), zof.runs_not_checked(settings.zofbot_allow_runs), *skews]


async def _try_permissions(client: ZofClient, patience: TimeBudget) -> dict[str, ZofError | None]:
    """Read a page of each list, then the first item of each; what is not there to be read is left out."""
    lists: dict[str, AsyncGenerator[Any, None]] = {
        "runs": client.list_runs(patience=patience, pages=1),
        "results": client.list_results(patience=patience, pages=1),
        "projects": client.list_projects(patience=patience, pages=1),
        "schedules": client.list_schedules(patience=patience, pages=1),
        "webhooks": client.list_endpoints(patience=patience, pages=1),
    }
    heard = dict(zip(lists, await asyncio.gather(*map(_first_id, lists.values())), strict=True))
    tried = {f"the list of {name}": said for name, (_, said) in heard.items()}
    (run, _), (result, _) = heard["runs"], heard["results"]
    if run:
        tried["a run"] = await _catch_zof_error(client.get_run(run, patience=patience))
    if result:
        tried["a result"] = await _catch_zof_error(client.get_result(result, patience=patience))
    return tried


async def _first_id(pages: AsyncGenerator[Any, None]) -> tuple[str, ZofError | None]:
    """The id of the first item there is, or why it is not known."""
    try:
        page = await anext(pages, ())
    except ZofError as said:
        return "", said
    finally:
        await pages.aclose()
    return next((item.id for item in page if item.id), ""), None


async def _catch_zof_error(asking: Any) -> ZofError | None:
    try:
        await asking
    except ZofError as said:
        return said
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
            endpoints.check_endpoint(path, said)
            for path, said in zip(paths, await asyncio.gather(*map(read_status, paths)), strict=True)
        ]
