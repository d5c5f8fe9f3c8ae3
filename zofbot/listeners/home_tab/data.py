"""Data of App Home: a shared snapshot from Redis, and each person's part of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from zofbot.alerting.state import MUTES
from zofbot.domain.errors import SlackError, StoreUnavailable
from zofbot.domain.permissions import Person, Role, role_of
from zofbot.listeners.causes import cause_row
from zofbot.listeners.context import ListenerContext
from zofbot.notifications.notification import NotificationState, Receipt
from zofbot.polling import status
from zofbot.services.cause_costs import DEFAULT_PERIOD_SECONDS, CauseCost, compute_costs
from zofbot.services.daily_stats import DailyStatsReader
from zofbot.services.failures import Failure
from zofbot.services.triage import without_split_storms, without_storm_members
from zofbot.slack.cache import TtlCache
from zofbot.slack.views.blocks import Block
from zofbot.slack.views.causes import CauseRow
from zofbot.slack.views.home.channel_sections import MAX_FAILURE_ROWS
from zofbot.slack.views.home.health_section import MAX_DEAD_LETTERS
from zofbot.slack.views.home.home_data import (
    BotHealth,
    DeadLetterRow,
    FailureList,
    HomeData,
    HomeSubscription,
    ZofProblem,
)
from zofbot.slack.views.oncall import FailureRow
from zofbot.store.leases import Lease, LeaseState
from zofbot.store.records import OutboxRecord, OutboxStats
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.filters import filters_text
from zofbot.subscriptions.mute import Mute, read_mutes
from zofbot.triage import TriageState

log = structlog.get_logger()

MAX_TOP_CAUSES = 3

LATE_AFTER_INTERVALS = 3
"""Poll intervals after which polling counts as late; a cycle's status is stored by the next one."""

PERMALINK_CACHE_SECONDS = 30 * 86400.0
"""Seconds that a permalink is cached: it never changes."""


@dataclass(frozen=True)
class HomeSnapshot:
    """Shared data from Redis: open failures (oldest first), closed ones, subscriptions, mutes, and the bot's health."""

    failures: Sequence[Failure] = ()
    closed: Sequence[Failure] = ()
    subscriptions: Sequence[Subscription] = ()
    depth: OutboxStats | None = None
    letters: Sequence[OutboxRecord] = ()
    poller: LeaseState | None = None
    mutes: Sequence[Mute] = ()
    trouble: str = ""
    """The error from Redis; if it is set, all other fields are empty."""

    @property
    def channels(self) -> set[str]:
        """The channels that some of it is about."""
        failing = {failure.channel for failure in (*self.failures, *self.closed)}
        return failing | {each.channel for each in self.subscriptions} | {mute.channel for mute in self.mutes}


class HomeDataLoader:
    """Loader of App Home data."""

    def __init__(self, context: ListenerContext, day: DailyStatsReader) -> None:
        self._context, self._day = context, day
        self._lease = Lease(context.store.keyspace, status.POLLER_LEASE, 0, context.clock)
        self._links = TtlCache(self._fetch_permalink, context.clock, fresh=PERMALINK_CACHE_SECONDS)

    async def load_snapshot(self) -> HomeSnapshot:
        """Read the shared data from Redis."""
        context = self._context
        try:
            failures, subscriptions, depth, letters, poller, kept = await asyncio.gather(
                context.failures.list_failures(), context.subscriptions.list_all(), context.outbox.read_stats(),
                context.outbox.list_records(NotificationState.DEAD, MAX_DEAD_LETTERS), self._lease.read_state(),
                context.outbox.read_hashes(MUTES),
            )  # fmt: skip
        except StoreUnavailable as error:
            return HomeSnapshot(trouble=error.sentence)
        open_failures = [failure for failure in failures if not failure.present.state.is_closed]
        closed = [failure for failure in failures if failure.present.state.is_closed]
        mutes = read_mutes(kept[MUTES])
        return HomeSnapshot(
            sorted(open_failures, key=_age_key), closed, subscriptions, depth, letters, poller, mutes=mutes
        )

    async def build_home_data(self, person: Person, known: HomeSnapshot, note: Sequence[Block] = ()) -> HomeData:
        """Build one person's Home: failures in their channels, and those they own in all channels visible to them."""
        context, role = self._context, role_of(person, self._context.roles)
        rooms = await context.people.joined_channels(person, known.channels)
        here = [failure for failure in known.failures if failure.channel in (rooms or ())]
        waiting = [
            member
            for member in without_storm_members(here)
            if member.present.state is TriageState.OPEN and not member.present.owner.id
        ]
        theirs = [member for member in without_storm_members(known.failures) if member.present.owner.id == person.id]
        visible = await context.people.visible_channels(person, {item.channel for item in theirs})
        return HomeData(
            now=context.clock.time(),
            figures=self._day.figures,
            open=len(without_split_storms(here)),
            since=_age_key(waiting[0])[0] if waiting else None,
            mine=await self._failure_list([item for item in theirs if item.channel in visible]),
            waiting=await self._failure_list(waiting),
            causes=self._top_causes(
                [*here, *(failure for failure in known.closed if failure.channel in (rooms or ()))]
            ),
            wishes=[
                await self._subscription_row(each) for each in known.subscriptions if each.channel in (rooms or ())
            ],
            muted=[mute for mute in known.mutes if mute.channel in (rooms or ()) and mute.until > context.clock.time()],
            health=self._build_health(known),
            rooms=rooms is not None,
            edits=role >= Role.RESPONDER,
            retries=role >= Role.ADMIN,
            links=context.links,
            note=note,
            schedules=context.catalog.named_schedules(),
        )

    async def _subscription_row(self, subscription: Subscription) -> HomeSubscription:
        filters = await self._context.people.names.with_names(filters_text(subscription))
        return HomeSubscription(subscription.id, subscription.channel, filters)

    def _top_causes(self, failures: Iterable[Failure]) -> list[CauseRow]:
        """Return the causes with most failures, each in the channel where it has most: channels may share failures."""
        now = self._context.clock.time()
        by_channel: dict[str, list[Failure]] = {}
        for failure in failures:
            by_channel.setdefault(failure.channel, []).append(failure)
        costs = [cost for own in by_channel.values() for cost in compute_costs(own, now - DEFAULT_PERIOD_SECONDS, now)]
        top: dict[str, CauseCost] = {}
        for cost in sorted(costs, key=lambda cost: (-cost.failures, -cost.seconds, cost.signature)):
            top.setdefault(cost.signature, cost)
        return [cause_row(cost, cost.alerts[0].channel) for cost in list(top.values())[:MAX_TOP_CAUSES]]

    async def _failure_list(self, failures: Sequence[Failure]) -> FailureList:
        shown = failures[:MAX_FAILURE_ROWS]
        links = await asyncio.gather(*(self._alert_link(item) for item in shown))
        rows = [
            FailureRow(item.title, item.body, item.present, link, item.channel)
            for item, link in zip(shown, links, strict=True)
        ]
        return FailureList(rows, len(failures))

    async def _alert_link(self, failure: Failure) -> str:
        """Return the alert's permalink; empty if it is not sent yet or Slack does not answer."""
        try:
            entry = await self._context.outbox.get_record(failure.key)
            return (
                await self._links.get(f"{entry.receipt.channel} {entry.receipt.ts}") if entry and entry.receipt else ""
            )
        except (SlackError, StoreUnavailable) as error:
            log.info("no permalink", key=failure.key, error=type(error).__name__)
            return ""

    async def _fetch_permalink(self, place: str) -> str:
        return await self._context.notifier.fetch_permalink(Receipt(*place.split()))

    def _build_health(self, known: HomeSnapshot) -> BotHealth:
        zof, depth = self._day.trouble, known.depth
        read_problem = ZofProblem(zof.sentence, zof.request_id or "") if zof else None
        lacking = [ZofProblem(each.sentence, each.request_id or "") for each in self._context.catalog.refusal_errors]
        if known.poller is None or depth is None:
            return BotHealth(zof=read_problem, lacking=lacking, store=known.trouble)
        polled = status.parse_status(known.poller.note)
        poll_problem = ZofProblem(polled.error, polled.request_id, polled.failed_at) if polled.failed_at else None
        late = (
            self._context.clock.time() - polled.succeeded_at
            > LATE_AFTER_INTERVALS * self._context.settings.zofbot_poll_interval
        )
        letters = [
            DeadLetterRow(letter.key, letter.channel, letter.reason, letter.committed) for letter in known.letters
        ]
        return BotHealth(
            zof=read_problem or poll_problem, lacking=lacking, polled=polled.succeeded_at, polling=known.poller.held,
            late=late,
            waiting=depth.pending + depth.sending - depth.scheduled, oldest=depth.oldest, parked=depth.parked,
            paused=depth.paused, dead=depth.dead, letters=letters,
        )  # fmt: skip


def _age_key(failure: Failure) -> tuple[float, str]:
    return failure.body.opened or failure.present.opened, failure.key
