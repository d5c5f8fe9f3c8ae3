"""Which failed cases of an alert passed later, and when that makes it recover."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial

from zofbot.alerting.alerts import Alert, PassingRun
from zofbot.alerting.alerts_in_scope import RECOVERED_RETENTION_SECONDS
from zofbot.alerting.run_series import series_key
from zofbot.alerting.state import DecisionBuilder, passes_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.json_encoding import encode_json
from zofbot.domain.model import Outcome
from zofbot.subscriptions import RunFinding

MAX_KNOWN_PASSES = 20


@dataclass(frozen=True)
class PassedCases:
    """Cases that passed in a run; ``at`` and ``started`` are Unix seconds, the latter 0 if it is not known.

    ``title``, ``series`` and ``started`` are set if the ``whole`` run passed.
    """

    run_id: str
    at: float
    cases: frozenset[str]
    title: str = ""
    whole: bool = False
    series: str = ""
    started: float = 0.0

    def repeats_run_of(self, alert: Alert) -> bool:
        """Whether it repeats an alert's run: one of the same title, or the next one of its series.

        Those of a series that run at the same time may be parts of one, such as "shard 1" and "shard 2".
        """
        if alert.title in ("", self.title):
            return True
        return self.started > alert.last and alert.is_of_series(self.title, self.series)


def passes_of(finding: RunFinding) -> PassedCases | None:
    """Return what passed in a run, or None if nothing is known to have passed."""
    whole = finding.run.outcome is Outcome.PASSED and not finding.total
    if not finding.passed and not whole:
        return None
    passed = PassedCases(finding.run.id, finding.happened, finding.passed, whole=whole)
    if not whole:
        return passed
    run = finding.run
    started = run.started.timestamp() if run.started else 0.0
    return replace(passed, title=run.title or "", series=series_key(run), started=started)


def apply_pass(alert: Alert, passed: PassedCases) -> Alert:
    """Return the alert updated with a passing run, or the same object if nothing changes.

    Runs may be read in any order. The recovery is dated by the earliest run by which every case had passed, so a run
    read late may move a recovery to an earlier time.
    """
    known = alert.recovered is not None and passed.at >= alert.recovered
    if known or passed.at <= alert.last or passed.run_id in alert.runs:
        return alert
    cases = tuple(case for case in alert.left if case in passed.cases)
    same = passed.whole and passed.repeats_run_of(alert)
    passing_run = PassingRun(run=passed.run_id, at=passed.at, cases=cases, same=same)
    changed = alert.model_copy(update={"passing_runs": _merge_passes(alert, passing_run)})
    by = recovered_by(changed)
    if by is None:
        return changed
    return changed.model_copy(update={"recovered": by.at, "turns": alert.turns + (alert.recovered is None)})


def recovered_by(alert: Alert) -> PassingRun | None:
    """Return the run with which an alert recovered, or None if it has not.

    If not all failed cases are known by name, only a fully passed run of the same series counts.
    """
    passed = {case for run in alert.passing_runs for case in run.cases}
    last = max((run for run in alert.passing_runs if run.cases), key=lambda run: run.at, default=None)
    if not passed.issuperset(alert.left):
        return None
    if not _has_unknown_cases(alert):
        return last
    return next((run for run in alert.passing_runs if run.same and (last is None or run.at >= last.at)), None)


def _merge_passes(alert: Alert, more: PassingRun) -> tuple[PassingRun, ...]:
    """Return the passing runs in order of time, each with the cases that had not passed in an earlier one."""
    merged: list[PassingRun] = []
    passed: set[str] = set()
    others = [known for known in alert.passing_runs if known.run != more.run and known.at > alert.last]
    for other in sorted((*others, more), key=lambda other: (other.at, other.run)):
        first = tuple(case for case in other.cases if case not in passed)
        if first or (other.same and _has_unknown_cases(alert)):
            merged.append(other.model_copy(update={"cases": first}))
            passed.update(first)
    surplus = [item for item in merged if not item.cases][:-MAX_KNOWN_PASSES]
    return tuple(item for item in merged if item not in surplus)


def _has_unknown_cases(alert: Alert) -> bool:
    """Whether the alert includes failures that were counted but not read, or that do not name their case."""
    return alert.partial or not alert.left


def record_passes(draft: DecisionBuilder, place: str, passed: PassedCases) -> None:
    """Store what passed, so that an earlier failure that is read later counts as recovered."""
    name = passes_hash(place)
    value = {"at": passed.at, "title": passed.title, "cases": sorted(passed.cases), "whole": passed.whole}
    if passed.series:
        value |= {"series": passed.series, "started": passed.started}
    draft.set_field(name, passed.run_id, encode_json(value))
    known = sorted(known_passes(draft, place), key=lambda each_pass: (each_pass.at, each_pass.run_id), reverse=True)
    aged = draft.now - RECOVERED_RETENTION_SECONDS
    draft.delete_fields(
        name, [item.run_id for index, item in enumerate(known) if index >= MAX_KNOWN_PASSES or item.at < aged]
    )


def retract_pass(draft: DecisionBuilder, place: str, finding: RunFinding) -> None:
    """Delete what passed in a run that turns out to have failed; what did pass of it is stored anew.

    A run with other failures keeps it if its results cannot be listed any more.
    """
    if not has_failed(finding) or finding.run.id not in draft.read_hash(passes_hash(place)):
        return  # most runs: what others passed need not be parsed
    known = next((each for each in known_passes(draft, place) if each.run_id == finding.run.id), None)
    if known and (known.whole or not finding.is_unlisted):
        draft.delete_fields(passes_hash(place), [finding.run.id])


def has_failed(finding: RunFinding) -> bool:
    """Whether a run failed, or cases of it did."""
    return finding.outcome.is_bad or finding.total > 0


def known_passes(draft: DecisionBuilder, place: str) -> list[PassedCases]:
    """Return what passed recently in a scope, oldest first."""
    stored = draft.read_hash(passes_hash(place)).items()
    read = (parse_stored("passed cases", value, partial(_parse_passed, run), None) for run, value in stored)
    return sorted(filter(None, read), key=lambda item: (item.at, item.run_id))


def _parse_passed(run: str, stored: str) -> PassedCases:
    value = json.loads(stored)
    title, cases = value["title"], frozenset(value["cases"])
    whole, series, started = value.get("whole", bool(title)), value.get("series", ""), float(value.get("started", 0))
    return PassedCases(run, float(value["at"]), cases, title, whole, series, started)
