"""The services of one process, each made once from the settings and shared by endpoints and workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import SystemRandom
from urllib.parse import urlsplit

import aiohttp

from zofbot.alerting.mention_limit import MAX_MENTIONS, MENTION_WINDOW_SECONDS
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.permissions import Roles
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.observability.emitter import EventEmitter
from zofbot.polling import status
from zofbot.polling.poller import Poller, lease_seconds
from zofbot.services import canary, digest_job
from zofbot.services.canary import Canary, ZofClock
from zofbot.services.postponing import Postponing
from zofbot.services.preparation import NotificationPreparer
from zofbot.services.resolution_links import ResolutionLinker
from zofbot.services.run_commands import RunCommands
from zofbot.services.triage import TriageService
from zofbot.slack import shared_channels
from zofbot.slack.calls import CALL_DEADLINE_SECONDS, SlackCalls
from zofbot.slack.client import SlackClient
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
from zofbot.zof.client import ZofClient

MAX_NOTIFIED_ADMINS = 20
"""At most this many admins are notified about the default channel."""


class Services:
    """Everything that the endpoints and the workers share."""

    def __init__(  # noqa: PLR0913, PLR0917  (one for each external system)
        self,
        settings: Settings,
        store: Store,
        zof: ZofClient,
        notifier: SlackClient,
        events: EventEmitter,
        clock: Clock,
    ) -> None:
        keyspace = store.keyspace
        self.settings, self.store, self.zof = settings, store, zof
        self.notifier, self.events, self.clock = notifier, events, clock
        self.links = make_links(settings)
        self.outbox = Outbox(keyspace, clock)
        self.subscriptions = Subscriptions(keyspace)
        self.hints = PendingRuns(keyspace, clock)
        self.trials = WebhookTrials(keyspace, clock)
        self.roles = Roles.from_settings(
            settings.zofbot_responders, settings.zofbot_operators, settings.zofbot_admins,
            runs=settings.zofbot_allow_runs,
        )  # fmt: skip
        traces = TraceStore(keyspace)
        self.traces = TraceWriter(traces, events, clock, settings.all_secrets())
        self.people = Directory(notifier, clock, self.roles.group_ids, store.read_change_count)
        self.run_commands = RunCommands(self.outbox, zof, clock)
        self.mentions = Mentions(keyspace, clock, most=MAX_MENTIONS, window=MENTION_WINDOW_SECONDS)

    def use_secrets(self, settings: Settings) -> None:
        """Switch to the secrets in ``settings``, after a rotation."""
        self.traces.add_secrets(*settings.all_secrets())
        self.notifier.use_token(settings.slack_bot_token.get_secret_value())
        self.zof.use_key(settings.zof_api_key.get_secret_value())

    def make_dispatcher(self) -> Dispatcher:
        """Make the dispatcher, which sends the outbox's notifications to Slack."""

        def render_claim(claimed: Claim, now: float) -> Message:
            return renderer.render_notification(claimed, now, self.links, runs=self.settings.zofbot_allow_runs)

        failures = TriageService(self.outbox, self.clock, self.events)
        postponing = Postponing(self.outbox, self.subscriptions, failures, self.clock)
        hide_details = shared_channels.SharedChannelFilter(
            self.people.readers_of,
            self._commit_notification,
            self.clock,
            shared_channels.remove_images if self.settings.zofbot_shared_details else None,
        )
        prepare = NotificationPreparer(
            self.outbox,
            postponing,
            self.mentions,
            self.clock,
            hide_details,
        )
        return Dispatcher(
            self.outbox,
            self.notifier,
            render_claim,
            self.events,
            self.clock,
            random=SystemRandom().random,
            on_parked=self.report_refusal,
            on_removed=self.report_removal,
            prepare=ResolutionLinker(prepare, self.outbox, self.notifier.fetch_permalink),
        )

    def make_poller(self) -> Poller:
        """Make the poller, which reads Zof's runs and results."""
        settings = self.settings
        seconds = lease_seconds(settings.zofbot_poll_interval)
        lease = Lease(self.store.keyspace, status.POLLER_LEASE, seconds, self.clock)
        return Poller(
            self.zof,
            self.outbox,
            self.hints,
            lease,
            events=self.events,
            clock=self.clock,
            random=SystemRandom().random,
            interval=settings.zofbot_poll_interval,
            lookback=settings.zofbot_lookback,
            order=None if settings.zof_list_order == "auto" else settings.zof_list_order,
            default_channel=settings.zofbot_default_channel,
            digester=digest_job.DigestJob(
                TriageService(self.outbox, self.clock, self.events),
                AuditLog(self.store.keyspace),
            ),
        )

    def make_canary(self, watch: ZofClock) -> Canary:
        """Make the canary, which tests the whole path from Zof to Slack; ``watch`` holds the skew of Zof's clock."""
        settings = self.settings
        seconds = canary.lease_seconds(settings.zofbot_canary_interval)
        return Canary(
            settings.zofbot_canary_channel,
            store=self.store,
            outbox=self.outbox,
            notifier=self.notifier,
            zof=self.zof,
            watch=watch,
            lease=Lease(self.store.keyspace, canary.CANARY_LEASE, seconds, self.clock),
            events=self.events,
            clock=self.clock,
            interval=settings.zofbot_canary_interval,
        )

    async def _commit_notification(self, notification: Notification) -> None:
        await self.outbox.commit([notification])

    async def report_refusal(self, channel: str, reason: str) -> None:
        """Notify the people responsible for a channel that refuses messages; its messages wait until it is fixed."""
        name = f"parked:{channel}:{reason}:{self.clock.now():%G-%V}"  # at most once a week
        await self._notify_responsible(
            channel, name, channel_notes.blocked_channel_note(reason), known=reason != "channel_not_found"
        )

    async def report_removal(self, root: str, channel: str) -> None:
        """Notify the people responsible for a channel that an alert was deleted from it twice."""
        await self._notify_responsible(channel, f"removed:{root}", channel_notes.ALERT_REMOVED_NOTE)

    async def _notify_responsible(self, channel: str, name: str, text: str, *, known: bool = True) -> None:
        """Send ``text`` to everybody who subscribed the channel, and for the default channel to the admins too.

        A channel that Slack does not know (``known=False``) is named by its id, because a message cannot link to it.
        """
        users = {item.by for item in await self.subscriptions.list_for_channel(channel) if item.by}
        if channel == self.settings.zofbot_default_channel:
            text = f"{channel_notes.DEFAULT_CHANNEL_NOTE} {text}"
            users |= set(sorted(await self.people.admin_ids(self.roles.admins))[:MAX_NOTIFIED_ADMINS])
        body = channel_notes.note_payload(text, channel) if known else channel_notes.note_payload(f"{channel}: {text}")
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


def make_zof_client(settings: Settings, events: EventEmitter, clock: Clock, store: Store | None = None) -> ZofClient:
    """Make the client of Zof's API; with a ``store``, processes share their knowledge of the quota."""
    return ZofClient(
        base_url=settings.zof_base_url,
        key=settings.zof_api_key.get_secret_value(),
        status_param=settings.zof_status_param,
        project_param=settings.zof_project_param,
        since_param=settings.zof_since_param,
        bare_duration_unit=settings.zof_duration_unit,
        extra_fields=settings.extra_fields,
        clock=clock,
        board=store,
        events=events,
    )


def make_links(settings: Settings) -> ZofLinks:
    """Make the builder of links to Zof, from the URL templates and the allowed hosts."""
    return ZofLinks(settings.zof_run_url_template, settings.zof_result_url_template, settings.link_hosts)


@asynccontextmanager
async def open_slack_client(
    settings: Settings, events: EventEmitter, clock: Clock, *, deadline: float = CALL_DEADLINE_SECONDS
) -> AsyncIterator[SlackClient]:
    """Open a Slack client for these settings; one call may take ``deadline`` seconds.

    The environment's proxy is used, except for loopback addresses.
    """
    is_local = urlsplit(settings.slack_api_url).hostname in ("127.0.0.1", "localhost", "::1")
    async with aiohttp.ClientSession(trust_env=not is_local) as session:
        token = settings.slack_bot_token.get_secret_value()
        yield SlackClient(
            SlackCalls(
                session, token=token, api_url=settings.slack_api_url, events=events, clock=clock, deadline=deadline
            )
        )
