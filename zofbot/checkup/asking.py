"""Goes round and tries everything, each question with its own time limit; what it hears is judged elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
import stamina

from zofbot.checkup import doors, people, slack, store, zof
from zofbot.checkup.clock import skew
from zofbot.checkup.finding import Finding, error, ok
from zofbot.clock import Clock, timeout
from zofbot.errors import SettingsError, SlackError, StoreUnavailable, ZofError
from zofbot.metrics import Metrics
from zofbot.notification import State
from zofbot.redact import redact
from zofbot.rooms import slack_of, zof_client
from zofbot.routing import Subscription
from zofbot.settings import Settings
from zofbot.slack.notifier import Identity, SlackNotifier
from zofbot.store import Store, connected
from zofbot.store.embedded import embedded
from zofbot.store.hints import Hints
from zofbot.store.outbox import Outbox
from zofbot.store.schema import written
from zofbot.store.soundness import refusals, silence, vitals
from zofbot.store.subscriptions import Subscriptions, readable
from zofbot.zof.call import Patience, ZofCall
from zofbot.zof.client import ZofClient

T = TypeVar("T")

SECONDS = 4.0
"""How long each question may take; no chain of them is longer than three."""

MOST_CHANNELS = 40
"""Channels asked about: Slack answers about fifty such questions a minute."""

MOST_PEOPLE = 60
"""People asked about: Slack answers about a hundred such questions a minute."""

PINGS = 5
WAITING = 200
"""Notifications looked at for their version."""


async def examine(settings: Settings, clock: Clock, url: str = "", seconds: float = SECONDS) -> list[Finding]:
    """Try everything; ``url`` is where the doors are seen from outside. No failure is raised: each is a finding."""
    async with slack_of(settings, Metrics(), clock, deadline=seconds) as notifier:
        kept, subscriptions = await _store(settings, clock, seconds)  # alone, lest what others do count as its latency
        (tokens, takes), asked, tried = await asyncio.gather(
            _tokens(notifier, settings, clock),
            _zof(settings, clock, Patience(seconds)),
            _doors(settings, url, seconds),
        )
        told = await _channels(notifier, settings, [one.channel for one in subscriptions], takes)
        if takes:
            told += await _people(notifier, people.named(settings, subscriptions))
    secrets = settings.secrets()
    found = dict.fromkeys([*tokens, *told, *asked, *kept, *tried])

    def clean(said: str) -> str:
        return redact(said, *secrets)

    return [replace(one, about=clean(one.about), what=clean(one.what), mend=clean(one.mend)) for one in found]


async def _tokens(notifier: SlackNotifier, settings: Settings, clock: Clock) -> tuple[list[Finding], bool]:
    """Try the tokens; whether Slack takes the bot's."""
    token, app = settings.slack_bot_token.get_secret_value(), settings.slack_app_token.get_secret_value()
    wrong = {name: what for name, value in ((slack.BOT, token), (slack.APP, app))
             if (what := slack.misplaced_token(name, value))}  # fmt: skip
    who, opened = await asyncio.gather(
        _asked(notifier.identify()) if token and slack.BOT not in wrong else _nothing(),
        _opened(notifier, "" if slack.APP in wrong else app),
    )
    found = list(wrong.values())
    if slack.BOT not in wrong:
        found += [slack.missing(slack.BOT)] if who is None else slack.bot_token(who, settings.unfurl_domains)
    if app and slack.APP not in wrong:
        found.append(slack.app_token(opened))
    found.append(slack.signing_secret(settings))
    if isinstance(who, Identity):
        found += skew("Slack", who.date, clock.time(), signs=not settings.socket_mode)
    return found, isinstance(who, Identity)


async def _nothing() -> None:
    return None


async def _opened(notifier: SlackNotifier, app_token: str) -> SlackError | None:
    try:
        if app_token:
            await notifier.open_socket(app_token)
    except SlackError as said:
        return said
    return None


async def _channels(
    notifier: SlackNotifier, settings: Settings, subscribed: Sequence[str], takes: bool
) -> list[Finding]:
    set_ = [one for one in (settings.zofbot_default_channel, settings.zofbot_canary_channel) if one]
    every = [one for one in dict.fromkeys([*set_, *subscribed]) if not one.startswith("D")]  # nobody can leave those
    if not takes:
        return [ok("channels", "Not looked at, because Slack does not take the token.")] if every else []
    heard = await asyncio.gather(*(_asked(notifier.channel(one)) for one in every[:MOST_CHANNELS]))
    found = [slack.channel(one, said) for one, said in zip(every, heard, strict=False)]
    more = len(every) - MOST_CHANNELS
    return found + ([ok("channels", f"{more} more were not looked at, for Slack's pace.")] if more > 0 else [])


async def _people(notifier: SlackNotifier, named: dict[str, str]) -> list[Finding]:
    """Look up whom settings and subscriptions name, as far as Slack's pace allows."""
    groups = {one: where for one, where in named.items() if one.startswith("S")}
    persons = [(one, where) for one, where in named.items() if one not in groups][:MOST_PEOPLE]
    heard = await asyncio.gather(*(_asked(notifier.user(one)) for one, _ in persons))
    listed = await _asked(notifier.handles()) if groups else {}
    found = [people.person(one, where, said) for (one, where), said in zip(persons, heard, strict=True)]
    wrong = [*filter(None, found), *people.groups(groups, listed)]
    return wrong or ([ok("people", f"Slack knows all {len(named)} who are named.")] if named else [])


async def _asked(asking: Awaitable[T]) -> T | SlackError:
    try:
        return await asking
    except SlackError as said:
        return said


async def _store(settings: Settings, clock: Clock, seconds: float) -> tuple[list[Finding], list[Subscription]]:
    """Look at Redis; the subscriptions, as far as they could be read."""
    try:
        async with timeout(seconds), AsyncExitStack() as stack:
            address = settings.redis_url or await stack.enter_async_context(embedded(settings.zofbot_data_dir, clock))
            opened = await stack.enter_async_context(connected(address, settings.zofbot_namespace, clock))
            # Once more, for the store's patience is short, and a busy machine may use it up.
            twice = stamina.AsyncRetryingCaller(attempts=2, timeout=None)
            return await twice(StoreUnavailable, _kept, opened, settings, clock)
    except StoreUnavailable as said:
        found = store.danger(silence(said)) if settings.redis_url else error("redis", said.sentence, said.next_step)
    except SettingsError as said:
        found = error("redis", " ".join(said.problems), "Set REDIS_URL to a Redis of 6.2 or later.")
    except ValueError:  # the client quotes the address, and a password may stand in it
        found = error("redis", "REDIS_URL cannot be understood.", "Write it as redis://user:password@host:6379/0.")
    except (TimeoutError, OSError) as said:
        found = error(
            "redis", f"The store did not come up ({type(said).__name__}).", "Look at ZOFBOT_DATA_DIR and disk."
        )
    return [found], []


async def _kept(opened: Store, settings: Settings, clock: Clock) -> tuple[list[Finding], list[Subscription]]:
    namespace = settings.zofbot_namespace
    times = [await _ping(opened, clock) for _ in range(1 + PINGS)][1:]  # the first one connects
    found = [*store.soundness(await vitals(opened.client)), store.latency(times)]
    if refused := await refusals(opened.client, namespace):
        return [*found, *map(store.danger, refused)], []
    records = await Subscriptions(opened.client, namespace).records()
    waiting = await Outbox(opened.client, namespace, clock).list(State.PENDING, WAITING)
    number = await written(opened.client, namespace)
    found += store.records(records, [entry.schema for entry in waiting], number)
    if settings.webhook_secrets:
        last = await Hints(opened.client, namespace, clock).last_delivery()
        found.append(doors.delivery(last, clock.time()))
    return found, readable(records)


async def _ping(opened: Store, clock: Clock) -> float:
    began = clock.monotonic()
    await opened.ping()
    return clock.monotonic() - began


async def _zof(settings: Settings, clock: Clock, patience: Patience) -> list[Finding]:
    if not settings.zof_api_key.get_secret_value():
        return [slack.missing(zof.KEY)]
    dates: list[tuple[str, float]] = []

    def heard(call: ZofCall) -> None:
        dates.append((call.date, clock.time()))

    try:
        client = zof_client(settings, Metrics(), clock, heard=heard)
    except SettingsError as said:
        return [error("zof", problem, "Correct that setting.") for problem in said.problems]
    try:
        tried = await _permissions(client, patience)
    finally:
        await client.aclose()
    skews = [one for date, at in [one for one in dates if one[0]][:1] for one in skew("Zof", date, at)]
    return [*zof.permissions(tried), zof.untried(settings.zofbot_allow_runs), *skews]


async def _permissions(client: ZofClient, patience: Patience) -> dict[str, ZofError | None]:
    """Read a page of each list, then the first item of each; what is not there to be read is left out."""
    lists: dict[str, AsyncGenerator[Any, None]] = {
        "runs": client.runs(patience=patience, pages=1),
        "results": client.results(patience=patience, pages=1),
        "projects": client.projects(patience=patience, pages=1),
        "schedules": client.schedules(patience=patience, pages=1),
        "webhooks": client.endpoints(patience=patience, pages=1),
    }
    heard = dict(zip(lists, await asyncio.gather(*map(_first, lists.values())), strict=True))
    tried = {f"the list of {name}": said for name, (_, said) in heard.items()}
    (run, _), (result, _) = heard["runs"], heard["results"]
    if run:
        tried["a run"] = await _refusal(client.run(run, patience=patience))
    if result:
        tried["a result"] = await _refusal(client.result(result, patience=patience))
    return tried


async def _first(pages: AsyncGenerator[Any, None]) -> tuple[str, ZofError | None]:
    """The id of the first item there is, or why it is not known."""
    try:
        page = await anext(pages, ())
    except ZofError as said:
        return "", said
    finally:
        await pages.aclose()
    return next((item.id for item in page if item.id), ""), None


async def _refusal(asking: Any) -> ZofError | None:
    try:
        await asking
    except ZofError as said:
        return said
    return None


async def _doors(settings: Settings, url: str, seconds: float) -> list[Finding]:
    if not url or not doors.paths(settings):
        return [doors.untried(settings)]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(seconds), trust_env=True) as session:

        async def status(path: str) -> int | None:
            try:
                async with session.get(url.rstrip("/") + path, allow_redirects=False) as reply:
                    return reply.status
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                return None

        paths = doors.paths(settings)
        return [
            doors.door(path, said) for path, said in zip(paths, await asyncio.gather(*map(status, paths)), strict=True)
        ]
