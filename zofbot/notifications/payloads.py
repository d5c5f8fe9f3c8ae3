"""What a notification's body holds: the few facts its message is drawn from when it is sent.

Bodies are stored as JSON, so every text here is stripped, redacted and clipped already; a later version may add fields.
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
from zofbot.triage import Action, EscalationPolicy, RunFacts, TriageRecord, TriageState


class _PayloadModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AlertStatus(StrEnum):
    """How a root stands now."""

    OPEN = "open"
    RECOVERED = "recovered"
    AGAIN = "again"


class RunSummary(_PayloadModel):
    """A run in short: what it was, where, and how it ended.

    Times are in Unix seconds, ``duration`` in seconds.
    """

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
    """How often it was tried in its run; this is the last time."""

    @classmethod
    def from_result(cls, result: Result, most: int = 200) -> CaseSummary:
        """``most`` characters of its failure are kept."""
        return cls(
            id=result.id[:128],
            title=clean_text(result.title or result.case_id, 150),
            outcome=result.outcome,
            why=text.clean_literal(result.failure or "", most),
            url=storable_link(result.url),
            attempts=result.attempt or 1,
        )


class Resolution(_PayloadModel):
    """How a person closed a failure before it failed again, ``at`` in Unix seconds; ``by`` is the person's name."""

    at: float
    by: str = ""
    reason: str = ""
    note: str = ""


class Owner(_PayloadModel):
    """A subscription that mentions people, by its filters (``wish``): titles of its cases, and how many ``more``."""

    mention: tuple[str, ...]
    wish: str = ""
    cases: tuple[str, ...] = ()
    more: int = 0


class _AlertPayload(_PayloadModel):
    """An alert's ``standing`` since ``turned`` (Unix seconds), when the run with the id ``turner`` brought it about.

    ``turn`` counts recoveries and relapses; ``opened`` is when the channel was first told, or told of the relapse;
    ``policy`` is whom an escalation reaches.
    """

    run: RunSummary
    standing: AlertStatus = AlertStatus.OPEN
    turned: float | None = None
    turner: str = ""
    turn: int = 0
    opened: float = 0.0
    mention: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = ()
    """Whose it is, where several subscriptions took it and do not mention the same people."""
    unmentioned: int = 0
    """How many mentions are left out because the same people had been mentioned twice in the minute before."""
    policy: EscalationPolicy = EscalationPolicy()
    takers: tuple[str, ...] = ()
    """Ids of the subscriptions that asked for it."""
    unposted: bool = False
    """Whether it recovered while its message was held back, so that it has none."""
    resolved: Resolution | None = None
    """What somebody had made of the same failure, under an earlier message."""

    @property
    def is_recovered(self) -> bool:
        return self.standing is AlertStatus.RECOVERED

    @property
    def turn_count(self) -> int:
        """How often it turned; bodies stored before that was counted tell it by how they stand."""
        return self.turn or {AlertStatus.OPEN: 0, AlertStatus.RECOVERED: 1, AlertStatus.AGAIN: 2}[self.standing]


class RunAlertPayload(_AlertPayload):
    """A failed run's own message: ``bad`` failures are meant by the channel's subscriptions, the first are ``top``.

    It is the ``count``-th failing run since ``first`` (Unix seconds) where a subscription counts them.
    """

    card: Literal["run"] = "run"
    bad: int = 0
    top: tuple[CaseSummary, ...] = ()
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
    """A failing case's own message, over ``count`` runs; ``run`` and ``case`` are the latest. Times: Unix seconds."""

    card: Literal["case"] = "case"
    case: CaseSummary
    case_id: str = ""
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
    """Whether the channel sees the reply too."""
    mention: tuple[str, ...] = ()


class ResultPayload(_ThreadReplyPayload):
    """One failed result, beneath its run or its case."""

    card: Literal["result"] = "result"
    case: CaseSummary
    run_id: str = ""
    again: bool = False
    """Whether it had recovered."""
    others: int = 0
    """How many more cases of the run had, too, and are not broadcast."""


class MoreFailuresPayload(_ThreadReplyPayload):
    """The failures that got no reply of their own, ``count`` in all, ``unlisted`` of them not among the titles."""

    card: Literal["rest"] = "rest"
    run: RunSummary
    titles: tuple[str, ...] = ()
    count: int
    unlisted: int = 0


class FailingAgainPayload(_ThreadReplyPayload):
    """A run that failed, without known results, beneath what had recovered."""

    card: Literal["again"] = "again"
    run: RunSummary


class FlappingPayload(_ThreadReplyPayload):
    """What has recovered and failed again so many ``times``, each soon after the other; the latest was ``run``."""

    card: Literal["flapping"] = "flapping"
    title: str = ""
    run: RunSummary
    times: int


class RecoveryPayload(_ThreadReplyPayload):
    """What failed has passed, in ``run``, so many seconds ``after`` its latest failure.

    ``cases`` are the titles of those that somebody had run again.
    """

    card: Literal["recovered"] = "recovered"
    title: str = ""
    run: RunSummary
    after: float = 0.0
    cases: tuple[str, ...] = ()


class StormPayload(_AlertPayload):
    """So many failures that they share one message. ``places`` has project, environment and failures of each.

    ``since`` and ``last`` are Unix seconds; ``alerts`` is how many messages this one stands for. ``members`` are
    those and the alerts from just before, ``open`` of which have not recovered; what is done about the storm is done
    about all of them. None in a storm of notices, and in one of before they were kept. ``run`` is the run that they are
    all part of, where there is one; ``failed`` is when one of them last failed.
    """

    card: Literal["storm"] = "storm"
    run: RunSummary = RunSummary(id="")
    members: int = 0
    open: int = 0
    cards: tuple[str, ...] = ()
    """Keys of the members that have a message of their own."""
    failed: float = 0.0
    since: float
    last: float
    alerts: int
    failures: int
    places: tuple[tuple[str, str, int], ...] = ()
    elsewhere: int = 0
    closed: bool = False

    @property
    def title(self) -> str:
        """As messages about it name it."""
        return f"the storm of {self.members} alerts"

    @property
    def outcome(self) -> Outcome:
        """How it failed."""
        return Outcome.FAILED

    @property
    def test_facts(self) -> RunFacts:
        """What Zof's runs show of it."""
        return RunFacts(turn=self.turn_count, recovered=self.is_recovered, turned=self.turned or 0.0,
                      opened=self.opened or self.since, last=self.failed, failures=self.members)  # fmt: skip


class StormMember(_PayloadModel):
    """One alert of a storm in a line: ``id`` is its run's or result's, ``count`` how often it failed.

    ``followed``: it may recover, as a failure does and a notice does not.
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


class StormMembersPayload(_PayloadModel):
    """One page of the list of what a storm is made of, beneath its summary; ``first`` is the number of the first."""

    card: Literal["members"] = "members"
    first: int = 1
    members: tuple[StormMember, ...] = ()


class ReminderPayload(_PayloadModel):
    """What is said, or shown, at a time that was known before, unless it has been overtaken by then.

    ``sort`` is what the clock does; ``turn`` and ``at`` (Unix seconds) say of which opening, acknowledgement
    or snooze.
    """

    card: Literal["timer"] = "timer"
    sort: Literal["escalate", "ask", "wake", "lapse"]
    turn: int = 0
    at: float
    step: int = 0
    mention: tuple[str, ...] = ()

    def is_still_wanted(self, present: TriageRecord) -> bool:
        """Whether it still says something, given how its failure stands when it has come due."""
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
    """What somebody did about a failure: a line of its thread, or a word to whom it was assigned.

    People are given as they are called; ``until`` is in Unix seconds.
    """

    card: Literal["act"] = "act"
    act: Action
    who: str
    owner: str = ""
    state: TriageState = TriageState.OPEN
    until: float | None = None
    more: int = 0
    hid: int = 0
    """How often it has failed since it was snoozed, where that was ended."""
    reason: str = ""
    note: str = ""
    mention: tuple[str, ...] = ()
    title: str = ""
    channel: str = ""
    run_id: str = ""


class RerunResultPayload(_PayloadModel):
    """How a run ended that somebody started from a failure's thread; ``bad`` of its cases failed again.

    ``failed`` and ``passed`` are titles of cases; ``absent`` are those that were to be run and have no outcome.
    """

    card: Literal["rerun"] = "rerun"
    run: RunSummary
    bad: int = 0
    failed: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class PlatformEventPayload(_PayloadModel):
    """Something of Zof's own that concerns no result."""

    card: Literal["notice"] = "notice"
    event: str
    about: str = ""
    said: str = ""
    run_id: str = ""
    project: str = ""
    environment: str = ""
    mention: tuple[str, ...] = ()


class NotePayload(_PayloadModel):
    """A line of zofbot's own, about ``channel`` (its id) where there is one; names in it are not escaped yet."""

    card: Literal["line"] = "line"
    said: str = ""
    channel: str = ""


class AlertTestPayload(_PayloadModel):
    """A stored alert that is drawn as a test, for which ``by`` (a name) asked.

    ``mentions`` is how many people and groups a real one would mention.
    """

    card: Literal["trial"] = "trial"
    alert: dict[str, Any] = Field(default_factory=dict)
    by: str = ""
    mentions: int = 0


Payload = (
    RunAlertPayload
    | CaseAlertPayload
    | ResultPayload
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
"""What a notification may say. A new type is added here and to ``RENDERERS`` in ``zofbot.slack.views.renderer``."""
STANDALONE_PAYLOADS = (DigestPayload, CatchUpPayload, NotePayload, AlertTestPayload)
"""What is drawn from the payload alone, and shows no failure as it stands when it is sent."""
FailurePayload = RunAlertPayload | CaseAlertPayload | StormPayload
"""What people may work on."""

_PAYLOAD_ADAPTER: TypeAdapter[Payload] = TypeAdapter(Annotated[Payload, Field(discriminator="card")])


def load_payload(stored: dict[str, Any]) -> Payload:
    """A body as it was stored. Raises pydantic's ValidationError for one that this version does not know."""
    return _PAYLOAD_ADAPTER.validate_python(stored)


def holds_payload(stored: Mapping[str, Any], kind: type[Payload]) -> bool:
    """Whether a stored body is one of that type, as far as its tag tells."""
    return bool(stored.get("card") == kind.model_fields["card"].default)


def load_payload_json(kept: str) -> Payload:
    """A body as it stands in the store. Raises as ``read`` does."""
    return _PAYLOAD_ADAPTER.validate_json(kept)


def dump_payload_json(body: Payload) -> str:
    """A body for the store."""
    return json.dumps(dump_payload(body), separators=(",", ":"))


def dump_payload(body: Payload) -> dict[str, Any]:
    """A body as JSON, without what has its default value."""
    return {"card": body.card, **body.model_dump(mode="json", exclude_defaults=True)}


def clean_text(words: str | None, most: int) -> str:
    """Text from outside on one line, fit to be stored."""
    return text.clean_literal(" ".join((words or "").split()), most)


def storable_link(url: str | None) -> str:
    """An address to be stored; none when it is absurdly long or holds a secret."""
    return url if url and len(url) <= 2000 and redact(url) == url else ""


MAX_TITLES_CHARS = 9000
"""Characters of titles in one list: three paragraphs, far under what Slack takes for a message."""


def collect_titles(results: Sequence[Result]) -> tuple[tuple[str, ...], int]:
    """Each title once, with how often it stands there, as far as there is room; and how many results those are."""
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
