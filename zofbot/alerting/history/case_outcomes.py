"""Record the outcomes of cases that failed before, in one hash for each project and environment."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from zofbot.alerting.alerts_in_scope import RECOVERED_RETENTION_SECONDS
from zofbot.alerting.passes import PassedCases, known_passes
from zofbot.alerting.state import DecisionBuilder, RuleState, history_hash, scope_key, short_hash
from zofbot.domain.model import is_valid_id
from zofbot.domain.text import fold_name
from zofbot.subscriptions import RunFinding
from zofbot.subscriptions.case_history import CaseHistory, CaseOutcome, CasePast
from zofbot.subscriptions.events import case_key

MAX_CASES = 500
"""Cases whose outcomes are kept in one hash; beyond that the one that ran longest ago is deleted."""

MAX_KEPT_ID = 40
"""Characters of a run's id that are kept; a longer one is kept as a digest, and not shown."""


def with_case_history(draft: DecisionBuilder, finding: RunFinding) -> RunFinding:
    """Record a run's outcomes, and return the finding with the past of each case that failed in it.

    Doing so again changes nothing: the past of a failure is what was before its run. Only cases that failed at some
    time are followed; when a failure is read for the first time, passes are looked for in the latest passing runs.
    """
    name = history_hash(scope_key(finding))
    at, run_id = int(draft.clamp_to_now(finding.happened)), _kept_id(finding.run.id)
    earliest = draft.now - RECOVERED_RETENTION_SECONDS
    passing_runs = [
        each
        for each in known_passes(draft, scope_key(finding))
        if each.run_id != finding.run.id and each.at >= earliest
    ]
    past: dict[str, CasePast] = {}
    for case in dict.fromkeys(map(case_key, finding.failures)):
        history = CaseHistory.load(draft.read_hash(name).get(short_hash(case), ""))
        failure = CaseOutcome(at, run_id, "f")
        if history.with_outcome(failure) != history:
            passes = [_as_outcome(draft, each) for each in passing_runs if _has_passed(each, case, finding)]
            history = reduce(CaseHistory.with_outcome, (*passes, failure), history)
            if len(past) < MAX_CASES:
                draft.set_field(name, short_hash(case), history.dump())
        past[case] = history.past_of(run_id, at)
    _record_passes(draft, name, finding, CaseOutcome(at, run_id, "p"))
    _prune_cases(draft, name)
    return replace(finding, past=past)


def first_failing_time(memory: RuleState, place: str, after: float = 0.0) -> float | None:
    """Return when the first of the scope's failing cases failed last (Unix seconds), None if each passed last.

    Without cases that have not failed after ``after``.
    """
    histories = map(CaseHistory.load, memory.hashes.get(history_hash(place), {}).values())
    times = (history.last_at for history in histories if history.has_failed_last)
    return min((at for at in times if at > after), default=None)


def _record_passes(draft: DecisionBuilder, name: str, finding: RunFinding, passed: CaseOutcome) -> None:
    """Record passes of the cases that are followed, and of those that passed in a retry, which failed before it."""
    retried = {case_key(result) for result in finding.retried} & finding.passed
    if not retried and not draft.read_hash(name):
        return
    for case in sorted(finding.passed):
        field = short_hash(case)
        stored = draft.read_hash(name).get(field)
        if stored is None and case not in retried:
            continue
        known = CaseHistory.load(stored or "")
        if passed.at < min(known.first_at, draft.now - RECOVERED_RETENTION_SECONDS):
            continue  # it may be one that was forgotten before the case failed for the first time
        changed = known.with_outcome(passed._replace(letter="r" if case in retried else "p"))
        if changed != known:
            draft.set_field(name, field, changed.dump())


def _prune_cases(draft: DecisionBuilder, name: str) -> None:
    """Delete the cases that ran longest ago while there are too many."""
    stored = draft.read_hash(name)
    if len(stored) > MAX_CASES:
        ages = sorted((CaseHistory.load(text).last_at, field) for field, text in stored.items())
        draft.delete_fields(name, [field for _, field in ages[: len(stored) - MAX_CASES]])


def _has_passed(passed: PassedCases, case: str, finding: RunFinding) -> bool:
    """Whether a case passed in a run; where its cases are not known, a passed run with the same title counts."""
    same = bool(finding.run.title) and fold_name(passed.title) == fold_name(finding.run.title or "")
    return case in passed.cases or (passed.whole and not passed.cases and same)


def _as_outcome(draft: DecisionBuilder, passed: PassedCases) -> CaseOutcome:
    return CaseOutcome(int(draft.clamp_to_now(passed.at)), _kept_id(passed.run_id), "p")


def _kept_id(run_id: str) -> str:
    """Return a run's id as it is stored, or a digest of a long or unusual one."""
    return run_id if len(run_id) <= MAX_KEPT_ID and is_valid_id(run_id) else f"#{short_hash(run_id)}"
