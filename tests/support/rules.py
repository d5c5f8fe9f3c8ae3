"""The alerting rules with what they remember, in two dicts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from zofbot.model import Outcome, Result, Run
from zofbot.notification import Kind, Notification
from zofbot.pipeline.memory import Memory, scope
from zofbot.pipeline.rules import Answer, Decision, decide
from zofbot.routing import Finding, Notice, Subscription, parse
from zofbot.slack import bodies

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()


HOUR = 3600.0


class RuleBench:
    """What commit does, in two dicts: keys are told once, an edit shows the latest, a waiting one keeps its time."""

    def __init__(self, *subscriptions: Subscription, default: str = "", lookback: float = 30 * 24 * HOUR) -> None:
        self.subscriptions = subscriptions
        self.default = default
        self.lookback = lookback
        self.told: dict[str, Notification] = {}
        self.memory = Memory()

    def decide(self, finding: Finding | Notice, now: float | None = None) -> Decision:
        """Decide with no more in memory than the rules asked for."""
        names = Memory.names(finding, self.subscriptions, self.default, self._failing(finding))
        read = Memory.read({name: self.memory.hashes.get(name, {}) for name in names})
        at = finding.happened if now is None else now
        return decide(finding, self.subscriptions, read, at, lookback=self.lookback, default_channel=self.default)

    def _failing(self, finding: Finding | Notice) -> list[str]:
        """The channels with failures in its scope, as the poller keeps them."""
        place = scope(finding) if isinstance(finding, Finding) else ""
        open_ = (name.split(":") for name, fields in self.memory.hashes.items() if name.startswith("open:") and fields)
        return [channel for _, channel, where in open_ if where == place]

    def commit(self, decision: Decision) -> list[str]:
        new = [one.key for one in decision.notifications if one.key not in self.told]
        for one in decision.notifications:
            before = self.told.get(one.key)
            if before is None:
                self.told[one.key] = one
            elif one.kind is Kind.EDIT:
                self.told[one.key] = one.model_copy(update={"not_before": before.not_before})
        self.memory = self.memory.changed(decision.changes)
        return new

    def hear(self, *findings: Finding | Notice, now: float | None = None) -> list[str]:
        return [key for finding in findings for key in self.commit(self.decide(finding, now))]

    def answer(self, finding: Finding | Notice, now: float | None = None) -> list[Answer]:
        decision = self.decide(finding, now)
        self.commit(decision)
        return [reason.answer for reason in decision.reasons]

    def of(self, kind: Kind) -> list[Notification]:
        return [one for one in self.told.values() if one.kind is kind]

    def messages(self) -> set[str]:
        return {one.key for one in self.told.values() if one.kind is not Kind.EDIT}

    def recoveries(self) -> set[tuple[str, str, float, str]]:
        """What the replies say that tell of one, as they stand in the end: key, title, after how long, by which run."""
        replies = [one for one in self.told.values() if one.key.startswith("recovered:")]
        shown = [self.told.get(f"recovered-edit:{one.key.removeprefix('recovered:')}", one).body for one in replies]
        read = [(one.key, bodies.RecoveredBody.model_validate(body)) for one, body in zip(replies, shown, strict=True)]
        return {(name, body.title, body.after, body.run.id) for name, body in read}

    def shown(self, root: str) -> bodies.RunBody | bodies.CaseBody:
        """What a root's message says now, its last edit made."""
        latest = [one for one in self.told.values() if root in (one.key if one.kind is Kind.ROOT else "", one.root)]
        body = bodies.read([one for one in latest if one.kind is not Kind.REPLY][-1].body)
        assert isinstance(body, (bodies.RunBody, bodies.CaseBody))
        return body


def sub(filters: str = "", channel: str = "C1", number: int = 1, **more: Any) -> Subscription:
    own = {"id": f"sub_{number}", "channel": channel, "created": float(number)}
    return parse(filters).model_copy(update=own | more)


def result(name: str, outcome: Outcome = Outcome.FAILED, case: str = "", **more: Any) -> Result:
    return Result(id=f"res_{name}", outcome=outcome, case_id=case or f"tc_{name}", title=case or name, **more)


def run(
    name: str, at: float, *results: Result, outcome: Outcome = Outcome.FAILED, total: int | None = None, **more: Any
) -> Finding:
    place: dict[str, Any] = {"project_id": "proj_1", "environment": "staging", "title": "Nightly"}
    made = Run(id=f"run_{name}", outcome=outcome, ended=datetime.fromtimestamp(at, UTC), **place | more)
    return Finding.of(made, results, total=total, otherwise=at)


def failed(name: str, at: float, *cases: str, **more: Any) -> Finding:
    return run(name, at, *(result(f"{name}_{case}", case=case) for case in cases), **more)


def passed(name: str, at: float, *cases: str, **more: Any) -> Finding:
    results = (result(f"{name}_{case}", Outcome.PASSED, case=case) for case in cases)
    return run(name, at, *results, outcome=Outcome.PASSED, **more)
