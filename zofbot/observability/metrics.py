"""Prometheus metrics; every expected series exists from the start, with value 0."""

from __future__ import annotations

import math
from itertools import product

from prometheus_client import ProcessCollector, generate_latest

from zofbot import __version__
from zofbot.clock import Clock
from zofbot.domain.model import Quota
from zofbot.observability.metric_labels import (
    ACTION_NAMES,
    CANARY_LINKS,
    CYCLE_OUTCOMES,
    FEED_NAMES,
    FIND_OUTCOMES,
    INTAKE_SOURCES,
    LEASE_NAMES,
    OUTBOX_STATES,
    REQUEST_KINDS,
    SLACK_METHODS,
    SLACK_STATUSES_BY_OUTCOME,
    TRACE_OUTCOMES,
    WEBHOOK_ANSWERS,
    ZOF_CALLS,
    ZOF_EVENT_TYPES,
    ZOF_STATUSES_BY_OUTCOME,
)
from zofbot.observability.metric_registry import MetricRegistry

LATENESS_BUCKETS_SECONDS = (
    0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0,
)  # fmt: skip
CALL_BUCKETS_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
POLL_BUCKETS_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Metrics:
    """The metrics of one process, in their own registry; ``clock`` tells which values are outdated."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quota: Quota | None = None
        self.registry = MetricRegistry()
        ProcessCollector(registry=self.registry)
        self.build = self.registry.make_gauge(
            "zofbot_build_info", "1, labeled with the version", version=(__version__,)
        )
        self.build.labels(__version__).set(1)
        self.store_up = self.registry.make_gauge("zofbot_store_up", "1 while Redis accepts writes")
        self.slack_up = self.registry.make_gauge(
            "zofbot_slack_up", "1 once Slack has accepted the token and, with Socket Mode, while a connection is open"
        )
        self.lease = self.registry.make_gauge(
            "zofbot_lease_held",
            "1 while this process holds the lease; of all processes, one polls and one sends canaries",
            lease=LEASE_NAMES,
        )
        self.lease_taken = self.registry.make_counter(
            "zofbot_lease_takeovers", "Times this process took over the lease", lease=LEASE_NAMES
        )
        self._add_zof_metrics()
        self._add_slack_metrics()
        self._add_delivery_metrics()
        self._add_intake_metrics()
        self._add_poll_metrics()
        self._add_canary_metrics()
        self.traces = self.registry.make_counter(
            "zofbot_traces",
            "Traces kept, and dropped because Redis did not accept them in time or they could not be written",
            outcome=TRACE_OUTCOMES,
        )
        self.triage = self.registry.make_counter("zofbot_triage", "Triage actions by name", act=ACTION_NAMES)

    def render_text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def show_quota(self, quota: Quota) -> None:
        """Show Zof's quota, and what is left of it until its reset."""
        self._quota = quota
        self.zof_quota_limit.set(quota.limit)

    def _remaining_requests(self) -> float:
        """Return the requests left in the current window; NaN if unknown, because 0 or an old value would alarm."""
        quota = self._quota
        return quota.remaining if quota and self._clock.now() < quota.reset else math.nan

    def _add_zof_metrics(self) -> None:
        """Add metrics of calls to Zof."""
        self.zof_calls = self.registry.make_counter(
            "zofbot_zof_calls",
            "Calls to Zof by method, path template, outcome and status; retries not counted",
            method=(),
            template=(),
            outcome=(),
            status=(),
        )
        self.zof_seconds = self.registry.make_histogram(
            "zofbot_zof_call_seconds", "Duration of calls to Zof, including retries and waits", CALL_BUCKETS_SECONDS,
            template=sorted({template for _, template in ZOF_CALLS}),
        )  # fmt: skip
        self.zof_tries = self.registry.make_counter("zofbot_zof_tries", "Requests sent to Zof, including retries")
        self.zof_quota = self.registry.make_gauge(
            "zofbot_zof_quota_remaining",
            "Requests left in Zof's current rate limit window; NaN until Zof reports it, and after the window's reset",
        )
        self.zof_quota.set_function(self._remaining_requests)
        self.zof_quota_limit = self.registry.make_gauge(
            "zofbot_zof_quota_limit", "Requests per window that Zof's rate limit allows; NaN until Zof reports it"
        )
        self.zof_quota_limit.set(math.nan)  # unknown until the first reply
        for (method, template), (outcome, statuses) in product(ZOF_CALLS, ZOF_STATUSES_BY_OUTCOME.items()):
            self.registry.expect(self.zof_calls, product([method], [template], [outcome], statuses))

    def _add_slack_metrics(self) -> None:
        """Add metrics of calls to Slack and of its requests."""
        self.slack_calls = self.registry.make_counter(
            "zofbot_slack_calls", "Calls to Slack by method, outcome and status", method=(), outcome=(), status=()
        )
        self.slack_seconds = self.registry.make_histogram(
            "zofbot_slack_call_seconds", "Duration of calls to Slack", CALL_BUCKETS_SECONDS, method=SLACK_METHODS
        )
        self.slack_requests = self.registry.make_counter(
            "zofbot_slack_requests",
            "Requests from Slack by kind and answer; stray ones were rejected before handling"
            " (unsigned, too large, too slow or malformed)",
            kind=(),
            answer=(),
        )
        self.ack_seconds = self.registry.make_histogram(
            "zofbot_ack_seconds",
            "Time from a request from Slack to its acknowledgement",
            CALL_BUCKETS_SECONDS,
            kind=REQUEST_KINDS,
        )
        for method, (outcome, statuses) in product(SLACK_METHODS, SLACK_STATUSES_BY_OUTCOME.items()):
            self.registry.expect(self.slack_calls, product([method], [outcome], statuses))
        rejected = product(("stray",), ("unsigned", "too_large", "too_slow", "malformed"))
        self.registry.expect(self.slack_requests, (*product(REQUEST_KINDS, ("acted", "repeated", "failed")), *rejected))

    def _add_delivery_metrics(self) -> None:
        """Add metrics of delivery from the outbox to Slack; the dispatcher chooses the labels of ``notifications``."""
        self.notifications = self.registry.make_counter(
            "zofbot_notifications",
            "Attempts to deliver a notification by kind, outcome and reason",
            kind=(),
            outcome=(),
            reason=(),
        )
        self.delivery_seconds = self.registry.make_histogram(
            "zofbot_delivery_seconds", "Age of a notification when it reached Slack, since its commit or event, "
            "not counting planned waits", LATENESS_BUCKETS_SECONDS, since=("commit", "happened"),
        )  # fmt: skip
        self.finds = self.registry.make_counter(
            "zofbot_finds", "Searches in Slack for a message that may have been sent already", outcome=FIND_OUTCOMES
        )
        self.dead_letters = self.registry.make_counter("zofbot_dead_letters", "Notifications given up")
        self.lost = self.registry.make_counter(
            "zofbot_settlements_lost", "Delivery attempts that ended after their lease"
        )
        self.outbox = self.registry.make_gauge(
            "zofbot_outbox",
            "Notifications in the outbox by state; scheduled ones are a part of the pending ones",
            state=OUTBOX_STATES,
        )
        self.outbox_oldest = self.registry.make_gauge(
            "zofbot_outbox_oldest_seconds", "Age of the oldest notification that could be sent now"
        )
        self.outbox_paused = self.registry.make_gauge(
            "zofbot_outbox_paused", "1 while Slack rejects everything from this installation"
        )

    def _add_intake_metrics(self) -> None:
        """Add metrics of webhooks and of what is read from Zof."""
        self.zof_webhooks = self.registry.make_counter(
            "zofbot_zof_webhooks", "Webhook deliveries by answer", answer=WEBHOOK_ANSWERS
        )
        self.zof_events = self.registry.make_counter(
            "zofbot_zof_events", "Webhook deliveries with a valid signature by event type", type=ZOF_EVENT_TYPES
        )
        self.intake = self.registry.make_counter(
            "zofbot_intake",
            "Runs, results and platform events read, by what announced them first: webhook or poll",
            source=INTAKE_SOURCES,
        )
        self.intake_lag = self.registry.make_histogram(
            "zofbot_intake_lag_seconds",
            "Time from an event at Zof until it was read",
            LATENESS_BUCKETS_SECONDS,
            source=INTAKE_SOURCES,
        )

    def _add_poll_metrics(self) -> None:
        """Add metrics of the poller."""
        self.poll_turns = self.registry.make_counter(
            "zofbot_poll_turns", "Poll cycles by outcome", outcome=CYCLE_OUTCOMES
        )
        self.poll_seconds = self.registry.make_histogram(
            "zofbot_poll_duration_seconds", "Duration of full poll cycles", POLL_BUCKETS_SECONDS
        )
        self.poll_new = self.registry.make_counter(
            "zofbot_poll_new", "Runs and results seen in a list for the first time", feed=FEED_NAMES
        )
        self.poll_silent = self.registry.make_counter(
            "zofbot_poll_silent", "Failures recorded but not posted because they are older than the look-back window"
        )
        self.poll_given_up = self.registry.make_counter(
            "zofbot_poll_given_up", "Announced runs and results that Zof never returned"
        )
        self.poll_requests = self.registry.make_gauge(
            "zofbot_poll_requests", "Requests to Zof since the last full poll cycle began"
        )
        self.poll_watched = self.registry.make_gauge(
            "zofbot_poll_watched", "Runs, results and platform events still to be read, or to be read again"
        )
        self.poll_last = self.registry.make_gauge(
            "zofbot_poll_last_success_timestamp_seconds",
            "Unix time of the last full poll cycle that read the runs, and the results if the key may list them",
        )
        self.poll_gap = self.registry.make_gauge(
            "zofbot_poll_gap", "Failures that polling had missed, found by the last audit", feed=FEED_NAMES[:4]
        )
        self.poll_audited = self.registry.make_gauge(
            "zofbot_poll_audit_timestamp_seconds", "Unix time of the last audit", feed=FEED_NAMES[:4]
        )

    def _add_canary_metrics(self) -> None:
        """Add metrics of the canary."""
        self.canary_seconds = self.registry.make_histogram(
            "zofbot_canary_seconds", "Time from sending a canary until Slack showed it", LATENESS_BUCKETS_SECONDS
        )
        self.canary_last = self.registry.make_gauge(
            "zofbot_canary_last_success_timestamp_seconds",
            "Unix time of the last successful canary; until the first, of the start",
        )
        self.canary_last.set(math.nan)  # unknown until a canary starts
        self.canary_failures = self.registry.make_counter(
            "zofbot_canary_failures",
            "Late canaries by the part that failed: redis, zof, slack, clock or outbox",
            link=CANARY_LINKS,
        )
