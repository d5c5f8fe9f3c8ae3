"""The services of one process, each made once from the settings and shared by endpoints and workers."""

from __future__ import annotations

from functools import partial
from random import SystemRandom

from zofbot.alerting.mention_limit import MAX_MENTIONS, MENTION_WINDOW_SECONDS
from zofbot.clients import Clients, make_links
from zofbot.clock import Clock
from zofbot.concurrency import BackgroundTasks
from zofbot.config.settings import Settings
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.permissions import Roles
from zofbot.http.slack_endpoint import SlackEndpoint
from zofbot.http.zof_endpoint import ZofWebhookEndpoint
from zofbot.listeners import SlackApp
from zofbot.listeners.context import ListenerContext
from zofbot.notifications.notification import Claim, Notification
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall
from zofbot.observability.trace_recorder import TraceRecorder
from zofbot.polling import status
from zofbot.polling.context import PollContext, PollSettings
from zofbot.polling.poller import Poller, lease_seconds
from zofbot.polling.run_reader import RunReader
from zofbot.services import digest_job
from zofbot.services.canary import Canary, CanarySettings, ZofClock
from zofbot.services.catalog import Catalog
from zofbot.services.channel_contacts import ChannelContacts
from zofbot.services.postponing import Postponing
from zofbot.services.preparation import NotificationPreparer
from zofbot.services.resolution_links import ResolutionLinker
from zofbot.services.run_commands import RunCommands
from zofbot.services.triage import TriageService
from zofbot.slack import shared_channels
from zofbot.slack.directory import Directory
from zofbot.slack.views import renderer
from zofbot.slack.views.blocks import Message
from zofbot.store.audit import AuditLog
from zofbot.store.leases import Lease
from zofbot.store.mentions import Mentions
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import TraceStore, TraceWriter
from zofbot.store.webhook_trials import WebhookTrials


class Services:
    """Everything that the endpoints and the workers share, made from the settings."""

    def __init__(self, settings: Settings, clients: Clients, events: EventEmitter, clock: Clock) -> None:
        self.settings, self.events, self.clock = settings, events, clock
        self.clients = clients
        self.store, self.zof, self.notifier = clients.store, clients.zof, clients.slack
        keyspace = self.store.keyspace
        self.links = make_links(settings)
        self.outbox = Outbox(keyspace, clock)
        self.subscriptions = Subscriptions(keyspace)
        self.audit = AuditLog(keyspace)
        self.hints = PendingRuns(keyspace, clock)
        self.trials = WebhookTrials(keyspace, clock)
        self.roles = Roles.from_settings(
            settings.zofbot_responders, settings.zofbot_operators, settings.zofbot_admins,
            runs=settings.zofbot_allow_runs,
        )  # fmt: skip
        self.traces = TraceWriter(TraceStore(keyspace), events, clock, settings.all_secrets())
        self.people = Directory(self.notifier, clock, self.roles.group_ids, self.store.read_change_number)
        self.failures = TriageService(self.outbox, clock, events)
        self.run_commands = RunCommands(self.outbox, self.zof, clock)
        self.zof_clock = ZofClock(clock)
        events.add_hook(ZofCall, self.zof_clock.read_reply_time)
        events.add_hook(TraceRecorder, self.traces.add_trace)

    def use_secrets(self, settings: Settings) -> None:
        """Switch to the secrets in ``settings``, after a rotation."""
        self.traces.add_secrets(*settings.all_secrets())
        self.notifier.use_token(settings.slack_bot_token.get_secret_value())
        self.zof.use_key(settings.zof_api_key.get_secret_value())

    def make_dispatcher(self) -> Dispatcher:
        """Make the dispatcher, which sends the outbox's notifications to Slack."""

        def render_claim(claimed: Claim, now: float) -> Message:
            return renderer.render_notification(claimed, now, self.links, runs=self.settings.zofbot_allow_runs)

        async def commit_notification(notification: Notification) -> None:
            await self.outbox.commit([notification])

        hide_details = shared_channels.SharedChannelFilter(
            partial(self.people.readers_of, from_listing=True),
            commit_notification,
            self.clock,
            shared_channels.remove_images if self.settings.zofbot_shared_details else None,
        )
        prepare = NotificationPreparer(
            self.outbox,
            Postponing(self.outbox, self.subscriptions, self.failures, self.clock),
            Mentions(self.store.keyspace, self.clock, most=MAX_MENTIONS, window=MENTION_WINDOW_SECONDS),
            self.clock,
            hide_details,
        )
        contacts = ChannelContacts(
            self.outbox,
            self.subscriptions,
            self.clock,
            default_channel=self.settings.zofbot_default_channel,
            list_admins=partial(self.people.admin_ids, self.roles.admins),
        )
        return Dispatcher(
            self.outbox,
            self.notifier,
            render_claim,
            self.events,
            self.clock,
            random=SystemRandom().random,
            on_parked=contacts.report_refusal,
            on_removed=contacts.report_removal,
            prepare=ResolutionLinker(prepare, self.outbox, self.notifier.fetch_permalink),
        )

    def make_poller(self) -> Poller:
        """Make the poller, which reads Zof's runs and results."""
        settings = self.settings
        seconds = lease_seconds(settings.zofbot_poll_interval)
        lease = Lease(self.store.keyspace, status.POLLER_LEASE, seconds, self.clock)
        poll_settings = PollSettings(
            interval=settings.zofbot_poll_interval,
            lookback=settings.zofbot_lookback,
            order=settings.list_order,
            default_channel=settings.zofbot_default_channel,
        )
        context = PollContext(
            self.outbox,
            RunReader(self.zof, poll_settings.requests),
            poll_settings,
            self.events,
            self.clock,
            find_contacts=self.people.contacts.find_ids,
        )
        digester = digest_job.DigestJob(self.failures, self.audit)
        return Poller(context, self.hints, lease, random=SystemRandom().random, digester=digester)

    def make_canary(self) -> Canary:
        """Make the canary, which tests the whole path from Zof to Slack."""
        settings = CanarySettings(self.settings.zofbot_canary_channel, self.settings.zofbot_canary_interval)
        return Canary(settings, self.clients, self.outbox, self.zof_clock, self.events)

    def make_listener_context(self, background_tasks: BackgroundTasks) -> ListenerContext:
        """Make what the listeners work with; ``background_tasks`` runs the replies that take longer."""
        return ListenerContext(
            zof=self.zof,
            store=self.store,
            subscriptions=self.subscriptions,
            outbox=self.outbox,
            notifier=self.notifier,
            background_tasks=background_tasks,
            events=self.events,
            links=self.links,
            clock=self.clock,
            failures=self.failures,
            people=self.people,
            roles=self.roles,
            audit=self.audit,
            run_commands=self.run_commands,
            traces=self.traces,
            catalog=Catalog(self.zof, self.clock),
            settings=self.settings,
        )

    def make_slack_endpoint(self, slack_app: SlackApp) -> SlackEndpoint | None:
        """Make the endpoint for Slack's requests; None without a signing secret."""
        secrets = self.settings.signing_secrets
        return SlackEndpoint(slack_app, secrets, self.events, self.clock) if secrets else None

    def make_zof_endpoint(self) -> ZofWebhookEndpoint | None:
        """Make the endpoint for Zof's webhooks; None without a secret."""
        settings = self.settings
        if not settings.webhook_secrets:
            return None
        return ZofWebhookEndpoint(
            self.hints,
            settings.webhook_secrets,
            settings.zof_signature_header,
            self.events,
            self.clock,
            note=self.trials.record_arrival,
        )
