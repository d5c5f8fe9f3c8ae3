"""What can be counted about a running zofbot, in Prometheus' words; every series exists from the start."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

ZOF_OUTCOMES = ("ok", "unavailable", "rejected", "unreadable", "canceled", "crashed")
SLACK_OUTCOMES = ("ok", "deferred", "refused", "unknown")
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
        self.store_up = Gauge("zofbot_store_up", "1 while Redis answers", registry=self.registry)
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

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
