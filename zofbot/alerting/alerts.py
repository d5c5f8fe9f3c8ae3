"""Messages that may still change: open failures, how they recover, and how they come back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from zofbot.alerting.state import FAILURES_HASH, DecisionBuilder, alerts_hash, failure_hash, passes_hash, short_hash
from zofbot.alerting.storm_record import update_member
from zofbot.alerting.triage_records import TriageRecords
from zofbot.domain.model import Outcome
from zofbot.notifications.payloads import Resolution
from zofbot.subscriptions import Grouping, RunFinding

FLAP_WINDOW_SECONDS = 3600.0
"""Seconds after a recovery in which a new failure goes on in the same thread."""

CALM_SECONDS = 3600.0
"""How long a failure that flaps has to stand still until its turns are told again."""

MAX_ALERTS = {Grouping.RUN: 20, Grouping.CASE: 500}
"""Roots that may still change, in one channel and scope; the oldest are let go."""
MAX_ALERTS_IN_STORMS = 500
"""The same for runs and cases that stand in the summary of a storm."""
MAX_CACHED_ALERTS = 2000
"""Roots whose stored text is parsed once only, for a storm is decided on alert by alert."""
OPEN_RETENTION_SECONDS = 14 * 86400.0
RECOVERED_RETENTION_SECONDS = 6 * 3600.0
"""Seconds; one that a person resolved is kept as long as an open one, to say so when it fails again."""
MAX_KNOWN_PASSES = 20


class PassingRun(BaseModel):
    """What a run passed of a root, ``at`` in Unix seconds.

    ``same``: all of the run passed, and it has the root's title. A root without a title takes any.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    at: float
    cases: tuple[str, ...] = ()
    same: bool = False


class Alert(BaseModel):
    """A message of its own and the failures it stands for.

    ``id`` is the run or result its key was made from, ``takers`` the subscriptions it was made for. One without a
    message of its own is told in the thread of a ``storm`` (the key of its summary). ``left`` are those of its
    ``cases`` that have to pass after ``last``, ``heals`` is by which runs they did; ``partial`` says that there
    are cases nobody read. ``runs`` are the latest that were counted. ``first``, ``last`` and ``recovered`` are Unix
    seconds; ``turns`` counts recoveries. ``relapses`` are those that came soon after one another, up to the latest, at
    ``relapsed``; ``line`` is the key of the message that says so.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    group: Grouping
    id: str
    category: str
    takers: tuple[str, ...] = ()
    threaded: bool = True
    title: str = ""
    cases: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    heals: tuple[PassingRun, ...] = ()
    partial: bool = False
    runs: tuple[str, ...] = ()
    first: float
    last: float
    recovered: float | None = None
    turns: int = 0
    relapses: int = 0
    relapsed: float | None = None
    line: str = ""
    critical: bool = False
    storm: str = ""
    body: dict[str, Any]

    @property
    def thread_key(self) -> str:
        """The key of the message that its replies stand under."""
        return self.storm or self.key

    def is_relapse(self, at: float) -> bool:
        """Whether a failure ``at`` that time follows the recovery so soon that it goes on in the same thread."""
        return self.recovered is not None and self.recovered < at <= self.recovered + FLAP_WINDOW_SECONDS

    def with_relapse(self, at: float) -> Alert:
        """The same once it has failed again ``at`` that time; after a calm a new line says that it flaps."""
        flaps_on = self.relapsed is not None and at <= self.relapsed + CALM_SECONDS
        count, line = (self.relapses + 1, self.line) if flaps_on else (1, "")
        return self.model_copy(update={"recovered": None, "relapses": count, "relapsed": at, "line": line})

    def is_flapping(self, at: float) -> bool:
        """Whether it has relapsed twice in a row ``at`` that time, so that single turns are not told.

        Two relapses and the recovery between them are three turns.
        """
        return self.relapses > 1 and self.relapsed is not None and at <= self.relapsed + CALM_SECONDS

    def is_over(self, at: float) -> bool:
        """Whether a failure ``at`` that time is a new story."""
        return self.recovered is not None and at > self.recovered + FLAP_WINDOW_SECONDS


@dataclass(frozen=True)
class PassedCases:
    """Cases that passed in a run, ``at`` in Unix seconds; ``title`` is the run's where the ``whole`` of it passed."""

    run_id: str
    at: float
    cases: frozenset[str]
    title: str = ""
    whole: bool = False


def passes_of(finding: RunFinding) -> PassedCases | None:
    """What is known to have passed in a run, if anything."""
    whole = finding.run.outcome is Outcome.PASSED and not finding.total
    if not finding.passed and not whole:
        return None
    return PassedCases(
        finding.run.id, finding.happened, finding.passed, (finding.run.title or "") if whole else "", whole
    )


def apply_pass(root: Alert, passed: PassedCases) -> Alert:
    """The root once a later run is counted in; itself when nothing changes.

    In whatever order such runs are heard of, it recovered with the earliest by which all that it stands for had passed:
    one that is heard of late may move a recovery to before.
    """
    known = root.recovered is not None and passed.at >= root.recovered
    if known or passed.at <= root.last or passed.run_id in root.runs:
        return root
    cases = tuple(case for case in root.left if case in passed.cases)
    same = passed.whole and root.title in ("", passed.title)
    one = PassingRun(run=passed.run_id, at=passed.at, cases=cases, same=same)
    healed = root.model_copy(update={"heals": _merge_passes(root, one)})
    by = recovered_by(healed)
    if by is None:
        return healed
    return healed.model_copy(update={"recovered": by.at, "turns": root.turns + (root.recovered is None)})


def recovered_by(root: Alert) -> PassingRun | None:
    """The run by which a root recovered, if it has.

    One of which not every failed case is known recovers only with a whole run of the same title.
    """
    healed = {case for heal in root.heals for case in heal.cases}
    last = max((heal for heal in root.heals if heal.cases), key=lambda heal: heal.at, default=None)
    if not healed.issuperset(root.left):
        return None
    if not _has_unread_failures(root):
        return last
    return next((heal for heal in root.heals if heal.same and (last is None or heal.at >= last.at)), None)


def _merge_passes(root: Alert, more: PassingRun) -> tuple[PassingRun, ...]:
    """The heals in the order in which they happened, each with the cases that it was the first to pass."""
    kept: list[PassingRun] = []
    done: set[str] = set()
    others = [heal for heal in root.heals if heal.run != more.run and heal.at > root.last]
    for other in sorted((*others, more), key=lambda other: (other.at, other.run)):
        first = tuple(case for case in other.cases if case not in done)
        if first or (other.same and _has_unread_failures(root)):
            kept.append(other.model_copy(update={"cases": first}))
            done.update(first)
    idle = [item for item in kept if not item.cases][:-MAX_KNOWN_PASSES]
    return tuple(item for item in kept if item not in idle)


def _has_unread_failures(root: Alert) -> bool:
    """Whether there are failures in it that nobody read."""
    return root.partial or not root.cases


def case_field(case: str) -> str:
    """Under which a case's root is kept."""
    return f"case:{case}" if len(case) <= 100 else f"case:{short_hash(case)}"


def run_field(run_id: str) -> str:
    """Under which a run's root is kept."""
    return f"run:{run_id}"


class AlertsInScope:
    """One channel's roots in one scope, as a draft has them."""

    def __init__(self, draft: DecisionBuilder, channel: str, place: str) -> None:
        self._draft, self._channel = draft, channel
        self._name = alerts_hash(channel, place)
        self.records = TriageRecords(draft, channel)
        self._all = {field: _parse_alert(value) for field, value in sorted(draft.read_hash(self._name).items())}
        self._drop_alerts(field for field, root in self._all.items() if self._is_stale(root))

    def list_items(self) -> list[tuple[str, Alert]]:
        return list(self._all.items())

    def get(self, field: str) -> Alert | None:
        return self._all.get(field)

    def find_by_run(self, run_id: str) -> tuple[str, Alert] | None:
        """The run's root that a run was already made part of."""
        return self._find_latest(lambda root: run_id in root.runs)

    def find_flapping(self, cases: Collection[str], title: str, at: float) -> tuple[str, Alert] | None:
        """The run's root that recovered shortly before ``at`` and whose failures these are again."""

        def is_same_failure(root: Alert) -> bool:
            again = set(cases) <= set(root.cases) if cases else not root.cases and title == root.title
            return again and root.is_relapse(at) and not self.resolution_of(root, at)

        return self._find_latest(is_same_failure)

    def find_resolution(self, cases: Collection[str], title: str, at: float) -> Resolution | None:
        """How somebody resolved what a run fails with again ``at`` that time, by the latest run of each case."""
        left = set(cases)
        runs = (root for root in self._all.values() if root.group is Grouping.RUN)
        for root in sorted(runs, key=lambda root: root.last, reverse=True):
            same = left.intersection(root.cases) if cases else not root.cases and title == root.title
            found = self.resolution_of(root, at) if same else None
            if found or (same and not cases):
                return found
            left.difference_update(root.cases)
        return None

    def resolution_of(self, root: Alert, at: float) -> Resolution | None:
        """How somebody resolved a failure before ``at``, if they did."""
        return self.records.resolution_before(root.key, root.body, self._draft.clamp_to_now(at))

    def put_alert(self, field: str, root: Alert, held: float = 0.0) -> None:
        """Keep a root, and let go of the oldest where there are too many; a storm that it is part of shows the change.

        Where quiet hours hold that, ``held`` is when they end (Unix seconds).
        """
        before = self._all.get(field)
        self._all[field] = root
        self._draft.set_field(self._name, field, root.model_dump_json(exclude_defaults=True))
        if before is None or before.key != root.key:
            self._draft.set_field(FAILURES_HASH, root.key, f"{self._draft.now:.0f}")
        if before is None or before.body != root.body:
            self._draft.set_field(failure_hash(root.key), "body", json.dumps(root.body, separators=(",", ":")))
        if before is not None and before.key == root.key:
            update_member(self._draft, self._channel, root.key, root.body, held)
        alike = [name for name, other in self._all.items() if _retention_group(other) == _retention_group(root)]
        if len(alike) > (MAX_ALERTS_IN_STORMS if root.storm else MAX_ALERTS[root.group]):
            self._drop_alerts([min(alike, key=lambda name: self._all[name].last)])

    def _find_latest(self, wanted: Any) -> tuple[str, Alert] | None:
        found = [(field, root) for field, root in self._all.items() if root.group is Grouping.RUN and wanted(root)]
        return max(found, key=lambda pair: pair[1].last, default=None)

    def _is_stale(self, root: Alert) -> bool:
        now = self._draft.now
        over = root.recovered is not None and max(root.recovered, root.last) < now - RECOVERED_RETENTION_SECONDS
        return root.last < now - OPEN_RETENTION_SECONDS or (over and not self.resolution_of(root, now))

    def _drop_alerts(self, fields: Iterable[str]) -> None:
        gone = list(fields)
        self._draft.delete_fields(self._name, gone)
        for field in gone:
            del self._all[field]


@lru_cache(maxsize=MAX_CACHED_ALERTS)
def _parse_alert(kept: str) -> Alert:
    return Alert.model_validate_json(kept)


def _retention_group(root: Alert) -> tuple[Grouping, bool]:
    return root.group, bool(root.storm)


def record_passes(draft: DecisionBuilder, place: str, passed: PassedCases) -> None:
    """Note what passed, so that a failure from before, heard of only later, is known to have recovered."""
    name = passes_hash(place)
    value = {"at": passed.at, "title": passed.title, "cases": sorted(passed.cases), "whole": passed.whole}
    draft.set_field(name, passed.run_id, json.dumps(value, separators=(",", ":")))
    known = sorted(known_passes(draft, place), key=lambda each_pass: (each_pass.at, each_pass.run_id), reverse=True)
    aged = draft.now - RECOVERED_RETENTION_SECONDS
    draft.delete_fields(
        name, [item.run_id for index, item in enumerate(known) if index >= MAX_KNOWN_PASSES or item.at < aged]
    )


def known_passes(draft: DecisionBuilder, place: str) -> list[PassedCases]:
    """What is known to have passed lately in a scope, in the order in which it happened."""
    read = ((run, json.loads(value)) for run, value in draft.read_hash(passes_hash(place)).items())
    known = [
        PassedCases(
            run, value["at"], frozenset(value["cases"]), value["title"], value.get("whole", bool(value["title"]))
        )
        for run, value in read
    ]
    return sorted(known, key=lambda item: (item.at, item.run_id))
