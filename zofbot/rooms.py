"""The rooms of the house: what doors and hall share in one process, each made from the settings once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import SystemRandom
from urllib.parse import urlsplit

import aiohttp

from zofbot.access import Roles
from zofbot.clock import Clock
from zofbot.metrics import Metrics, status_of
from zofbot.notification import Claimed, Kind, Notification, Undecided
from zofbot.pipeline import canary, digester, word
from zofbot.pipeline.canary import Canary, Watch
from zofbot.pipeline.dispatcher import Dispatcher
from zofbot.pipeline.failures import Failures
from zofbot.pipeline.orders import Orders
from zofbot.pipeline.pings import MAX_PINGS, PINGS_SECONDS
from zofbot.pipeline.poller import Poller, lease_seconds
from zofbot.pipeline.postponing import Postponing
from zofbot.settings import Settings
from zofbot.slack import alerts, catch_up, digests, discretion, lines, trials
from zofbot.slack.links import Links
from zofbot.slack.message import Message
from zofbot.slack.notifier import DEADLINE, SlackNotifier
from zofbot.slack.people import People
from zofbot.store import Store
from zofbot.store.audit import Audit
from zofbot.store.hints import Hints
from zofbot.store.leases import Lease
from zofbot.store.mentions import Mentions
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import Traces, TraceWriter
from zofbot.store.webhook_trials import WebhookTrials
from zofbot.zof.client import ZofCall, ZofClient

MAX_ADMINS = 20
"""Admins who are written to about the default channel."""


class Rooms:
    """All of them."""

    def __init__(  # noqa: PLR0913, PLR0917  (one for each outside thing)
        self,
        settings: Settings,
        store: Store,
        zof: ZofClient,
        notifier: SlackNotifier,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        namespace = settings.zofbot_namespace
        self.settings, self.store, self.zof = settings, store, zof
        self.notifier, self.metrics, self.clock = notifier, metrics, clock
        self.links = links(settings)
        self.outbox = Outbox(store.client, namespace, clock)
        self.subscriptions = Subscriptions(store.client, namespace)
        self.hints = Hints(store.client, namespace, clock)
        self.trials = WebhookTrials(store.client, namespace, clock)
        self.roles = Roles.read(
            settings.zofbot_responders, settings.zofbot_operators, settings.zofbot_admins,
            runs=settings.zofbot_allow_runs,
        )  # fmt: skip
        traces = Traces(store.client, namespace)
        self.traces = TraceWriter(traces, metrics, clock, settings.secrets())
        self.people = People(notifier, clock, self.roles.groups, store.changes)
        self.orders = Orders(self.outbox, zof, clock)
        self.mentions = Mentions(store.client, namespace, clock, most=MAX_PINGS, window=PINGS_SECONDS)

    def rekey(self, settings: Settings) -> None:
        """Go on with other secrets."""
        self.traces.learn(*settings.secrets())
        self.notifier.rekey(settings.slack_bot_token.get_secret_value())
        self.zof.rekey(settings.zof_api_key.get_secret_value())

    def dispatcher(self) -> Dispatcher:
        """Make the writer of channel messages."""

        def render(claimed: Claimed, now: float) -> Message:
            body = claimed.notification.body
            own = lines.drawn(body) or digests.drawn(body) or catch_up.drawn(body) or trials.drawn(claimed, now)
            message = own or alerts.render(claimed, now, self.links, runs=self.settings.zofbot_allow_runs)
            return message.noted(discretion.DETAILS_FOLLOW) if claimed.details_follow else message

        wanted = digester.wanted(self.outbox, self.clock)
        failures = Failures(self.outbox, self.clock, self.metrics)
        postponing = Postponing(self.outbox, self.subscriptions, failures, self.clock)
        veil = discretion.Discretion(self.people.readers, self._promise, self.clock)

        async def before(claimed: Claimed) -> Claimed:
            known = await postponing(await wanted(claimed))
            await self._pace_mentions(claimed)
            return known if self.settings.zofbot_shared_details else await veil(known)

        return Dispatcher(
            self.outbox,
            self.notifier,
            render,
            self.metrics,
            self.clock,
            random=SystemRandom().random,
            on_parked=self.report_refusal,
            on_removed=self.report_removal,
            veil=before,
            keep=self.traces.keep,
        )

    async def _pace_mentions(self, claimed: Claimed) -> None:
        """Put off a timer that would mention somebody too often.

        Raises Undecided, Unwanted where there is nothing to say any more, and StoreUnavailable.
        """
        body = claimed.notification.body
        if body.get("card") != "timer" or not body.get("mention"):
            return
        alerts.render(claimed, self.clock.time())
        one = claimed.notification
        wait = await self.mentions.take(one.channel, body["mention"], one.key)
        if wait:
            raise Undecided(wait)

    def poller(self) -> Poller:
        """Make the reader of Zof."""
        chosen = self.settings
        seconds = lease_seconds(chosen.zofbot_poll_interval)
        lease = Lease(self.store.client, chosen.zofbot_namespace, word.NAME, seconds, self.clock)
        return Poller(
            self.zof,
            self.outbox,
            self.hints,
            lease,
            metrics=self.metrics,
            clock=self.clock,
            random=SystemRandom().random,
            interval=chosen.zofbot_poll_interval,
            lookback=chosen.zofbot_lookback,
            order=None if chosen.zof_list_order == "auto" else chosen.zof_list_order,
            default_channel=chosen.zofbot_default_channel,
            digester=digester.Digester(
                Failures(self.outbox, self.clock, self.metrics), Audit(self.store.client, chosen.zofbot_namespace)
            ),
            keep=self.traces.keep,
        )

    def canary(self, watch: Watch) -> Canary:
        """Make what tries the whole way; ``watch`` hears Zof's clock."""
        chosen = self.settings
        seconds = canary.lease_seconds(chosen.zofbot_canary_interval)
        return Canary(
            chosen.zofbot_canary_channel,
            store=self.store,
            outbox=self.outbox,
            notifier=self.notifier,
            zof=self.zof,
            watch=watch,
            lease=Lease(self.store.client, chosen.zofbot_namespace, canary.LEASE, seconds, self.clock),
            metrics=self.metrics,
            clock=self.clock,
            interval=chosen.zofbot_canary_interval,
        )

    async def _promise(self, notification: Notification) -> None:
        await self.outbox.commit([notification])

    async def report_refusal(self, channel: str, reason: str) -> None:
        """Write to those responsible for a channel that refuses; once the channel is mended, what waits is sent."""
        name = f"parked:{channel}:{reason}:{self.clock.now():%G-%V}"  # once a week, however often it is tried
        await self._write_to_responsible(channel, name, lines.parked(reason), known=reason != "channel_not_found")

    async def report_removal(self, root: str, channel: str) -> None:
        """Write to those responsible for a channel that an alert was removed from it twice."""
        await self._write_to_responsible(channel, f"removed:{root}", lines.REMOVED)

    async def _write_to_responsible(self, channel: str, name: str, said: str, *, known: bool = True) -> None:
        """Write to whoever subscribed a channel, and to the admins where it is the default one, which nobody did.

        A channel that is not ``known`` to Slack is named by its id: no message may link to it.
        """
        users = {one.by for one in await self.subscriptions.of(channel) if one.by}
        if channel == self.settings.zofbot_default_channel:
            said = f"{lines.DEFAULT} {said}"
            users |= set(sorted(await self.people.admins(self.roles.admins))[:MAX_ADMINS])
        body = lines.body(said, channel) if known else lines.body(f"{channel}: {said}")
        for user in sorted(users):
            note = Notification(
                key=f"{name}:{user}", kind=Kind.ROOT, channel=user, body=body, happened=self.clock.time(), critical=True
            )
            await self.outbox.commit([note])


def zof_client(
    settings: Settings,
    metrics: Metrics,
    clock: Clock,
    store: Store | None = None,
    heard: Callable[[ZofCall], None] = lambda call: None,
) -> ZofClient:
    """Make the one way to Zof; with a ``store``, processes share what they learn of the quota.

    ``heard`` is given each call when it is over.
    """

    def observe(call: ZofCall) -> None:
        heard(call)
        metrics.zof_calls.labels(call.method, call.template, call.outcome, status_of(call.status)).inc()
        metrics.zof_seconds.labels(call.template).observe(call.seconds)
        metrics.zof_tries.inc(call.tries)
        if call.quota:
            metrics.zof_quota.set(call.quota.remaining)
            metrics.zof_quota_limit.set(call.quota.limit)

    return ZofClient(
        base_url=settings.zof_base_url,
        key=settings.zof_api_key.get_secret_value(),
        status_param=settings.zof_status_param,
        project_param=settings.zof_project_param,
        since_param=settings.zof_since_param,
        bare_duration_unit=settings.zof_duration_unit,
        clock=clock,
        board=store,
        observe=observe,
    )


def links(settings: Settings) -> Links:
    """Say which links may be shown."""
    return Links(settings.zof_run_url_template, settings.zof_result_url_template, settings.link_hosts)


@asynccontextmanager
async def slack_of(
    settings: Settings, metrics: Metrics, clock: Clock, *, deadline: float = DEADLINE
) -> AsyncIterator[SlackNotifier]:
    """Give the way to Slack of these settings; one call may take ``deadline`` seconds.

    A proxy may stand in between, but never before loopback.
    """
    near = urlsplit(settings.slack_api_url).hostname in ("127.0.0.1", "localhost", "::1")
    async with aiohttp.ClientSession(trust_env=not near) as session:
        token = settings.slack_bot_token.get_secret_value()
        yield SlackNotifier(
            session, token=token, api_url=settings.slack_api_url, metrics=metrics, clock=clock, deadline=deadline
        )
