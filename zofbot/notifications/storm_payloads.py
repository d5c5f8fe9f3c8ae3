"""Payloads of storms: the summary, and its members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from zofbot.domain.model import Outcome
from zofbot.notifications.alert_payloads import AlertStatus, _AlertPayload
from zofbot.notifications.past_causes import Resolution as Resolution  # noqa: PLC0414  (exported for mypy)
from zofbot.notifications.payload_parts import CauseSummary, PayloadModel, RunSummary, clean_text
from zofbot.triage import RunFacts


def find_sole_cause(causes: Sequence[CauseSummary], uncaused: int) -> CauseSummary | None:
    """Return the cause that explains all failures, of which ``uncaused`` have none of ``causes``; else None."""
    return causes[0] if len(causes) == 1 and causes[0].signature and not uncaused else None


class StormPayload(_AlertPayload):
    """The summary of a storm. ``places`` has project, environment and number of failures.

    Times are Unix seconds; ``alerts`` is how many single messages it replaces. ``members`` counts those and the alerts
    from just before, ``open`` of which have not recovered; an action on the storm applies to all members. It is 0 for
    a storm of platform events, and for old records. ``run`` is the run that all members belong to, if there is one;
    ``failed`` is when a member last failed.
    """

    card: Literal["storm"] = "storm"
    run: RunSummary = RunSummary(id="")
    members: int = 0
    open: int = 0
    repeats: int = 0
    """How often members have failed again."""
    cards: tuple[str, ...] = ()
    """Keys of the members that have their own message."""
    failed: float = 0.0
    since: float
    last: float
    alerts: int
    failures: int
    places: tuple[tuple[str, str, int], ...] = ()
    elsewhere: int = 0
    closed: bool = False
    critical: bool = False
    """Whether it is sent first and may ignore quiet hours."""
    by_cause: bool = False
    """Whether it is the message of one cause, over runs, projects and environments, and not a storm."""
    causes: tuple[CauseSummary, ...] = ()
    """The causes of the failures; ``uncaused`` failures have no known cause, or one of many more."""
    uncaused: int = 0
    projects: tuple[str, ...] = ()
    """The ids (or names) of the projects in which its one cause was seen."""

    @property
    def sole_cause(self) -> CauseSummary | None:
        """The cause of all failures; None if there are several, or some are not known."""
        return find_sole_cause(self.causes, self.uncaused)

    @property
    def title(self) -> str:
        """As messages about it name it."""
        if not self.by_cause or not self.causes:
            return f"the storm of {self.members} alerts"
        return f"the cause of {self.causes[0].example.title or self.causes[0].example.id}"

    @property
    def heading(self) -> str:
        """What its one cause is: the first line of the failure text, which other organizations must not see."""
        why = self.causes[0].example.why.strip().partition("\n")[0] if self.causes else ""
        return clean_text(why, 120) or self.title

    @property
    def outcome(self) -> Outcome:
        """How it failed."""
        return Outcome.FAILED

    @property
    def test_facts(self) -> RunFacts:
        """What Zof's runs show of it."""
        return RunFacts(turn=self.turn_count, recovered=self.is_recovered, turned=self.turned or 0.0,
                      opened=self.opened or self.since, last=self.failed,
                      failures=self.failures if self.by_cause else self.members + self.repeats,
                      reopened=self.reopened, reopened_from=self.reopened_from)  # fmt: skip


class StormMember(PayloadModel):
    """An alert in a storm, shown as one line: ``id`` is that of its run or result, ``count`` how often it failed.

    ``last`` is when it last failed (Unix seconds), 0 in old records. ``followed``: it can recover, which platform
    events cannot; ``dropped``: it is no longer stored, so that the storm recovers without it. ``cases`` is how many
    cases of one cause it stands for. ``causes`` are those of its failures, until they are counted in the storm.
    """

    key: str
    id: str
    title: str = ""
    project: str = ""
    environment: str = ""
    url: str = ""
    standing: AlertStatus = AlertStatus.OPEN
    count: int = 1
    last: float = 0.0
    followed: bool = True
    dropped: bool = False
    cases: int = 1
    causes: tuple[CauseSummary, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the storm waits for its recovery."""
        return self.followed and not self.dropped and self.standing is not AlertStatus.RECOVERED


class StormMembersPayload(PayloadModel):
    """A reply that lists one page of a storm's members; ``first`` is the number of the first one.

    ``by_cause``: it lists where a cause was seen.
    """

    card: Literal["members"] = "members"
    first: int = 1
    by_cause: bool = False
    members: tuple[StormMember, ...] = ()
