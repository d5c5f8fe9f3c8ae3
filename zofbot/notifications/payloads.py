"""Payloads: the data that a notification's message is rendered from when it is sent.

Payloads are stored as JSON, with texts already stripped, redacted and clipped; later versions may add fields.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from zofbot.domain.model import CaseCounts, Outcome, Result, Run
from zofbot.domain.redaction import redact
from zofbot.notifications import text
from zofbot.notifications.catch_up_payload import CatchUpPayload
from zofbot.notifications.digest_payload import DigestPayload
from zofbot.notifications.extra_summaries import ExtraSummary
from zofbot.notifications.past_causes import PastCause
from zofbot.notifications.past_causes import Resolution as Resolution  # noqa: PLC0414  (exported for mypy)
from zofbot.subscriptions.case_history import CasePast
from zofbot.triage import Action, EscalationPolicy, RunFacts, TriageRecord, TriageState


class _PayloadModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AlertStatus(StrEnum):
    """The current status of an alert."""

    OPEN = "open"
    RECOVERED = "recovered"
    AGAIN = "again"


class RunSummary(_PayloadModel):
    """A run in short. Times are Unix seconds, ``duration`` is in seconds."""

    id: str
    title: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    project: str = ""
    project_id: str = ""
    environment: str = ""
    total: int | None = None
    passed: int | None = None
    failed: int | None = None
    error: int | None = None
    skipped: int | None = None
    started: float | None = None
    ended: float | None = None
    duration: float | None = None
    url: str = ""

    @classmethod
    def from_run(cls, run: Run, outcome: Outcome) -> RunSummary:
        return cls(
            id=run.id[:128],
            title=clean_text(run.title, 150),
            outcome=outcome,
            project=clean_text(run.project, 100),
            project_id=clean_text(run.project_id, 100) if run.project_id != run.project else "",
            environment=clean_text(run.environment, 100),
            **run.counts.model_dump(),
            started=run.started.timestamp() if run.started else None,
            ended=run.latest_time.timestamp() if run.latest_time else None,
            duration=run.duration,
            url=storable_link(run.url),
        )

    @property
    def case_counts(self) -> CaseCounts:
        return CaseCounts(
            total=self.total, passed=self.passed, failed=self.failed, error=self.error, skipped=self.skipped
        )


class CaseSummary(_PayloadModel):
    """A failed or errored result in short."""

    id: str
    title: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    why: str = ""
    url: str = ""
    attempts: int = 1
    """Number of attempts in its run; this is the last one."""
    past: CasePast | None = None
    """What its failure is by the case's earlier outcomes."""
    quarantined: bool = False
    """Whether Zof marks the case as quarantined."""
    signature: str = ""
    """The id of its failure text's signature, which begins with the version of the rules; empty if not known."""
    extras: tuple[ExtraSummary, ...] = ()

    @classmethod
    def from_result(cls, result: Result, most: int = 200, signature: str = "") -> CaseSummary:
        """Summarize a result with at most ``most`` characters of its failure text."""
        return cls(
            id=result.id[:128],
            title=clean_text(result.title or result.case_id, 150),
            outcome=result.outcome,
            why=text.clean_literal(result.failure or "", most),
            url=storable_link(result.url),
            attempts=result.attempt or 1,
            quarantined=result.quarantined,
            signature=signature,
        )


class CauseSummary(_PayloadModel):
    """``count`` failures with the same signature; ``example`` is one of them. Those without a text have none."""

    signature: str = ""
    count: int = 1
    example: CaseSummary


class Owner(_PayloadModel):
    """Whom a subscription with the filters ``wish`` mentions, for which cases (titles), and how many ``more`` cases."""

    mention: tuple[str, ...]
    wish: str = ""
    cases: tuple[str, ...] = ()
    more: int = 0


class _AlertPayload(_PayloadModel):
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
    mention: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = ()
    """Set if several subscriptions match and do not mention the same people."""
    unmentioned: int = 0
    """Mentions left out because the same people had been mentioned twice in the minute before."""
    policy: EscalationPolicy = EscalationPolicy()
    takers: tuple[str, ...] = ()
    """Ids of the subscriptions that match."""
    unposted: bool = False
    """Whether it recovered while its message was held back, so that the message was never posted."""
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
        )


class CaseAlertPayload(_AlertPayload):
    """A failing case across ``count`` runs; ``run`` and ``case`` are the latest. Times are Unix seconds."""

    card: Literal["case"] = "case"
    case: CaseSummary
    case_id: str = ""
    cases: int = 1
    """How many cases have failed, where it stands for all those with one cause in a project and environment."""
    count: int = 1
    first: float
    last: float

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
                      opened=self.opened or self.first, last=self.last, failures=self.count)  # fmt: skip


class _ThreadReplyPayload(_PayloadModel):
    broadcast: bool = False
    """Whether the reply is also posted to the channel."""
    mention: tuple[str, ...] = ()


class ResultPayload(_ThreadReplyPayload):
    """A reply for one failed result, in the thread of its run or case."""

    card: Literal["result"] = "result"
    case: CaseSummary
    run_id: str = ""
    again: bool = False
    """Whether the alert had recovered before."""
    others: int = 0
    """Number of other relapsed cases of the run that are not broadcast."""


class CauseReplyPayload(_ThreadReplyPayload):
    """A reply for the ``count`` failures of a run that have the cause of ``case``.

    ``unlisted`` of them are not among ``titles``. ``again``: the alert had recovered before.
    """

    card: Literal["cause"] = "cause"
    case: CaseSummary
    run_id: str = ""
    count: int
    titles: tuple[str, ...] = ()
    unlisted: int = 0
    again: bool = False


class MoreFailuresPayload(_ThreadReplyPayload):
    """A reply for failures without their own reply: ``count`` in all, ``unlisted`` of them not among ``titles``."""

    card: Literal["rest"] = "rest"
    run: RunSummary
    titles: tuple[str, ...] = ()
    count: int
    unlisted: int = 0


class FailingAgainPayload(_ThreadReplyPayload):
    """A reply for a run without known results that failed again after a recovery."""

    card: Literal["again"] = "again"
    run: RunSummary


class FlappingPayload(_ThreadReplyPayload):
    """A reply for an alert that relapsed so many ``times`` in quick succession; ``run`` was the latest."""

    card: Literal["flapping"] = "flapping"
    title: str = ""
    run: RunSummary
    times: int


class RecoveryPayload(_ThreadReplyPayload):
    """A reply for a recovery in ``run``, so many seconds ``after`` the latest failure.

    ``cases`` are the titles of passed cases that somebody had re-run.
    """

    card: Literal["recovered"] = "recovered"
    title: str = ""
    run: RunSummary
    after: float = 0.0
    cases: tuple[str, ...] = ()


MAX_LINK_LENGTH = 500
"""Maximum length of a link in a storm's list, because one message has many."""


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
    by_cause: bool = False
    """Whether it is the message of one cause, over runs, projects and environments, and not a storm."""
    causes: tuple[CauseSummary, ...] = ()
    """The causes of the failures; ``uncaused`` failures have no known cause, or one of many more."""
    uncaused: int = 0

    @property
    def sole_cause(self) -> CauseSummary | None:
        """The cause of all failures; None if there are several, or some are not known."""
        return find_sole_cause(self.causes, self.uncaused)

    @property
    def title(self) -> str:
        """As messages about it name it."""
        if not self.by_cause or not self.causes:
            return f"the storm of {self.members} alerts"
        example = self.causes[0].example
        return clean_text(example.why.strip().partition("\n")[0], 120) or example.title

    @property
    def outcome(self) -> Outcome:
        """How it failed."""
        return Outcome.FAILED

    @property
    def test_facts(self) -> RunFacts:
        """What Zof's runs show of it."""
        return RunFacts(turn=self.turn_count, recovered=self.is_recovered, turned=self.turned or 0.0,
                      opened=self.opened or self.since, last=self.failed,
                      failures=self.failures if self.by_cause else self.members)  # fmt: skip


class StormMember(_PayloadModel):
    """An alert in a storm, shown as one line: ``id`` is that of its run or result, ``count`` how often it failed.

    ``followed``: it can recover, which platform events cannot. ``cases`` is how many cases of one cause it stands for.
    ``causes`` are those of its failures, until they are counted in the storm.
    """

    key: str
    id: str
    title: str = ""
    project: str = ""
    environment: str = ""
    url: str = ""
    standing: AlertStatus = AlertStatus.OPEN
    count: int = 1
    followed: bool = True
    cases: int = 1
    causes: tuple[CauseSummary, ...] = ()


class StormMembersPayload(_PayloadModel):
    """A reply that lists one page of a storm's members; ``first`` is the number of the first one.

    ``by_cause``: it lists where a cause was seen.
    """

    card: Literal["members"] = "members"
    first: int = 1
    by_cause: bool = False
    members: tuple[StormMember, ...] = ()


class ReminderPayload(_PayloadModel):
    """A scheduled reply, which is dropped when due if it is obsolete.

    ``sort`` is its kind; ``turn`` and ``at`` (Unix seconds) identify the opening, acknowledgement or snooze.
    """

    card: Literal["timer"] = "timer"
    sort: Literal["escalate", "ask", "wake", "lapse"]
    turn: int = 0
    at: float
    step: int = 0
    mention: tuple[str, ...] = ()

    def is_still_wanted(self, present: TriageRecord) -> bool:
        """Whether it still applies, given the failure's record when it is due."""
        if self.turn != present.turn:
            return False
        match self.sort:
            case "escalate":
                return present.state is TriageState.OPEN and present.opened == self.at and self.step >= present.steps
            case "ask":
                return present.state is TriageState.ACKNOWLEDGED and present.asks == self.at
            case _:
                return present.state is TriageState.OPEN and present.opened == self.at and not present.by.id


class ActionPayload(_PayloadModel):
    """What somebody did about a failure: a reply in its thread, or a direct message to the assignee.

    People are given by name; ``until`` is in Unix seconds.
    """

    card: Literal["act"] = "act"
    act: Action
    who: str
    owner: str = ""
    state: TriageState = TriageState.OPEN
    until: float | None = None
    more: int = 0
    hid: int = 0
    """How often it failed during a snooze that this action ended."""
    reason: str = ""
    note: str = ""
    mention: tuple[str, ...] = ()
    title: str = ""
    channel: str = ""
    run_id: str = ""


class RerunResultPayload(_PayloadModel):
    """A reply for the end of a re-run started from a failure's thread; ``bad`` of its cases failed again.

    ``failed``, ``passed`` and ``absent`` are titles of cases; ``absent`` ones were to be run and have no outcome.
    """

    card: Literal["rerun"] = "rerun"
    run: RunSummary
    bad: int = 0
    failed: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class PlatformEventPayload(_PayloadModel):
    """An event of Zof's platform that is not about a result."""

    card: Literal["notice"] = "notice"
    event: str
    about: str = ""
    said: str = ""
    run_id: str = ""
    project: str = ""
    environment: str = ""
    mention: tuple[str, ...] = ()


class NotePayload(_PayloadModel):
    """A one-line message from zofbot itself, about ``channel`` (its id) if set; names in it are not escaped yet."""

    card: Literal["line"] = "line"
    said: str = ""
    channel: str = ""


class AlertTestPayload(_PayloadModel):
    """A stored alert shown as a test, requested by the person named ``by``.

    ``mentions`` is how many people and groups a real alert would mention.
    """

    card: Literal["trial"] = "trial"
    alert: dict[str, Any] = Field(default_factory=dict)
    by: str = ""
    mentions: int = 0


Payload = (
    RunAlertPayload
    | CaseAlertPayload
    | ResultPayload
    | CauseReplyPayload
    | MoreFailuresPayload
    | FailingAgainPayload
    | FlappingPayload
    | RecoveryPayload
    | StormPayload
    | StormMembersPayload
    | ReminderPayload
    | ActionPayload
    | RerunResultPayload
    | PlatformEventPayload
    | DigestPayload
    | CatchUpPayload
    | NotePayload
    | AlertTestPayload
)
"""All payload types. A new type is added here and to ``RENDERERS`` in ``zofbot.slack.views.renderer``."""
STANDALONE_PAYLOADS = (DigestPayload, CatchUpPayload, NotePayload, AlertTestPayload)
"""Payloads that are rendered on their own, without the current state of a failure."""
FailurePayload = RunAlertPayload | CaseAlertPayload | StormPayload
"""Payloads of failures open to triage."""


def causes_of(body: FailurePayload) -> list[tuple[str, str]]:
    """Return the causes of a failure: project and signature of each."""
    match body:
        case RunAlertPayload():
            signatures = [cause.signature for cause in body.causes]
        case CaseAlertPayload():
            signatures = [body.case.signature]
        case _:
            signatures = []
    return [(body.run.project_id or body.run.project, each) for each in dict.fromkeys(signatures) if each]


_PAYLOAD_ADAPTER: TypeAdapter[Payload] = TypeAdapter(Annotated[Payload, Field(discriminator="card")])


def load_payload(stored: dict[str, Any]) -> Payload:
    """Parse a stored payload. Raises pydantic's ValidationError for one that this version does not know."""
    return _PAYLOAD_ADAPTER.validate_python(stored)


def holds_payload(stored: Mapping[str, Any], kind: type[Payload]) -> bool:
    """Whether a stored payload is of the given type, judging by its ``card`` field."""
    return bool(stored.get("card") == kind.model_fields["card"].default)


def load_payload_json(stored: str) -> Payload:
    """Parse a stored payload from JSON. Raises as ``load_payload`` does."""
    return _PAYLOAD_ADAPTER.validate_json(stored)


def dump_payload_json(body: Payload) -> str:
    """Serialize a payload to JSON text."""
    return json.dumps(dump_payload(body), separators=(",", ":"))


def dump_payload(body: Payload) -> dict[str, Any]:
    """Convert a payload to JSON data, without default values."""
    return {"card": body.card, **body.model_dump(mode="json", exclude_defaults=True)}


def clean_text(words: str | None, most: int) -> str:
    """Clean external text for storage: one line, at most ``most`` characters."""
    return text.clean_literal(" ".join((words or "").split()), most)


def storable_link(url: str | None) -> str:
    """Return a URL if it may be stored; empty if it is over 2,000 characters or contains a secret."""
    return url if url and len(url) <= 2000 and redact(url) == url else ""


MAX_TITLES_CHARS = 9000
"""Characters of titles in one list: three paragraphs, far below Slack's limit for a message."""


def collect_titles(results: Sequence[Result]) -> tuple[tuple[str, ...], int]:
    """Return unique titles, with their counts, up to ``MAX_TITLES_CHARS``; and how many results they cover."""
    often = Counter(clean_text(result.title or result.case_id or result.id, 100) for result in results)
    fitting, listed, left = [], 0, MAX_TITLES_CHARS
    for title, times in often.items():
        line = f"{title} (×{times})" if times > 1 else title
        left -= len(line) + 3
        if left < 0:
            break
        fitting.append(line)
        listed += times
    return tuple(fitting), listed
