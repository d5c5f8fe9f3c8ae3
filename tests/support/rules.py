"""The alerting rules with their state in two dicts, without Redis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from zofbot.alerting.rules import Decision, DecisionReason, decide_finding
from zofbot.alerting.state import RuleState, scope_key, triage_hash
from zofbot.alerting.triage_records import triage_fields
from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications import alert_payloads, payloads, thread_payloads
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.subscriptions import PlatformEvent, RunFinding, Subscription, parse_filters

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()


HOUR_SECONDS = 3600.0


class RuleBench:
    """A model of ``Outbox.commit``: keys are unique, an edit takes the latest body, a waiting one keeps its time.

    It fails if an edit does not say whether it edits a reply.
    """

    def __init__(
        self, *subscriptions: Subscription, default: str = "", lookback: float = 30 * 24 * HOUR_SECONDS
    ) -> None:
        self.subscriptions = subscriptions
        self.default = default
        self.lookback = lookback
        self.notifications: dict[str, Notification] = {}
        self.memory = RuleState()

    def decide_finding(self, finding: RunFinding | PlatformEvent, now: float | None = None) -> Decision:
        """Decide with only the state that the rules requested."""
        names = RuleState.hash_names(finding, self.subscriptions, self.default, self._channels_with_failures(finding))
        read = {name: dict(self.memory.hashes.get(name, {})) for name in names}
        channels = {name.removeprefix(triage_hash("")) for name in names if name.startswith(triage_hash(""))}
        needed = set(triage_fields(channels, read))
        for name in map(triage_hash, channels):
            read[name] = {field: value for field, value in read[name].items() if (name, field) in needed}
        at = finding.happened if now is None else now
        return decide_finding(
            finding, self.subscriptions, RuleState(read), at, lookback=self.lookback, default_channel=self.default
        )

    def _channels_with_failures(self, finding: RunFinding | PlatformEvent) -> list[str]:
        """Return the channels with failures in the finding's scope, as the poller stores them."""
        place = scope_key(finding) if isinstance(finding, RunFinding) else ""
        open_ = (name.split(":") for name, fields in self.memory.hashes.items() if name.startswith("open:") and fields)
        return [channel for _, channel, where in open_ if where == place]

    def commit_decision(self, decision: Decision) -> list[str]:
        new = [
            notification.key for notification in decision.notifications if notification.key not in self.notifications
        ]
        for notification in decision.notifications:
            before = self.notifications.get(notification.key)
            if before is None:
                self.notifications[notification.key] = notification
            elif notification.kind is NotificationKind.EDIT:
                self.notifications[notification.key] = notification.model_copy(update={"not_before": before.not_before})
        for edit in decision.notifications:
            if edit.kind is NotificationKind.EDIT and edit.root in self.notifications:
                is_reply = self.notifications[edit.root].kind is NotificationKind.REPLY
                assert edit.edits_reply is is_reply, edit.key
        self.memory = self.memory.with_changes(decision.changes)
        return new

    def process_findings(self, *findings: RunFinding | PlatformEvent, now: float | None = None) -> list[str]:
        return [key for finding in findings for key in self.commit_decision(self.decide_finding(finding, now))]

    def decision_reasons(self, finding: RunFinding | PlatformEvent, now: float | None = None) -> list[DecisionReason]:
        decision = self.decide_finding(finding, now)
        self.commit_decision(decision)
        return [reason.answer for reason in decision.reasons]

    def notifications_of(self, kind: NotificationKind) -> list[Notification]:
        return [item for item in self.notifications.values() if item.kind is kind]

    def root_keys(self) -> set[str]:
        return {item.key for item in self.notifications.values() if item.kind is not NotificationKind.EDIT}

    def recovery_replies(self) -> set[tuple[str, str, float, str]]:
        """Return the final recovery replies: key, title, duration, run."""
        replies = [item for item in self.notifications.values() if item.key.startswith("recovered:")]
        shown = [
            self.notifications.get(f"recovered-edit:{reply.key.removeprefix('recovered:')}", reply).body
            for reply in replies
        ]
        read = [
            (reply.key, thread_payloads.RecoveryPayload.model_validate(body))
            for reply, body in zip(replies, shown, strict=True)
        ]
        return {(name, body.title, body.after, body.run.id) for name, body in read}

    def latest_body(self, root: str) -> alert_payloads.RunAlertPayload | alert_payloads.CaseAlertPayload:
        """Return a root's current body, after its last edit."""
        latest = [
            item
            for item in self.notifications.values()
            if root in (item.key if item.kind is NotificationKind.ROOT else "", item.root)
        ]
        body = payloads.load_payload([item for item in latest if item.kind is not NotificationKind.REPLY][-1].body)
        assert isinstance(body, (alert_payloads.RunAlertPayload, alert_payloads.CaseAlertPayload))
        return body


def make_subscription(filters: str = "", channel: str = "C1", number: int = 1, **more: Any) -> Subscription:
    own = {"id": f"sub_{number}", "channel": channel, "created": float(number)}
    return parse_filters(filters).model_copy(update=own | more)


def make_result(name: str, outcome: Outcome = Outcome.FAILED, case: str = "", **more: Any) -> Result:
    return Result(id=f"res_{name}", outcome=outcome, case_id=case or f"tc_{name}", title=case or name, **more)


def wake_ups(rules: RuleBench) -> list[tuple[str, list[str], float]]:
    """Return the failure, whom it mentions and the time of each reply that says that a snooze has ended."""
    replies = rules.notifications_of(NotificationKind.REPLY)
    return [(note.root, note.body["mention"], note.body["at"]) for note in replies if note.body.get("sort") == "wake"]


def make_finding(
    name: str, at: float, *results: Result, outcome: Outcome = Outcome.FAILED, total: int | None = None, **more: Any
) -> RunFinding:
    place: dict[str, Any] = {"project_id": "proj_1", "environment": "staging", "title": "Nightly"}
    made = Run(id=f"run_{name}", outcome=outcome, ended=datetime.fromtimestamp(at, UTC), **place | more)
    return RunFinding.from_results(made, results, total=total, otherwise=at)


def failed_finding(name: str, at: float, *cases: str, **more: Any) -> RunFinding:
    return make_finding(name, at, *(make_result(f"{name}_{case}", case=case) for case in cases), **more)


def passed_finding(name: str, at: float, *cases: str, **more: Any) -> RunFinding:
    results = (make_result(f"{name}_{case}", Outcome.PASSED, case=case) for case in cases)
    return make_finding(name, at, *results, outcome=Outcome.PASSED, **more)
