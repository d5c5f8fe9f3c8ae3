"""The rooms of the house: what doors and hall share in one process, each made from the settings once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import SystemRandom
from urllib.parse import urlsplit

import aiohttp

from zofbot.alerting.mention_limit import MAX_MENTIONS, MENTION_WINDOW_SECONDS
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.permissions import Roles
from zofbot.notifications.notification import Claim, Notification, NotificationKind, UndecidedNotification
from zofbot.notifications.payloads import ReminderPayload, holds_payload
from zofbot.observability.metrics import Metrics, status_label
from zofbot.polling import status
from zofbot.polling.poller import Poller, lease_seconds
from zofbot.services import canary, digest_job
from zofbot.services.canary import Canary, ZofClock
from zofbot.services.failures import TriageService
from zofbot.services.postponing import Postponing
from zofbot.services.run_commands import RunCommands
from zofbot.slack import shared_channels
from zofbot.slack.client import CALL_DEADLINE_SECONDS, SlackClient
from zofbot.slack.directory import Directory
from zofbot.slack.links import ZofLinks
from zofbot.slack.views import channel_notes, renderer
from zofbot.slack.views.blocks import Message
from zofbot.store import Store
from zofbot.store.audit import AuditLog
from zofbot.store.leases import Lease
from zofbot.store.mentions import Mentions
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import TraceStore, TraceWriter
from zofbot.store.webhook_trials import WebhookTrials
from zofbot.zof.client import CallRecord, ZofClient

MAX_NOTIFIED_ADMINS = 20
"""Admins who are written to about the default channel."""


class Services:
    """All of them."""

    def __init__(  # noqa: PLR0913, PLR0917  (one for each outside thing)
        self,
        settings: Settings,
        store: Store,
        zof: ZofClient,
        notifier: SlackClient,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        namespace = settings.zofbot_namespace
        self.settings, self.store, self.zof = settings, store, zof
        self.notifier, self.metrics, self.clock = notifier, metrics, clock
        self.links = make_links(settings)
        self.outbox = Outbox(store.client, namespace, clock)
        self.subscriptions = Subscriptions(store.client, namespace)
        self.hints = PendingRuns(store.client, namespace, clock)
        self.trials = WebhookTrials(store.client, namespace, clock)
        self.roles = Roles.from_settings(
            settings.zofbot_responders, settings.zofbot_operators, settings.zofbot_admins,
            runs=settings.zofbot_allow_runs,
        )  # fmt: skip
        traces = TraceStore(store.client, namespace)
        self.traces = TraceWriter(traces, metrics, clock, settings.all_secrets())
        self.people = Directory(notifier, clock, self.roles.group_ids, store.read_change_count)
        self.orders = RunCommands(self.outbox, zof, clock)
        self.mentions = Mentions(store.client, namespace, clock, most=MAX_MENTIONS, window=MENTION_WINDOW_SECONDS)

    def use_secrets(self, settings: Settings) -> None:
        """Go on with other secrets."""
        self.traces.add_secrets(*settings.all_secrets())
        self.notifier.use_token(settings.slack_bot_token.get_secret_value())
        self.zof.use_key(settings.zof_api_key.get_secret_value())

    def make_dispatcher(self) -> Dispatcher:
        """Make the writer of channel messages."""

        def render_claim(claimed: Claim, now: float) -> Message:
            return renderer.render_notification(claimed, now, self.links, runs=self.settings.zofbot_allow_runs)

        wanted = digest_job.make_digest_filter(self.outbox, self.clock)
        failures = TriageService(self.outbox, self.clock, self.metrics)
        postponing = Postponing(self.outbox, self.subscriptions, failures, self.clock)
        veil = shared_channels.SharedChannelFilter(self.people.readers_of, self._commit_notification, self.clock)

        async def prepare_claim(claimed: Claim) -> Claim:
            known = await postponing(await wanted(claimed))
            await self._pace_mentions(claimed)
            return known if self.settings.zofbot_shared_details else await veil(known)

        return Dispatcher(
            self.outbox,
            self.notifier,
            render_claim,
            self.metrics,
            self.clock,
            random=SystemRandom().random,
            on_parked=self.report_refusal,
            on_removed=self.report_removal,
            veil=prepare_claim,
            keep=self.traces.add_trace,
        )

    async def _pace_mentions(self, claimed: Claim) -> None:
        """Put off a timer that would mention somebody too often.

        Raises UndecidedNotification, UnwantedNotification where there is nothing to say any more, and StoreUnavailable.
        """
        body = claimed.notification.body
        if not holds_payload(body, ReminderPayload) or not body.get("mention"):
            return
        renderer.render_notification(claimed, self.clock.time())
        one = claimed.notification
        wait = await self.mentions.take(one.channel, body["mention"], one.key)
        if wait:
            raise UndecidedNotification(wait)

    def make_poller(self) -> Poller:
        """Make the reader of Zof."""
        chosen = self.settings
        seconds = lease_seconds(chosen.zofbot_poll_interval)
        lease = Lease(self.store.client, chosen.zofbot_namespace, status.POLLER_LEASE, seconds, self.clock)
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
            digester=digest_job.DigestJob(
                TriageService(self.outbox, self.clock, self.metrics),
                AuditLog(self.store.client, chosen.zofbot_namespace),
            ),
            keep=self.traces.add_trace,
        )

    def make_canary(self, watch: ZofClock) -> Canary:
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
            lease=Lease(self.store.client, chosen.zofbot_namespace, canary.CANARY_LEASE, seconds, self.clock),
            metrics=self.metrics,
            clock=self.clock,
            interval=chosen.zofbot_canary_interval,
        )

    async def _commit_notification(self, notification: Notification) -> None:
        await self.outbox.commit([notification])

    async def report_refusal(self, channel: str, reason: str) -> None:
        """Write to those responsible for a channel that refuses; once the channel is mended, what waits is sent."""
        name = f"parked:{channel}:{reason}:{self.clock.now():%G-%V}"  # once a week, however often it is tried
        await self._notify_responsible(
            channel, name, channel_notes.blocked_channel_note(reason), known=reason != "channel_not_found"
        )

    async def report_removal(self, root: str, channel: str) -> None:
        """Write to those responsible for a channel that an alert was removed from it twice."""
        await self._notify_responsible(channel, f"removed:{root}", channel_notes.ALERT_REMOVED_NOTE)

    async def _notify_responsible(self, channel: str, name: str, said: str, *, known: bool = True) -> None:
        """Write to whoever subscribed a channel, and to the admins where it is the default one, which nobody did.

        A channel that is not ``known`` to Slack is named by its id: no message may link to it.
        """
        users = {item.by for item in await self.subscriptions.list_for_channel(channel) if item.by}
        if channel == self.settings.zofbot_default_channel:
            said = f"{channel_notes.DEFAULT_CHANNEL_NOTE} {said}"
            users |= set(sorted(await self.people.admin_ids(self.roles.admins))[:MAX_NOTIFIED_ADMINS])
        body = channel_notes.note_payload(said, channel) if known else channel_notes.note_payload(f"{channel}: {said}")
        for user in sorted(users):
            note = Notification(
                key=f"{name}:{user}",
                kind=NotificationKind.ROOT,
                channel=user,
                body=body,
                happened=self.clock.time(),
                critical=True,
            )
            await self.outbox.commit([note])


def make_zof_client(
    settings: Settings,
    metrics: Metrics,
    clock: Clock,
    store: Store | None = None,
    heard: Callable[[CallRecord], None] = lambda call: None,
) -> ZofClient:
    """Make the one way to Zof; with a ``store``, processes share what they learn of the quota.

    ``heard`` is given each call when it is over.
    """

    def observe_call(call: CallRecord) -> None:
        heard(call)
        metrics.zof_calls.labels(call.method, call.template, call.outcome, status_label(call.status)).inc()
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
        observe=observe_call,
    )


def make_links(settings: Settings) -> ZofLinks:
    """Say which links may be shown."""
    return ZofLinks(settings.zof_run_url_template, settings.zof_result_url_template, settings.link_hosts)


@asynccontextmanager
async def open_slack_client(
    settings: Settings, metrics: Metrics, clock: Clock, *, deadline: float = CALL_DEADLINE_SECONDS
) -> AsyncIterator[SlackClient]:
    """Give the way to Slack of these settings; one call may take ``deadline`` seconds.

    A proxy may stand in between, but never before loopback.
    """
    near = urlsplit(settings.slack_api_url).hostname in ("127.0.0.1", "localhost", "::1")
    async with aiohttp.ClientSession(trust_env=not near) as session:
        token = settings.slack_bot_token.get_secret_value()
        yield SlackClient(
            session, token=token, api_url=settings.slack_api_url, metrics=metrics, clock=clock, deadline=deadline
        )
