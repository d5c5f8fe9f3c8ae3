"""Payloads of alerts: of a failed run, and of a failed case."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from zofbot.domain.model import Outcome
from zofbot.notifications.extra_summaries import ExtraSummary
from zofbot.notifications.past_causes import PastCause
from zofbot.notifications.past_causes import Resolution as Resolution  # noqa: PLC0414  (exported for mypy)
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, Owner, PayloadModel, RunSummary
from zofbot.triage import EscalationPolicy, RunFacts


class AlertStatus(StrEnum):
    """The current status of an alert."""

    OPEN = "open"
    RECOVERED = "recovered"
    AGAIN = "again"


class _AlertPayload(PayloadModel):
    """An alert, with its status (``standing``) since the run with the id ``turner`` changed it at ``turned``.

    Times are Unix seconds. ``turn`` counts recoveries and relapses; ``opened`` is when the channel was notified of the
    failure or its latest relapse; ``policy`` is for escalations.
    """

    run: RunSummary
    standing: AlertStatus = AlertStatus.OPEN
    turned: float | None = None
    turner: str = ""
    turn: int = 0
    opened: float = 0.0
    reopened: float = 0.0
    """When a failure last ended a snooze or a resolution, which had begun at ``reopened_from``."""
    reopened_from: float | None = None
    mention: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = ()
    """Set if several subscriptions match and do not mention the same people."""
    unmentioned: int = 0
    """Mentions left out because the same people had been mentioned twice in the minute before."""
    policy: EscalationPolicy = EscalationPolicy()
    takers: tuple[str, ...] = ()
    """Ids of the subscriptions that match a failure of it."""
    silent: tuple[str, ...] = ()
    """Ids of those that mention and escalate to nobody so far: all of their failures are flaky or in quarantine, or
    somebody was working on it when they joined."""
    unposted: bool = False
    """Whether its message, while it was held back, was overtaken by its recovery or another alert, and never posted."""
    resolved: Resolution | None = None
    """How somebody had resolved the same failure, in an earlier alert."""
    past: tuple[PastCause, ...] = ()
    """What is remembered of its causes, those seen before; at most ``MAX_PAST_CAUSES``."""
    extras: tuple[ExtraSummary, ...] = ()
    """What else Zof says about it, such as the commit."""

    @property
    def is_recovered(self) -> bool:
        return self.standing is AlertStatus.RECOVERED

    @property
    def is_withdrawn(self) -> bool:
        """Whether its message was never posted, as its failure goes on in another alert."""
        return self.unposted and not self.is_recovered

    @property
    def turn_count(self) -> int:
        """The number of recoveries and relapses; in old payloads without ``turn`` it is derived from the status."""
        return self.turn or {AlertStatus.OPEN: 0, AlertStatus.RECOVERED: 1, AlertStatus.AGAIN: 2}[self.standing]


class RunAlertPayload(_AlertPayload):
    """A failed run: ``bad`` failures match the channel's subscriptions, the first of them are ``top``.

    With an ``after:`` threshold it is the ``count``-th failing run since ``first`` (Unix seconds).
    """

    card: Literal["run"] = "run"
    bad: int = 0
    top: tuple[CaseSummary, ...] = ()
    causes: tuple[CauseSummary, ...] = ()
    """The causes with most failures, worst first; there are ``all_causes`` among the ``grouped`` failures read."""
    all_causes: int = 0
    grouped: int = 0
    standings: dict[str, int] = Field(default_factory=dict)
    """How many of the failures read are new, known and flaky, by the words of ``CaseStanding``."""
    quarantined: int = 0
    """How many of them are in quarantine in Zof."""
    count: int = 1
    first: float = 0.0
    last: float = 0.0

    @property
    def title(self) -> str:
        """As the channel knows it."""
        return self.run.title

    @property
    def outcome(self) -> Outcome:
        """How it failed."""
        return self.run.outcome

    @property
    def test_facts(self) -> RunFacts:
        """What Zof's runs show of it."""
        return RunFacts(
            turn=self.turn_count,
            recovered=self.is_recovered,
            turned=self.turned or 0.0,
            opened=self.opened,
            last=self.last,
            reopened=self.reopened,
            reopened_from=self.reopened_from,
        )


class CaseAlertPayload(_AlertPayload):
    """A failing case across ``count`` runs; ``run`` and ``case`` are the latest. Times are Unix seconds."""

    card: Literal["case"] = "case"
    case: CaseSummary
    case_id: str = ""
    cases: int = 1
    """How many cases have failed, where it stands for all those with one cause in a project and environment."""
    failures: int = 0
    """How many failures those cases had; 0 for a single case, and in old records."""
    count: int = 1
    first: float
    last: float

    @property
    def failure_count(self) -> int:
        """The number of failures: of a single case, one in each run."""
        return self.failures or self.count

    @property
    def title(self) -> str:
        """As the channel knows it."""
        return self.case.title

    @property
    def outcome(self) -> Outcome:
        """How it failed."""
        return self.case.outcome

    @property
    def test_facts(self) -> RunFacts:
        """What Zof's runs show of it."""
        return RunFacts(turn=self.turn_count, recovered=self.is_recovered, turned=self.turned or 0.0,
                      opened=self.opened or self.first, last=self.last, failures=self.count,
                      reopened=self.reopened, reopened_from=self.reopened_from)  # fmt: skip
