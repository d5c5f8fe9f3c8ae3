"""What can be counted about a running zofbot, in Prometheus' words; every series exists from the start."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

ZOF_OUTCOMES = ("ok", "unavailable", "rejected", "unreadable", "canceled", "crashed")
SLACK_OUTCOMES = ("ok", "deferred", "refused", "unknown")
WEBHOOKS = (
    "stored", "repeated", "ignored", "unsigned", "too_large", "too_slow", "malformed", "not_stored",
)  # fmt: skip
EVENTS = (
    "run.completed", "run.failed", "run.started", "remediation.plan_pending", "remediation.approved",
    "release.gate_blocked", "agent.offline", "agent.completed", "integration.error", "issue.detected", "other",
)  # fmt: skip
TURNS = ("done", "standby", "unavailable", "fenced", "failed")
FEEDS = ("runs failed", "runs error", "results failed", "results error", "runs passed")
KINDS = ("root", "reply", "edit")
ATTEMPTS = ("sent", "adopted", "deferred", "unknown", "refused", "parked", "halted", "gone", "snoozed", "dropped")
FINDS = ("found", "absent", "failed")
ACTS = ("acknowledge", "unacknowledge", "confirm", "assign", "snooze", "wake", "escalate", "resolve", "reopen", "undo")

WAITING = ("pending", "sending", "dead", "parked_channels")
LATENESS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.zof_calls = Counter(
            "zofbot_zof_calls", "Calls to Zof, retries not counted apart", ["method", "template", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self.zof_seconds = Histogram(
            "zofbot_zof_call_seconds", "Duration of calls to Zof, waits included", ["template"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.zof_tries = Counter("zofbot_zof_tries", "Requests sent to Zof", registry=self.registry)
        self.slack_calls = Counter(
            "zofbot_slack_calls", "Calls to Slack's Web API", ["method", "outcome"], registry=self.registry
        )
        self.slack_requests = Counter(
            "zofbot_slack_requests", "Requests from Slack by kind and answer", ["kind", "answer"],
            registry=self.registry,
        )  # fmt: skip
        self.ack_seconds = Histogram(
            "zofbot_ack_seconds", "Time from a request of Slack's to its acknowledgement", ["kind"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._delivery()
        self.store_up = Gauge("zofbot_store_up", "1 while Redis answers", registry=self.registry)
        self._news()
        self._triage()
        for template in ("/results", "/results/{id}", "/runs", "/runs/{id}"):
            self.zof_seconds.labels(template)
            for outcome in ZOF_OUTCOMES:
                self.zof_calls.labels("GET", template, outcome)
        for kind in ("command", "action", "event", "view", "other"):
            self.ack_seconds.labels(kind)
            for answer in ("acted", "repeated", "failed"):
                self.slack_requests.labels(kind, answer)
        for reason in ("unsigned", "too_large", "too_slow", "malformed"):
            self.slack_requests.labels("stray", reason)

    def _news(self) -> None:
        """What comes from Zof unasked, and what the poller asks for."""
        self.zof_webhooks = Counter(
            "zofbot_zof_webhooks", "Deliveries of Zof's by what became of them", ["answer"], registry=self.registry
        )
        self.zof_events = Counter(
            "zofbot_zof_events", "Signed deliveries of Zof's by type", ["type"], registry=self.registry
        )
        self.poll_turns = Counter(
            "zofbot_poll_turns", "Turns of the poller by how they ended", ["outcome"], registry=self.registry
        )
        self.poll_new = Counter(
            "zofbot_poll_new", "Runs and results that a feed showed for the first time", ["feed"],
            registry=self.registry,
        )  # fmt: skip
        self.poll_silent = Counter(
            "zofbot_poll_silent", "Failures noted and not told, for they are older than the look-back",
            registry=self.registry,
        )  # fmt: skip
        self.poll_given_up = Counter(
            "zofbot_poll_given_up", "Runs and results announced that Zof would not show", registry=self.registry
        )
        self.poll_requests = Gauge(
            "zofbot_poll_requests", "Requests to Zof since the last full cycle began", registry=self.registry
        )
        self.poll_watched = Gauge(
            "zofbot_poll_watched", "Runs heard of and not read to their end yet", registry=self.registry
        )
        self.poll_leads = Gauge("zofbot_poll_leads", "1 while this process polls", registry=self.registry)
        self.poll_last = Gauge(
            "zofbot_poll_last", "Unix time of the last full cycle that went well", registry=self.registry
        )
        self.poll_gap = Gauge(
            "zofbot_poll_gap", "Failures that polling had missed until the last audit", ["feed"], registry=self.registry
        )
        for answer in WEBHOOKS:
            self.zof_webhooks.labels(answer)
        for event in EVENTS:
            self.zof_events.labels(event)
        for turn in TURNS:
            self.poll_turns.labels(turn)
        for feed in FEEDS:
            self.poll_new.labels(feed)
        for feed in FEEDS[:4]:
            self.poll_gap.labels(feed)

    def _triage(self) -> None:
        """What people do about failures."""
        self.triage = Counter("zofbot_triage", "Acts of people on failures", ["act"], registry=self.registry)
        for act in ACTS:
            self.triage.labels(act)

    def _delivery(self) -> None:
        """Add what the way from the outbox into Slack is measured by."""
        self.notifications = Counter(
            "zofbot_notifications", "Attempts at notifications by how they ended", ["kind", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self.delivery_seconds = Histogram(
            "zofbot_delivery_seconds", "Age of what reached Slack, since it was committed or happened", ["since"],
            buckets=LATENESS, registry=self.registry,
        )  # fmt: skip
        self.finds = Counter(
            "zofbot_finds", "Looks into Slack for a message that may be there", ["outcome"], registry=self.registry
        )
        self.dead_letters = Counter("zofbot_dead_letters", "Notifications given up", registry=self.registry)
        self.outbox = Gauge("zofbot_outbox", "What the outbox holds", ["state"], registry=self.registry)
        self.outbox_oldest = Gauge(
            "zofbot_outbox_oldest_seconds", "Age of the oldest notification not settled", registry=self.registry
        )
        self.outbox_paused = Gauge(
            "zofbot_outbox_paused", "1 while Slack takes nothing from this installation", registry=self.registry
        )
        for kind in KINDS:
            for outcome in ATTEMPTS:
                self.notifications.labels(kind, outcome)
        for since in ("commit", "happened"):
            self.delivery_seconds.labels(since)
        for outcome in FINDS:
            self.finds.labels(outcome)
        for state in WAITING:
            self.outbox.labels(state)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
