"""Which events change which metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic

from zofbot.observability.events.calls import SlackCall, ZofCall
from zofbot.observability.events.delivery import (
    DeadLetter,
    DeliveryAttempt,
    DeliveryStarted,
    EarlierSendSearched,
    NotificationDropped,
    OutboxMeasured,
    OutboxNotMeasured,
    SettlementLost,
)
from zofbot.observability.events.health import (
    CanaryArrived,
    CanaryLate,
    CanaryPassed,
    CanaryStarted,
    LeaseChecked,
    LeaseTaken,
    ReadinessChecked,
    TraceDropped,
    TracesStored,
)
from zofbot.observability.events.polling import (
    FeedAudited,
    FindingRead,
    ItemListed,
    OldFailureListed,
    PollCycleEnded,
    PollProgress,
    ReadGivenUp,
)
from zofbot.observability.events.requests import (
    SlackRequestAnswered,
    SlackRequestRejected,
    TriageAct,
    WebhookAnswered,
    WebhookReceived,
)
from zofbot.observability.metric_labels import status_label
from zofbot.observability.metric_registry import MetricT
from zofbot.observability.metrics import Metrics


class _Series(dict[tuple[str, ...], MetricT], Generic[MetricT]):
    """The series of one metric by their label values, each looked up in the metric only once."""

    def __init__(self, metric: MetricT) -> None:
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> MetricT:
        series = self[labels] = self._metric.labels(*labels)
        return series


class MetricUpdates:
    """Counts events in ``metrics``; ``by_event`` is the table of functions by the event's type."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._slack_calls, self._slack_seconds = _Series(metrics.slack_calls), _Series(metrics.slack_seconds)
        self._zof_calls, self._zof_seconds = _Series(metrics.zof_calls), _Series(metrics.zof_seconds)
        self._notifications, self._delivery_seconds = _Series(metrics.notifications), _Series(metrics.delivery_seconds)
        self._requests, self._ack_seconds = _Series(metrics.slack_requests), _Series(metrics.ack_seconds)
        self._outbox, self._poll_turns = _Series(metrics.outbox), _Series(metrics.poll_turns)
        self._intake, self._intake_lag = _Series(metrics.intake), _Series(metrics.intake_lag)
        self._poll_gap, self._poll_audited = _Series(metrics.poll_gap), _Series(metrics.poll_audited)
        self.by_event: dict[type, Callable[[Any], None]] = {
            SlackCall: self._count_slack_call,
            ZofCall: self._count_zof_call,
            **self._delivery_updates(),
            **self._poll_updates(),
            **self._request_updates(),
            **self._health_updates(),
        }

    def _delivery_updates(self) -> dict[type, Callable[[Any], None]]:
        metrics, finds = self._metrics, _Series(self._metrics.finds)
        return {
            DeliveryStarted: lambda event: metrics.registry.expect(metrics.notifications, event.outcomes),
            DeliveryAttempt: self._count_delivery_attempt,
            NotificationDropped: lambda event: self._notifications[event.kind, "dropped", event.cause].inc(),
            EarlierSendSearched: lambda event: finds[event.outcome,].inc(),
            DeadLetter: lambda event: metrics.dead_letters.inc(),
            SettlementLost: lambda event: metrics.lost.inc(),
            OutboxMeasured: self._show_outbox,
            OutboxNotMeasured: lambda event: metrics.store_up.set(0),
        }

    def _poll_updates(self) -> dict[type, Callable[[Any], None]]:
        metrics, new = self._metrics, _Series(self._metrics.poll_new)
        return {
            PollProgress: self._show_poll_progress,
            PollCycleEnded: self._count_poll_cycle,
            FindingRead: self._count_finding,
            ItemListed: lambda event: new[event.feed,].inc(),
            OldFailureListed: lambda event: metrics.poll_silent.inc(),
            ReadGivenUp: lambda event: metrics.poll_given_up.inc(),
            FeedAudited: self._show_audit,
        }

    def _request_updates(self) -> dict[type, Callable[[Any], None]]:
        metrics = self._metrics
        acts, types, answers = _Series(metrics.triage), _Series(metrics.zof_events), _Series(metrics.zof_webhooks)
        return {
            SlackRequestAnswered: self._count_slack_request,
            SlackRequestRejected: lambda event: self._requests["stray", event.reason].inc(),
            TriageAct: lambda event: acts[event.act,].inc(),
            WebhookReceived: lambda event: types[event.type,].inc(),
            WebhookAnswered: lambda event: answers[event.answer,].inc(),
        }

    def _health_updates(self) -> dict[type, Callable[[Any], None]]:
        metrics = self._metrics
        leases, takeovers = _Series(metrics.lease), _Series(metrics.lease_taken)
        failures, traces = _Series(metrics.canary_failures), _Series(metrics.traces)
        return {
            LeaseChecked: lambda event: leases[event.name,].set(event.held),
            LeaseTaken: lambda event: takeovers[event.name,].inc(),
            CanaryStarted: lambda event: metrics.canary_last.set(event.at),
            CanaryArrived: lambda event: metrics.canary_seconds.observe(event.seconds),
            CanaryLate: lambda event: failures[event.link,].inc(),
            CanaryPassed: lambda event: metrics.canary_last.set(event.at),
            TracesStored: lambda event: traces["kept",].inc(event.count),
            TraceDropped: lambda event: traces["dropped",].inc(),
            ReadinessChecked: self._show_readiness,
        }

    def _count_slack_call(self, call: SlackCall) -> None:
        self._slack_calls[call.method, call.outcome, status_label(call.status)].inc()
        self._slack_seconds[call.method,].observe(call.seconds)

    def _count_zof_call(self, call: ZofCall) -> None:
        self._zof_calls[call.method, call.template, call.outcome, status_label(call.status)].inc()
        self._zof_seconds[call.template,].observe(call.seconds)
        self._metrics.zof_tries.inc(call.tries)
        if call.quota:
            self._metrics.show_quota(call.quota)

    def _count_delivery_attempt(self, attempt: DeliveryAttempt) -> None:
        self._notifications[attempt.kind, attempt.outcome, attempt.cause].inc()
        if attempt.since_commit is not None and attempt.since_happened is not None:
            self._delivery_seconds["commit",].observe(max(0.0, attempt.since_commit))
            self._delivery_seconds["happened",].observe(max(0.0, attempt.since_happened))

    def _show_outbox(self, outbox: OutboxMeasured) -> None:
        metrics = self._metrics
        metrics.store_up.set(1)
        self._outbox["pending",].set(outbox.pending)
        self._outbox["scheduled",].set(outbox.scheduled)
        self._outbox["sending",].set(outbox.sending)
        self._outbox["dead",].set(outbox.dead)
        self._outbox["parked_channels",].set(outbox.parked)
        metrics.outbox_oldest.set(outbox.oldest)
        metrics.outbox_paused.set(outbox.paused)

    def _show_poll_progress(self, progress: PollProgress) -> None:
        self._metrics.poll_requests.set(progress.requests)
        if progress.pending_runs is not None:
            self._metrics.poll_watched.set(progress.pending_runs)

    def _count_poll_cycle(self, cycle: PollCycleEnded) -> None:
        if cycle.read_all_at is not None:
            self._metrics.poll_last.set(cycle.read_all_at)
        self._poll_turns[cycle.outcome,].inc()
        if cycle.feeds and cycle.outcome != "standby":
            self._metrics.poll_seconds.observe(cycle.seconds)

    def _count_finding(self, finding: FindingRead) -> None:
        self._intake[finding.source,].inc()
        self._intake_lag[finding.source,].observe(max(0.0, finding.lag))

    def _show_audit(self, audit: FeedAudited) -> None:
        self._poll_gap[audit.feed,].set(audit.missed)
        self._poll_audited[audit.feed,].set(audit.at)

    def _count_slack_request(self, request: SlackRequestAnswered) -> None:
        self._requests[request.kind, request.answer].inc()
        self._ack_seconds[request.kind,].observe(request.seconds)

    def _show_readiness(self, readiness: ReadinessChecked) -> None:
        self._metrics.store_up.set(readiness.store)
        self._metrics.slack_up.set(readiness.slack)
