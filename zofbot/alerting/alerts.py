"""Alerts that may still change: open failures, their recovery, and their relapse."""

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
from zofbot.notifications.past_causes import Resolution
from zofbot.subscriptions import Grouping, RunFinding

FLAP_WINDOW_SECONDS = 3600.0
"""Seconds after a recovery in which a new failure continues the same thread."""

CALM_SECONDS = 3600.0
"""Seconds without a relapse after which a flapping failure posts recoveries and relapses again."""

MAX_ALERTS = {Grouping.RUN: 20, Grouping.CASE: 500}
"""Alerts kept per channel and scope; beyond that the oldest is dropped."""
MAX_ALERTS_IN_STORMS = 500
"""Same limit for alerts that are part of a storm."""
MAX_CACHED_ALERTS = 2000
"""Parsed alerts kept in memory; during a storm the same ones are read for every new alert."""
OPEN_RETENTION_SECONDS = 14 * 86400.0
RECOVERED_RETENTION_SECONDS = 6 * 3600.0
"""Seconds. A resolved failure is kept as long as an open one, so that a relapse can mention who resolved it."""
MAX_KNOWN_PASSES = 20


class PassingRun(BaseModel):
    """A run in which failed cases of an alert passed; ``at`` is Unix seconds.

    ``same``: the whole run passed and has the alert's title, or the alert has no title.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    at: float
    cases: tuple[str, ...] = ()
    same: bool = False


class Alert(BaseModel):
    """A failure that was reported to a channel, and its current state. Times are Unix seconds.

    ``id`` is the run or result that ``key`` was made from; ``takers`` are ids of the subscriptions it was made for.
    ``storm`` is the key of the storm summary that replaces its own message, or empty. Of ``cases``, those in ``left``
    must pass after ``last`` for it to recover; ``heals`` are the runs in which they did. ``partial``: some failed
    cases were not read. ``runs`` are the latest runs counted. ``turns`` counts recoveries, ``relapses`` the relapses
    in quick succession up to the one at ``relapsed``; ``line`` is the key of the reply that reports flapping, and
    ``replies`` are the keys of the latest replies about causes. With a ``signature`` it stands for all cases with that
    cause in its scope.
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
    replies: tuple[str, ...] = ()
    signature: str = ""
    critical: bool = False
    storm: str = ""
    body: dict[str, Any]

    @property
    def thread_key(self) -> str:
        """The key of the message whose thread holds its replies."""
        return self.storm or self.key

    def is_relapse(self, at: float) -> bool:
        """Whether a failure at that time comes soon enough after the recovery to continue the same thread."""
        return self.recovered is not None and self.recovered < at <= self.recovered + FLAP_WINDOW_SECONDS

    def with_relapse(self, at: float) -> Alert:
        """Return a copy that failed again at that time; after a calm period, flapping gets a new reply."""
        flaps_on = self.relapsed is not None and at <= self.relapsed + CALM_SECONDS
        count, line = (self.relapses + 1, self.line) if flaps_on else (1, "")
        return self.model_copy(update={"recovered": None, "relapses": count, "relapsed": at, "line": line})

    def is_flapping(self, at: float) -> bool:
        """Whether it relapsed at least twice in quick succession, so that each change is no longer posted.

        Two relapses and the recovery between them are three changes.
        """
        return self.relapses > 1 and self.relapsed is not None and at <= self.relapsed + CALM_SECONDS

    def is_over(self, at: float) -> bool:
        """Whether a failure at that time comes too late for this thread and needs a new alert."""
        return self.recovered is not None and at > self.recovered + FLAP_WINDOW_SECONDS


@dataclass(frozen=True)
class PassedCases:
    """Cases that passed in a run; ``at`` is Unix seconds, ``title`` the run's title if the ``whole`` run passed."""

    run_id: str
    at: float
    cases: frozenset[str]
    title: str = ""
    whole: bool = False


def passes_of(finding: RunFinding) -> PassedCases | None:
    """Return what passed in a run, or None if nothing is known to have passed."""
    whole = finding.run.outcome is Outcome.PASSED and not finding.total
    if not finding.passed and not whole:
        return None
    return PassedCases(
        finding.run.id, finding.happened, finding.passed, (finding.run.title or "") if whole else "", whole
    )


def apply_pass(alert: Alert, passed: PassedCases) -> Alert:
    """Return the alert updated with a passing run, or the same object if nothing changes.

    Runs may be read in any order. The recovery is dated by the earliest run by which every case had passed, so a run
    read late may move a recovery to an earlier time.
    """
    known = alert.recovered is not None and passed.at >= alert.recovered
    if known or passed.at <= alert.last or passed.run_id in alert.runs:
        return alert
    cases = tuple(case for case in alert.left if case in passed.cases)
    same = passed.whole and alert.title in ("", passed.title)
    passing_run = PassingRun(run=passed.run_id, at=passed.at, cases=cases, same=same)
    healed = alert.model_copy(update={"heals": _merge_passes(alert, passing_run)})
    by = recovered_by(healed)
    if by is None:
        return healed
    return healed.model_copy(update={"recovered": by.at, "turns": alert.turns + (alert.recovered is None)})


def recovered_by(alert: Alert) -> PassingRun | None:
    """Return the run with which an alert recovered, or None if it has not.

    If not all failed cases are known, only a fully passed run with the same title counts.
    """
    passed = {case for heal in alert.heals for case in heal.cases}
    last = max((heal for heal in alert.heals if heal.cases), key=lambda heal: heal.at, default=None)
    if not passed.issuperset(alert.left):
        return None
    if not _has_unread_failures(alert):
        return last
    return next((heal for heal in alert.heals if heal.same and (last is None or heal.at >= last.at)), None)


def _merge_passes(alert: Alert, more: PassingRun) -> tuple[PassingRun, ...]:
    """Return the passing runs in order of time, each with the cases that had not passed in an earlier one."""
    merged: list[PassingRun] = []
    passed: set[str] = set()
    others = [heal for heal in alert.heals if heal.run != more.run and heal.at > alert.last]
    for other in sorted((*others, more), key=lambda other: (other.at, other.run)):
        first = tuple(case for case in other.cases if case not in passed)
        if first or (other.same and _has_unread_failures(alert)):
            merged.append(other.model_copy(update={"cases": first}))
            passed.update(first)
    surplus = [item for item in merged if not item.cases][:-MAX_KNOWN_PASSES]
    return tuple(item for item in merged if item not in surplus)


def _has_unread_failures(alert: Alert) -> bool:
    """Whether the alert includes failures that were counted but not read."""
    return alert.partial or not alert.cases


def case_field(case: str) -> str:
    """Return the hash field of a case's alert."""
    return f"case:{case}" if len(case) <= 100 else f"case:{short_hash(case)}"


def cause_field(storm: str) -> str:
    """Return the hash field of the alert of a cause in one scope; ``storm`` is the key of the cause's message."""
    return f"cause:{short_hash(storm)}"


def run_field(run_id: str) -> str:
    """Return the hash field of a run's alert."""
    return f"run:{run_id}"


class AlertsInScope:
    """One channel's alerts in one scope, including the draft's changes so far."""

    def __init__(self, draft: DecisionBuilder, channel: str, place: str) -> None:
        self._draft, self._channel = draft, channel
        self._name = alerts_hash(channel, place)
        self.records = TriageRecords(draft, channel)
        self._all = {field: _parse_alert(value) for field, value in sorted(draft.read_hash(self._name).items())}
        self._drop_alerts(field for field, alert in self._all.items() if self._is_stale(alert))

    def list_items(self) -> list[tuple[str, Alert]]:
        return list(self._all.items())

    def get(self, field: str) -> Alert | None:
        return self._all.get(field)

    def find_by_run(self, run_id: str) -> tuple[str, Alert] | None:
        """Return the run alert that already counts this run, if any."""
        return self._find_latest(lambda alert: run_id in alert.runs)

    def find_flapping(self, cases: Collection[str], title: str, at: float) -> tuple[str, Alert] | None:
        """Return the run alert with the same failures that recovered shortly before ``at``, if any."""

        def is_same_failure(alert: Alert) -> bool:
            again = set(cases) <= set(alert.cases) if cases else not alert.cases and title == alert.title
            return again and alert.is_relapse(at) and not self.resolution_of(alert, at)

        return self._find_latest(is_same_failure)

    def find_resolution(self, cases: Collection[str], title: str, at: float) -> Resolution | None:
        """Return how a person resolved these failures before ``at``, judged by each case's latest alert."""
        left = set(cases)
        runs = (alert for alert in self._all.values() if alert.group is Grouping.RUN)
        for alert in sorted(runs, key=lambda alert: alert.last, reverse=True):
            same = left.intersection(alert.cases) if cases else not alert.cases and title == alert.title
            found = self.resolution_of(alert, at) if same else None
            if found or (same and not cases):
                return found
            left.difference_update(alert.cases)
        return None

    def resolution_of(self, alert: Alert, at: float) -> Resolution | None:
        """Return how a person resolved an alert before ``at``, or None."""
        return self.records.resolution_before(alert.key, alert.body, self._draft.clamp_to_now(at))

    def put_alert(self, field: str, alert: Alert, held: float = 0.0) -> None:
        """Save an alert, update the storm that lists it, and drop the oldest alert above the limit.

        ``held`` is when quiet hours that delay the storm's edit end (Unix seconds), 0 for none.
        """
        before = self._all.get(field)
        self._all[field] = alert
        self._draft.set_field(self._name, field, alert.model_dump_json(exclude_defaults=True))
        if before is None or before.key != alert.key:
            self._draft.set_field(FAILURES_HASH, alert.key, f"{self._draft.now:.0f}")
        if before is None or before.body != alert.body:
            self._draft.set_field(failure_hash(alert.key), "body", json.dumps(alert.body, separators=(",", ":")))
        if before is not None and before.key == alert.key:
            update_member(self._draft, self._channel, alert.key, alert.body, held)
        alike = [name for name, other in self._all.items() if _retention_group(other) == _retention_group(alert)]
        if len(alike) > (MAX_ALERTS_IN_STORMS if alert.storm else MAX_ALERTS[alert.group]):
            self._drop_alerts([min(alike, key=lambda name: self._all[name].last)])

    def _find_latest(self, wanted: Any) -> tuple[str, Alert] | None:
        found = [(field, alert) for field, alert in self._all.items() if alert.group is Grouping.RUN and wanted(alert)]
        return max(found, key=lambda pair: pair[1].last, default=None)

    def _is_stale(self, alert: Alert) -> bool:
        now = self._draft.now
        over = alert.recovered is not None and max(alert.recovered, alert.last) < now - RECOVERED_RETENTION_SECONDS
        return alert.last < now - OPEN_RETENTION_SECONDS or (over and not self.resolution_of(alert, now))

    def _drop_alerts(self, fields: Iterable[str]) -> None:
        gone = list(fields)
        self._draft.delete_fields(self._name, gone)
        for field in gone:
            del self._all[field]


@lru_cache(maxsize=MAX_CACHED_ALERTS)
def _parse_alert(stored: str) -> Alert:
    return Alert.model_validate_json(stored)


def _retention_group(alert: Alert) -> tuple[Grouping, bool]:
    return alert.group, bool(alert.storm)


def record_passes(draft: DecisionBuilder, place: str, passed: PassedCases) -> None:
    """Store what passed, so that an earlier failure that is read later counts as recovered."""
    name = passes_hash(place)
    value = {"at": passed.at, "title": passed.title, "cases": sorted(passed.cases), "whole": passed.whole}
    draft.set_field(name, passed.run_id, json.dumps(value, separators=(",", ":")))
    known = sorted(known_passes(draft, place), key=lambda each_pass: (each_pass.at, each_pass.run_id), reverse=True)
    aged = draft.now - RECOVERED_RETENTION_SECONDS
    draft.delete_fields(
        name, [item.run_id for index, item in enumerate(known) if index >= MAX_KNOWN_PASSES or item.at < aged]
    )


def known_passes(draft: DecisionBuilder, place: str) -> list[PassedCases]:
    """Return what passed recently in a scope, oldest first."""
    read = ((run, json.loads(value)) for run, value in draft.read_hash(passes_hash(place)).items())
    known = [
        PassedCases(
            run, value["at"], frozenset(value["cases"]), value["title"], value.get("whole", bool(value["title"]))
        )
        for run, value in read
    ]
    return sorted(known, key=lambda item: (item.at, item.run_id))
